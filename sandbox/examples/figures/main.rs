//! The figures of the sandbox, each beside its reference: `just figures` or
//! `cargo run -p ansatz-sandbox --example figures -- [start|trials|kill|flood|cost|leftovers]... [PYTHON]`.
//!
//! Prints ratios and the load of the machine; asserts nothing. Run it on an idle machine. The helper of the cells is this
//! example itself. With a Python interpreter named that has LightGBM, trials and the cost of training are measured too.

mod cost;
mod kill;
mod leftovers;
mod memory;
mod start;
mod trials;

use ansatz_sandbox::{CELL_SUBCOMMAND, CellSpec, Launcher, Limits, Mount, Policy, cell_main};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whatever takes longer has hung.
const PATIENCE: Duration = Duration::from_mins(1);

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) == Some(CELL_SUBCOMMAND) {
        cell_main();
    }
    let python = arguments.iter().find(|argument| argument.contains('/')).map(PathBuf::from);
    let wanted = |name: &str| {
        let mut names = arguments.iter().filter(|argument| !argument.contains('/')).peekable();
        names.peek().is_none() || names.any(|each| each == name)
    };
    let launcher = Launcher::new(std::env::current_exe()?)?;
    let effective = launcher.effective();
    println!("{} cells at level {}, load {}", effective.backend, effective.level, load());
    if wanted("start") {
        start::measure(&launcher)?;
    }
    if wanted("kill") {
        kill::measure(&launcher)?;
    }
    if wanted("flood") {
        memory::measure(&launcher)?;
    }
    if wanted("leftovers") {
        leftovers::measure(&launcher)?;
    }
    match python {
        Some(python) => {
            if wanted("trials") {
                trials::measure(&launcher, &python)?;
            }
            if wanted("cost") {
                cost::measure(&launcher, &python)?;
            }
        }
        None => {
            println!("name a Python interpreter with LightGBM to measure trials and the cost of training");
        }
    }
    Ok(())
}

/// A cell that runs a system program with roomy limits.
fn cell(name: &str, argv: &[&str], change: impl FnOnce(&mut Limits)) -> CellSpec {
    let folders = ["/usr", "/lib", "/lib64", "/bin"].into_iter().filter(|folder| Path::new(folder).exists());
    let mounts = folders.map(|folder| Mount::new(folder, folder)).collect();
    let mut policy = Policy { mounts, ..Policy::default() };
    change(&mut policy.limits);
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    CellSpec { name: name.into(), policy, argv, cwd: "/tmp".into() }
}

/// The load of the last minute, to judge a figure by.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The value of which a share of all is at most as large.
fn quantile<T: Copy + PartialOrd>(values: &[T], share: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|left, right| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn show(what: &str, times: &[Duration]) {
    let at = |share: f64| quantile(times, share).as_secs_f64() * 1e3;
    println!(
        "  {what}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, of {}",
        at(0.5),
        at(0.9),
        at(0.99),
        times.len()
    );
}
