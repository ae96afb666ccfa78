//! The part of a program that running it needs.
//!
//! Symbols and line tables are most of a program that was built for people who look into it. They lie behind what the
//! kernel loads, so cutting them off is all that it takes.

/// A copy of a 64-bit little-endian ELF program without what is never loaded; `None` when it is no such program, or
/// nothing can be left out.
pub fn slim(program: &[u8]) -> Option<Vec<u8>> {
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (long(program, 32)?, short(program, 54)?, short(program, 56)?);
    let mut end = 64.max(table.checked_add(size.checked_mul(count)?)?);
    for index in 0..count {
        let at = table.checked_add(index * size)?;
        let (offset, bytes) = (long(program, at + 8)?, long(program, at + 32)?);
        end = end.max(offset.checked_add(bytes)?);
    }
    if end >= program.len() {
        return None;
    }
    let mut slim = program[..end].to_vec();
    // The table of sections went with what it describes.
    slim[40..48].fill(0);
    slim[58..64].fill(0);
    Some(slim)
}

fn long(program: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 8] = program.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_le_bytes(bytes)).ok()
}

fn short(program: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 2] = program.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_slim_program_still_runs() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let slim = slim(&this).expect("a test program has symbols");
        assert!(slim.len() < this.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slim");
        std::fs::write(&path, &slim).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let listed = std::process::Command::new(&path).arg("--list").output().unwrap();
        assert!(listed.status.success());
        assert!(String::from_utf8_lossy(&listed.stdout).contains("a_slim_program_still_runs"));
    }

    #[test]
    fn what_is_no_program_is_left_alone() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01", &[0; 200]] {
            assert_eq!(slim(bytes), None);
        }
    }
}
