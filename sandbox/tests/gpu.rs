//! A real GPU from end to end: lease, cell, computing, memory report, and nothing left for the next lease.
//!
//! A GPU is a thing that a machine has or has not, not something to install: `.cargo/config.toml` lets this be left out, and
//! `ANSATZ_ALLOW_SKIP=` takes that back on machines that ought to have one. Python's own library is enough for the
//! driver's part; CatBoost and XGBoost take part where the interpreter `ANSATZ_GPU_PYTHON` (default: `python3`) has them.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

use ansatz_sandbox::{
    CellReport, CellSpec, GpuBinding, GpuLease, Gpus, Launcher, LeaseLimits, Limits, Mount, Policy, Verdict,
    python_mounts,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// The first use of a GPU may compile kernels.
const PATIENCE: Duration = Duration::from_mins(4);

/// Talks to the driver as CUDA programs do. Holds `size` bytes for `seconds`, in the state of a locked trial.
const DRIVER: &str = "
import ctypes, os, sys, time
from pathlib import Path
from ansatz_worker import lock, spawned
own = Path('/out/trial'); own.mkdir()
lock.lock(own, spawned.devices())
size, seconds = int(sys.argv[1]), float(sys.argv[2])
cuda = ctypes.CDLL('libcuda.so.1')
def check(what, code):
    if code:
        text = ctypes.c_char_p()
        cuda.cuGetErrorName(code, ctypes.byref(text))
        sys.exit(f'{what}: {code} {(text.value or b\"?\").decode()}')
check('cuInit', cuda.cuInit(0))
count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
check('count', cuda.cuDeviceGetCount(ctypes.byref(count)))
print('devices', count.value)
check('device', cuda.cuDeviceGet(ctypes.byref(device), 0))
name = ctypes.create_string_buffer(100)
check('name', cuda.cuDeviceGetName(name, 100, device))
print('name', name.value.decode())
check('context', cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device))
memory = ctypes.c_uint64()
check('allocate', cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)))
check('fill', cuda.cuMemsetD8_v2(memory, ctypes.c_ubyte(7), ctypes.c_size_t(size)))
check('wait', cuda.cuCtxSynchronize())
back = ctypes.create_string_buffer(16)
check('read', cuda.cuMemcpyDtoH_v2(back, memory, ctypes.c_size_t(16)))
print('read', back.raw == bytes([7] * 16))
print('others', [n for n in range(16) if os.path.exists(f'/dev/nvidia{n}') and f'nvidia{n}' != sys.argv[3]])
sys.stdout.flush()
time.sleep(seconds)
";

/// Fits on the GPU with every library that is there, in the state of a locked trial.
const LIBRARIES: &str = "
import os
from pathlib import Path
from ansatz_worker import lock, spawned
own = Path('/out/trial'); own.mkdir()
lock.lock(own, spawned.devices())
os.chdir(own)
try:
    import numpy as np
except ImportError:
    raise SystemExit(print('absent numpy'))
rows = np.random.default_rng(0).normal(size=(20000, 20))
label = (rows[:, 0] + rows[:, 1] ** 2 > 1).astype(int)
def right(found): return round(float(((np.asarray(found).ravel() > 0.5) == (label == 1)).mean()), 3)
try:
    import catboost
    options = dict(task_type='GPU', devices='0', iterations=100, loss_function='Logloss', bootstrap_type='Bernoulli',
                   subsample=0.8, boosting_type='Plain', allow_writing_files=False, logging_level='Silent')
    model = catboost.CatBoost(options).fit(rows, label)
    print('catboost', right(model.predict(rows, prediction_type='Probability')[:, 1]))
except ImportError:
    print('absent catboost')
try:
    import xgboost
    if xgboost.build_info().get('USE_CUDA'):
        data = xgboost.QuantileDMatrix(rows, label)
        model = xgboost.train({'device': 'cuda', 'objective': 'binary:logistic'}, data, 100)
        print('xgboost', right(model.predict(data)))
    else:
        print('absent xgboost with CUDA')
except ImportError:
    print('absent xgboost')
";

fn python() -> PathBuf {
    let named = std::env::var_os("ANSATZ_GPU_PYTHON").map(PathBuf::from);
    let usual = ["/usr/bin/python3.11", "/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from);
    named
        .into_iter()
        .chain(usual)
        .find(|path| path.is_file())
        .expect("a Python; set ANSATZ_GPU_PYTHON to one")
}

/// The GPUs of this machine, or the words why it has none.
fn gpus() -> Result<Gpus, String> {
    let gpus = Gpus::discover();
    if gpus.found().is_empty() { Err(gpus.reason().unwrap_or_default()) } else { Ok(gpus) }
}

fn run(launcher: &Launcher, gpu: GpuBinding, script: &str, arguments: &[&str]) -> CellReport {
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker").canonicalize().expect("the worker");
    let mut mounts = python_mounts(&python()).expect("a Python that can be shown");
    mounts.push(Mount::new(worker, "/opt/ansatz/worker"));
    let limits = Limits { memory_bytes: 8 << 30, pids: 1024, wall: Some(PATIENCE), ..Limits::default() };
    let env = BTreeMap::from([("PYTHONPATH".to_owned(), "/opt/ansatz/worker".to_owned())]);
    let mut argv = vec![python().display().to_string(), "-c".into(), script.into()];
    argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let policy = Policy { mounts, env, limits, gpus: vec![gpu] };
    let cell = launcher
        .start(CellSpec { name: "gpu".into(), policy, argv, cwd: "/tmp".into() })
        .unwrap_or_else(|error| panic!("{error}: {}", error.kind()));
    cell.wait(PATIENCE);
    cell.stop(Duration::ZERO)
}

fn lease(gpus: &Gpus) -> GpuLease {
    gpus.lease(LeaseLimits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_leased_gpu_computes_in_a_cell_and_comes_back_clean() {
    let gpus = match gpus() {
        Ok(gpus) => gpus,
        Err(why) => {
            let allowed = std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default();
            let may_skip = allowed.split(',').any(|name| name == "gpu");
            assert!(may_skip, "no GPU: {why}. Leave it out by ANSATZ_ALLOW_SKIP=gpu");
            eprintln!("skipped: no GPU here ({why})");
            return;
        }
    };
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_ansatz-cell").into())
        .unwrap_or_else(|error| panic!("{error}: {}", error.kind()));
    let first = lease(&gpus);
    let (token, index) = (first.token(), first.gpu().index);
    let node = format!("nvidia{}", first.gpu().minor);
    let size = (512 * MIB).to_string();

    let report = run(&launcher, first.binding(), DRIVER, &[&size, "2.5", &node]);
    let text = report.log.text();
    assert_eq!(report.verdict, Verdict::Ok, "{text}");
    assert!(text.contains("devices 1\n"), "{text}");
    assert!(text.contains("read True") && text.contains("others []"), "{text}");
    let used = first.report();
    eprintln!(
        "{text}peak {} MiB, before {} MiB",
        used.memory_peak_bytes / MIB,
        used.memory_before_bytes / MIB
    );
    assert!(used.memory_peak_bytes >= used.memory_before_bytes + 512 * MIB, "{used:?}");
    assert_eq!(used.lost, None);

    let report = run(&launcher, first.binding(), LIBRARIES, &[]);
    let text = report.log.text();
    eprintln!("{text}");
    assert_eq!(report.verdict, Verdict::Ok, "{text}");
    for line in text.lines().filter(|line| line.starts_with("catboost") || line.starts_with("xgboost")) {
        let share: f64 = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
        assert!(share > 0.9, "{line}");
    }

    drop(first);
    let next = lease(&gpus);
    assert_eq!((next.gpu().index, next.token()), (index, token + 1), "the GPU did not come back clean");

    // Someone who takes too much is ended by the watch, and leaves nothing either.
    drop(next);
    let limits = LeaseLimits { memory_bytes: Some(256 * MIB), ..LeaseLimits::default() };
    let tight = gpus.lease(limits).unwrap_or_else(|error| panic!("{error}"));
    let large = (2048 * MIB).to_string();
    let report = run(&launcher, tight.binding(), DRIVER, &[&large, "60", &node]);
    assert_eq!(report.verdict, Verdict::Killed, "{}", report.log.text());
    assert!(tight.lost().is_some_and(|lost| lost.to_string().contains("more GPU memory than allowed")));
    drop(tight);
    assert_eq!(lease(&gpus).gpu().index, index);
}
