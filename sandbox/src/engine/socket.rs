//! Where a container engine may listen, and which kind answers there.
//!
//! Only unix sockets of this machine: descriptors travel between host and cell, so both must stand on one kernel.

use crate::error::{SandboxError, SandboxErrorKind};
use bollard::models::SystemVersion;
use std::path::{Path, PathBuf};

/// The least interface version that has all of the hardening: Docker 20.10, Podman 3.
const API_LEAST: (u32, u32) = (1, 41);

/// Whose dialect of the interface is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// Docker, and what imitates it well.
    Docker,
    /// Podman.
    Podman,
}

/// The variables of the environment that say where to look, in the order in which they are asked, and what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// `DOCKER_HOST`.
    pub(super) docker_host: Option<String>,
    /// `CONTAINER_HOST`, Podman's own.
    pub(super) container_host: Option<String>,
    /// `XDG_RUNTIME_DIR`, below which an ordinary user's engines listen.
    pub(super) runtime_dir: Option<String>,
}

impl Surroundings {
    /// What this process's environment says.
    pub(super) fn of_process() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            docker_host: read("DOCKER_HOST"),
            container_host: read("CONTAINER_HOST"),
            runtime_dir: read("XDG_RUNTIME_DIR"),
        }
    }
}

/// The sockets to be tried, best first: the one that was asked for alone, else the usual ones.
pub(super) fn candidates(asked: Option<&str>, around: &Surroundings) -> Result<Vec<PathBuf>, SandboxError> {
    let named = [
        ("the options", asked),
        ("DOCKER_HOST", around.docker_host.as_deref()),
        ("CONTAINER_HOST", around.container_host.as_deref()),
    ];
    if let Some((who, address)) = named.iter().find_map(|(who, address)| Some((who, (*address)?))) {
        return socket_of(address).map(|path| vec![path]).ok_or_else(|| elsewhere(who, address));
    }
    let mut usual: Vec<PathBuf> = Vec::new();
    if let Some(dir) = &around.runtime_dir {
        usual.push(Path::new(dir).join("podman/podman.sock"));
        usual.push(Path::new(dir).join("docker.sock"));
    }
    usual.extend(["/run/podman/podman.sock", "/var/run/docker.sock"].map(PathBuf::from));
    Ok(usual)
}

fn socket_of(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    path.starts_with('/').then(|| path.into())
}

fn elsewhere(who: &str, address: &str) -> SandboxError {
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("a container engine of its own: {who} names {address}, which is not a unix socket"),
        hint: "cells talk over descriptors, so the engine must run on this machine and this kernel: give \
               unix:///path/to/socket; with Docker Desktop or a Podman machine run this program inside that machine"
            .into(),
    };
    SandboxError::new("looking for a container engine", kind)
}

/// What is said when nobody listens anywhere.
pub(super) fn absent(tried: &[PathBuf]) -> SandboxError {
    let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("a container engine: no socket at {}", tried.join(", ")),
        hint: "start one: `systemctl --user start podman.socket`, `podman system service --time 0 &` or \
               `systemctl start docker`; or name its socket in DOCKER_HOST"
            .into(),
    };
    SandboxError::new("looking for a container engine", kind)
}

/// What is said when a socket is there and does not let us in.
pub(super) fn refusing(path: &Path, why: &str) -> SandboxError {
    let hint = if why.contains("ermission denied") {
        "this user may not use it: use Podman as an ordinary user (`systemctl --user start podman.socket`), or join the \
         group that owns the socket"
    } else {
        "nobody listens there any more: start the engine again, or name another socket in DOCKER_HOST"
    };
    let kind = SandboxErrorKind::Unavailable {
        missing: format!("a container engine that answers at {} ({why})", path.display()),
        hint: hint.into(),
    };
    SandboxError::new("asking a container engine", kind)
}

/// Who answers, checked for what we need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) flavour: Flavour,
    /// For people: `Podman 4.3.1`.
    pub(super) name: String,
}

/// Reads the answer to the question for the version. `kernel` is this machine's release.
pub(super) fn identify(version: &SystemVersion, path: &Path, kernel: &str) -> Result<Identity, SandboxError> {
    let components = version.components.iter().flatten();
    let is_podman = components.clone().any(|component| component.name.contains("Podman"));
    let flavour = if is_podman { Flavour::Podman } else { Flavour::Docker };
    let product = if is_podman { "Podman" } else { "Docker" };
    let name = format!("{product} {}", version.version.as_deref().unwrap_or("of an unknown version"));
    let refuse = |missing: String, hint: &str| {
        let kind = SandboxErrorKind::Unavailable { missing, hint: hint.into() };
        Err(SandboxError::new(format!("asking the container engine at {}", path.display()), kind))
    };
    let api = version.api_version.as_deref().unwrap_or_default();
    if parse(api).is_none_or(|api| api < API_LEAST) {
        let missing = format!(
            "a recent container engine: {name} speaks interface {api:?}, {}.{} is needed",
            API_LEAST.0, API_LEAST.1
        );
        return refuse(missing, "upgrade to Docker 20.10 or Podman 4, or newer");
    }
    match version.kernel_version.as_deref() {
        Some(theirs) if !theirs.is_empty() && theirs != kernel => refuse(
            format!("an engine on this kernel: {name} runs on {theirs}, this program on {kernel}"),
            "it runs in a virtual machine; run this program inside that machine",
        ),
        _ => Ok(Identity { flavour, name }),
    }
}

fn parse(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::SystemVersionComponents;

    fn check(asked: Option<&str>, around: &Surroundings, expected: &str) {
        let said = match candidates(asked, around) {
            Ok(paths) => paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("{} [{}]", error.kind(), error.hint().unwrap_or_default()),
        };
        assert!(said.contains(expected), "{said}");
    }

    fn around(docker: &str, container: &str) -> Surroundings {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Surroundings { docker_host: some(docker), container_host: some(container), runtime_dir: None }
    }

    #[test]
    fn what_is_asked_for_goes_before_the_environment() {
        check(Some("unix:///a"), &around("unix:///b", "unix:///c"), "/a");
        check(None, &around("unix:///b", "unix:///c"), "/b");
        check(None, &around("", "unix:///c"), "/c");
        check(None, &around("/plain/path", ""), "/plain/path");
    }

    #[test]
    fn without_a_word_the_users_own_engine_comes_first() {
        let around = Surroundings { runtime_dir: Some("/run/user/1".into()), ..Surroundings::default() };
        check(
            None,
            &around,
            "/run/user/1/podman/podman.sock /run/user/1/docker.sock /run/podman/podman.sock /var/run/docker.sock",
        );
        check(None, &Surroundings::default(), "/run/podman/podman.sock /var/run/docker.sock");
    }

    #[test]
    fn an_engine_on_another_machine_is_refused_with_the_reason() {
        check(None, &around("tcp://10.0.0.1:2375", ""), "DOCKER_HOST names tcp://10.0.0.1:2375");
        check(None, &around("ssh://me@there", ""), "this kernel");
    }

    #[test]
    fn an_absent_engine_names_what_was_tried_and_how_to_start_one() {
        let error = absent(&["/run/podman/podman.sock".into()]);
        assert!(error.is_unavailable() && error.kind().to_string().contains("/run/podman/podman.sock"));
        assert!(error.hint().unwrap().contains("podman system service"));
    }

    #[test]
    fn a_socket_that_is_closed_to_this_user_is_told_from_a_dead_one() {
        let hint = |why: &str| refusing(Path::new("/s"), why).hint().unwrap().to_owned();
        assert!(hint("Permission denied (os error 13)").contains("this user may not"));
        assert!(hint("Connection refused (os error 111)").contains("nobody listens"));
    }

    fn version(api: &str, kernel: &str, component: &str) -> SystemVersion {
        SystemVersion {
            api_version: Some(api.into()),
            version: Some("4.3.1".into()),
            kernel_version: Some(kernel.into()),
            components: Some(vec![SystemVersionComponents {
                name: component.into(),
                ..SystemVersionComponents::default()
            }]),
            ..SystemVersion::default()
        }
    }

    fn identified(version: &SystemVersion) -> String {
        match identify(version, Path::new("/s"), "6.1") {
            Ok(identity) => format!("{:?} {}", identity.flavour, identity.name),
            Err(error) => error.kind().to_string(),
        }
    }

    #[test]
    fn who_answers_is_told_by_its_components() {
        assert_eq!(identified(&version("1.41", "6.1", "Podman Engine")), "Podman Podman 4.3.1");
        assert_eq!(identified(&version("1.53", "6.1", "Engine")), "Docker Docker 4.3.1");
    }

    #[test]
    fn an_old_engine_and_one_on_another_kernel_are_refused() {
        assert!(identified(&version("1.40", "6.1", "Engine")).contains("1.41 is needed"));
        assert!(identified(&version("", "6.1", "Engine")).contains("1.41 is needed"));
        assert!(identified(&version("1.41", "5.15-linuxkit", "Engine")).contains("on this kernel"));
    }
}
