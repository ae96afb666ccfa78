//! Device descriptions by the Container Device Interface (versions up to 1.1): where a host keeps a GPU's nodes and libraries.
//!
//! Taken from a description: device nodes and mounts. Never taken: hooks, environment, networks, groups. Hooks run as the
//! host's user on a root file system that others may have prepared, and escapes came from there again and again.

use super::nvml::Gpu;
use serde::Deserialize;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Where descriptions lie; a later folder wins.
pub(super) const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// The kind of device that is looked for.
const KIND: &str = "nvidia.com/gpu";

/// Largest description that is read. A machine with eight GPUs has one of about 30 KiB.
const BYTES_MAX: u64 = 4 << 20;
/// Most files that are read from one folder.
const FILES_MAX: usize = 64;

/// What a description says about one GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// The file.
    pub(super) file: PathBuf,
    /// Device nodes: where the cell wants them, and where they are.
    pub(super) nodes: Vec<(PathBuf, PathBuf)>,
    /// Files of the host that the description would mount.
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    cdi_version: String,
    kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: String,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edits {
    #[serde(default)]
    device_nodes: Option<Vec<DeviceNode>>,
    #[serde(default)]
    mounts: Option<Vec<Mount>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceNode {
    path: PathBuf,
    #[serde(default)]
    host_path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    host_path: PathBuf,
}

/// Looks for the description of a GPU. What cannot be used is named in the second part; none of it is an error, because a host
/// without descriptions is a host like any other.
pub(super) fn find(folders: &[PathBuf], gpu: &Gpu) -> (Option<Description>, Vec<String>) {
    let mut notices = Vec::new();
    let mut found = None;
    for path in folders.iter().flat_map(|folder| files_in(folder)) {
        match read(&path) {
            Ok(spec) if spec.kind == KIND => found = describe(&path, &spec, gpu).or(found),
            Ok(_) => {}
            Err(why) => notices.push(format!("{}: {why}", path.display())),
        }
    }
    (found, notices)
}

/// The descriptions of a folder, in the order of their names.
pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_ours =
        |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json" || ending == "yaml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    files.sort();
    files.truncate(FILES_MAX);
    files
}

fn read(path: &Path) -> Result<Spec, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a file".into());
    }
    if found.mode() & 0o002 != 0 || !(found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw())
    {
        return Err("others could have written it; it must belong to root and not be writable by all".into());
    }
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > BYTES_MAX {
        return Err(format!("larger than {} MiB", BYTES_MAX >> 20));
    }
    parse(&text, path.extension().is_some_and(|ending| ending == "json"))
}

fn parse(text: &str, is_json: bool) -> Result<Spec, String> {
    let spec: Spec = if is_json {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_saphyr::from_str(text).map_err(|error| first_line(&error.to_string()))?
    };
    match spec.cdi_version.split_once('.') {
        Some(("0" | "1", _)) => Ok(spec),
        _ => Err(format!("version {:?} of the format is not known", spec.cdi_version)),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The edits for one GPU: its own, and those for every device of the kind.
fn describe(path: &Path, spec: &Spec, gpu: &Gpu) -> Option<Description> {
    let node = format!("/dev/nvidia{}", gpu.minor);
    let by_name = |name: &str| spec.devices.iter().position(|device| device.name == name);
    // Numbers in a description are as old as the description: they count only if the node agrees.
    let agrees = |at: &usize| {
        let nodes = spec.devices[*at].container_edits.device_nodes.iter().flatten();
        nodes.into_iter().any(|each| each.path == Path::new(&node))
    };
    let at = by_name(gpu.id.as_str()).or_else(|| by_name(&gpu.index.to_string()).filter(agrees))?;
    let edits = [&spec.devices[at].container_edits, &spec.container_edits];
    let nodes = edits.iter().flat_map(|edits| edits.device_nodes.iter().flatten());
    let mounts = edits.iter().flat_map(|edits| edits.mounts.iter().flatten());
    Some(Description {
        file: path.to_owned(),
        nodes: nodes
            .map(|node| (node.path.clone(), node.host_path.clone().unwrap_or_else(|| node.path.clone())))
            .filter(|(inside, outside)| is_plain(inside) && is_plain(outside))
            .collect(),
        files: mounts.map(|mount| mount.host_path.clone()).filter(|path| is_plain(path)).collect(),
    })
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::fake::gpu;
    use std::fmt::Write as _;

    const YAML: &str = include_str!("testdata/nvidia.yaml");
    const JSON: &str = include_str!("testdata/nvidia.json");

    fn write(name: &str, text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        folder
    }

    fn found(name: &str, text: &str, index: u32) -> (Option<Description>, Vec<String>) {
        let folder = write(name, text);
        find(&[folder.path().to_owned()], &gpu(index))
    }

    #[test]
    fn yaml_and_json_give_the_nodes_of_the_gpu_and_of_all() {
        for (name, text) in [("nvidia.yaml", YAML), ("nvidia.json", JSON)] {
            let (description, notices) = found(name, text, 1);
            assert_eq!(notices, [""; 0], "{name}");
            let description = description.unwrap();
            let nodes: Vec<_> =
                description.nodes.iter().map(|(inside, _)| inside.to_str().unwrap()).collect();
            assert!(nodes.contains(&"/dev/nvidia1"), "{name}: {nodes:?}");
            assert!(nodes.contains(&"/dev/nvidiactl"), "{name}: {nodes:?}");
            assert!(!nodes.contains(&"/dev/nvidia0"), "{name}: {nodes:?}");
            assert!(description.files.iter().any(|path| path.ends_with("libcuda.so.550.54.15")), "{name}");
        }
    }

    #[test]
    fn a_node_may_lie_elsewhere_on_the_host() {
        let (description, _) = found("nvidia.json", JSON, 1);
        let outside = |inside: &str| {
            let nodes = &description.as_ref().unwrap().nodes;
            nodes.iter().find(|(each, _)| each == Path::new(inside)).unwrap().1.clone()
        };
        assert_eq!(outside("/dev/nvidia1"), Path::new("/run/nvidia/driver/dev/nvidia1"));
        assert_eq!(outside("/dev/nvidiactl"), Path::new("/dev/nvidiactl"));
    }

    #[test]
    fn a_number_counts_only_where_the_node_agrees() {
        // The second GPU has been taken out since: index 1 is now another device, with minor 3.
        let mut moved = gpu(1);
        moved.id = crate::gpu::GpuId::new("GPU-unknown").unwrap();
        moved.minor = 3;
        let folder = write("nvidia.yaml", YAML);
        assert_eq!(find(&[folder.path().to_owned()], &moved).0, None);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_no_error() {
        for (name, text, said) in [
            ("broken.json", "{", "EOF"),
            ("broken.yaml", "cdiVersion: [", ""),
            ("new.json", r#"{"cdiVersion": "7.0.0", "kind": "nvidia.com/gpu"}"#, "7.0.0"),
        ] {
            let (description, notices) = found(name, text, 0);
            assert_eq!(description, None, "{name}");
            assert_eq!(notices.len(), 1, "{name}: {notices:?}");
            assert!(notices[0].contains(name) && notices[0].contains(said), "{notices:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            writeln!(bomb, "a{level}: &a{level} [{}]", [below.as_str(); 10].join(", ")).unwrap();
        }
        let (description, notices) = found("bomb.yaml", &bomb, 0);
        assert_eq!((description, notices.len()), (None, 1));
    }

    #[test]
    fn a_file_that_others_can_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = write("nvidia.yaml", YAML);
        let path = folder.path().join("nvidia.yaml");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let (description, notices) = find(&[folder.path().to_owned()], &gpu(0));
        assert_eq!(description, None);
        assert!(notices[0].contains("others could have written it"), "{notices:?}");
    }

    #[test]
    fn paths_with_dots_are_left_out() {
        let text = JSON.replace("/run/nvidia/driver/dev/nvidia1", "/run/../dev/sda");
        let (description, _) = found("nvidia.json", &text, 1);
        assert!(description.unwrap().nodes.iter().all(|(_, outside)| !outside.ends_with("sda")));
    }
}
