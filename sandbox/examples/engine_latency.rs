//! How long a cell takes to start on a container engine, and what it costs the host side. Prints; asserts nothing.
//!
//! `cargo run -p ansatz-sandbox --example engine_latency -- HELPER [CELLS]`, with the engine named by `DOCKER_HOST` or found at
//! the usual places; HELPER is a built `ansatz` or `ansatz-cell`.

use ansatz_sandbox::{BackendChoice, CellSpec, Launcher, LauncherOptions, Limits, Mount, Policy};
use std::io::{Error, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Resident memory of this process in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let helper = PathBuf::from(arguments.next().ok_or_else(|| Error::other("which helper?"))?);
    let cells: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100);
    let before = resident_kib();
    let options = LauncherOptions { backend: BackendChoice::Engine, ..LauncherOptions::default() };
    let launcher = Launcher::with_options(helper.canonicalize()?, &options).map_err(Error::other)?;
    let ready = resident_kib();
    let mounts = ["/usr", "/lib", "/lib64", "/bin"].map(|path| Mount::new(path, path)).to_vec();
    let mut starts: Vec<Duration> = Vec::new();
    let mut whole: Vec<Duration> = Vec::new();
    for _ in 0..cells {
        let spec = CellSpec {
            name: "latency".into(),
            policy: Policy { mounts: mounts.clone(), limits: Limits::default(), ..Policy::default() },
            argv: vec!["/bin/sleep".into(), "60".into()],
            cwd: "/".into(),
        };
        let begun = Instant::now();
        let cell = launcher.start(spec).map_err(Error::other)?;
        starts.push(begun.elapsed());
        cell.stop(Duration::ZERO);
        whole.push(begun.elapsed());
    }
    starts.sort();
    whole.sort();
    let at = |times: &[Duration], share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let mut out = std::io::stdout();
    writeln!(out, "start p50 {:?} p99 {:?}", at(&starts, 50), at(&starts, 99))?;
    writeln!(out, "start to removed p50 {:?} p99 {:?}", at(&whole, 50), at(&whole, 99))?;
    writeln!(
        out,
        "resident KiB: {before} before, {ready} with a launcher, {} after {cells} cells",
        resident_kib()
    )
}
