//! The parts of the NVIDIA driver that a cell needs for its GPUs: device nodes, libraries, a few facts of the kernel.
//!
//! Whatever a device description or the linker's cache names, only what is on the short lists below gets through, and a node
//! only if it really is the device that its name promises.

use super::cdi;
use super::nvml::{Gpu, GpuId};
use rustix::fs::{FileType, major, minor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where a cell finds the driver's libraries, whatever the host's layout.
pub(crate) const LIBRARY_FOLDER: &str = "/opt/ansatz/driver";

/// Beginnings of the libraries that computing needs. Displays, video, management of others' jobs are not among them.
const LIBRARIES: [(&str, &str); 6] = [
    ("libcuda.so", "the driver's interface: every CUDA program loads it"),
    ("libnvidia-ml.so", "asked for names and memory by some libraries"),
    ("libnvidia-ptxjitcompiler.so", "compiles kernels that were delivered for another generation"),
    ("libnvidia-nvvm.so", "compiles kernels at run time"),
    ("libnvidia-nvvm70.so", "the same, for older front ends"),
    ("libnvidia-gpucomp.so", "what newer drivers have split off their compilers"),
];

/// Folders in which drivers leave their libraries without telling the linker.
const FOLDERS: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/usr/local/nvidia/lib64",
    "/run/opengl-driver/lib",
];

/// Facts of the kernel that the driver's library reads, without which it refuses to start: whether its modules are loaded, and
/// how processors and memory hang together. Read-only; nothing in them tells of other users.
const FACTS: [&str; 6] = [
    "module/nvidia",
    "module/nvidia_uvm",
    "module/nvidia_modeset",
    "devices/system/cpu",
    "devices/system/node",
    "devices/system/memory",
];

/// Minor number of `/dev/nvidiactl`.
const CONTROL_MINOR: u32 = 255;
/// Major number of GPUs and of their control node since ever; newer drivers list it by name, too.
const MAJOR: u32 = 195;

/// A device node of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    /// On the host.
    pub(crate) source: PathBuf,
    /// In the cell.
    pub(crate) target: PathBuf,
}

/// What of the driver a cell with one GPU gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriverFiles {
    /// What named the files: a device description, or the known places.
    pub source: String,
    pub(crate) nodes: Vec<Node>,
    /// Library files by the names under which the cell sees them.
    pub(crate) libraries: BTreeMap<String, PathBuf>,
    /// Folders of facts: where they are, and where the cell sees them.
    pub(crate) facts: Vec<(PathBuf, PathBuf)>,
    /// Descriptions that could not be used, with the reason.
    pub notices: Vec<String>,
}

/// Where things are on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    /// Device nodes.
    pub(super) dev: PathBuf,
    /// Facts of the kernel.
    pub(super) sys: PathBuf,
    /// Device descriptions, the later the better.
    pub(super) descriptions: Vec<PathBuf>,
    /// The linker's cache.
    pub(super) linker_cache: PathBuf,
    /// More folders with libraries.
    pub(super) libraries: Vec<PathBuf>,
    /// The kernel's list of device numbers.
    pub(super) device_numbers: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            dev: "/dev".into(),
            sys: "/sys".into(),
            descriptions: cdi::FOLDERS.map(PathBuf::from).to_vec(),
            linker_cache: "/etc/ld.so.cache".into(),
            libraries: FOLDERS.map(PathBuf::from).to_vec(),
            device_numbers: "/proc/devices".into(),
        }
    }
}

impl DriverFiles {
    /// Finds what a cell with `gpu` needs.
    ///
    /// # Errors
    /// Which part is missing or is not what it claims to be.
    pub(super) fn find(places: &Places, gpu: &Gpu) -> Result<Self, String> {
        let (description, notices) = cdi::find(&places.descriptions, gpu);
        let numbers = std::fs::read_to_string(&places.device_numbers).unwrap_or_default();
        let wanted = [
            (format!("nvidia{}", gpu.minor), gpu.minor, majors(&numbers, &["nvidia", "nvidia-frontend"])),
            (
                "nvidiactl".into(),
                CONTROL_MINOR,
                majors(&numbers, &["nvidia", "nvidiactl", "nvidia-frontend"]),
            ),
            ("nvidia-uvm".into(), 0, majors(&numbers, &["nvidia-uvm"])),
        ];
        let mut nodes = Vec::new();
        for (name, minor, mut majors) in wanted {
            if name != "nvidia-uvm" {
                majors.insert(MAJOR);
            }
            let target = Path::new("/dev").join(&name);
            let described = description.as_ref().and_then(|found| {
                found.nodes.iter().find(|(inside, _)| *inside == target).map(|(_, outside)| outside.clone())
            });
            let source = described.filter(|path| path.exists()).unwrap_or_else(|| places.dev.join(&name));
            check_node(&source, minor, &majors)?;
            nodes.push(Node { source, target });
        }
        let described = description.iter().flat_map(|found| found.files.clone());
        let mut libraries = named(described);
        let mut source = description.as_ref().map(|found| found.file.display().to_string());
        if !libraries.contains_key("libcuda.so.1") {
            libraries = named(cached(places).chain(lying_in(&places.libraries)));
            source = None;
        }
        if !libraries.contains_key("libcuda.so.1") {
            return Err("the driver's library libcuda.so.1 was not found".into());
        }
        Ok(Self {
            source: source.unwrap_or_else(|| "the driver's known places".into()),
            nodes,
            libraries,
            facts: facts(places, gpu),
            notices,
        })
    }
}

/// The environment of a cell with these GPUs.
pub(crate) fn environment<'a>(ids: impl Iterator<Item = &'a GpuId>) -> BTreeMap<String, String> {
    let ids: Vec<&str> = ids.map(GpuId::as_str).collect();
    let variables = [
        // A hint for libraries; the wall is the device node.
        ("CUDA_VISIBLE_DEVICES", ids.join(",")),
        ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".into()),
        // Compiled kernels would be a way from one trial to the next.
        ("CUDA_CACHE_DISABLE", "1".into()),
        // The same sums every time.
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8".into()),
        ("NVIDIA_TF32_OVERRIDE", "0".into()),
        ("LD_LIBRARY_PATH", LIBRARY_FOLDER.into()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Major numbers of the named character devices.
fn majors(devices: &str, names: &[&str]) -> BTreeSet<u32> {
    let characters = devices.lines().take_while(|line| !line.starts_with("Block"));
    characters
        .filter_map(|line| {
            let (number, name) = line.trim().split_once(' ')?;
            names.contains(&name.trim()).then(|| number.parse().ok())?
        })
        .collect()
}

/// Makes sure that a node is the device that it is taken for, and that a cell's user may open it.
fn check_node(path: &Path, expected: u32, majors: &BTreeSet<u32>) -> Result<(), String> {
    let found = rustix::fs::lstat(path).map_err(|errno| {
        let hint = if path.ends_with("nvidia-uvm") { "; `nvidia-modprobe -u -c 0` makes it" } else { "" };
        format!("{}: {errno}{hint}", path.display())
    })?;
    let is_device = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice;
    if !is_device || !majors.contains(&major(found.st_rdev)) || minor(found.st_rdev) != expected {
        return Err(format!("{} is not the device that its name says", path.display()));
    }
    if found.st_mode & 0o006 != 0o006 {
        return Err(format!(
            "{} cannot be opened by every user (mode {:o}); cells run as users of their own: chmod o+rw it, or load the \
             driver with NVreg_DeviceFileMode=0666",
            path.display(),
            found.st_mode & 0o7777
        ));
    }
    Ok(())
}

/// The libraries among `files` by every name that programs load them by.
fn named(files: impl Iterator<Item = PathBuf>) -> BTreeMap<String, PathBuf> {
    let mut names = BTreeMap::new();
    for path in files {
        let Ok(real) = path.canonicalize() else { continue };
        if !real.is_file() {
            continue;
        }
        let mut add = |name: &str| {
            if is_wanted(name) {
                names.entry(name.to_owned()).or_insert_with(|| real.clone());
            }
        };
        let own = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        for name in [own(&path), own(&real)].into_iter().flatten() {
            add(&name);
        }
        // A description names files with their version; programs ask by the short name, which is a link beside them.
        for link in links_to(&real) {
            add(&link);
        }
        if let Some(short) = own(&real).as_deref().and_then(short_name) {
            add(&short);
        }
    }
    names
}

/// Whether a name is that of a library on the list, for programs rather than for compilers: with a number.
fn is_wanted(name: &str) -> bool {
    LIBRARIES.iter().any(|(beginning, _)| {
        name.strip_prefix(beginning).and_then(|rest| rest.strip_prefix('.')).is_some_and(|version| {
            version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        })
    })
}

/// Names of links beside a file that lead to it.
fn links_to(real: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else { return Vec::new() };
    let Some(stem) = name.to_str().and_then(|name| name.split(".so").next()) else { return Vec::new() };
    let candidates = (0..10).map(|number| format!("{stem}.so.{number}"));
    candidates.filter(|name| folder.join(name).canonicalize().is_ok_and(|path| path == real)).collect()
}

/// The name that programs know a versioned library by, where it never changed.
fn short_name(versioned: &str) -> Option<String> {
    let stem = versioned.split(".so.").next()?;
    let number = match stem {
        "libcuda" | "libnvidia-ml" | "libnvidia-ptxjitcompiler" => 1,
        "libnvidia-nvvm" | "libnvidia-nvvm70" => 4,
        _ => return None,
    };
    Some(format!("{stem}.so.{number}"))
}

/// Libraries that the linker knows, for this processor.
fn cached(places: &Places) -> impl Iterator<Item = PathBuf> + use<> {
    let bytes = std::fs::read(&places.linker_cache).unwrap_or_default();
    linker_cache(&bytes).into_iter().filter(|(name, _)| is_wanted(name)).map(|(_, path)| path)
}

fn lying_in(folders: &[PathBuf]) -> impl Iterator<Item = PathBuf> + use<'_> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let wanted = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_wanted));
    wanted.map(|entry| entry.path())
}

/// Name and path of each library in glibc's cache that is for this processor. A damaged cache has none.
fn linker_cache(bytes: &[u8]) -> Vec<(String, PathBuf)> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    const HEADER: usize = 48;
    const ENTRY: usize = 24;
    let own = if cfg!(target_arch = "aarch64") { 0x0a00 } else { 0x0300 };
    let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else {
        return Vec::new();
    };
    let cache = &bytes[start..];
    let number = |at: usize| -> Option<usize> {
        Some(u32::from_ne_bytes(cache.get(at..at + 4)?.try_into().ok()?) as usize)
    };
    let text = |at: usize| -> Option<String> {
        let rest = cache.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let count = number(MAGIC.len()).unwrap_or(0).min(bytes.len() / ENTRY);
    let entry = |index: usize| {
        let at = HEADER + index * ENTRY;
        let is_own = number(at)? & 0xff00 == own;
        is_own.then_some((text(number(at + 4)?)?, PathBuf::from(text(number(at + 8)?)?)))
    };
    (0..count).filter_map(entry).collect()
}

/// The facts of the kernel that are there. The GPU's own entry on the bus is seen at the place where the bus lists it.
fn facts(places: &Places, gpu: &Gpu) -> Vec<(PathBuf, PathBuf)> {
    let seen = |relative: &str| {
        let real = places.sys.join(relative).canonicalize().ok()?;
        real.is_dir().then(|| (real, Path::new("/sys").join(relative)))
    };
    let bus = gpu.bus.as_ref().map(|address| format!("bus/pci/devices/{address}"));
    FACTS.into_iter().filter_map(seen).chain(bus.as_deref().and_then(seen)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::gpu::fake::gpu;

    /// A host with driver files but without nodes: making those takes rights that a test may lack.
    pub(in crate::gpu) fn places(root: &Path) -> Places {
        for folder in ["dev", "sys/module/nvidia", "sys/devices/system/node", "lib", "etc", "cdi"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::create_dir_all(root.join("sys/bus/pci/devices/0000:18:00.0")).unwrap();
        for library in ["libcuda.so.550.54.15", "libnvidia-ptxjitcompiler.so.550.54.15", "libGLX_nvidia.so.0"]
        {
            std::fs::write(root.join("lib").join(library), "").unwrap();
        }
        // A second look at the same machine finds it there.
        let _ = std::os::unix::fs::symlink("libcuda.so.550.54.15", root.join("lib/libcuda.so.1"));
        let devices = "Character devices:\n  1 mem\n195 nvidia\n195 nvidiactl\n510 nvidia-uvm\n\nBlock devices:\n  8 sd\n";
        std::fs::write(root.join("devices"), devices).unwrap();
        Places {
            dev: root.join("dev"),
            sys: root.join("sys"),
            descriptions: vec![root.join("cdi")],
            linker_cache: root.join("etc/ld.so.cache"),
            libraries: vec![root.join("lib")],
            device_numbers: root.join("devices"),
        }
    }

    /// Makes the nodes of two GPUs; false where this process may not.
    pub(in crate::gpu) fn make_nodes(dev: &Path) -> bool {
        use rustix::fs::{CWD, Mode, makedev, mknodat};
        let nodes =
            [("nvidia0", 195, 0), ("nvidia1", 195, 1), ("nvidiactl", 195, 255), ("nvidia-uvm", 510, 0)];
        nodes.iter().all(|(name, major, minor)| {
            let path = dev.join(name);
            let made = mknodat(
                CWD,
                &path,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                makedev(*major, *minor),
            );
            made.is_ok() && rustix::fs::chmod(&path, Mode::from_raw_mode(0o666)).is_ok()
        })
    }

    #[test]
    fn numbers_of_devices_are_read_by_name() {
        let text = "Character devices:\n  1 mem\n195 nvidia-frontend\n510 nvidia-uvm\n\nBlock devices:\n  8 nvidia\n";
        assert_eq!(majors(text, &["nvidia", "nvidia-frontend"]), BTreeSet::from([195]));
        assert_eq!(majors(text, &["nvidia-uvm"]), BTreeSet::from([510]));
        assert_eq!(majors(text, &["sd"]), BTreeSet::new());
    }

    #[test]
    fn another_device_under_a_gpus_name_is_refused() {
        let both = BTreeSet::from([1, 195]);
        // /dev/zero is 1:5.
        let said = check_node(Path::new("/dev/zero"), 5, &BTreeSet::from([195])).unwrap_err();
        assert!(said.contains("not the device"), "{said}");
        assert!(check_node(Path::new("/dev/zero"), 0, &both).is_err());
        assert!(check_node(Path::new("/dev/zero"), 5, &both).is_ok());
        assert!(check_node(Path::new("/etc/passwd"), 0, &both).is_err());
        let said = check_node(Path::new("/nowhere/nvidia-uvm"), 0, &both).unwrap_err();
        assert!(said.contains("nvidia-modprobe"), "{said}");
    }

    #[test]
    fn only_libraries_for_computing_are_taken() {
        for good in ["libcuda.so.1", "libcuda.so.550.54.15", "libnvidia-gpucomp.so.570.1"] {
            assert!(is_wanted(good), "{good}");
        }
        for bad in
            ["libcuda.so", "libcudart.so.12", "libGLX_nvidia.so.0", "libcuda.so.1.evil", "libcuda.so.."]
        {
            assert!(!is_wanted(bad), "{bad}");
        }
    }

    #[test]
    fn a_library_is_seen_under_each_of_its_names() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        let names = named(lying_in(&places.libraries));
        let found: Vec<&str> = names.keys().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                "libcuda.so.1",
                "libcuda.so.550.54.15",
                "libnvidia-ptxjitcompiler.so.1",
                "libnvidia-ptxjitcompiler.so.550.54.15"
            ]
        );
        assert!(names.values().all(|path| path.to_str().unwrap().ends_with("550.54.15")));
    }

    #[test]
    fn the_linkers_cache_of_this_host_is_understood() {
        let Ok(bytes) = std::fs::read("/etc/ld.so.cache") else { return };
        let found = linker_cache(&bytes);
        let libc = found.iter().find(|(name, _)| name == "libc.so.6");
        let (_, path) = libc.expect("a C library in the cache");
        assert!(path.is_file(), "{}", path.display());
    }

    #[test]
    fn a_damaged_cache_has_no_libraries() {
        let whole = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
        for length in [0, 10, 47, 49, 100, whole.len() / 2] {
            let cut = &whole[..length.min(whole.len())];
            assert!(linker_cache(cut).iter().all(|(name, _)| !name.is_empty()), "{length}");
        }
        let mut wild = b"glibc-ld.so.cache1.1".to_vec();
        wild.extend([0xff; 200]);
        assert_eq!(linker_cache(&wild), []);
    }

    #[test]
    fn a_missing_node_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let said = DriverFiles::find(&places(temp.path()), &gpu(0)).unwrap_err();
        assert!(said.contains("dev/nvidia0"), "{said}");
    }

    #[test]
    fn a_cell_gets_its_own_gpu_the_control_nodes_and_facts() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        if !make_nodes(&places.dev) {
            eprintln!("skipped: this user may not make device nodes");
            return;
        }
        let files = DriverFiles::find(&places, &gpu(1)).unwrap();
        let nodes: Vec<&str> = files.nodes.iter().map(|node| node.target.to_str().unwrap()).collect();
        assert_eq!(nodes, ["/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"]);
        let facts: Vec<&str> = files.facts.iter().map(|(_, seen)| seen.to_str().unwrap()).collect();
        assert_eq!(facts, ["/sys/module/nvidia", "/sys/devices/system/node"]);
        assert_eq!(files.source, "the driver's known places");
    }

    #[test]
    fn a_description_leads_to_nodes_and_libraries_elsewhere() {
        let temp = tempfile::tempdir().unwrap();
        let places = places(temp.path());
        let elsewhere = temp.path().join("driver");
        std::fs::create_dir_all(elsewhere.join("lib")).unwrap();
        std::fs::create_dir_all(elsewhere.join("dev")).unwrap();
        std::fs::write(elsewhere.join("lib/libcuda.so.560.1"), "").unwrap();
        if !make_nodes(&elsewhere.join("dev")) || !make_nodes(&places.dev) {
            eprintln!("skipped: this user may not make device nodes");
            return;
        }
        let text = include_str!("testdata/nvidia.json")
            .replace(
                "/run/nvidia/driver/usr/lib/libcuda.so.550.54.15",
                &format!("{}/lib/libcuda.so.560.1", elsewhere.display()),
            )
            .replace("/run/nvidia/driver/dev", &format!("{}/dev", elsewhere.display()));
        std::fs::write(places.descriptions[0].join("nvidia.json"), text).unwrap();
        let files = DriverFiles::find(&places, &gpu(1)).unwrap();
        assert_eq!(files.nodes[0].source, elsewhere.join("dev/nvidia1"));
        assert_eq!(files.nodes[1].source, places.dev.join("nvidiactl"));
        assert!(files.libraries["libcuda.so.1"].ends_with("driver/lib/libcuda.so.560.1"));
        assert!(files.source.ends_with("nvidia.json"), "{}", files.source);
    }

    #[test]
    fn the_environment_names_exactly_the_leased_gpus() {
        let ids = [gpu(0).id, gpu(1).id];
        let env = environment(ids.iter());
        assert_eq!(env["CUDA_VISIBLE_DEVICES"], format!("{},{}", ids[0], ids[1]));
        assert_eq!(env["LD_LIBRARY_PATH"], LIBRARY_FOLDER);
    }
}
