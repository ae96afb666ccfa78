//! How long a cell takes to start and to end, and a trial to fork: `cargo run -p ansatz-sandbox --example latency [PYTHON]`.
//!
//! Run it on an idle machine. The helper is this example itself. With a Python interpreter named, trials are measured too.

use ansatz_sandbox::{
    CELL_SUBCOMMAND, Cell, CellSpec, Launcher, LeafLimits, Mount, Policy, cell_main, python_mounts,
};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const CELLS: usize = 100;
const TRIALS: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// Forks a child per request; the child says hello and waits for a word.
const ZYGOTE: &str = r"
import os, socket, array, json
control = socket.socket(fileno=3)
control.send(b'ready')
while True:
    line, extra, _, _ = control.recvmsg(4096, 4096)
    if not line: break
    channel = socket.socket(fileno=array.array('i', extra[0][2])[0])
    if os.fork() == 0:
        channel.send(json.dumps({'event': 'hello', 'trial': json.loads(line)['trial']}).encode())
        channel.send(channel.recv(4096))
        os._exit(0)
    channel.close()
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
";

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(CELL_SUBCOMMAND) {
        cell_main();
    }
    let launcher = Launcher::new(std::env::current_exe()?)?;
    println!("{:?}", launcher.effective());
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..CELLS {
        let begun = Instant::now();
        let cell = launcher.start(empty())?;
        starts.push(begun.elapsed());
        let begun = Instant::now();
        drop(cell);
        ends.push(begun.elapsed());
    }
    show("start of an empty cell", &mut starts);
    show("kill of a cell", &mut ends);
    match std::env::args().nth(1) {
        Some(python) => trials(&launcher, Path::new(&python)),
        None => Ok(()),
    }
}

fn empty() -> CellSpec {
    let folders = ["/usr", "/lib", "/lib64", "/bin"].into_iter().filter(|folder| Path::new(folder).exists());
    let mounts = folders.map(|folder| Mount::new(folder, folder)).collect();
    let policy = Policy { mounts, ..Policy::default() };
    CellSpec {
        name: "empty".into(),
        policy,
        argv: ["/bin/sleep", "60"].map(String::from).into(),
        cwd: "/".into(),
    }
}

fn trials(launcher: &Launcher, python: &Path) -> Result<(), Box<dyn Error>> {
    let policy = Policy { mounts: python_mounts(python)?, ..Policy::default() };
    let argv = [python.to_string_lossy().as_ref(), "-c", ZYGOTE].map(String::from).into();
    let cell = launcher.start(CellSpec { name: "zygote".into(), policy, argv, cwd: "/tmp".into() })?;
    cell.recv(PATIENCE)?;
    let (mut forks, mut whole) = (Vec::new(), Vec::new());
    for trial in 0..TRIALS {
        let begun = Instant::now();
        forks.push(one_trial(&cell, trial)?);
        whole.push(begun.elapsed());
    }
    show("fork of a trial into its leaf", &mut forks);
    show("fork, one message each way, finish", &mut whole);
    Ok(())
}

fn one_trial(cell: &Cell, trial: u32) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let limits = LeafLimits { memory_bytes: 1 << 28, pids: 16, wall: Some(PATIENCE) };
    let leaf = cell.fork(trial, format!(r#"{{"op":"fork","trial":{trial}}}"#).as_bytes(), limits)?;
    let forked = begun.elapsed();
    leaf.send_sealed(b"word", &[b"labels"])?;
    leaf.recv(PATIENCE)?;
    leaf.finish();
    Ok(forked)
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, of {}", at(0.5), at(0.9), at(0.99), times.len());
}
