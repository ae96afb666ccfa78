//! What a command prints, line by line: its result, values on the way, and what might be meant for one.
//!
//! A result that is named, by a field of a JSON line, outranks numbers in plain lines, wherever these stand: many programs say
//! something about themselves last.

use serde_json::{Map, Value};

/// The field of a JSON line that holds the result, where no other was named.
pub const RESULT_FIELD: &str = "value";
/// How the reason of a run begins whose output lacks the fields that were asked for.
pub const NO_FIELD: &str = "it printed no JSON line";
/// The field that says how far a run has come: the line is a value on the way, not the result.
const STEP_FIELD: &str = "step";
/// Fields that tell where a run stands and are never its result.
const COUNTERS: [&str; 8] = [STEP_FIELD, "epoch", "iteration", "iter", "round", "seed", "trial", "repeat"];

/// A value on the way to the result: a JSON line with `step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// How far it has come.
    pub step: u64,
    /// The value there, under the first goal.
    pub value: f64,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// One number for each goal.
    pub values: Vec<f64>,
    /// Whether its line held other numbers too, so that another may have been meant.
    pub is_ambiguous: bool,
    rank: Rank,
}

/// How sure it is that a number is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A number in a plain line.
    Plain,
    /// The only number of a JSON line.
    Alone,
    /// A field that is asked for.
    Named,
}

/// Hears the lines of one run.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    goals: Vec<String>,
    found: Option<Found>,
    latest: Option<f64>,
    unnamed: Option<String>,
}

/// What a line of output says.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Report(Report),
    Found(Found),
    /// A JSON object with several numbers, none of them under a name that is asked for.
    Unnamed(String),
    Nothing,
}

impl Found {
    fn of(values: Vec<f64>, rank: Rank) -> Self {
        Self { values, is_ambiguous: false, rank }
    }
}

impl Reader {
    /// A reader for these fields; with none, for one number.
    pub fn new(goals: Vec<String>) -> Self {
        Self { goals, ..Self::default() }
    }

    /// Hears a line; gives a value on the way, if it is one.
    pub fn hear(&mut self, line: &str) -> Option<Report> {
        match read(line, &self.goals) {
            Said::Report(report) => {
                self.latest = Some(report.value);
                return Some(report);
            }
            Said::Found(found) => {
                if self.found.as_ref().is_none_or(|known| found.rank >= known.rank) {
                    self.found = Some(found);
                }
            }
            Said::Unnamed(names) => self.unnamed = Some(names),
            Said::Nothing => {}
        }
        None
    }

    /// What the run came to.
    ///
    /// # Errors
    /// Why there is no result, for a person to read.
    pub fn result(self) -> Result<Found, String> {
        // Where values on the way are told, the last of them outranks what is no answer to what was asked.
        let latest = self.latest.filter(|_| self.goals.is_empty());
        let is_named = self.found.as_ref().is_some_and(|found| found.rank == Rank::Named);
        match (self.found, latest) {
            (_, Some(value)) if !is_named => Ok(Found::of(vec![value], Rank::Named)),
            (Some(found), _) => Ok(found),
            (None, _) => Err(match self.unnamed {
                Some(names) if self.goals.is_empty() => format!(
                    "its JSON has several numbers ({names}): call the result `{RESULT_FIELD}`, or name one by --goal"
                ),
                Some(names) => {
                    format!("{NO_FIELD} with {}; there is {names}", fields_of(&self.goals))
                }
                None if self.goals.is_empty() => "it printed no number".into(),
                None => format!("{NO_FIELD} with {}", fields_of(&self.goals)),
            }),
        }
    }
}

fn fields_of(goals: &[String]) -> String {
    let quoted: Vec<String> = goals.iter().map(|goal| format!("`{goal}`")).collect();
    quoted.join(" and ")
}

/// Reads a line: a JSON object by its fields, else the last number.
fn read(line: &str, goals: &[String]) -> Said {
    let line = line.trim();
    if line.starts_with('{') {
        let parsed = serde_json::from_str(line).or_else(|_| serde_json::from_str(&with_texts(line)));
        if let Ok(Value::Object(fields)) = parsed {
            return read_object(&fields, goals);
        }
    }
    let numbers: Vec<f64> = line.split(is_between).filter_map(number).collect();
    match numbers.last() {
        Some(last) if goals.is_empty() => {
            Said::Found(Found { is_ambiguous: numbers.len() > 1, ..Found::of(vec![*last], Rank::Plain) })
        }
        _ => Said::Nothing,
    }
}

fn read_object(fields: &Map<String, Value>, goals: &[String]) -> Said {
    let step = fields.get(STEP_FIELD).and_then(Value::as_u64);
    let asked: Vec<&str> =
        if goals.is_empty() { vec![RESULT_FIELD] } else { goals.iter().map(String::as_str).collect() };
    let named: Option<Vec<f64>> = asked.iter().map(|name| fields.get(*name).and_then(figure)).collect();
    if let Some(step) = step {
        // Values on the way need the first goal alone, by its own name or the usual one.
        let first = fields.get(asked[0]).or_else(|| fields.get(RESULT_FIELD)).and_then(figure);
        return first.map_or(Said::Nothing, |value| Said::Report(Report { step, value }));
    }
    if let Some(values) = named {
        return Said::Found(Found::of(values, Rank::Named));
    }
    let others: Vec<(&String, f64)> = fields
        .iter()
        .filter(|(name, _)| !COUNTERS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some((name, value.as_f64()?)))
        .collect();
    match others.as_slice() {
        [] => Said::Nothing,
        [(_, value)] if goals.is_empty() => Said::Found(Found::of(vec![*value], Rank::Alone)),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Said::Unnamed(names.join(", "))
        }
    }
}

/// A number of JSON; null says nothing.
fn figure(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

/// JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` outside of texts become texts.
fn with_texts(line: &str) -> String {
    let (mut patched, mut is_text, mut rest) = (String::with_capacity(line.len()), false, line);
    while let Some(sign) = rest.chars().next() {
        let odd = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word));
        if let Some(word) = odd.filter(|_| !is_text) {
            patched.push('"');
            patched.push_str(word);
            patched.push('"');
            rest = &rest[word.len()..];
            continue;
        }
        // What follows a backslash ends no text.
        let taken = if is_text && sign == '\\' {
            rest.chars().take(2).map(char::len_utf8).sum()
        } else {
            is_text ^= sign == '"';
            sign.len_utf8()
        };
        patched.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    patched
}

fn is_between(sign: char) -> bool {
    let marks = ['=', ':', ';', ',', '(', ')', '[', ']', '{', '}', '"', '\'', '|'];
    sign.is_whitespace() || marks.contains(&sign)
}

/// A number as programs print it: with a sign, a point, an exponent, perhaps a unit or a percent sign glued to its end.
fn number(word: &str) -> Option<f64> {
    if let Ok(number) = word.parse::<f64>() {
        // Words such as `nan` and `infinity` are numbers to a parser: as results they are failures, and are told as such.
        return Some(number);
    }
    let bare =
        word.trim_end_matches(|sign: char| sign.is_ascii_alphabetic() || matches!(sign, '%' | '.' | '!'));
    let starts = bare.starts_with(|sign: char| sign.is_ascii_digit() || matches!(sign, '-' | '+' | '.'));
    if starts { bare.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str], goals: &[&str]) -> Result<(Vec<f64>, bool), String> {
        let mut reader = Reader::new(goals.iter().map(|goal| (*goal).to_owned()).collect());
        for line in lines {
            reader.hear(line);
        }
        reader.result().map(|found| (found.values, found.is_ambiguous))
    }

    fn check(lines: &[&str], value: f64, is_ambiguous: bool) {
        let (values, found) = heard(lines, &[]).unwrap();
        assert!(values == [value] || (value.is_nan() && values[0].is_nan()), "{lines:?}: {values:?}");
        assert_eq!(found, is_ambiguous, "{lines:?}");
    }

    #[test]
    fn the_last_number_of_a_line_counts() {
        check(&["0.25"], 0.25, false);
        check(&["score: -1.5e-3"], -0.0015, false);
        check(&["took 12ms"], 12.0, false);
        check(&["accuracy=97.5%"], 97.5, false);
        check(&["3 of 7"], 7.0, true);
        check(&["loss nan"], f64::NAN, false);
        check(&["1", "2"], 2.0, false);
        for line in ["done.", "v1 ready", ""] {
            assert_eq!(heard(&[line], &[]), Err("it printed no number".into()), "{line}");
        }
    }

    #[test]
    fn json_lines_are_results_or_values_on_the_way() {
        check(&[r#"{"value": 2, "other": 7}"#], 2.0, false);
        check(&[r#"{"accuracy": 0.9}"#], 0.9, false);
        check(&[r#"{"epoch": 4, "accuracy": 0.9}"#], 0.9, false);
        let mut reader = Reader::default();
        assert_eq!(reader.hear(r#"{"step": 3, "value": 0.5}"#), Some(Report { step: 3, value: 0.5 }));
        // Neither another quantity nor a step that was not measured is a value on the way.
        assert_eq!(reader.hear(r#"{"step": 4, "loss": 0.4}"#), None);
        assert_eq!(reader.hear(r#"{"step": 5, "value": null}"#), None);
        assert_eq!(reader.result().unwrap().values, [0.5]);
        let several = heard(&[r#"{"auc": 0.9, "seconds": 3}"#], &[]).unwrap_err();
        assert!(several.contains("auc, seconds") && several.contains("`value`"), "{several}");
    }

    #[test]
    fn a_result_that_is_not_finite_is_never_taken_for_another_number() {
        check(&[r#"{"step": null, "epoch": 12, "value": NaN}"#], f64::NAN, false);
        check(&[r#"{"value": -Infinity, "note": "a \"NaN\" here"}"#], f64::NEG_INFINITY, false);
        check(&[r#"{"value": "nan"}"#], f64::NAN, false);
        let mut reader = Reader::default();
        let report = reader.hear(r#"{"step": 30, "value": NaN}"#).unwrap();
        assert!(report.step == 30 && report.value.is_nan());
        assert!(reader.result().unwrap().values[0].is_nan());
    }

    #[test]
    fn what_is_named_outranks_later_numbers_and_the_last_value_on_the_way_is_a_result() {
        check(&[r#"{"value": 0.91}"#, "peak memory 1234 MB"], 0.91, false);
        check(&["epoch 3 loss 0.7", r#"{"value": 0.91}"#], 0.91, false);
        check(&[r#"{"step": 1, "value": 0.5}"#, r#"{"step": 2, "value": 0.4}"#, "took 9 s"], 0.4, false);
        check(&[r#"{"step": 1, "value": 0.5}"#, r#"{"value": 0.3}"#], 0.3, false);
        check(&[r#"{"value": 0.91}"#, r#"{"peak_mb": 1234}"#], 0.91, false);
        check(&[r#"{"accuracy": 0.9}"#, "took 12 s"], 0.9, false);
        check(&["{'epoch': 3, 'loss': 0.25}"], 0.25, true);
    }

    #[test]
    fn several_goals_are_fields_of_one_line() {
        let goals = ["loss", "seconds"];
        let found = heard(&["99", r#"{"loss": 0.1, "seconds": 3, "epoch": 5}"#, "7"], &goals);
        assert_eq!(found, Ok((vec![0.1, 3.0], false)));
        let missing = heard(&[r#"{"loss": 0.1}"#], &goals).unwrap_err();
        assert!(missing.contains("`loss` and `seconds`; there is loss"), "{missing}");
        // A wrong name is never made good by another number.
        for lines in [&[r#"{"los": 3}"#, "took 17 s"][..], &["17"]] {
            assert!(heard(lines, &["loss"]).unwrap_err().starts_with(NO_FIELD), "{lines:?}");
        }
        let mut reader = Reader::new(vec!["accuracy".into()]);
        assert_eq!(reader.hear(r#"{"step": 1, "value": 0.5}"#), Some(Report { step: 1, value: 0.5 }));
        assert_eq!(reader.hear(r#"{"step": 2, "accuracy": 0.6}"#), Some(Report { step: 2, value: 0.6 }));
        assert_eq!(heard(&[r#"{"loss": 0.1, "x": 2}"#], &["loss"]), Ok((vec![0.1], false)));
        assert_eq!(
            heard(&[r#"{"loss": 0.1}"#, r#"{"seconds": 12}"#, "7"], &["loss"]),
            Ok((vec![0.1], false))
        );
    }
}
