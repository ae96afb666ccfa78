//! What a training costs inside a cell, beside the same outside: alternating, so that both meet the same machine.

use crate::{Outcome, PATIENCE, load, quantile};
use ansatz_sandbox::{CellSpec, Launcher, Policy, Verdict, python_mounts};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

const PAIRS: usize = 15;

/// Trains once to warm up, then prints the seconds of the second training and of its processor time.
const TRAINING: &str = "
import time
import numpy as np, lightgbm as lgb
rng = np.random.default_rng(0)
X = rng.normal(size=(40000, 20)); y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int)
def train(rounds):
    return lgb.train({'objective': 'binary', 'num_threads': 1, 'verbose': -1, 'seed': 1}, lgb.Dataset(X, y), rounds)
train(5)
wall, cpu = time.perf_counter(), time.process_time()
train(120)
print(time.perf_counter() - wall, time.process_time() - cpu)
";

pub fn measure(launcher: &Launcher, python: &Path) -> Outcome {
    let (mut walls, mut cpus, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Who goes first changes, lest a trend of the machine favour one side.
        let (inside, outside) = if pair % 2 == 0 {
            let inside = inside(launcher, python)?;
            (inside, outside(python)?)
        } else {
            let outside = outside(python)?;
            (inside(launcher, python)?, outside)
        };
        walls.push(inside.0 / outside.0);
        cpus.push(inside.1 / outside.1);
        seconds.push(outside.0);
    }
    println!("training LightGBM inside a cell (load {}), {:.2} s outside", load(), quantile(&seconds, 0.5));
    for (what, ratios) in [("wall time", &walls), ("processor time", &cpus)] {
        let percent = |share: f64| (quantile(ratios, share) - 1.0) * 100.0;
        println!(
            "  {what}: {:+.1} % (quartiles {:+.1} to {:+.1} %, {PAIRS} pairs)",
            percent(0.5),
            percent(0.25),
            percent(0.75)
        );
    }
    Ok(())
}

fn environment() -> BTreeMap<String, String> {
    let values = [("OMP_NUM_THREADS", "1"), ("PYTHONHASHSEED", "0"), ("PATH", "/usr/bin:/bin")];
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn outside(python: &Path) -> Result<(f64, f64), Box<dyn Error>> {
    let output = Command::new(python).args(["-c", TRAINING]).env_clear().envs(environment()).output()?;
    numbers(&String::from_utf8_lossy(&output.stdout))
}

fn inside(launcher: &Launcher, python: &Path) -> Result<(f64, f64), Box<dyn Error>> {
    let policy = Policy { mounts: python_mounts(python)?, env: environment(), ..Policy::default() };
    let argv = [python.to_string_lossy().as_ref(), "-c", TRAINING].map(String::from).into();
    let cell = launcher.start(CellSpec { name: "training".into(), policy, argv, cwd: "/tmp".into() })?;
    cell.wait(PATIENCE);
    let report = cell.stop(PATIENCE);
    if report.verdict != Verdict::Ok {
        return Err(format!("{:?}: {}", report.verdict, report.log.text()).into());
    }
    numbers(&report.log.text())
}

fn numbers(text: &str) -> Result<(f64, f64), Box<dyn Error>> {
    let line = text.lines().last().unwrap_or_default();
    let (wall, cpu) = line.split_once(' ').ok_or_else(|| format!("the training said {text:?}"))?;
    Ok((wall.parse()?, cpu.trim().parse()?))
}
