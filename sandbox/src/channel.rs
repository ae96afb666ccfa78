//! Messages with descriptors between the host and a cell: one `SOCK_SEQPACKET` datagram is one message.
//!
//! Both sides are limited: a message has a largest size, sending and receiving have a time limit. What a cell sends is
//! bytes; descriptors that it attaches are closed by the kernel unless the receiver asked for them.

use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::Pid;
use std::io::{IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Largest message in bytes: half of the kernel's default socket buffer, so that one always fits whole.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 * 1024;
/// Descriptors beside one message; the kernel's own limit is 253.
pub(crate) const DESCRIPTORS_MAX: usize = 200;
/// A reader that takes longer than this to make room has hung.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);

/// One end of a message channel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// A message that arrived.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    /// The sender as this process's own pid name space sees it; told by the kernel, not by the sender.
    pub(crate) sender: Option<Pid>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Two connected ends. The first one learns the process id of whoever sends to it.
    pub(crate) fn pair() -> Result<(Self, Self), SandboxError> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .doing(|| "making a channel".into())?;
        rustix::net::sockopt::set_socket_passcred(&ours, true).doing(|| "asking for sender ids".into())?;
        Ok((Self { socket: ours }, Self { socket: theirs }))
    }

    pub(crate) fn from_socket(socket: OwnedFd) -> Self {
        Self { socket }
    }

    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Another handle of this end.
    pub(crate) fn another(&self) -> Result<Self, SandboxError> {
        Ok(Self { socket: self.socket.try_clone().doing(|| "sharing a channel".into())? })
    }

    /// Sends one message, waiting for room at most [`SEND_TIME_MAX`].
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let doing = || "sending a message".to_owned();
        if bytes.len() > MESSAGE_BYTES_MAX || bytes.is_empty() {
            let kind = SandboxErrorKind::TooLong { bytes: bytes.len(), max: MESSAGE_BYTES_MAX };
            return Err(SandboxError::new(doing(), kind));
        }
        if descriptors.len() > DESCRIPTORS_MAX {
            let why = format!("{} descriptors in one message; at most {DESCRIPTORS_MAX}", descriptors.len());
            return Err(SandboxError::new(doing(), SandboxErrorKind::Policy(why)));
        }
        let deadline = Instant::now() + SEND_TIME_MAX;
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        loop {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline, SEND_TIME_MAX).doing(doing)?,
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                    return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
                }
                Err(errno) => return Err(SandboxError::new(doing(), errno)),
            }
        }
    }

    /// Receives one message; `None` when the other end is closed. Attached descriptors are refused.
    pub(crate) fn recv(&self, timeout: Duration) -> Result<Option<Message>, SandboxError> {
        self.recv_with(timeout, rustix::cmsg_space!(ScmCredentials(1)))
    }

    /// Receives one message and the descriptors beside it.
    pub(crate) fn recv_descriptors(&self, timeout: Duration) -> Result<Option<Message>, SandboxError> {
        self.recv_with(timeout, rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX), ScmCredentials(1)))
    }

    fn recv_with(&self, timeout: Duration, control_bytes: usize) -> Result<Option<Message>, SandboxError> {
        let doing = || "waiting for a message".to_owned();
        let deadline = Instant::now() + timeout;
        let mut bytes = vec![0_u8; MESSAGE_BYTES_MAX];
        loop {
            let mut space = vec![MaybeUninit::uninit(); control_bytes];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
            {
                Ok(got) if got.flags.contains(ReturnFlags::TRUNC) => {
                    let kind = SandboxErrorKind::TooLong { bytes: got.bytes, max: MESSAGE_BYTES_MAX };
                    return Err(SandboxError::new(doing(), kind));
                }
                Ok(got) if got.bytes == 0 => return Ok(None),
                Ok(got) => {
                    bytes.truncate(got.bytes);
                    let (sender, descriptors) = unpack(&mut control);
                    return Ok(Some(Message { bytes, sender, descriptors }));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline, timeout).doing(doing)?,
                Err(Errno::CONNRESET) => return Ok(None),
                Err(errno) => return Err(SandboxError::new(doing(), errno)),
            }
        }
    }

    fn wait(&self, events: PollFlags, deadline: Instant, whole: Duration) -> Result<(), SandboxErrorKind> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(SandboxErrorKind::Timeout(whole));
        }
        match poll(&mut [PollFd::new(&self.socket, events)], Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn unpack(control: &mut RecvAncillaryBuffer<'_>) -> (Option<Pid>, Vec<OwnedFd>) {
    let (mut sender, mut descriptors) = (None, Vec::new());
    for item in control.drain() {
        match item {
            RecvAncillaryMessage::ScmCredentials(who) => sender = Some(who.pid),
            RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
            _ => {}
        }
    }
    (sender, descriptors)
}

/// A duration as the kernel wants it; longer than a day is a day.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    let capped = duration.min(Duration::from_hours(24));
    Timespec { tv_sec: capped.as_secs() as i64, tv_nsec: i64::from(capped.subsec_nanos()) }
}

/// Some bytes as a memory file that nobody can change or resize any more.
pub(crate) fn sealed(bytes: &[u8]) -> Result<OwnedFd, SandboxError> {
    let doing = || format!("sealing {} bytes", bytes.len());
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let descriptor = rustix::fs::memfd_create("sealed", flags).doing(doing)?;
    let mut file = std::fs::File::from(descriptor);
    file.write_all(bytes).doing(doing)?;
    std::io::Seek::rewind(&mut file).doing(doing)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals).doing(doing)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    const SHORT: Duration = Duration::from_millis(30);

    #[test]
    fn a_message_arrives_whole_with_its_sender() {
        let (ours, theirs) = Channel::pair().unwrap();
        theirs.send(&vec![b'x'; MESSAGE_BYTES_MAX], &[]).unwrap();
        let message = ours.recv(SHORT).unwrap().unwrap();
        assert_eq!(message.bytes.len(), MESSAGE_BYTES_MAX);
        assert_eq!(message.sender, Some(rustix::process::getpid()));
    }

    #[test]
    fn silence_is_a_timeout_and_an_end_is_an_end() {
        let (ours, theirs) = Channel::pair().unwrap();
        assert!(ours.recv(SHORT).unwrap_err().is_timeout());
        drop(theirs);
        assert!(ours.recv(SHORT).unwrap().is_none());
        assert!(matches!(ours.send(b"x", &[]).unwrap_err().kind(), SandboxErrorKind::Closed));
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_on_both_sides() {
        let (ours, theirs) = Channel::pair().unwrap();
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(theirs.send(&long, &[]).unwrap_err().kind(), SandboxErrorKind::TooLong { .. }));
        rustix::net::send(&theirs, &long, SendFlags::empty()).unwrap();
        assert!(matches!(ours.recv(SHORT).unwrap_err().kind(), SandboxErrorKind::TooLong { .. }));
    }

    #[test]
    fn descriptors_that_were_not_asked_for_do_not_arrive() {
        let (ours, theirs) = Channel::pair().unwrap();
        let file = sealed(b"x").unwrap();
        theirs.send(b"take this", &[file.as_fd()]).unwrap();
        assert!(ours.recv(SHORT).unwrap().unwrap().descriptors.is_empty());
        theirs.send(b"take this", &[file.as_fd()]).unwrap();
        assert_eq!(ours.recv_descriptors(SHORT).unwrap().unwrap().descriptors.len(), 1);
    }

    #[test]
    fn sealed_bytes_can_be_read_and_not_changed() {
        let mut file = std::fs::File::from(sealed(b"labels").unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "labels");
        assert!(file.write_all(b"forged").is_err());
        assert!(file.set_len(0).is_err());
    }
}
