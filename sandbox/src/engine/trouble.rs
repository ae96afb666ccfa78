//! What engines say when something does not work, and what a user can do about it.

use crate::error::{SandboxError, SandboxErrorKind};

/// A part of an engine's complaint, what is then missing, and what to do.
const KNOWN: [(&str, &str, &str); 8] = [
    (
        "RLIMIT_",
        "an engine that may set the limits of a container",
        "the engine itself has lower limits than it wants to give: put `default_ulimits = [\"nofile=4096:4096\", \
         \"nproc=4096:4096\"]` under [containers] in containers.conf, or start it with higher limits",
    ),
    (
        "rlimit",
        "an engine that may set the limits of a container",
        "the engine itself has lower limits than it wants to give: put `default_ulimits = [\"nofile=4096:4096\", \
         \"nproc=4096:4096\"]` under [containers] in containers.conf, or start it with higher limits",
    ),
    (
        "hybrid mode",
        "a container runtime for this host's control groups",
        "crun refuses control groups of both versions at once: put `runtime = \"runc\"` under [engine] in containers.conf",
    ),
    (
        "sd-bus",
        "a way for the engine to make control groups",
        "there is no systemd here: put `cgroup_manager = \"cgroupfs\"` under [engine] in containers.conf",
    ),
    (
        "cgroup",
        "an engine that can limit memory and processes",
        "let it make control groups: run it as root, or have `memory pids cpu` delegated to this user (systemd: Delegate=yes)",
    ),
    (
        "preparing rootfs",
        "a store of containers that a cell's user may enter",
        "runc cannot enter a closed home folder for another user: `chmod a+x` the folders above the engine's storage, or put \
         `runtime = \"crun\"` under [engine] in containers.conf",
    ),
    (
        "bind source path does not exist",
        "an engine that sees this machine's files",
        "it runs in a machine or container of its own; run this program where the engine runs",
    ),
    (
        "ermission denied",
        "the right to use the engine",
        "use Podman as an ordinary user (`systemctl --user start podman.socket`), or join the group of its socket",
    ),
];

/// Turns a complaint into an error that says what to do.
pub(super) fn of(doing: &str, message: &str) -> SandboxError {
    // Engines wrap each other's messages, and repeat themselves while doing so.
    let message: String = message.chars().filter(|character| !character.is_control()).take(600).collect();
    let found = KNOWN.iter().find(|(part, ..)| message.contains(part));
    let (missing, hint) = found.map_or(
        (
            "an engine that starts our containers",
            "look at the reason; `ansatz doctor` tries every other way to run cells",
        ),
        |(_, missing, hint)| (*missing, *hint),
    );
    let missing = format!("{missing} ({message})");
    SandboxError::new(doing, SandboxErrorKind::Unavailable { missing, hint: hint.into() })
}

/// What is said when the image that was asked for is not there.
pub(super) fn no_image(name: &str) -> SandboxError {
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("image {name}"),
        hint: "build it: `sandbox/image/build cpu` (or `cuda`), or unset ANSATZ_ENGINE_IMAGE: cells then use this machine's \
               own Python, read-only"
            .into(),
    };
    SandboxError::new("looking for the image of cells", kind)
}

/// What is said when the image brings no Python that we know of.
pub(super) fn no_python(name: &str, label: &str) -> SandboxError {
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("a Python in image {name}: it has no label {label}"),
        hint: "build it by `sandbox/image/build cpu` (or `cuda`), which sets the label".into(),
    };
    SandboxError::new("looking at the image of cells", kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        let error = of("starting a container", message);
        assert!(error.is_unavailable() && error.kind().to_string().contains(message));
        assert!(error.hint().unwrap().contains(expected), "{message}: {:?}", error.hint());
    }

    #[test]
    fn complaints_that_are_known_come_with_advice() {
        check(
            "runc: runc create failed: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            "default_ulimits",
        );
        check("error setting rlimits for ready process: error setting rlimit type 7", "default_ulimits");
        check("crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2", "runc");
        check("runc: sd-bus call: Interactive authentication required", "cgroupfs");
        check(
            "invalid mount config for type \"bind\": bind source path does not exist: /x",
            "where the engine runs",
        );
    }

    #[test]
    fn a_closed_home_is_told_from_a_closed_socket() {
        check(
            "runc: error preparing rootfs: mount /home/me/x, flags: 0x5000: permission denied",
            "chmod a+x",
        );
    }

    #[test]
    fn a_complaint_that_nobody_knows_is_shown_whole() {
        check("the moon is in the wrong house", "look at the reason");
    }

    #[test]
    fn a_missing_image_says_how_to_build_it() {
        assert!(no_image("x:y").hint().unwrap().contains("sandbox/image/build"));
    }
}
