//! `ansatz predict RUN FILE` and `ansatz predict RUN --row 'column=value,…'`.
//!
//! For a row the answer comes with its main reasons: each given value is taken away in turn, and the model is asked again. What
//! the answer would be without a value says how much hangs on it. All of this is one call of the model.

use super::Session;
use crate::config::distance;
use crate::console::{self, Style};
use crate::csv;
use crate::engine;
use crate::exit::{Exit, Failure};
use crate::folders::Run;
use crate::table::Table;
use ansatz_core::event::Event;
use ansatz_core::task::Task;
use ansatz_report::number::{counted, score, signed};
use ansatz_report::text;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Reasons that are shown.
const REASONS_MAX: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct PredictArgs {
    /// Folder or id of the run
    run: String,
    /// A CSV, TSV or Parquet file with the columns of the training data
    #[arg(required_unless_present = "row", conflicts_with = "row")]
    file: Option<PathBuf>,
    /// One row, as column=value pairs; a value with a comma goes into double quotes
    #[arg(long, value_name = "COLUMN=VALUE,…")]
    row: Option<String>,
    /// Where the predictions go [default: standard output]
    #[arg(long, value_name = "FILE", conflicts_with = "row")]
    out: Option<PathBuf>,
}

/// Carries out `predict`.
///
/// # Errors
/// There is no such run or model, or the rows cannot be used.
pub fn execute(args: &PredictArgs, session: &Session) -> Result<Exit, Failure> {
    let run = session.find_run(&args.run)?;
    match (&args.file, &args.row) {
        (Some(file), _) => predict_file(&run, file, args.out.as_deref(), session),
        (None, Some(row)) => predict_row(&run, row, session),
        (None, None) => {
            Err(Failure::usage("there is nothing to predict").hint("give a file, or --row 'column=value,…'"))
        }
    }
}

fn predict_file(run: &Path, file: &Path, out: Option<&Path>, session: &Session) -> Result<Exit, Failure> {
    let file = session.surroundings.absolute(file);
    let prediction = engine::predict(run, &session.home()?, &file, &mut |line| session.note_set_up(&line))?;
    let rows = counted(prediction.rows as u64, "row", "rows");
    match out {
        Some(out) => {
            let path = session.surroundings.absolute(out);
            std::fs::write(&path, &prediction.csv).map_err(|error| Failure::io("writing", &path, &error))?;
            if session.is_json {
                console::json(&json!({"rows": prediction.rows, "file": path}))?;
            } else {
                session.console.note(&format!("{rows} predicted into {}", session.shown(&path).display()));
            }
        }
        None if session.is_json => {
            let records = csv::records(&String::from_utf8_lossy(&prediction.csv));
            console::json(&json!({"rows": prediction.rows, "predictions": objects(&records)}))?;
        }
        None => {
            crate::console::write_out(&prediction.csv);
            session.console.note(&format!("{rows} predicted"));
        }
    }
    Ok(Exit::Ok)
}

/// Records as objects by column name; numbers become numbers.
fn objects(records: &[Vec<String>]) -> Vec<Map<String, Value>> {
    let Some((header, rows)) = records.split_first() else { return Vec::new() };
    let cell = |text: &String| match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(whole), _) if whole.to_string() == *text => json!(whole),
        (Err(_), Ok(number)) if number.is_finite() => json!(number),
        _ => json!(text),
    };
    rows.iter().map(|row| header.iter().cloned().zip(row.iter().map(cell)).collect()).collect()
}

/// What the answer would be without a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Reason {
    column: String,
    value: String,
    /// The answer without this value.
    without: String,
    /// How much the value adds to the answer; `None` when the answer is a word.
    effect: Option<f64>,
}

fn predict_row(run: &Path, row: &str, session: &Session) -> Result<Exit, Failure> {
    let known = columns(run)?;
    let task = task(run)?;
    let given = checked(pairs(row)?, &known, &task)?;
    let table = table(&known, &given);
    let records = predicted(run, &table, session)?;
    let id = task.id.as_deref();
    let answers: Vec<Vec<(String, String)>> = answers(&records, id);
    let Some((answer, without)) = answers.split_first() else {
        return Err(Failure::new(Exit::Failed, "the model gave no answer"));
    };
    let reasons = reasons(&given, answer, without);
    if session.is_json {
        let mut answer: Map<String, Value> = objects(&records).into_iter().next().unwrap_or_default();
        answer.retain(|column, _| Some(column.as_str()) != id);
        console::json(&json!({"prediction": answer, "reasons": reasons}))?;
        return Ok(Exit::Ok);
    }
    console::result(&shown(answer, &reasons, session));
    Ok(Exit::Ok)
}

fn shown(answer: &[(String, String)], reasons: &[Reason], session: &Session) -> String {
    let paint = session.console.out;
    let mut lines = String::new();
    for (column, value) in answer {
        let value = text::visible(&readable(value), text::NAME_WIDTH);
        let _ = writeln!(
            lines,
            "{} {}",
            text::visible(column, text::NAME_WIDTH),
            paint.text(Style::Bold, &value)
        );
    }
    if reasons.is_empty() {
        return lines + "no single value decides: without any one of them the answer is the same\n";
    }
    let mut table = Table::new(&["main reasons", "value", "effect", "answer without it"], 40);
    for reason in reasons {
        let effect =
            reason.effect.map_or_else(|| "decides".into(), |effect| signed(effect, effect_digits(effect)));
        table.row([reason.column.clone(), reason.value.clone(), effect, readable(&reason.without)]);
    }
    lines + &table.lines(paint, session.console.width)
}

/// A number with as many digits as a person reads; a word as it is.
fn readable(value: &str) -> String {
    match (value.parse::<i64>(), value.parse::<f64>()) {
        (Err(_), Ok(number)) if number.is_finite() => score(number),
        _ => value.to_owned(),
    }
}

fn effect_digits(effect: f64) -> usize {
    score(effect).split_once('.').map_or(0, |(_, decimals)| decimals.len()).min(4)
}

/// The pairs of `a=1,b="x, y"`.
fn pairs(row: &str) -> Result<Vec<(String, String)>, Failure> {
    let hint = "write pairs such as --row 'age=22,city=\"Berlin, Mitte\"'";
    let fields = csv::records(row).into_iter().flatten();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for field in fields.filter(|field| !field.trim().is_empty()) {
        let (column, value) = field.split_once('=').ok_or_else(|| {
            Failure::usage(format!("{} is no column=value pair", text::name(&field))).hint(hint)
        })?;
        let column = column.trim().to_owned();
        if pairs.iter().any(|(known, _)| *known == column) {
            return Err(Failure::usage(format!("column {} is given twice", text::name(&column))).hint(hint));
        }
        pairs.push((column, value.trim().to_owned()));
    }
    if pairs.is_empty() { Err(Failure::usage("the row is empty").hint(hint)) } else { Ok(pairs) }
}

/// The pairs, if the model knows their columns. Target and id are passed over.
fn checked(
    pairs: Vec<(String, String)>,
    known: &[String],
    task: &Task,
) -> Result<Vec<(String, String)>, Failure> {
    let mut used = Vec::new();
    for (column, value) in pairs {
        if known.contains(&column) {
            used.push((column, value));
        } else if column != task.target && task.id.as_ref() != Some(&column) {
            let nearest = known.iter().min_by_key(|name| unlikeness(&column, name));
            let hint = nearest.map_or_else(
                || "the model uses no columns".into(),
                |name| format!("did you mean {}?", text::name(name)),
            );
            return Err(Failure::new(Exit::Data, format!("the model has no column {}", text::name(&column)))
                .hint(hint));
        }
    }
    if used.is_empty() {
        return Err(Failure::new(Exit::Data, "the row has no column that the model uses").hint(format!(
            "it uses {}",
            known.iter().take(10).map(|name| text::name(name)).collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(used)
}

/// How little a misspelt name looks like a known one: one that holds the other comes first.
fn unlikeness(typed: &str, known: &str) -> (bool, usize) {
    let (typed, known) = (typed.to_lowercase(), known.to_lowercase());
    let is_part =
        !typed.is_empty() && !known.is_empty() && (known.contains(&typed) || typed.contains(&known));
    (!is_part || known.len() == 1, distance(&typed, &known))
}

/// Columns that the delivered model reads.
fn columns(run: &Path) -> Result<Vec<String>, Failure> {
    let path = run.join("model/schema.json");
    let content = std::fs::read(&path).map_err(|_| {
        Failure::usage(format!("{} has no delivered model", run.display()))
            .hint("the run was cut before packaging; `ansatz resume` finishes it")
    })?;
    let schema: Value = serde_json::from_slice(&content)
        .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", path.display())))?;
    let columns = schema["columns"].as_array().into_iter().flatten();
    Ok(columns.filter_map(|column| column["name"].as_str().map(str::to_owned)).collect())
}

fn task(run: &Path) -> Result<Task, Failure> {
    let run = Run::read(run)?;
    let task = run.events.into_iter().find_map(|event| match event {
        Event::Understood { task, .. } => Some(*task),
        _ => None,
    });
    task.ok_or_else(|| Failure::usage("the run never learnt its task").hint("start it anew"))
}

/// The given row, then one row for each given value with that value taken away.
fn table(known: &[String], given: &[(String, String)]) -> String {
    let line = |without: Option<usize>| {
        let cell = |name: &String| {
            let found = given
                .iter()
                .enumerate()
                .find(|(place, (column, _))| column == name && Some(*place) != without);
            found.map_or("", |(_, (_, value))| value.as_str())
        };
        csv::line(known.iter().map(cell))
    };
    let mut table = csv::line(known.iter().map(String::as_str)) + &line(None);
    if given.len() > 1 {
        (0..given.len()).for_each(|place| table.push_str(&line(Some(place))));
    }
    table
}

/// The model's answers to a table, through a file that only this user can read.
fn predicted(run: &Path, table: &str, session: &Session) -> Result<Vec<Vec<String>>, Failure> {
    let folder = session.home()?.join("rows");
    std::fs::create_dir_all(&folder).map_err(|error| Failure::io("creating", &folder, &error))?;
    let path = folder.join(format!("{}.csv", std::process::id()));
    std::fs::write(&path, table).map_err(|error| Failure::io("writing", &path, &error))?;
    let prediction = engine::predict(run, &session.home()?, &path, &mut |line| session.note_set_up(&line));
    let _ = std::fs::remove_file(&path);
    Ok(csv::records(&String::from_utf8_lossy(&prediction?.csv)))
}

/// Every answer as (column, value), without the id.
fn answers(records: &[Vec<String>], id: Option<&str>) -> Vec<Vec<(String, String)>> {
    let Some((header, rows)) = records.split_first() else { return Vec::new() };
    let pairs = |row: &Vec<String>| {
        header
            .iter()
            .cloned()
            .zip(row.iter().cloned())
            .filter(|(column, _)| Some(column.as_str()) != id)
            .collect()
    };
    rows.iter().map(pairs).collect()
}

/// Values that matter, the most important first. With several columns (one per class) the one that moves most counts.
fn reasons(
    given: &[(String, String)],
    answer: &[(String, String)],
    without: &[Vec<(String, String)>],
) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = given
        .iter()
        .zip(without)
        .filter_map(|((column, value), other)| reason(column, value, answer, other))
        .collect();
    let size = |reason: &Reason| reason.effect.map_or(f64::INFINITY, f64::abs);
    reasons.sort_by(|a, b| size(b).total_cmp(&size(a)));
    reasons.truncate(REASONS_MAX);
    reasons
}

fn reason(
    column: &str,
    value: &str,
    answer: &[(String, String)],
    other: &[(String, String)],
) -> Option<Reason> {
    let moved = answer.iter().zip(other).filter(|((_, a), (_, b))| a != b);
    let effect = |a: &str, b: &str| Some(a.parse::<f64>().ok()? - b.parse::<f64>().ok()?);
    let size = |a: &str, b: &str| effect(a, b).map_or(f64::INFINITY, f64::abs);
    let ((_, a), (name, b)) = moved.max_by(|x, y| size(&x.0.1, &x.1.1).total_cmp(&size(&y.0.1, &y.1.1)))?;
    let without = if answer.len() > 1 { format!("{name} {}", readable(b)) } else { b.clone() };
    Some(Reason { column: column.to_owned(), value: value.to_owned(), without, effect: effect(a, b) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn rows_are_read_as_pairs() {
        assert_eq!(pairs("Age=22, Sex=male").unwrap(), owned(&[("Age", "22"), ("Sex", "male")]));
        assert_eq!(
            pairs("\"city=Berlin, Mitte\",x=").unwrap(),
            owned(&[("city", "Berlin, Mitte"), ("x", "")])
        );
        assert_eq!(pairs("city=\"Berlin, Mitte\"").unwrap(), owned(&[("city", "Berlin, Mitte")]));
        assert_eq!(pairs("a=b=c").unwrap(), owned(&[("a", "b=c")]));
    }

    #[test]
    fn rows_that_are_none_are_refused() {
        assert_eq!(pairs("Age").unwrap_err().message, "`Age` is no column=value pair");
        assert_eq!(pairs("a=1,a=2").unwrap_err().message, "column `a` is given twice");
        assert_eq!(pairs(" , ").unwrap_err().message, "the row is empty");
    }

    #[test]
    fn the_nearest_name_is_one_that_holds_what_was_typed() {
        let nearest = |typed: &str| {
            ["a", "<b>colour</b>", "colon"].into_iter().min_by_key(|known| unlikeness(typed, known)).unwrap()
        };
        assert_eq!(nearest("colour"), "<b>colour</b>");
        assert_eq!(nearest("colom"), "colon");
    }

    #[test]
    fn one_row_per_value_that_is_taken_away() {
        let known = ["a".to_owned(), "b".into(), "c".into()];
        let given = owned(&[("c", "3"), ("a", "x,y")]);
        assert_eq!(table(&known, &given), "a,b,c\n\"x,y\",,3\n\"x,y\",,\n,,3\n");
        assert_eq!(table(&known, &given[..1]), "a,b,c\n,,3\n");
    }

    #[test]
    fn the_value_that_moves_the_answer_most_comes_first() {
        let given = owned(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let answer = owned(&[("y", "0.8")]);
        let without = [owned(&[("y", "0.7")]), owned(&[("y", "0.8")]), owned(&[("y", "1.1")])];
        let found = reasons(&given, &answer, &without);
        let short: Vec<(&str, &str, f64)> = found
            .iter()
            .map(|reason| (reason.column.as_str(), reason.without.as_str(), reason.effect.unwrap()))
            .collect();
        assert_eq!(short.len(), 2);
        assert_eq!((short[0].0, short[0].1, short[1].0), ("c", "1.1", "a"));
        assert!(short[0].2 < 0.0 && short[1].2 > 0.0);
    }

    #[test]
    fn a_word_that_changes_is_a_decision() {
        let given = owned(&[("a", "1")]);
        let found = reasons(&given, &owned(&[("y", "yes")]), &[owned(&[("y", "no")])]);
        assert_eq!((found[0].without.as_str(), found[0].effect), ("no", None));
    }

    #[test]
    fn predictions_become_objects() {
        let records = csv::records("id,y\n7,0.5\n007,inf\n");
        let objects = serde_json::to_string(&objects(&records)).unwrap();
        assert_eq!(objects, r#"[{"id":7,"y":0.5},{"id":"007","y":"inf"}]"#);
    }
}
