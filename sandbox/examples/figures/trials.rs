//! How long a trial takes to fork in a zygote.

use crate::{Outcome, PATIENCE, load, show};
use ansatz_sandbox::{Cell, CellSpec, Launcher, LeafLimits, Policy, python_mounts};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const TRIALS: u32 = 200;

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

pub fn measure(launcher: &Launcher, python: &Path) -> Outcome {
    let policy = Policy { mounts: python_mounts(python)?, ..Policy::default() };
    let argv = [python.to_string_lossy().as_ref(), "-c", ZYGOTE].map(String::from).into();
    let cell = launcher.start(CellSpec { name: "zygote".into(), policy, argv, cwd: "/tmp".into() })?;
    cell.recv(PATIENCE)?;
    let (mut forks, mut whole) = (Vec::new(), Vec::new());
    for trial in 0..TRIALS {
        let begun = Instant::now();
        forks.push(one(&cell, trial)?);
        whole.push(begun.elapsed());
    }
    println!("trials (load {})", load());
    show("fork of a trial into its leaf", &forks);
    show("fork, one message each way, finish", &whole);
    Ok(())
}

fn one(cell: &Cell, trial: u32) -> Result<Duration, Box<dyn Error>> {
    let begun = Instant::now();
    let limits = LeafLimits { memory_bytes: 1 << 28, pids: 16, wall: Some(PATIENCE) };
    let leaf = cell.fork(trial, format!(r#"{{"op":"fork","trial":{trial}}}"#).as_bytes(), limits)?;
    let forked = begun.elapsed();
    leaf.send_sealed(b"word", &[b"labels"])?;
    leaf.recv(PATIENCE)?;
    leaf.finish();
    Ok(forked)
}
