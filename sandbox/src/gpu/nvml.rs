//! What is asked of NVIDIA's management library, as a trait: the library on real hosts, recorded tables in tests.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A GPU's own name for itself, `GPU-…`; stays the same whatever the order in which devices are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GpuId(String);

impl GpuId {
    /// An id as the driver writes it: letters, digits, `-`; at most 96.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // It becomes part of file names and of a variable.
        ((1..=96).contains(&text.len()) && text.bytes().all(plain)).then_some(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A GPU as it was found. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Its id.
    pub id: GpuId,
    /// Its product name.
    pub name: String,
    /// Its place in the driver's order.
    pub index: u32,
    /// The number in its device node, `/dev/nvidia<minor>`.
    pub minor: u32,
    /// Its address on the bus, `0000:18:00.0`, where it is known.
    pub bus: Option<String>,
    /// All of its memory.
    pub memory_bytes: u64,
    /// Memory that nobody has taken.
    pub memory_free_bytes: u64,
    /// Whether it is divided into slices (multi-instance mode).
    pub is_sliced: bool,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// Its id, as this process's name space has it.
    pub pid: u32,
    /// Its memory on the GPU, where the driver tells.
    pub memory_bytes: Option<u64>,
}

/// How much of a GPU is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuUsage {
    /// Memory that is taken, in bytes; the driver's own share is among it on some devices.
    pub memory_used_bytes: u64,
    /// Processes that compute there. In a container the driver may not show those of others.
    pub processes: Vec<GpuProcess>,
}

/// The driver of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Its version, `550.54.15`.
    pub version: String,
    /// The newest CUDA that it serves, `12.4`.
    pub cuda: String,
}

/// Something that a GPU reported by itself: an "Xid".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The GPU.
    pub id: GpuId,
    /// The driver's number for it; `None` where it does not know itself.
    pub xid: Option<u64>,
}

/// Faults that a program causes and that end with it. A hostile trial produces them at will, so they must cost nobody but the
/// trial: everything else puts the GPU aside.
const XIDS_OF_PROGRAMS: [u64; 5] = [
    13, // an exception of the compute engine: an illegal instruction or address
    31, // a memory page that does not exist
    43, // the program's channel was reset
    45, // the program was ended and its work thrown away
    69, // an exception of the compute engine, class error
];

impl Fault {
    /// Whether the device itself is in doubt, not just the program that ran there.
    pub fn is_grave(&self) -> bool {
        self.xid.is_none_or(|xid| !XIDS_OF_PROGRAMS.contains(&xid))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.xid {
            Some(xid) => write!(f, "the driver reported error Xid {xid}"),
            None => write!(f, "the driver reported an error without a number"),
        }
    }
}

/// What the library answered instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NvmlError(pub String);

/// The management library.
pub trait Nvml: Send + Sync + fmt::Debug {
    /// The driver.
    fn driver(&self) -> Result<Driver, NvmlError>;

    /// All GPUs that can be reached from here. One that does not answer is left out and named in the second list.
    fn gpus(&self) -> Result<(Vec<Gpu>, Vec<String>), NvmlError>;

    /// How much of one is in use.
    fn usage(&self, id: &GpuId) -> Result<GpuUsage, NvmlError>;

    /// Faults since the last call; never waits. Reports on any GPU, for whoever asks first.
    fn faults(&self) -> Vec<Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_harmless_as_file_names() {
        assert!(GpuId::new("GPU-5a1c9d2e-0000-1111-2222-333344445555").is_some());
        for bad in ["", "../../etc/passwd", "GPU 1", "a/b", "x\n", &"a".repeat(97)] {
            assert!(GpuId::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn what_a_program_can_cause_by_itself_is_not_held_against_the_device() {
        let grave = |xid| Fault { id: GpuId::new("GPU-1").unwrap(), xid }.is_grave();
        // Double bit error, row remapping failure, fallen off the bus, uncontained error, firmware timeout.
        assert!([48, 64, 79, 95, 119].into_iter().all(|xid| grave(Some(xid))));
        assert!(grave(None));
        assert!(![13, 31, 43, 45, 69].into_iter().any(|xid| grave(Some(xid))));
    }
}
