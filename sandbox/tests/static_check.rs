//! The static check: what it accepts, what it says of the rest, and that no text breaks it.

use ansatz_core::verdict::Stage;
use ansatz_sandbox::check::{
    Finding, FindingKind, SOURCE_BYTES_MAX, metric, script, solution, solution_with, submission_check, told,
    verdict,
};
use proptest::prelude::*;

const GOOD: &str = r#"
import numpy as np
from sklearn.linear_model import Ridge

SPACE = {
    "alpha": {"type": "float", "low": 0.01, "high": 100.0, "log": True, "default": 1.0},
    "kind": {"type": "categorical", "values": ["a", "b"], "default": "a"},
}


def fit_features(train, y, *, task, params, seed):
    return None, train[list(task.numeric)].to_numpy()


def features(state, rows, *, task):
    return rows[list(task.numeric)].to_numpy()


def fit(X, y, *, task, params, seed, threads, weight=None, stage=None, report=None):
    return Ridge(alpha=params.get("alpha", 1.0)).fit(np.nan_to_num(X), y, sample_weight=weight)


def predict(model, X, *, task, stage=None):
    return model.predict(np.nan_to_num(X))
"#;

/// What is said of `GOOD` after a change.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    said(solution(&GOOD.replacen(from, to, 1)).err())
}

fn said(found: Option<Vec<Finding>>) -> String {
    told(&found.unwrap_or_default())
}

#[test]
fn a_sound_solution_passes_and_tells_its_facts() {
    let facts = solution(GOOD).unwrap();
    assert_eq!(facts.parameters, ["alpha", "kind"]);
    assert_eq!(facts.imports.iter().map(String::as_str).collect::<Vec<_>>(), ["numpy", "sklearn"]);
    assert!(!facts.batch && !facts.has_stages);
    let more = format!("{GOOD}\nBATCH = True\ndef stages(params):\n    return [1, 2]\n");
    let facts = solution(&more).unwrap();
    assert!(facts.batch && facts.has_stages);
}

#[test]
fn every_solution_of_ours_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/ansatz_worker/solutions");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Python leaves folders of byte code where it ran.
        if path.extension().is_none_or(|ending| ending != "py") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains("def fit_features") {
            continue;
        }
        // As source of its own a solution has no relatives.
        let alone = text.replace("from ..featurekit", "from ansatz_worker.featurekit");
        assert_eq!(said(solution(&alone).err()), "", "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen} solutions were found");
}

#[test]
fn syntax_errors_have_a_place() {
    let found = changed("def features(state, rows, *, task):", "def features(state, rows, *, task)");
    assert!(found.starts_with("line 15, column "), "{found}");
    let found = said(solution("x = (1,\n").err());
    assert!(found.starts_with("line ") && found.contains("column"), "{found}");
    let found = said(solution("def f():\n\tx = 1\n        y = 2\n").err());
    assert!(found.contains("line 3"), "{found}");
    assert!(said(solution("type X = int\n").err()).contains("3.12"));
}

#[test]
fn the_contract_is_held_to_names_and_numbers_of_arguments() {
    assert_eq!(changed("def predict(", "def forecast("), "the function `predict` is missing");
    assert_eq!(changed("SPACE = {", "ROOM = {"), "the dictionary `SPACE` is missing");
    let found = changed("threads, weight=None", "weight=None");
    assert_eq!(found, "line 19, column 5: `fit` does not take `threads`");
    assert_eq!(changed("threads, weight=None, stage=None, report=None", "**rest"), "");
    let found = changed("def features(state, rows, *, task)", "def features(rows, *, task)");
    assert_eq!(found, "line 15, column 5: `features` must take 2 arguments by place (state, rows)");
    let found = changed("*, task, params, seed):", "*, task, params, seed, folds):");
    assert_eq!(found, "line 11, column 5: `fit_features` needs `folds`, which nobody gives");
    assert!(changed("def predict(", "async def predict(").ends_with("`predict` must not be async"));
    let found = changed("\"default\": 1.0", "\"default\": 0.0");
    assert_eq!(found, "line 6, column 5: SPACE[\"alpha\"] has a default outside its range");
    assert!(changed("\"categorical\"", "\"choice\"").contains("has the type \"choice\""));
    assert!(changed("\"low\": 0.01, ", "").contains("has no \"low\""));
    let found = solution(&GOOD.replace("def predict(", "def forecast(")).unwrap_err();
    assert_eq!(found[0].hint.as_deref(), Some("define predict(model, X, *, task, stage)"));
}

#[test]
fn imports_and_uses_that_lead_outside_are_named_with_a_reason() {
    for (line, expected, hint) in [
        ("import os", "line 1, column 8: `os` must not be imported", "there are no files"),
        (
            "import subprocess as s",
            "line 1, column 8: `subprocess` must not be imported",
            "no program can be started",
        ),
        (
            "from urllib.request import urlopen",
            "line 1, column 1: `urllib` must not be imported",
            "there is no network",
        ),
        ("import torch.nn", "line 1, column 8: `torch` must not be imported", "it is not installed"),
        ("import no_such_thing", "line 1, column 8: `no_such_thing` must not be imported", "there are numpy"),
        ("from . import lock", "line 1, column 1: a module of its own has no relatives", "full name"),
        (
            "from ansatz_worker import lock",
            "line 1, column 1: `ansatz_worker.lock` is not for solutions",
            "featurekit",
        ),
        (
            "import ansatz_worker.channel",
            "line 1, column 8: `ansatz_worker.channel` is not for solutions",
            "featurekit",
        ),
        ("from numpy import *", "line 1, column 1: `import *` hides", "name what"),
        ("x = eval('1')", "line 1, column 5: `eval` must not be called", "the expression itself"),
        ("x = open('f')", "line 1, column 5: `open` must not be called", "there are no files"),
        ("x = ().__class__.__bases__", "line 1, column 18: `__bases__` reaches behind", "as it is meant"),
        (
            "import pandas as pd; d = pd.read_csv('f')",
            "line 1, column 29: `read_csv` reads a file",
            "arrive as arguments",
        ),
        (
            "if True:\n    import socket",
            "line 2, column 12: `socket` must not be imported",
            "there is no network",
        ),
    ] {
        let found = solution(&format!("{line}\n{GOOD}")).unwrap_err();
        assert!(found[0].to_string().starts_with(expected), "{line}: {}", found[0]);
        assert!(found[0].hint.as_deref().unwrap_or("").contains(hint), "{line}: {:?}", found[0].hint);
    }
    for line in [
        "import ansatz_worker.featurekit.table",
        "import ansatz_worker.lrkit",
        "from ansatz_worker import featurekit",
        "import math, re, warnings",
    ] {
        assert_eq!(said(solution(&format!("{line}\n{GOOD}")).err()), "", "{line}");
    }
    assert_eq!(said(solution_with(&format!("import torch\n{GOOD}"), &["torch"]).err()), "");
    assert!(script("import os\nprint(open('x'))\n", &[]).is_ok());
    assert!(script("import socket\n", &[]).is_err());
}

#[test]
fn metrics_and_checks_have_contracts_of_their_own() {
    let good =
        "import math\nhigher_is_better = False\ndef metric(truth, prediction, weight):\n    return 0.0\n";
    assert_eq!(metric(good).unwrap().functions["metric"], ["truth", "prediction", "weight"]);
    let found = said(metric(&good.replace("truth, prediction, weight", "truth")).err());
    assert_eq!(found, "line 3, column 5: `metric` takes (truth)");
    assert!(
        said(metric(&good.replace("import math", "import numpy")).err())
            .contains("`numpy` cannot be imported")
    );
    assert!(said(metric("").err()).contains("the function `metric` is missing"));
    assert!(submission_check("def check_row(row):\n    return None\n").is_ok());
    assert!(said(submission_check("def check(row): pass\n").err()).starts_with("neither `check_row` nor"));
    let found = said(submission_check("def check_submission(): pass\n").err());
    assert!(found.ends_with("`check_submission` takes ()"), "{found}");
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    let tower = |open: &str, close: &str, count: usize| {
        format!("x = {}1{}\n", open.repeat(count), close.repeat(count))
    };
    let blocks: String =
        (0..99).fold(String::new(), |all, depth| all + &format!("{}if 1:\n", " ".repeat(depth)));
    let lambdas = format!("x = {}1\n", "lambda a, b: ".repeat(15_000));
    let commas_between = format!("x = {}1{}\n", "(1,".repeat(60_000), ")".repeat(60_000));
    for deep in [
        tower("(", ")", 100_000),
        tower("[", "]", 100_000),
        tower("f(", ")", 60_000),
        tower("-", "", 200_000),
        tower("not ", "", 60_000),
        tower("1 if 1 else ", "", 20_000),
        tower("1**", "", 60_000),
        tower("1+(", ")", 50_000),
        tower("{1:", "}", 50_000),
        format!("x = a{}\n", ".b".repeat(100_000)),
        format!("x = a{}\n", "()".repeat(100_000)),
        format!("x = 1{}\n", "+1".repeat(100_000)),
        format!("x = {}\n", "f'{".repeat(60_000)),
        format!("@{}\ndef f(): pass\n", "a.".repeat(80_000)),
        format!("{blocks}{}pass\n", " ".repeat(99)),
        lambdas,
        commas_between,
    ] {
        let found = solution(&deep).unwrap_err();
        assert_eq!(found[0].kind, FindingKind::Nesting, "{}…: {}", &deep[..20], found[0]);
    }
    let lines = format!("a = 1\nb = 2\nc = {}1{}\n", "(".repeat(200), ")".repeat(200));
    assert_eq!(solution(&lines).unwrap_err()[0].line, 3);
}

#[test]
fn long_tables_are_not_deep() {
    let table: String =
        (0..6_000).fold(String::new(), |all, row| all + &format!("    ({row}, -{row}, 10**3, 'a' 'b'),\n"));
    assert_eq!(said(script(&format!("T = [\n{table}]\n"), &[]).err()), "");
    let long: String = (0..5_000).fold(String::new(), |all, row| all + &format!("x{row} = {row} + 1\n"));
    assert_eq!(said(script(&long, &[]).err()), "");
}

#[test]
fn size_and_bytes_are_limited() {
    let found = solution(&"#".repeat(SOURCE_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(found[0].kind, FindingKind::Size);
    assert_eq!(
        said(solution("x = 1\ny = '\0'\n").err()),
        "line 2, column 6: there is a NUL byte in the source"
    );
}

#[test]
fn a_verdict_of_the_code_stage_comes_of_it() {
    let passed = verdict("generated-1", &solution(GOOD));
    assert!(passed.passed && passed.stage == Stage::Code);
    let failed = verdict("generated-2", &solution("import os"));
    assert!(!failed.passed && failed.evidence.contains("`os` must not be imported"), "{}", failed.evidence);
}

/// Scraps of Python in any order.
fn scraps() -> impl Strategy<Value = String> {
    const SCRAPS: &[&str] = &[
        "def ",
        "class ",
        "if ",
        "else",
        "elif ",
        "lambda ",
        "async ",
        "await ",
        "not ",
        "in ",
        "import ",
        "from ",
        ":",
        "\n",
        "\n    ",
        "\n\t",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "f'",
        "f\"{",
        "'''",
        "\"",
        "'",
        "\\",
        "\\\n",
        ".",
        ",",
        "=",
        ":=",
        "**",
        "*",
        "@",
        "->",
        "...",
        ";",
        "#",
        "metric",
        "truth",
        "SPACE",
        "fit",
        "1",
        "0x",
        "1e999",
        "1_",
        "é",
        "日本",
        "\u{202e}",
        "\u{feff}",
        "\r",
        "\r\n",
        "\u{c}",
        "match x:\n case ",
        "except*",
        "type X",
        "$",
        "?",
        "!",
        "t'{",
        "rb'",
        "yield ",
    ];
    proptest::collection::vec(proptest::sample::select(SCRAPS), 0..120).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("ANSATZ_SOAK").is_some() { 20_000 } else { 300 }))]

    /// Whatever the text is, there is an answer, and every finding lies inside the text.
    #[test]
    fn no_text_breaks_the_check(text in prop_oneof![any::<String>(), scraps(), scraps().prop_map(|scraps| format!("{GOOD}{scraps}"))]) {
        let lines = text.split('\n').count() as u32;
        for found in [solution(&text).err(), metric(&text).err(), submission_check(&text).err()].into_iter().flatten() {
            prop_assert!(!found.is_empty());
            prop_assert!(found.iter().all(|finding| finding.line <= lines), "{}", told(&found));
        }
    }

    /// Towers of any scrap are refused or read, but end.
    #[test]
    fn towers_end(scrap in scraps(), count in 1_usize..3_000) {
        let tower: String = scrap.repeat(count).chars().take(SOURCE_BYTES_MAX / 4).collect();
        let _ = solution(&tower);
    }
}
