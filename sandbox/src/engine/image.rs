//! The image that cells start from where none is named: a skeleton of empty folders, made here on first need.
//!
//! It holds no program. What runs in a cell is what the policy mounts, so the skeleton needs no registry, no build and no
//! upkeep; an image of one's own (`sandbox/image/`) brings a Python instead.

use sha2::{Digest as _, Sha256};

/// What the skeleton is called in an engine's store.
pub(super) const REPOSITORY: &str = "localhost/ansatz-cell";
const BLOCK: usize = 512;

/// Folders and their modes. Scratch folders are open to everybody: an engine mounts them with the mode that it finds.
const FOLDERS: [(&str, u32); 16] = [
    (".ansatz", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("in", 0o755),
    ("lib", 0o755),
    ("lib64", 0o755),
    ("bin", 0o755),
    ("opt", 0o755),
    ("out", 0o1777),
    ("proc", 0o755),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o755),
];
/// Nothing about users and hosts comes from the engine's machine; the files that name a user are mounted per cell.
const FILES: [(&str, &str); 1] = [("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")];

/// The skeleton as an archive; the same bytes each time.
pub(super) fn skeleton() -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode) in FOLDERS {
        archive.extend(header(&format!("{name}/"), mode, 0, b'5'));
    }
    for (name, text) in FILES {
        archive.extend(header(name, 0o644, text.len(), b'0'));
        archive.extend(text.as_bytes());
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// A name for an archive that another content would not have.
pub(super) fn tag(archive: &[u8]) -> String {
    let digest = Sha256::digest(archive);
    let (head, _) = digest.split_at(8);
    format!("{:016x}", head.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
}

/// One entry's header in the `ustar` form.
fn header(name: &str, mode: u32, bytes: usize, kind: u8) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{bytes:011o}"));
    put(136, "00000000000");
    // The sum is taken with its own field blank.
    put(148, "        ");
    put(257, "ustar");
    put(263, "00");
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn the_skeleton_is_an_archive_that_others_can_read() {
        let mut tar = Command::new("tar")
            .args(["-tvf", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        tar.stdin.take().unwrap().write_all(&skeleton()).unwrap();
        let listed = tar.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.status.success(), "{text}");
        assert_eq!(text.lines().count(), FOLDERS.len() + FILES.len(), "{text}");
        assert!(text.lines().any(|line| line.starts_with("drwxrwxrwt") && line.ends_with(" out/")), "{text}");
        assert!(text.lines().any(|line| line.starts_with("-rw-r--r--") && line.ends_with("nsswitch.conf")));
    }

    #[test]
    fn the_same_skeleton_has_the_same_name() {
        assert_eq!(tag(&skeleton()), tag(&skeleton()));
        assert_ne!(tag(&skeleton()), tag(b""));
    }
}
