//! What functions in WebAssembly cost: `cargo run -p ansatz-sandbox --example functions [HOME]`.
//!
//! Prints, asserts nothing. HOME keeps the component that runs Python; without it a new one is made.

use ansatz_sandbox::wasm::{
    CallLimits, PYTHON_LIMITS, Python, Question, Runtime, Source, Table, WasmError, build,
};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SQUARED: &str = "higher_is_better = False
def metric(truth, prediction):
    return sum((t - p) ** 2 for t, p in zip(truth, prediction)) / len(truth)
";

fn main() -> Result<(), WasmError> {
    let home =
        std::env::args().nth(1).map_or_else(|| std::env::temp_dir().join("ansatz-functions"), PathBuf::from);
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    let python = build::python(&runtime, &home, &mut |line| eprintln!("{line}"))?;
    println!("interpreter ready (made, or checked and mapped)   {:>10.1} ms", ms(begun.elapsed()));
    metrics(&python)?;
    limits(&python);
    leftovers(&python)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn source(text: &str) -> Source {
    Source { file: "metric.py".into(), text: text.into() }
}

/// Median milliseconds of some calls, after warming up.
fn median(calls: usize, mut call: impl FnMut() -> Result<(), WasmError>) -> Result<f64, WasmError> {
    call()?;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let begun = Instant::now();
        call()?;
        times.push(ms(begun.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[calls / 2])
}

fn metrics(python: &Python) -> Result<(), WasmError> {
    let source = source(SQUARED);
    for (rows, weightings) in [(0, 1), (1_000, 1), (2_000, 200), (100_000, 1)] {
        let truth: Vec<f64> = (0..rows).map(f64::from).collect();
        let prediction = Table { columns: 1, numbers: &truth };
        let question = Question { truth: &truth, prediction, labels: &[], are_labels: false };
        let counts = if weightings == 1 { Vec::new() } else { vec![1; truth.len()] };
        let weightings = vec![counts; weightings];
        let time = median(21, || python.score(&source, &question, &weightings, &PYTHON_LIMITS).map(drop))?;
        println!(
            "score {rows:>7} rows, {:>3} weightings in one call       {time:>10.2} ms",
            weightings.len()
        );
    }
    Ok(())
}

fn limits(python: &Python) {
    let short = CallLimits { time: Duration::from_secs(1), ..PYTHON_LIMITS };
    let begun = Instant::now();
    let ended = python.inspect(&source("while True: pass\n"), &short);
    println!(
        "endless loop under a limit of 1 s                 {:>10.1} ms  {}",
        ms(begun.elapsed()),
        told(&ended)
    );
    let before = resident();
    let begun = Instant::now();
    let ended = python.inspect(&source("x = []\nwhile True: x.append('a' * 1000000)\n"), &short);
    println!(
        "memory bomb under a limit of 256 MiB              {:>10.1} ms  {}",
        ms(begun.elapsed()),
        told(&ended)
    );
    println!(
        "resident memory after the bomb                    {:>+10.1} MiB",
        mib(resident()) - mib(before)
    );
}

fn told<T>(outcome: &Result<T, WasmError>) -> String {
    outcome.as_ref().err().map_or_else(|| "it ended by itself".into(), ToString::to_string)
}

fn leftovers(python: &Python) -> Result<(), WasmError> {
    let rows: Vec<f64> = (0..1_000).map(f64::from).collect();
    let source = source(SQUARED);
    let prediction = Table { columns: 1, numbers: &rows };
    let question = Question { truth: &rows, prediction, labels: &[], are_labels: false };
    let call = || python.score(&source, &question, &[Vec::new()], &PYTHON_LIMITS).map(drop);
    (0..100).try_for_each(|_| call())?;
    let (before, begun) = (resident(), Instant::now());
    (0..10_000).try_for_each(|_| call())?;
    println!("10,000 calls on 1,000 rows, each                  {:>10.2} ms", ms(begun.elapsed()) / 10_000.0);
    println!(
        "resident memory after them                        {:>+10.1} MiB",
        mib(resident()) - mib(before)
    );
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
