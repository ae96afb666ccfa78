//! Bringing our own executable into a container that has none of its libraries: the loader and the libraries of this machine
//! come along, in a folder of their own, so that the first process of a cell depends on nothing in the image.

use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::policy::Mount;
use crate::trusted::TrustedCommand;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

// Everything of ours inside a container lies in one folder.
const PROGRAM: &str = "/.ansatz/cell";
const LIBRARIES: &str = "/.ansatz/lib";
/// The program headers of an executable are near its start.
const HEADERS_BYTES_MAX: u64 = 64 * 1024;
/// The loader answers at once.
const LIST_TIME_MAX: Duration = Duration::from_secs(10);
/// Marks the header that names the loader.
const PT_INTERP: u32 = 3;

/// How our executable is started inside, and what must be mounted for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boarding {
    pub(super) entry: Vec<String>,
    pub(super) mounts: Vec<Mount>,
}

impl Boarding {
    /// Finds out what `helper` needs.
    pub(super) fn of(helper: &Path) -> Result<Self, SandboxError> {
        let doing = || format!("finding the libraries of {}", helper.display());
        let mut mounts = vec![Mount::new(helper.canonicalize().doing(doing)?, PROGRAM)];
        let Some(loader) = interpreter(helper).doing(doing)? else {
            return Ok(Self { entry: vec![PROGRAM.into(), crate::CELL_SUBCOMMAND.into()], mounts });
        };
        // The loader lists what it would load; it does not run the program for that.
        let listed = TrustedCommand::new(helper)
            .env("LD_TRACE_LOADED_OBJECTS", "1")
            .timeout(LIST_TIME_MAX)
            .run(&mut |_| ControlFlow::Continue(()))?;
        let found = listed_libraries(&listed.tail.join("\n"));
        if !listed.succeeded() || found.is_empty() {
            let why = format!("its loader said {:?}", listed.tail.join(" "));
            return Err(SandboxError::new(doing(), SandboxErrorKind::Protocol(why)));
        }
        for (name, path) in found {
            mounts.push(Mount::new(path.canonicalize().doing(doing)?, format!("{LIBRARIES}/{name}")));
        }
        let inside = format!("{LIBRARIES}/ld.so");
        mounts.push(Mount::new(loader.canonicalize().doing(doing)?, &inside));
        let entry = [&inside, "--library-path", LIBRARIES, PROGRAM, crate::CELL_SUBCOMMAND];
        Ok(Self { entry: entry.map(String::from).to_vec(), mounts })
    }
}

/// The libraries in a loader's list: name and place. What has no place (the kernel's own) or no name (the loader) is left out.
fn listed_libraries(text: &str) -> Vec<(String, PathBuf)> {
    let parse = |line: &str| {
        let (name, rest) = line.trim().split_once(" => ")?;
        let path = rest.split(" (").next()?.trim();
        let is_plain = !name.is_empty() && !name.contains('/');
        (is_plain && path.starts_with('/')).then(|| (name.to_owned(), PathBuf::from(path)))
    };
    text.lines().filter_map(parse).collect()
}

/// The loader that an executable names; `None` when it needs none.
fn interpreter(program: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut head = Vec::new();
    std::fs::File::open(program)?.take(HEADERS_BYTES_MAX).read_to_end(&mut head)?;
    Ok(interpreter_in(&head))
}

fn interpreter_in(head: &[u8]) -> Option<PathBuf> {
    let is_elf64 = head.starts_with(b"\x7fELF\x02\x01");
    let at = |offset: usize, bytes: usize| {
        let field = head.get(offset..offset.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    let (table, size, count) = (at(32, 8)?, at(54, 2)?, at(56, 2)?);
    let header = (0..count)
        .map(|number| table + number * size)
        .find(|start| at(*start, 4) == Some(PT_INTERP as usize))?;
    let (offset, length) = (at(header + 8, 8)?, at(header + 32, 8)?);
    let name = head.get(offset..offset.checked_add(length)?)?;
    let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
    (is_elf64 && name.starts_with('/')).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loaders_list_is_read() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x7f)\n\
                    \tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n\tlibx.so => not found\n";
        let names: Vec<String> = listed_libraries(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["libgcc_s.so.1", "libc.so.6"]);
    }

    #[test]
    fn this_very_program_can_be_boarded() {
        let helper = std::env::current_exe().unwrap();
        let boarding = Boarding::of(&helper).unwrap();
        assert_eq!(boarding.mounts[0].source, helper.canonicalize().unwrap());
        assert!(
            boarding
                .mounts
                .iter()
                .all(|mount| mount.source.is_file() && mount.target.starts_with("/.ansatz"))
        );
        assert_eq!(boarding.entry.last().map(String::as_str), Some(crate::CELL_SUBCOMMAND));
    }

    #[test]
    fn what_is_no_program_needs_no_loader() {
        assert_eq!(interpreter_in(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter_in(b"\x7fELF\x02\x01"), None);
        assert_eq!(interpreter_in(&[0; 4096]), None);
    }
}
