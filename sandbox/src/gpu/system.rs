//! NVIDIA's management library itself, loaded at run time where there is one.

use super::nvml::{Driver, Fault, Gpu, GpuId, GpuProcess, GpuUsage, Nvml, NvmlError};
use nvml_wrapper::Nvml as Library;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError as LibraryError;
use nvml_wrapper::event::EventSet;
use std::ffi::OsStr;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names of the library, best first: the second is there only where development files are installed.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// Faults that are taken in one go.
const FAULTS_MAX: usize = 64;

/// Loaded once and never unloaded: the driver's handles live as long as the process.
static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();

/// The library of this host.
#[derive(Debug)]
pub struct SystemNvml {
    library: &'static Library,
    events: Mutex<Option<EventSet<'static>>>,
}

impl SystemNvml {
    /// Loads the library and connects to the driver.
    ///
    /// # Errors
    /// Why there are no GPUs here: no library, no driver, no device. That is no failure of anything.
    pub fn load() -> Result<Self, NvmlError> {
        let library = LIBRARY.get_or_init(load).as_ref().map_err(|why| NvmlError(why.clone()))?;
        Ok(Self { library, events: Mutex::new(None) })
    }

    fn gpu(&self, index: u32) -> Result<Gpu, LibraryError> {
        let device = self.library.device_by_index(index)?;
        let memory = device.memory_info()?;
        let id = GpuId::new(device.uuid()?).ok_or(LibraryError::Unknown)?;
        Ok(Gpu {
            id,
            name: device.name()?,
            index,
            minor: device.minor_number()?,
            bus: device.pci_info().ok().and_then(|pci| short_address(&pci.bus_id)),
            memory_bytes: memory.total,
            memory_free_bytes: memory.free,
            // Devices without that mode say that they do not support the question.
            is_sliced: device.mig_mode().is_ok_and(|mode| mode.current != 0),
        })
    }

    fn listen(&self) -> Option<EventSet<'static>> {
        let mut set = self.library.create_event_set().ok()?;
        for index in 0..self.library.device_count().ok()? {
            let device = self.library.device_by_index(index).ok()?;
            set = device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()?;
        }
        Some(set)
    }
}

fn load() -> Result<Library, String> {
    let mut why = String::new();
    for name in LIBRARIES {
        match Library::builder().lib_path(OsStr::new(name)).init() {
            Ok(library) => return Ok(library),
            Err(error) => why = reason(&error),
        }
    }
    Err(why)
}

/// Why the library gives nothing, in words that a user can do something with.
fn reason(error: &LibraryError) -> String {
    match error {
        LibraryError::LibloadingError(_) => "no NVIDIA driver library (libnvidia-ml.so.1) was found".into(),
        LibraryError::DriverNotLoaded => "the NVIDIA driver is installed but not loaded".into(),
        LibraryError::NoPermission => "this user may not talk to the NVIDIA driver".into(),
        LibraryError::LibRmVersionMismatch => {
            "the NVIDIA driver was updated and the machine not restarted since".into()
        }
        other => format!("the NVIDIA driver does not answer: {other}"),
    }
}

/// The kernel's form of a bus address: the library writes the domain with eight digits, and in capitals.
fn short_address(long: &str) -> Option<String> {
    let (domain, rest) = long.trim().split_once(':')?;
    let domain = u32::from_str_radix(domain, 16).ok()?;
    let plain = rest.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    plain.then(|| format!("{domain:04x}:{}", rest.to_lowercase()))
}

fn failed(error: &LibraryError) -> NvmlError {
    NvmlError(reason(error))
}

impl Nvml for SystemNvml {
    fn driver(&self) -> Result<Driver, NvmlError> {
        let version = self.library.sys_driver_version().map_err(|error| failed(&error))?;
        let cuda = self.library.sys_cuda_driver_version().map_err(|error| failed(&error))?;
        Ok(Driver { version, cuda: format!("{}.{}", cuda / 1000, cuda % 1000 / 10) })
    }

    fn gpus(&self) -> Result<(Vec<Gpu>, Vec<String>), NvmlError> {
        let count = self.library.device_count().map_err(|error| failed(&error))?;
        let (mut found, mut silent) = (Vec::new(), Vec::new());
        for index in 0..count {
            match self.gpu(index) {
                Ok(gpu) => found.push(gpu),
                Err(error) => silent.push(format!("GPU {index}: {}", reason(&error))),
            }
        }
        Ok((found, silent))
    }

    fn usage(&self, id: &GpuId) -> Result<GpuUsage, NvmlError> {
        let device = self.library.device_by_uuid(id.as_str()).map_err(|error| failed(&error))?;
        let memory = device.memory_info().map_err(|error| failed(&error))?;
        let process = |process: nvml_wrapper::struct_wrappers::device::ProcessInfo| GpuProcess {
            pid: process.pid,
            memory_bytes: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            },
        };
        let processes = device.running_compute_processes().map_err(|error| failed(&error))?;
        Ok(GpuUsage {
            memory_used_bytes: memory.used,
            processes: processes.into_iter().map(process).collect(),
        })
    }

    fn faults(&self) -> Vec<Fault> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.is_none() {
            // From here on; what was before is the past of others.
            *events = self.listen();
        }
        let Some(set) = events.as_ref() else { return Vec::new() };
        let mut faults = Vec::new();
        while faults.len() < FAULTS_MAX {
            let Ok(event) = set.wait(0) else { break };
            let Some(id) = event.device.uuid().ok().and_then(GpuId::new) else { continue };
            let xid = match event.event_data {
                Some(XidError::Value(number)) => Some(number),
                Some(XidError::Unknown) | None => None,
            };
            faults.push(Fault { id, xid });
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_addresses_get_the_kernels_form() {
        assert_eq!(short_address("00000000:18:00.0").as_deref(), Some("0000:18:00.0"));
        assert_eq!(short_address("00010001:3B:00.0").as_deref(), Some("10001:3b:00.0"));
        assert_eq!(short_address("00000000:../../x"), None);
        assert_eq!(short_address("nonsense"), None);
    }

    #[test]
    fn a_host_without_the_library_has_a_reason_instead_of_gpus() {
        match SystemNvml::load() {
            Ok(library) => assert!(library.driver().is_ok(), "the library loads but does not answer"),
            Err(NvmlError(why)) => assert!(why.contains("NVIDIA driver"), "{why}"),
        }
    }
}
