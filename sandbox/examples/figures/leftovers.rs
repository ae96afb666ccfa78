//! What a thousand cells leave behind.

use crate::{Outcome, PATIENCE, cell, load};
use ansatz_sandbox::Launcher;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CELLS: usize = 1000;

/// Things of which none may be left, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    processes: usize,
    groups: usize,
    mounts: usize,
    folders: usize,
    sockets: usize,
    descriptors: usize,
    threads: usize,
}

pub fn measure(launcher: &Launcher) -> Outcome {
    launcher.start(cell("warm", &["/bin/true"], |_| {}))?.wait(PATIENCE);
    let before = count()?;
    let begun = Instant::now();
    for number in 0..CELLS {
        // Some end by themselves, some are killed, some are dropped while their children run.
        let script = ["true", "sleep 60", "setsid sleep 60 & exec sleep 60"][number % 3];
        let cell = launcher.start(cell("left", &["/bin/sh", "-c", script], |_| {}))?;
        match number % 3 {
            0 => drop(cell.wait(PATIENCE)),
            1 => drop(cell.stop(Duration::ZERO)),
            _ => {}
        }
        drop(cell);
    }
    let seconds = begun.elapsed().as_secs_f64();
    // The kernel may need a moment to clear away what it killed last.
    std::thread::sleep(Duration::from_millis(300));
    let after = count()?;
    println!("leftovers of {CELLS} cells in {seconds:.1} s (load {})", load());
    println!("  before {before:?}\n  after  {after:?}");
    println!("  {}", if before == after { "nothing is left" } else { "SOMETHING IS LEFT" });
    Ok(())
}

fn count() -> io::Result<Count> {
    let entries = |path: &str| fs::read_dir(path).map(Iterator::count);
    let lines = |path: &str, word: &str| {
        fs::read_to_string(path).map(|text| text.lines().filter(|line| line.contains(word)).count())
    };
    let temporary = fs::read_dir(std::env::temp_dir())?.flatten();
    Ok(Count {
        processes: children()?,
        groups: groups(),
        mounts: lines("/proc/self/mountinfo", "")?,
        folders: temporary.filter(|entry| entry.file_name().to_string_lossy().contains("ansatz")).count(),
        sockets: lines("/proc/net/unix", "ansatz")?,
        descriptors: entries("/proc/self/fd")?,
        threads: entries("/proc/self/task")?,
    })
}

/// Processes below this one, the dead that nobody has waited for included.
pub fn children() -> io::Result<usize> {
    let me = std::process::id().to_string();
    let parents = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1).map(str::to_owned)
    });
    Ok(parents.filter(|parent| *parent == me).count())
}

/// Control groups of cells anywhere in the tree.
fn groups() -> usize {
    let mut pending = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = 0;
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                found += usize::from(name.ends_with("-left") || name.ends_with("-warm"));
                pending.push(entry.path());
            }
        }
    }
    found
}
