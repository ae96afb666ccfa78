//! Components that users bring.

use crate::{runtime, short};
use ansatz_sandbox::wasm::{
    COMPONENT_BYTES_MAX, COMPONENT_LIMITS, CallLimits, CheckComponent, MetricComponent, Needs, WasmError,
    WasmErrorKind,
};
use std::time::Instant;

const MEAN_ERROR: &str = include_str!("mean_error.wat");

fn metric_of(text: &str, limits: CallLimits) -> Result<MetricComponent, WasmError> {
    MetricComponent::new(runtime(), "test.wasm", &wat::parse_str(text).unwrap(), limits)
}

/// The example with the body of its metric replaced.
fn with_body(body: &str) -> String {
    let start = MEAN_ERROR.find("      (local $row i32)").unwrap();
    let end = MEAN_ERROR.find("  (core instance $inside").unwrap();
    format!("{}{body}))\n{}", &MEAN_ERROR[..start], &MEAN_ERROR[end..])
}

fn score(text: &str, limits: CallLimits) -> Result<f64, WasmError> {
    metric_of(text, limits).unwrap().score(&[1.0, 2.0], &[2.0, 4.0], 1, None)
}

#[test]
fn a_component_describes_itself_and_scores() {
    let metric = metric_of(MEAN_ERROR, COMPONENT_LIMITS).unwrap();
    let about = metric.about();
    assert_eq!(
        (about.name.as_str(), about.higher_is_better, about.needs),
        ("mean_error", false, Some(Needs::Value))
    );
    assert_eq!(about.objective.as_deref(), Some("mae"));
    assert_eq!(metric.score(&[1.0, 2.0, 3.0], &[2.0, 4.0, 3.0], 1, None).unwrap(), 1.0);
    assert_eq!(metric.score(&[1.0, 2.0, 3.0], &[2.0, 4.0, 3.0], 1, Some(&[0.0, 1.0, 3.0])).unwrap(), 0.5);
    let rows: Vec<f64> = (0..200_000).map(f64::from).collect();
    assert_eq!(metric.score(&rows, &rows, 1, None).unwrap(), 0.0);
    let refused = metric.score(&[], &[], 1, None).unwrap_err();
    assert_eq!(refused.to_string(), "test.wasm: there are no rows");
}

#[test]
fn an_endless_loop_is_stopped_in_time() {
    let endless = with_body("(loop $on (br $on)) unreachable");
    let limits = short(500, 64 << 20);
    let metric = metric_of(&endless, limits).unwrap();
    let begun = Instant::now();
    let error = metric.score(&[1.0], &[1.0], 1, None).unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(error.kind(), WasmErrorKind::Timeout(_)), "{error}");
    assert!(took >= limits.time && took <= limits.time.mul_f64(1.2), "{took:?}");
}

#[test]
fn memory_ends_at_the_limit() {
    let bomb =
        with_body("(loop $on (br_if $on (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable");
    let error = score(&bomb, COMPONENT_LIMITS).unwrap_err();
    assert!(matches!(error.kind(), WasmErrorKind::Memory(_)), "{error}");
    assert_eq!(error.to_string(), "test.wasm: it wanted more than 64 MiB of memory");
}

#[test]
fn what_crashes_is_an_error_of_its_own() {
    let error = score(&with_body("unreachable"), COMPONENT_LIMITS).unwrap_err();
    assert!(matches!(error.kind(), WasmErrorKind::Crash(_)), "{error}");
    let error = score(&with_body("(i32.load (i32.const 0x7fffffff))"), COMPONENT_LIMITS).unwrap_err();
    assert!(error.to_string().contains("out of bounds"), "{error}");
    let deep = with_body("(call $deep))\n (func $deep (result i32) (i32.add (call $deep) (i32.const 1))");
    let error = score(&deep, COMPONENT_LIMITS).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
}

#[test]
fn an_answer_that_is_too_large_is_not_taken() {
    let long = with_body(
        "(i32.store8 (i32.const 32) (i32.const 1)) (i32.store (i32.const 40) (i32.const 0))
         (i32.store (i32.const 44) (i32.const 0x200000)) (drop (memory.grow (i32.const 64))) (i32.const 32)",
    );
    let error = score(&long, COMPONENT_LIMITS).unwrap_err();
    assert!(matches!(error.kind(), WasmErrorKind::Output(_)), "{error}");
}

#[test]
fn one_nan_is_like_another() {
    let nan = |bits: &str| {
        let body = format!(
            "(i32.store8 (i32.const 32) (i32.const 0))
             (f64.store (i32.const 40) (f64.add (f64.reinterpret_i64 (i64.const {bits})) (f64.const 1))) (i32.const 32)"
        );
        score(&with_body(&body), COMPONENT_LIMITS).unwrap().to_bits()
    };
    assert_eq!(nan("0x7ff8000000001234"), nan("0xfff8dead00000000"));
}

#[test]
fn nothing_is_remembered_between_calls() {
    let counting = with_body(
        "(i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))
         (i32.store8 (i32.const 32) (i32.const 0))
         (f64.store (i32.const 40) (f64.convert_i32_u (i32.load (i32.const 512)))) (i32.const 32)",
    );
    let metric = metric_of(&counting, COMPONENT_LIMITS).unwrap();
    for _ in 0..3 {
        assert_eq!(metric.score(&[1.0], &[1.0], 1, None).unwrap(), 1.0);
    }
}

#[test]
fn what_is_no_component_is_refused_with_advice() {
    let refusal = |bytes: &[u8]| {
        let error = MetricComponent::new(runtime(), "x.wasm", bytes, COMPONENT_LIMITS).err().unwrap();
        (error.to_string(), error.hint())
    };
    assert_eq!(refusal(b"").0, "x.wasm: it is not a WebAssembly component: it does not begin like one");
    let (message, hint) = refusal(b"\0asm\x01\0\0\0");
    assert_eq!(message, "x.wasm: it is not a WebAssembly component: it is a core module");
    assert!(hint.contains("wasm-tools component new"));
    assert!(refusal(b"(component)").0.ends_with("it is WebAssembly text"));
    assert!(
        refusal(b"\0asm\x0d\0\x01\0garbage").0.starts_with("x.wasm: it is not a WebAssembly component: ")
    );
    let large = vec![0; COMPONENT_BYTES_MAX as usize + 1];
    assert!(refusal(&large).0.contains("at most 1048576 are allowed"));
    assert!(
        refusal(&wat::parse_str("(component)").unwrap())
            .0
            .contains("does not export `describe` and `metric`")
    );
    let check =
        CheckComponent::new(runtime(), "x.wasm", &wat::parse_str(MEAN_ERROR).unwrap(), COMPONENT_LIMITS);
    assert!(check.err().unwrap().to_string().contains("does not export `check`"));
}

#[test]
fn imports_are_refused_by_name() {
    let wanting = MEAN_ERROR.replacen(
        "(component",
        "(component (import \"wasi:clocks/wall-clock@0.2.0\" (instance (export \"now\" (func (result u64)))))
           (import \"wasi:filesystem/preopens@0.2.0\" (instance (export \"get\" (func (result u32)))))",
        1,
    );
    let error = metric_of(&wanting, COMPONENT_LIMITS).err().unwrap();
    let WasmErrorKind::Imports(names) = error.kind() else { panic!("{error}") };
    assert_eq!(names, &["`wasi:clocks/wall-clock@0.2.0`", "`wasi:filesystem/preopens@0.2.0`"]);
}
