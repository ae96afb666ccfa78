//! What cells cost the program that holds them: a flood of output, and many cells at once.

use crate::{Outcome, PATIENCE, cell, load};
use ansatz_sandbox::Launcher;
use std::time::Duration;

const CELLS: u64 = 50;
const FLOOD_BYTES: u64 = 1 << 30;

pub fn measure(launcher: &Launcher) -> Outcome {
    // What the first cell allocates for good is not counted.
    launcher.start(cell("warm", &["/bin/true"], |_| {}))?.wait(PATIENCE);
    let before = resident("VmRSS:")?;
    std::fs::write("/proc/self/clear_refs", "5")?;
    let flood = format!("exec head -c {FLOOD_BYTES} /dev/zero");
    let spec = cell("flood", &["/bin/sh", "-c", &flood], |limits| limits.output_bytes = 2 * FLOOD_BYTES);
    let flooded = launcher.start(spec)?;
    flooded.wait(PATIENCE);
    let report = flooded.stop(Duration::ZERO);
    let peak = resident("VmHWM:")?;
    println!("memory of the program (load {})", load());
    println!(
        "  a flood of {} MiB ({:?}, {:.1} s): peak {:+.2} MiB",
        report.output_bytes >> 20,
        report.verdict,
        report.wall_s,
        mib(peak) - mib(before)
    );
    drop((flooded, report));
    let before = resident("VmRSS:")?;
    let mut cells = Vec::new();
    for _ in 0..CELLS {
        cells.push(launcher.start(cell("many", &["/bin/sleep", "300"], |_| {}))?);
    }
    let after = resident("VmRSS:")?;
    println!("  {CELLS} living cells: {:.3} MiB each", (mib(after) - mib(before)) / CELLS as f64);
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// A line of this process's status, in KiB.
fn resident(name: &str) -> std::io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0))
}
