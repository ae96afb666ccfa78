//! The one folder that host and container share: a socket in it, through which the cell's first process asks for its order.
//!
//! Outside, the folder lies in one that only this user may enter; inside, it is mounted read-only and alone. The first to
//! connect is served and the socket is removed, so nobody else ever is.

use crate::cgroup::Owner;
use crate::channel::{Channel, timespec};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::policy::Mount;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the cell finds the socket.
pub(crate) const SOCKET: &str = "/.ansatz/door/socket";
const DOOR: &str = "/.ansatz/door";
/// Between two looks at whether the container is still there.
const GLANCE: Duration = Duration::from_millis(500);
/// Connections that wait: there is one.
const BACKLOG: i32 = 1;

/// The folder of a launcher, for everything that its containers are shown beside the policy's mounts.
#[derive(Debug)]
pub(super) struct Lodge {
    folder: PathBuf,
}

impl Lodge {
    /// Makes the folder below `parent`, and removes those of processes that are gone.
    pub(super) fn new(parent: &Path, owner: &Owner) -> Result<Self, SandboxError> {
        sweep(parent, owner);
        // A process may have several launchers.
        for number in 0..1000 {
            let folder = parent.join(owner.group(number, "engine"));
            match rustix::fs::mkdir(&folder, Mode::RWXU) {
                Ok(()) => return Ok(Self { folder }),
                Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(SandboxError::new(format!("making {}", folder.display()), errno)),
            }
        }
        let why = "this process has a thousand launchers already".into();
        Err(SandboxError::new("making a folder for cells", SandboxErrorKind::Policy(why)))
    }

    /// Writes a file that every user may read. Returns its path.
    pub(super) fn file(&self, name: &str, text: &str) -> Result<PathBuf, SandboxError> {
        let path = self.folder.join(name);
        write_open(&path, text).doing(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Prepares a door for a cell of this user and group.
    pub(super) fn door(&self, number: u64, uid: u32, gid: u32) -> Result<Door, SandboxError> {
        let folder = self.folder.join(number.to_string());
        let doing = || format!("making {}", folder.display());
        std::fs::create_dir(&folder).doing(doing)?;
        let mut door = Door { folder: folder.clone(), listener: None };
        std::fs::create_dir(folder.join("door")).doing(doing)?;
        for part in [folder.join("door"), folder.clone()] {
            rustix::fs::chmod(&part, Mode::from_raw_mode(0o755)).doing(doing)?;
        }
        let names = [
            (
                "passwd",
                format!("cell:x:{uid}:{gid}:cell:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
            ),
            ("group", format!("cell:x:{gid}:\nnogroup:x:65534:\n")),
        ];
        for (name, text) in names {
            write_open(&folder.join(name), &text).doing(doing)?;
        }
        door.listener = Some(listen(&folder.join("door/socket"))?);
        Ok(door)
    }
}

impl Drop for Lodge {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders of launchers whose process is gone.
fn sweep(parent: &Path, owner: &Owner) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| Owner::is_gone(name, owner)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn write_open(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    rustix::fs::chmod(path, Mode::from_raw_mode(0o644)).map_err(Into::into)
}

fn listen(path: &Path) -> Result<OwnedFd, SandboxError> {
    let doing = || format!("listening at {}", path.display());
    let kind = SocketType::SEQPACKET;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).doing(doing)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).doing(doing)?).doing(doing)?;
    // The folder around it is the lock; the cell's user is not ours.
    rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).doing(doing)?;
    rustix::net::listen(&socket, BACKLOG).doing(doing)?;
    Ok(socket)
}

/// The folder of one cell. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Door {
    folder: PathBuf,
    listener: Option<OwnedFd>,
}

/// Who came in.
pub(super) struct Arrival {
    pub(super) channel: Channel,
    /// Its user id as the host has it.
    pub(super) uid: u32,
    /// Its process id as the host has it.
    pub(super) pid: i32,
}

impl Door {
    /// What the cell is shown of it.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        vec![
            Mount::new(self.folder.join("door"), DOOR),
            Mount::new(self.folder.join("passwd"), "/etc/passwd"),
            Mount::new(self.folder.join("group"), "/etc/group"),
        ]
    }

    /// Waits for the cell's first process and closes the door behind it. `gone` says what became of the container, if it has
    /// ended.
    pub(super) fn await_arrival(
        &mut self,
        limit: Duration,
        gone: impl Fn() -> Option<String>,
    ) -> Result<Arrival, SandboxError> {
        let doing = || "waiting for the first process of a container".to_owned();
        let deadline = Instant::now() + limit;
        let Some(listener) = self.listener.take() else {
            return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&timespec(left.min(GLANCE))))
                .unwrap_or(0);
            if ready > 0 {
                break;
            }
            if let Some(message) = gone() {
                let step = "run the first process".to_owned();
                return Err(SandboxError::new(doing(), SandboxErrorKind::Start { step, message }));
            }
            if left.is_zero() {
                return Err(SandboxError::new(doing(), SandboxErrorKind::Timeout(limit)));
            }
        }
        let socket = rustix::net::accept_with(&listener, SocketFlags::CLOEXEC).doing(doing)?;
        let _ = std::fs::remove_file(self.folder.join("door/socket"));
        let who = rustix::net::sockopt::socket_peercred(&socket).doing(doing)?;
        let pid = who.pid.as_raw_nonzero().get();
        Ok(Arrival { channel: Channel::from_socket(socket), uid: who.uid.as_raw(), pid })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Connects to the door from inside.
pub(crate) fn enter() -> Result<OwnedFd, SandboxError> {
    let doing = || "connecting to the host".to_owned();
    let kind = SocketType::SEQPACKET;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).doing(doing)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(SOCKET).doing(doing)?).doing(doing)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_first_to_connect_is_served_and_nobody_after() {
        let temp = tempfile::tempdir().unwrap();
        let lodge = Lodge::new(temp.path(), &Owner::current()).unwrap();
        assert_eq!(mode(&lodge.folder), 0o700);
        let mut door = lodge.door(1, 4711, 4711).unwrap();
        let path = door.mounts()[0].source.join("socket");
        assert_eq!(mode(&path), 0o666);
        let client =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let client = client.unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        rustix::net::connect(&client, &address).unwrap();
        let arrival = door.await_arrival(Duration::from_secs(5), || None).unwrap();
        assert_eq!(arrival.pid, std::process::id() as i32);
        assert!(!path.exists());
        assert!(door.await_arrival(Duration::from_secs(5), || None).is_err());
        drop(door);
        assert_eq!(std::fs::read_dir(&lodge.folder).unwrap().count(), 0);
    }

    #[test]
    fn a_container_that_ends_before_it_connects_is_told_with_its_words() {
        let temp = tempfile::tempdir().unwrap();
        let lodge = Lodge::new(temp.path(), &Owner::current()).unwrap();
        let mut door = lodge.door(1, 4711, 4711).unwrap();
        let error = door
            .await_arrival(Duration::from_secs(20), || Some("it ended with exit code 127".into()))
            .err()
            .unwrap();
        assert!(error.kind().to_string().contains("exit code 127"), "{}", error.kind());
    }

    #[test]
    fn folders_of_the_dead_are_removed_and_others_stay() {
        let temp = tempfile::tempdir().unwrap();
        let own = Owner::current();
        let stranger = temp.path().join("ansatz-of-somebody");
        std::fs::create_dir(&stranger).unwrap();
        let one = Lodge::new(temp.path(), &own).unwrap();
        let two = Lodge::new(temp.path(), &own).unwrap();
        assert_ne!(one.folder, two.folder);
        let dead =
            temp.path().join(own.group(0, "engine").replace(&std::process::id().to_string(), "999999999"));
        std::fs::create_dir(&dead).unwrap();
        sweep(temp.path(), &own);
        assert!(one.folder.exists() && two.folder.exists() && stranger.exists() && !dead.exists());
    }
}
