//! Positive controls: what honest programs need works in a cell of this world.

use crate::case::{Case, PATIENCE};
use ansatz_sandbox::Verdict;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names the environment with the worker's packages.
pub const PACKAGES: &str = "ANSATZ_TEST_PACKAGES";

/// What these tests import, and what that imports.
const NEEDED: [&str; 6] = ["numpy", "scipy", "scikit_learn", "joblib", "threadpoolctl", "lightgbm"];

/// An environment with the packages that solutions use: the worker's, or one made from the same lock file.
pub fn packages() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| std::env::var_os(PACKAGES).map_or_else(find_packages, PathBuf::from))
}

fn find_packages() -> PathBuf {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("worker/requirements.lock");
    let wanted = std::fs::read_to_string(&lock).unwrap();
    let home = std::env::var_os("ANSATZ_TEST_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansatz-home"), PathBuf::from);
    let made = std::fs::read_dir(home.join("worker")).into_iter().flatten().flatten();
    let fits = |folder: &PathBuf| {
        std::fs::read_to_string(folder.join("requirements.lock")).is_ok_and(|text| text == wanted)
    };
    made.map(|entry| entry.path()).find(fits).unwrap_or_else(|| make_packages(&home, &lock))
}

fn make_packages(home: &Path, lock: &Path) -> PathBuf {
    let folder = home.join("worker/env-of-tests");
    let _ = std::fs::remove_dir_all(&folder);
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let base =
        ["python3.11", "python3"].into_iter().find(|name| Command::new(name).arg("-V").output().is_ok());
    run(Command::new(base.expect("Python 3.11 on PATH")).args(["-m", "venv"]).arg(&folder));
    let options =
        ["-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r"];
    run(Command::new(folder.join("bin/python")).args(options).arg(lock));
    std::fs::copy(lock, folder.join("requirements.lock")).unwrap();
    folder
}

/// The same packages at a place that every user can reach: `folder` where they can be reached already, a copy of what is
/// needed below `scratch` otherwise.
pub fn reachable_packages(scratch: &Path) -> PathBuf {
    let reachable = |path: &Path| {
        path.ancestors()
            .all(|part| part.metadata().is_ok_and(|found| found.permissions().mode() & 0o5 == 0o5))
    };
    if reachable(&site(packages())) {
        return packages().into();
    }
    let (from, copy) = (site(packages()), scratch.join("packages"));
    let to = copy.join(from.strip_prefix(packages()).unwrap());
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if NEEDED.iter().any(|needed| name.starts_with(needed)) || name == "sklearn" {
            let copied = Command::new("cp").arg("-a").arg(entry.path()).arg(&to).status().unwrap();
            assert!(copied.success(), "{name} cannot be copied");
        }
    }
    copy
}

/// The folder of an environment that holds its packages.
fn site(environment: &Path) -> PathBuf {
    let version = std::fs::read_dir(environment.join("lib")).unwrap().flatten().map(|entry| entry.path());
    let pattern = |path: &PathBuf| path.to_string_lossy().contains("python3.");
    version.into_iter().find(pattern).expect("an environment has a library").join("site-packages")
}

/// Runs a program with the worker's packages to its end.
fn run(what: &str, script: &str) -> crate::case::Outcome {
    // A Python that every user may run, with the packages beside it: the environment's own may lie in somebody's home.
    let mut case = Case::new(what).mount(&site(packages()), "/in/packages").limits(|limits| {
        limits.memory_bytes = 2 << 30;
        limits.wall = Some(PATIENCE * 2);
        limits.tmp_bytes = 256 << 20;
        limits.shm_bytes = 256 << 20;
        limits.pids = 128;
    });
    case.env.insert("PYTHONPATH".into(), "/in/packages".into());
    let cell = case.start(&["-c", script]);
    assert!(cell.wait(PATIENCE * 2), "{}", cell.log().text());
    case.end(&cell)
}

#[test]
fn numbers_and_forests_work() {
    let outcome = run(
        "numpy",
        "
import numpy as np
u, s, v = np.linalg.svd(np.arange(12.0).reshape(4, 3), full_matrices=False)
print('svd', np.allclose((u * s) @ v, np.arange(12.0).reshape(4, 3)))
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.linear_model import LogisticRegression
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 6)); y = (X[:, 0] + X[:, 1] > 0).astype(int)
scores = cross_val_score(LogisticRegression(), X, y, cv=4, n_jobs=2)
print('loky', scores.mean() > 0.9)
forest = RandomForestClassifier(50, n_jobs=2, random_state=0).fit(X, y)
print('forest', forest.score(X, y) > 0.9)
import os
os._exit(0)
",
    );
    outcome.check_lines(&["svd True", "loky True", "forest True"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn boosting_with_threads_works() {
    let outcome = run(
        "lightgbm",
        "
import numpy as np, lightgbm as lgb
rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 8)); y = (X[:, 0] * X[:, 1] > 0).astype(int)
model = lgb.train({'objective': 'binary', 'num_threads': 2, 'verbose': -1, 'seed': 1}, lgb.Dataset(X, y), 60)
print('boosting', ((model.predict(X) > 0.5) == y).mean() > 0.9)
",
    );
    outcome.check_lines(&["boosting True"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn pools_shared_memory_and_queues_work() {
    let outcome = Case::new("pool").limits(|limits| limits.memory_bytes = 1 << 30).run(
        "
import multiprocessing as mp
from multiprocessing import shared_memory
def double(x): return 2 * x
def answer(queue, pipe): queue.put('from a child'); pipe.send('through a pipe')
context = mp.get_context('fork')
with context.Pool(2) as pool:
    print('pool', pool.map(double, [1, 2, 3]))
queue = context.Queue(); here, there = context.Pipe()
child = context.Process(target=answer, args=(queue, there)); child.start()
print('queue', queue.get(timeout=20)); print('pipe', here.recv()); child.join()
memory = shared_memory.SharedMemory(create=True, size=4096); memory.buf[0] = 7
print('shared', memory.buf[0]); memory.close(); memory.unlink()
lock = context.Lock()
with lock: print('lock held')
",
    );
    outcome.check_lines(&[
        "pool [2, 4, 6]",
        "queue from a child",
        "pipe through a pipe",
        "shared 7",
        "lock held",
    ]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn databases_subprocesses_and_threads_work() {
    let outcome = Case::new("honest").run(
        "
import asyncio, sqlite3, subprocess, tempfile, threading
base = sqlite3.connect('/tmp/a.db'); base.execute('pragma journal_mode=wal'); base.execute('create table t (a)')
base.execute('insert into t values (42)'); base.commit()
print('sqlite', sqlite3.connect('/tmp/a.db').execute('select a from t').fetchone())
async def child():
    process = await asyncio.create_subprocess_exec('/bin/echo', 'hello', stdout=subprocess.PIPE)
    return (await process.communicate())[0]
print('asyncio', asyncio.run(child()))
print('shell', subprocess.run('echo $((6*7)) | tr 4 4', shell=True, capture_output=True, text=True).stdout.strip())
threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print('threads done')
",
    );
    outcome.check_lines(&["sqlite (42,)", "asyncio b'hello\\n'", "shell 42", "threads done"]);
    outcome.ended(&[Verdict::Ok]);
}
