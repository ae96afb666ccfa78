//! What a container of ours looks like to its engine: a pure function of policy and place.
//!
//! This is the whole list of what is asked for, and the test below reads it in full. What would open the host (privileges,
//! added capabilities, a shared name space, a writable folder, the engine's own socket) has no field to come in by.

use super::socket::Flavour;
use crate::helper::sequence::CONTAINER_PIDS_LEAST;
use crate::policy::{Limits, Mount};
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount as EngineMount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits,
};
use std::collections::{BTreeMap, HashMap};

/// Label that names the process which owns a container.
pub(super) const OWNER_LABEL: &str = "org.ansatz.owner";
/// Label that names the cell.
const CELL_LABEL: &str = "org.ansatz.cell";

/// The first process counts among the processes of a container.
const OWN_PROCESSES: u64 = 1;
/// The limit per user stands behind the group's, a little higher: the group says when it refuses.
const SECOND_BARRIER: u64 = 32;

/// Where all of a user's processes count together, the group alone limits those of the cell.
const SHARED_PROCESSES: u64 = 32_768;

/// Covered with nothing: what tells about the host, and what could be written to beside a cell's own folders.
const MASKED: [&str; 18] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/fs/cgroup",
    "/sys",
    "/dev/mqueue",
    "/dev/pts",
    "/run",
    "/var/tmp",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The system call profile in both forms: some engines read a file, some take the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) path: String,
    pub(super) text: String,
}

/// What a container is made of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The cell's name.
    pub(super) name: &'a str,
    /// The owner's mark, for the sweep of what the dead have left.
    pub(super) owner: &'a str,
    /// The policy's limits.
    pub(super) limits: &'a Limits,
    /// Everything that is shown, read-only: the policy's and our own.
    pub(super) mounts: &'a [Mount],
    /// User and group id inside; never 0.
    pub(super) user: (u32, u32),
    /// Whether the id must be the same outside an engine's user name space.
    pub(super) keeps_user: bool,
    /// Whether nobody else's processes count as this user's.
    pub(super) is_alone: bool,
    /// The image by its digest.
    pub(super) image: &'a str,
    /// Program and arguments of the first process: ours.
    pub(super) entry: &'a [String],
    /// The system call profile.
    pub(super) profile: &'a Profile,
    /// Whose dialect.
    pub(super) flavour: Flavour,
    /// Whether the engine can limit processor time; one that cannot refuses to start a container that asks for it.
    pub(super) limits_cpu: bool,
    /// Open files that the engine may allow at most; it fails to start a container that asks for more.
    pub(super) open_files_max: u64,
}

/// The request that makes the container.
pub(super) fn body(plan: &Plan<'_>) -> ContainerCreateBody {
    let id = format!("{}:{}", plan.user.0, plan.user.1);
    let labels = HashMap::from([
        (OWNER_LABEL.to_owned(), plan.owner.to_owned()),
        (CELL_LABEL.to_owned(), plan.name.to_owned()),
    ]);
    ContainerCreateBody {
        hostname: Some(plan.name.to_owned()),
        user: Some(id),
        image: Some(plan.image.to_owned()),
        entrypoint: Some(plan.entry.to_vec()),
        cmd: Some(Vec::new()),
        working_dir: Some("/".into()),
        labels: Some(labels),
        network_disabled: Some(true),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        host_config: Some(host(plan)),
        ..ContainerCreateBody::default()
    }
}

fn host(plan: &Plan<'_>) -> HostConfig {
    let limits = plan.limits;
    let scratch = |bytes: u64, programs: &str| format!("rw,size={bytes},mode=1777,nosuid,nodev{programs}");
    HostConfig {
        // Memory, swap included: no swap.
        memory: Some(signed(limits.memory_bytes)),
        memory_swap: Some(signed(limits.memory_bytes)),
        pids_limit: Some(signed(pids_limit(limits))),
        nano_cpus: limits.cpus.filter(|_| plan.limits_cpu).map(|cpus| (cpus * 1e9).round() as i64),
        ulimits: Some(ulimits(plan)),
        network_mode: Some("none".into()),
        ipc_mode: Some("private".into()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        userns_mode: plan.keeps_user.then(|| "keep-id".into()),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(security(plan)),
        masked_paths: Some(MASKED.map(String::from).to_vec()),
        readonly_paths: Some(READ_ONLY.map(String::from).to_vec()),
        readonly_rootfs: Some(true),
        mounts: Some(plan.mounts.iter().map(mount).collect()),
        tmpfs: Some(HashMap::from([
            ("/tmp".to_owned(), scratch(limits.tmp_bytes, "")),
            ("/out".to_owned(), scratch(limits.out_bytes, ",noexec")),
        ])),
        shm_size: Some(signed(limits.shm_bytes)),
        // Nothing is written there: the program's output takes our own pipe. Capped all the same.
        log_config: Some(log(plan.flavour)),
        auto_remove: Some(false),
        ..HostConfig::default()
    }
}

/// Processes of the container, our own included.
pub(super) fn pids_limit(limits: &Limits) -> u64 {
    (limits.pids + OWN_PROCESSES).max(CONTAINER_PIDS_LEAST)
}

fn ulimits(plan: &Plan<'_>) -> Vec<ResourcesUlimits> {
    let limits = plan.limits;
    let each = [
        ("nofile", limits.open_files.min(plan.open_files_max)),
        ("nproc", if plan.is_alone { limits.pids + SECOND_BARRIER } else { SHARED_PROCESSES }),
        ("fsize", limits.file_bytes),
        ("core", 0),
        ("msgqueue", 0),
        ("rtprio", 0),
    ];
    each.map(|(name, value)| ResourcesUlimits {
        name: Some(name.into()),
        soft: Some(signed(value)),
        hard: Some(signed(value)),
    })
    .to_vec()
}

fn security(plan: &Plan<'_>) -> Vec<String> {
    let mut options = vec!["no-new-privileges".to_owned()];
    match plan.flavour {
        // Reads the profile from a file, and ignores the list of masked paths that Docker's interface has.
        Flavour::Podman => {
            options.push(format!("seccomp={}", plan.profile.path));
            options.push(format!("mask={}", MASKED.join(":")));
        }
        Flavour::Docker => options.push(format!("seccomp={}", plan.profile.text)),
    }
    options
}

fn log(flavour: Flavour) -> HostConfigLogConfig {
    let (kind, config) = match flavour {
        Flavour::Podman => ("k8s-file", BTreeMap::from([("max-size", "10m")])),
        Flavour::Docker => {
            ("local", BTreeMap::from([("max-size", "10m"), ("max-file", "1"), ("compress", "false")]))
        }
    };
    let config = config.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    HostConfigLogConfig { typ: Some(kind.into()), config: Some(config) }
}

/// A bind that is read-only whatever lies below it: mounts below the source are not taken along.
fn mount(mount: &Mount) -> EngineMount {
    let bind = MountBindOptions {
        propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
        non_recursive: Some(true),
        ..MountBindOptions::default()
    };
    EngineMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.display().to_string()),
        target: Some(mount.target.display().to_string()),
        read_only: Some(true),
        bind_options: Some(bind),
        ..EngineMount::default()
    }
}

/// Sizes as the interface has them.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with(flavour: Flavour, limits: &Limits) -> Value {
        let entry = ["/.ansatz/lib/ld.so".to_owned(), "__cell".to_owned()];
        let profile =
            Profile { path: "/tmp/a/seccomp.json".into(), text: "{\"defaultAction\":\"x\"}".into() };
        let mounts = [Mount::new("/usr", "/usr"), Mount::new("/tmp/a/1/door", "/.ansatz/door")];
        let plan = Plan {
            name: "worker",
            owner: "ansatz-7-8-9-1-worker",
            limits,
            mounts: &mounts,
            user: (0x7000_0001, 0x7000_0001),
            keeps_user: false,
            is_alone: true,
            image: "sha256:abc",
            entry: &entry,
            profile: &profile,
            flavour,
            limits_cpu: true,
            open_files_max: 20_000,
        };
        serde_json::to_value(body(&plan)).unwrap()
    }

    fn limits() -> Limits {
        Limits {
            memory_bytes: 512 << 20,
            pids: 64,
            cpus: Some(1.5),
            file_bytes: 1 << 30,
            open_files: 4096,
            out_bytes: 8 << 20,
            tmp_bytes: 16 << 20,
            shm_bytes: 4 << 20,
            ..Limits::default()
        }
    }

    /// Everything that an engine is asked for. A field that is not here is not sent.
    #[test]
    fn the_whole_request() {
        let ulimit = |name: &str, value: u64| json!({"Name": name, "Soft": value, "Hard": value});
        let bind = |source: &str, target: &str| {
            json!({"Type": "bind", "Source": source, "Target": target, "ReadOnly": true,
                   "BindOptions": {"Propagation": "rprivate", "NonRecursive": true}})
        };
        let expected = json!({
            "Hostname": "worker",
            "User": "1879048193:1879048193",
            "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
            "Image": "sha256:abc",
            "Entrypoint": ["/.ansatz/lib/ld.so", "__cell"],
            "Cmd": [],
            "WorkingDir": "/",
            "NetworkDisabled": true,
            "Labels": {"org.ansatz.owner": "ansatz-7-8-9-1-worker", "org.ansatz.cell": "worker"},
            "HostConfig": {
                "Memory": 536_870_912, "MemorySwap": 536_870_912,
                "PidsLimit": 65, "NanoCpus": 1_500_000_000,
                "Ulimits": [
                    ulimit("nofile", 4096), ulimit("nproc", 96), ulimit("fsize", 1 << 30),
                    ulimit("core", 0), ulimit("msgqueue", 0), ulimit("rtprio", 0),
                ],
                "NetworkMode": "none", "IpcMode": "private", "CgroupnsMode": "private",
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges", "seccomp={\"defaultAction\":\"x\"}"],
                "MaskedPaths": MASKED, "ReadonlyPaths": READ_ONLY,
                "ReadonlyRootfs": true,
                "Mounts": [bind("/usr", "/usr"), bind("/tmp/a/1/door", "/.ansatz/door")],
                "Tmpfs": {
                    "/tmp": "rw,size=16777216,mode=1777,nosuid,nodev",
                    "/out": "rw,size=8388608,mode=1777,nosuid,nodev,noexec",
                },
                "ShmSize": 4_194_304,
                "LogConfig": {"Type": "local", "Config": {"max-size": "10m", "max-file": "1", "compress": "false"}},
                "AutoRemove": false,
            },
        });
        assert_eq!(with(Flavour::Docker, &limits()), expected);
    }

    #[test]
    fn podman_gets_the_profile_as_a_file_and_the_masks_as_an_option() {
        let asked = with(Flavour::Podman, &limits());
        let options = asked["HostConfig"]["SecurityOpt"].as_array().unwrap();
        assert_eq!(options[..2], ["no-new-privileges", "seccomp=/tmp/a/seccomp.json"]);
        let masked = options[2].as_str().unwrap();
        assert!(masked.starts_with("mask=/proc/acpi:") && masked.contains(":/sys:"), "{masked}");
    }

    #[test]
    fn what_would_open_the_host_is_never_asked_for() {
        for flavour in [Flavour::Docker, Flavour::Podman] {
            let host = with(flavour, &limits())["HostConfig"].clone();
            let absent = [
                "Privileged",
                "CapAdd",
                "Binds",
                "Devices",
                "DeviceCgroupRules",
                "PidMode",
                "UTSMode",
                "UsernsMode",
                "VolumesFrom",
                "GroupAdd",
                "Sysctls",
                "OomKillDisable",
                "PublishAllPorts",
                "PortBindings",
                "Runtime",
            ];
            for field in absent {
                assert_eq!(host[field], Value::Null, "{field}");
            }
            let mounts = host["Mounts"].as_array().unwrap();
            assert!(mounts.iter().all(|mount| mount["ReadOnly"] == true));
        }
    }

    #[test]
    fn a_runtime_has_room_to_start_and_no_more_files_than_the_engine_may_give() {
        let small = Limits { pids: 4, open_files: 1 << 20, cpus: None, ..limits() };
        let host = with(Flavour::Docker, &small)["HostConfig"].clone();
        assert_eq!(host["PidsLimit"], CONTAINER_PIDS_LEAST);
        assert_eq!(host["Ulimits"][0]["Hard"], 20_000);
        assert_eq!(host["NanoCpus"], Value::Null);
    }
}
