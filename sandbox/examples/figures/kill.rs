//! From the deadline to an empty cell, when nobody in it listens.

use crate::{Outcome, PATIENCE, cell, load, show};
use ansatz_sandbox::{Launcher, Verdict};
use std::time::Duration;

const CELLS: usize = 100;
const DEADLINE: Duration = Duration::from_millis(200);
/// Sixteen sleepers and two busy loops in sessions of their own, all of them deaf.
const DEAF: &str = "trap '' TERM HUP INT; for i in 1 2 3 4 5 6 7 8; do setsid sleep 300 & sleep 300 & done; \
                    for i in 1 2; do setsid sh -c 'while :; do :; done' & done; wait; while :; do wait; sleep 1; done";

pub fn measure(launcher: &Launcher) -> Outcome {
    let (mut late, mut unexpected) = (Vec::new(), 0);
    for _ in 0..CELLS {
        let spec = cell("deaf", &["/bin/sh", "-c", DEAF], |limits| {
            limits.wall = Some(DEADLINE);
            limits.grace = Duration::ZERO;
        });
        let cell = launcher.start(spec)?;
        cell.wait(PATIENCE);
        let report = cell.stop(Duration::ZERO);
        late.push(Duration::from_secs_f64((report.wall_s - DEADLINE.as_secs_f64()).max(0.0)));
        unexpected += usize::from(report.verdict != Verdict::Timeout);
    }
    println!("kill (load {})", load());
    show("from the deadline to an empty group", &late);
    println!(
        "  ended otherwise than by time: {unexpected}; processes left: {}",
        crate::leftovers::children()?
    );
    Ok(())
}
