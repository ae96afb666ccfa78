//! Python source in the component that holds an interpreter.

use crate::{interpreter, short};
use ansatz_sandbox::check;
use ansatz_sandbox::wasm::{
    Complaint, MODULES, PYTHON_LIMITS, Question, Source, Table, WasmError, WasmErrorKind,
};
use serde_json::{Value, json};
use std::time::Instant;

fn source(text: &str) -> Source {
    Source { file: "m.py".into(), text: text.into() }
}

fn eval(text: &str) -> Result<Value, WasmError> {
    interpreter().eval(&source(text), "f", &[], &[], &PYTHON_LIMITS)
}

/// What an expression comes to, or the error in words.
fn outcome(expression: &str) -> String {
    match eval(&format!("def f():\n    return {expression}\n")) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

const LABELS: [&str; 2] = ["no", "yes"];

fn scores(text: &str, weightings: &[Vec<u32>]) -> Result<Vec<Result<f64, WasmError>>, WasmError> {
    let labels = LABELS.map(str::to_owned);
    let truth = [0.0, 1.0, 1.0, 0.0];
    let prediction = Table { columns: 1, numbers: &[0.1, 0.9, 0.4, 0.6] };
    let question = Question { truth: &truth, prediction, labels: &labels, are_labels: false };
    interpreter().score(&source(text), &question, weightings, &PYTHON_LIMITS)
}

fn score(text: &str) -> Result<f64, String> {
    let answers = scores(text, &[vec![]]).map_err(|error| error.to_string())?;
    answers.into_iter().next().unwrap().map_err(|error| error.to_string())
}

#[test]
fn arrays_and_arguments_arrive_and_the_answer_comes_back() {
    let text = "def f(a, b, scale):\n    return {'sum': sum(a) * scale, 'rows': [list(row) for row in b]}\n";
    let arrays =
        [Table { columns: 1, numbers: &[1.0, 2.0] }, Table { columns: 2, numbers: &[1.0, 2.0, 3.0, 4.0] }];
    let found = interpreter().eval(&source(text), "f", &arrays, &[json!(10)], &PYTHON_LIMITS).unwrap();
    assert_eq!(found, json!({"sum": 30.0, "rows": [[1.0, 2.0], [3.0, 4.0]]}));
}

#[test]
fn every_module_that_may_be_imported_is_there_and_no_other() {
    for module in MODULES {
        let text = format!("import {module}\ndef f():\n    return 1\n");
        assert_eq!(eval(&text).map_err(|error| error.to_string()), Ok(json!(1)), "{module}");
    }
    let error = eval("import numpy\ndef f(): return 1\n").unwrap_err();
    assert!(error.to_string().starts_with("m.py: line 1: ModuleNotFoundError"), "{error}");
}

#[test]
fn a_file_tells_what_it_defines() {
    let text = "name = 'profit'\nhigher_is_better = True\nneeds = 'label'\n\ndef metric(truth, prediction, weight):\n    return 0\n";
    let defined = interpreter().inspect(&source(text), &PYTHON_LIMITS).unwrap();
    let about = defined.about("m").unwrap();
    assert_eq!((about.name.as_str(), about.higher_is_better), ("profit", true));
    assert_eq!(defined.functions["metric"], ["truth", "prediction", "weight"]);
    let lacking = |from: &str, to: &str| {
        let changed = source(&text.replace(from, to));
        interpreter().inspect(&changed, &PYTHON_LIMITS).unwrap().about("m").unwrap_err()
    };
    assert!(lacking("higher_is_better = True", "").contains("higher_is_better"));
    assert!(lacking("= True", "= 1").contains("must be True or False"));
    assert!(lacking("'label'", "'labels'").contains("must be \"label\", \"probability\" or \"value\""));
}

#[test]
fn a_metric_is_scored_for_each_weighting() {
    let plain = "def metric(truth, prediction):\n    return sum(abs(t - p) for t, p in zip(truth, prediction)) / len(truth)\n";
    let weighted = "def metric(truth, prediction, weight):\n    return sum(w * abs(t - p) for t, p, w in zip(truth, prediction, weight)) / sum(weight)\n";
    let weightings = [vec![], vec![1, 1, 1, 1], vec![2, 0, 0, 2], vec![0, 0, 0, 0]];
    for text in [plain, weighted] {
        let found = scores(text, &weightings).unwrap();
        let close = |at: usize, expected: f64| (found[at].as_ref().unwrap() - expected).abs() < 1e-12;
        assert!(close(0, 0.35) && close(1, 0.35) && close(2, 0.35), "{found:?}");
        // No row at all: the metric divides by zero, which is that weighting's own trouble.
        assert!(found[3].as_ref().unwrap_err().to_string().contains("ZeroDivisionError"));
    }
}

#[test]
fn labels_arrive_as_the_file_writes_them() {
    let ask = |labels: &[&str], text: &str| {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let (truth, prediction) = ([0.0, 1.0], Table { columns: 1, numbers: &[1.0, 1.0] });
        let question = Question { truth: &truth, prediction, labels: &labels, are_labels: true };
        let found = interpreter().score(&source(text), &question, &[vec![]], &PYTHON_LIMITS).unwrap();
        found.into_iter().next().unwrap().unwrap()
    };
    let text = "def metric(truth, prediction):\n    return float(truth == ['no', 'yes'] and prediction == ['yes', 'yes'] and classes == ['no', 'yes'])\n";
    assert_eq!(ask(&["no", "yes"], text), 1.0);
    assert_eq!(
        ask(&["3", "7"], "def metric(truth, prediction):\n    return truth[0] * 10 + prediction[1]\n"),
        37.0
    );
    assert_eq!(
        ask(&["0.5", "2"], "def metric(truth, prediction):\n    return truth[0] + prediction[1]\n"),
        2.5
    );
}

#[test]
fn what_is_no_number_is_refused_in_words() {
    let returning =
        |what: &str| score(&format!("def metric(truth, prediction):\n    return {what}\n")).unwrap_err();
    assert_eq!(returning("'good'"), "m.py: `metric` returned 'good' (str), not a number");
    assert_eq!(returning("float('nan')"), "m.py: `metric` returned nan, not a finite number");
    assert_eq!(returning("1e308 * 10"), "m.py: `metric` returned inf, not a finite number");
    assert_eq!(returning("None"), "m.py: `metric` returned nothing, not a number");
    assert_eq!(returning("[1, 2]"), "m.py: `metric` returned [1, 2] (list), not a number");
    assert!(
        score("from fractions import Fraction\ndef metric(t, p):\n    return Fraction(1, 2)\n")
            .is_ok_and(|score| score == 0.5)
    );
}

#[test]
fn an_exception_has_the_line_of_the_source() {
    let text = "def metric(truth, prediction):\n    return helper(truth)\n\ndef helper(values):\n    return values['a']\n";
    let error = score(text).unwrap_err();
    assert_eq!(error, "m.py: line 5: TypeError: list indices must be integers or slices, not str");
    let error = score("x = 1\nraise ValueError('never')\n").unwrap_err();
    assert_eq!(error, "m.py: line 2: ValueError: never");
    // Python looks for the line of a syntax error in the file, which is not there; the static check names it before.
    assert!(score("x = 1\ndef metric(t, p) return 1\n").is_err());
    assert!(score("import sys\n").is_err());
}

#[test]
fn there_is_nothing_outside() {
    for (expression, expected) in [
        ("open('/etc/hostname').read()", "there are no files"),
        ("open('x', 'w')", "there are no files"),
        ("input()", "no input"),
        ("__import__('os').listdir('/')", "ModuleNotFoundError"),
        ("__import__('socket').socket()", "ModuleNotFoundError"),
        ("__import__('subprocess').run(['id'])", "ModuleNotFoundError"),
        ("__import__('ctypes')", "ModuleNotFoundError"),
    ] {
        let found = outcome(expression);
        assert!(found.contains(expected) || found.contains("crashed"), "{expression}: {found}");
    }
    // Behind what Python hides: modules that CPython itself holds have no host function to call.
    for behind in [
        "__import__('datetime').datetime.now().year",
        "__import__('posix').listdir('/')",
        "__import__('posix').mkdir('/tmp/x') or 1",
        "__import__('posix').open('/etc/passwd', 0)",
        "__import__('time').time()",
        "list(__import__('posix').urandom(4))",
        "__import__('io').open('/etc/passwd').read()",
        "__import__('_io').FileIO('/etc/passwd').read()",
    ] {
        let found = outcome(behind);
        assert!(found.contains("crashed") || found.contains("Error"), "{behind} gave something: {found}");
    }
    assert_eq!(outcome("print('x' * 100000) or 1"), "1");
}

#[test]
fn chance_is_the_same_every_time() {
    let text =
        "import random\ndef f():\n    return [random.random(), random.Random(7).random(), hash('a')]\n";
    assert_eq!(eval(text).unwrap(), eval(text).unwrap());
}

#[test]
fn nothing_is_remembered_between_calls() {
    let text =
        "import math\ndef f():\n    math.calls = getattr(math, 'calls', 0) + 1\n    return math.calls\n";
    for _ in 0..3 {
        assert_eq!(eval(text).unwrap(), json!(1));
    }
}

#[test]
fn an_endless_loop_is_stopped_in_time() {
    for text in [
        "def f():\n    while True: pass\n",
        "def f():\n    return sum(range(10**18))\n",
        "while True: pass\n",
    ] {
        let limits = short(500, PYTHON_LIMITS.memory_bytes);
        let begun = Instant::now();
        let error = interpreter().eval(&source(text), "f", &[], &[], &limits).unwrap_err();
        let took = begun.elapsed();
        assert!(matches!(error.kind(), WasmErrorKind::Timeout(_)), "{error}");
        assert!(took >= limits.time && took <= limits.time.mul_f64(1.2), "{took:?}");
    }
}

#[test]
fn memory_ends_at_the_limit() {
    for text in [
        "def f():\n    x = []\n    while True: x.append('a' * 1000000)\n",
        "def f():\n    return len(bytearray(2**31 - 10))\n",
    ] {
        let error = eval(text).unwrap_err();
        assert!(matches!(error.kind(), WasmErrorKind::Memory(_)), "{error}");
        assert!(error.to_string().contains("more than 256 MiB"), "{error}");
    }
}

#[test]
fn deep_recursion_and_long_answers_harm_nobody() {
    assert!(eval("def f():\n    return f()\n").unwrap_err().to_string().contains("RecursionError"));
    let deep =
        eval("def f():\n    x = []\n    for _ in range(10**6): x = [x]\n    return repr(x)\n").unwrap_err();
    assert!(
        deep.to_string().contains("nested too deeply") || deep.to_string().contains("RecursionError"),
        "{deep}"
    );
    let error = eval("def f():\n    return 'a' * (5 << 20)\n").unwrap_err();
    assert!(matches!(error.kind(), WasmErrorKind::Output(_)), "{error}");
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[test]
fn checks_complain_with_row_numbers() {
    let text = "def check_row(row):\n    if row['price'] < 0:\n        return 'below zero'\n    return row['id'] == '007' or isinstance(row['id'], int)\n\ndef check_submission(rows):\n    return [(2, 'second')] if len(rows) == 3 and rows[0]['id'] == '007' else []\n";
    let check = |submission: &str| interpreter().check(&source(text), submission, &PYTHON_LIMITS).unwrap();
    let found = check("id,price\n007,1.5\n8,-2\nnine,3\n");
    let complaint = |row, message: &str| Complaint { row: Some(row), message: message.into() };
    assert_eq!(
        found,
        [complaint(2, "below zero"), complaint(3, "it was not accepted"), complaint(2, "second")]
    );
    assert_eq!(check("id,price\n1,1\n"), []);
    let wrong = source("def check_row(row):\n    return 5\n");
    let error = interpreter().check(&wrong, "id\n1\n", &PYTHON_LIMITS).unwrap_err();
    assert_eq!(error.to_string(), "m.py: `check_row` returned 5 (int), not a list of complaints");
    let wrong = source("def check_submission(rows):\n    return rows[0]['nowhere']\n");
    let error = interpreter().check(&wrong, "id\n1\n", &PYTHON_LIMITS).unwrap_err();
    assert_eq!(error.to_string(), "m.py: line 2: KeyError: 'nowhere'");
}

#[test]
fn a_large_submission_fits() {
    let submission: String =
        std::iter::once("id,y\n".to_owned()).chain((0..100_000).map(|row| format!("{row},0.5\n"))).collect();
    let text = "def check_submission(rows):\n    return [] if sum(row['y'] for row in rows) == 50000 else ['wrong']\n";
    assert_eq!(interpreter().check(&source(text), &submission, &short(60_000, 256 << 20)).unwrap(), []);
}

/// What passes the static check loads, and what the interpreter cannot read does not pass.
#[test]
fn the_static_check_and_the_interpreter_agree() {
    for text in [
        "higher_is_better = True\ndef metric(truth, prediction): return 1.0\n",
        "import re, math, statistics\nhigher_is_better: bool = False\nmetric = lambda t, p: 0.0\n",
        "def metric(truth prediction): return 1.0\n",
        "higher_is_better = True\nimport numpy\ndef metric(truth, prediction): return 1.0\n",
        "higher_is_better = True\ndef metric(truth, prediction):\n  if truth:\n return 1\n",
    ] {
        let passes = check::metric(text).is_ok();
        let loads = interpreter().inspect(&source(text), &PYTHON_LIMITS).is_ok();
        assert_eq!(passes, loads, "{text}");
    }
}
