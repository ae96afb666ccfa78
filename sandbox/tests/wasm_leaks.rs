//! Functions in WebAssembly leave no memory behind. One test, so that nothing else grows in this process meanwhile.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

use ansatz_sandbox::wasm::{
    COMPONENT_LIMITS, MetricComponent, PYTHON_LIMITS, Question, Runtime, Source, Table, build,
};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn home() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansatz-home"), PathBuf::from)
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

/// Fails when so many calls, after some to warm up, leave more than a few MiB.
fn check(what: &str, calls: u32, call: impl Fn()) {
    (0..50).for_each(|_| call());
    let (before, begun) = (resident(), Instant::now());
    (0..calls).for_each(|_| call());
    let grown = resident().saturating_sub(before);
    println!("{calls} calls of {what}: {:?} each, {grown} bytes left", begun.elapsed() / calls);
    assert!(grown < 8 << 20, "{calls} calls of {what} left {grown} bytes");
}

#[test]
fn calls_leave_no_memory_behind() {
    let runtime = Runtime::new().expect("compiled WebAssembly runs here");
    let rows: Vec<f64> = (0..1_000).map(f64::from).collect();
    let bytes = wat::parse_str(include_str!("wasm/mean_error.wat")).expect("a component");
    let metric =
        MetricComponent::new(&runtime, "mean_error.wasm", &bytes, COMPONENT_LIMITS).expect("a metric");
    check("a component", 10_000, || assert_eq!(metric.score(&rows, &rows, 1, None).expect("a score"), 0.0));

    let python = build::python(&runtime, &home(), &mut |line| eprintln!("{line}")).expect("an interpreter");
    let source = |text: &str| Source { file: "m.py".into(), text: text.into() };
    let squares = source(
        "def metric(truth, prediction):\n    return sum((t - p) ** 2 for t, p in zip(truth, prediction))\n",
    );
    let prediction = Table { columns: 1, numbers: &rows };
    let question = Question { truth: &rows, prediction, labels: &[], are_labels: false };
    let calls = if std::env::var_os("ANSATZ_SOAK").is_some() { 10_000 } else { 300 };
    check("Python source", calls, || {
        assert_eq!(
            python.score(&squares, &question, &[Vec::new()], &PYTHON_LIMITS).expect("answers").len(),
            1
        );
    });
    let bomb = source("x = []\nwhile True:\n    x.append('a' * 1000000)\n");
    check("a memory bomb", 3, || assert!(python.inspect(&bomb, &PYTHON_LIMITS).is_err()));
}
