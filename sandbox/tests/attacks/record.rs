//! What was observed in a world, one line per case, so that two worlds can be compared.

use ansatz_sandbox::Verdict;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// Names the file that this process writes its records to.
pub const RECORD: &str = "ANSATZ_TEST_RECORD";

/// What a case showed: how it ended and what became of each attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub verdict: String,
    pub attempts: BTreeMap<String, String>,
}

/// A verdict as it is compared: several that the case allows are one.
pub fn verdict(found: Verdict, allowed: &[Verdict]) -> String {
    let names: Vec<String> = allowed.iter().map(|verdict| format!("{verdict:?}")).collect();
    if names.len() > 1 && allowed.contains(&found) { names.join(" or ") } else { format!("{found:?}") }
}

/// Writes a record, when this process is asked to.
pub fn write(case: &str, record: &Record) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let Some(path) = std::env::var_os(RECORD) else { return };
    let line = serde_json::json!({"case": case, "verdict": record.verdict, "attempts": record.attempts});
    let turn = ONE_AT_A_TIME.lock();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
    drop(turn);
}

/// Reads the records of a world.
pub fn read(path: &Path) -> BTreeMap<String, Record> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let attempts = value["attempts"].as_object().unwrap().iter();
            let attempts = attempts.map(|(name, said)| (name.clone(), said.as_str().unwrap().to_owned()));
            let record = Record {
                verdict: value["verdict"].as_str().unwrap().to_owned(),
                attempts: attempts.collect(),
            };
            (value["case"].as_str().unwrap().to_owned(), record)
        })
        .collect()
}

/// Where two worlds disagree, in words. Which error refuses an attempt may differ; whether it is refused may not.
pub fn differences(left: &BTreeMap<String, Record>, right: &BTreeMap<String, Record>) -> Vec<String> {
    let mut found = Vec::new();
    for case in left.keys().chain(right.keys().filter(|case| !left.contains_key(*case))) {
        let (Some(one), Some(other)) = (left.get(case), right.get(case)) else {
            found.push(format!("{case}: only one side has run it"));
            continue;
        };
        if one.verdict != other.verdict {
            found.push(format!("{case}: {} here, {} there", one.verdict, other.verdict));
        }
        for name in one.attempts.keys().chain(other.attempts.keys()) {
            let (said, heard) = (one.attempts.get(name), other.attempts.get(name));
            if said.map(|said| is_refusal(said)) != heard.map(|heard| is_refusal(heard)) {
                found.push(format!("{case}, {name}: {said:?} here, {heard:?} there"));
            }
        }
    }
    found.dedup();
    found
}

/// An error's name, in place of `ok` or a text.
fn is_refusal(said: &str) -> bool {
    said.len() > 2
        && said.starts_with('E')
        && said.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[test]
fn records_are_compared_by_what_matters() {
    let record = |verdict: &str, said: &str| {
        let attempts = BTreeMap::from([("open".to_owned(), said.to_owned())]);
        BTreeMap::from([("case".to_owned(), Record { verdict: verdict.into(), attempts })])
    };
    assert!(differences(&record("Ok", "EROFS"), &record("Ok", "EACCES")).is_empty());
    assert_eq!(differences(&record("Ok", "EROFS"), &record("Ok", "ok")).len(), 1);
    assert_eq!(differences(&record("Ok", "ok"), &record("Oom", "ok")).len(), 1);
    assert_eq!(differences(&record("Ok", "ok"), &BTreeMap::new()).len(), 1);
}
