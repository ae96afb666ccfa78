//! From the user's files to a sealed, described, typed task: the first half of every run.
//!
//! Everything that later parts need is written to the run folder, so that a resumed run need not parse again.

use crate::environment::Environment;
use crate::error::RunError;
use crate::fetched;
use crate::folder::Folder;
use crate::functions::LoadedFunctions;
use crate::hearing::{self, Hearing};
use crate::intake;
use crate::observer::Note;
use crate::options::Options;
use crate::reader::{Layout, Reader};
use crate::record::Record;
use crate::submission::Ids;
use ansatz_agents::understand::Understood;
use ansatz_core::event::Event;
use ansatz_core::evidence::LeakEvidence;
use ansatz_core::ids::ArtifactId;
use ansatz_core::npy;
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::profile::Profile;
use ansatz_core::task::Task;
use ansatz_core::verdict::Stage;
use ansatz_referee::leaks::{self, Action};
use ansatz_referee::split::{Copies, HoldoutPlan, Marks, Scheme, SplitInput, groups_of, seal};
use ansatz_sandbox::Launcher;
use serde::{Deserialize, Serialize};

/// Most rows that a training file may have.
const ROWS_MAX: usize = 1 << 31;
/// Most cells of a table that is searched for rows that stand in it twice: more take seconds to read.
const COPIES_CELLS_MAX: usize = 100_000_000;

/// How a column of the arrays is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredColumn {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ansatz_core::profile::ColumnKind,
    /// `numeric` or `codes`.
    pub store: String,
    /// Its place in that array.
    pub index: usize,
    /// Whether it comes from a further table.
    #[serde(default)]
    pub joined: bool,
}

/// The arrays' table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Rows of the training file; they come first.
    pub train_rows: usize,
    /// Rows of the test file; they follow.
    pub test_rows: usize,
    /// Feature columns.
    pub columns: Vec<StoredColumn>,
}

/// What is known once the data are understood and sealed; kept as `setup.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The task and what goes with it.
    pub understood: Understood,
    /// The data card.
    pub profile: Profile,
    /// How the final choice is judged, and which rows are open.
    pub holdout: HoldoutPlan,
    /// Columns that are not used, leaks first.
    pub dropped: Vec<DroppedColumn>,
    /// Columns that are in the arrays but that solutions do not get.
    pub leaks: Vec<String>,
    /// What was measured about leaks.
    #[serde(default)]
    pub evidence: Option<LeakEvidence>,
}

impl Setup {
    /// The task.
    pub fn task(&self) -> &Task {
        &self.understood.task
    }
}

/// A setup with its targets and ids.
pub struct Prepared {
    /// What is known.
    pub setup: Setup,
    /// Targets of all training rows; NaN where missing.
    pub truth: Vec<f64>,
    /// The arrays' table of contents.
    pub table: Table,
    /// Ids of test rows and sample.
    pub ids: Ids,
    /// Moments of training and test rows, where the split respects time.
    pub times: Option<(Vec<f64>, Vec<f64>)>,
    /// Groups of training and test rows, where rows of one group must not be on both sides of a split.
    pub groups: Option<(Vec<i64>, Vec<i64>)>,
    /// For each training row a number that its copies share, where there are copies to be kept together.
    pub copies: Option<Vec<i64>>,
}

impl Prepared {
    /// Takes columns away from solutions that the user does not want any more.
    pub fn take_away(&mut self, columns: &[String]) {
        for column in columns {
            if self.setup.leaks.contains(column) {
                continue;
            }
            self.setup.leaks.push(column.clone());
            let (reason, evidence) = ("unwanted".to_owned(), "you asked to leave it out".to_owned());
            self.setup.dropped.push(DroppedColumn { column: column.clone(), reason, evidence });
        }
    }

    /// What splits may depend on.
    pub fn split_input(&self) -> SplitInput<'_> {
        let copies = self.copies.as_deref();
        split_input(self.setup.task(), &self.truth, self.times.as_ref(), self.groups.as_ref(), copies)
    }
}

/// Reads, understands, seals and looks for leaks. `acquired` is what was fetched, when the data come from elsewhere.
///
/// # Errors
/// Of kind `Data` when the files cannot carry the task; the message says where and the hint what to do.
#[expect(clippy::too_many_arguments, reason = "the first half of a run touches everything")]
pub async fn prepare(
    options: &Options,
    folder: &Folder,
    record: &mut Record,
    launcher: &Launcher,
    environment: &Environment,
    functions: &LoadedFunctions,
    looks: impl FnOnce(&str) -> u32,
    hearing: Hearing<'_>,
) -> Result<Prepared, RunError> {
    record.note(&Note::Phase("reading the data"));
    let originals = intake::find(options, hearing.acquired, &folder.path("found"))?;
    let files = intake::snapshot(&originals, &folder.input())?;
    let reader = Reader::start(launcher, environment, &folder.input())?;
    let profile = reader.read(&files)?;
    let profile_blob = record.blob(&json(&profile)?)?;
    let inputs = vec![ArtifactId::new(format!("sha256:{}", profile.data_hash))];
    record.write(Event::Profiled { inputs, profile: profile_blob.clone() })?;
    for notice in &profile.notices {
        record.warn(notice.message.clone())?;
    }

    let acquired = hearing.acquired;
    let mut understood =
        hearing::understand(options, &files, functions, profile.clone(), record, hearing).await?;
    if let Some(acquired) = acquired {
        fetched::leave_out(acquired, options, &mut understood, &profile);
    }
    for warning in &understood.warnings {
        record.warn(warning.clone())?;
    }
    let metric = options.metric_file.as_ref().and_then(|file| file.sha256.as_ref());
    let metric = metric.map(|hash| ArtifactId::new(format!("sha256:{hash}")));
    let inputs = std::iter::once(profile_blob).chain(metric).collect();
    let event = Event::Understood { task: Box::new(understood.task.clone()), inputs };
    record.write(event)?;
    record.check(Stage::Request, "task", true, describe(&understood.task))?;

    folder.make_seal()?;
    let layout = Layout {
        task: &understood.task,
        exclude: understood.excluded.iter().map(|column| column.column.clone()).collect(),
        categorical: &understood.categorical,
    };
    for notice in reader.write(&layout, &folder.data(), &folder.seal())? {
        match notice.code.as_str() {
            "join" | "join_unused" => record.check(Stage::Data, "tables", true, notice.message)?,
            "join_target" => record.warn(notice.message)?,
            // The others were told of when the files were read.
            _ => {}
        }
    }
    let (truth, table, ids) = load_arrays(folder)?;
    check_target(&understood.task, &truth)?;
    let times = time_columns(folder, &table, understood.time_column.as_deref());
    let groups = group_columns(folder, &table, understood.group_column.as_deref());
    let copies = copies_of_rows(folder, &table, &truth);

    let numbers = copies.as_ref().map(|copies| copies.numbers.as_slice());
    let input = split_input(&understood.task, &truth, times.as_ref(), groups.as_ref(), numbers);
    let holdout = seal(&input, &profile.data_hash);
    let copies = copies.filter(|_| holdout.scheme() == Scheme::Copies);
    if let Some(copies) = &copies {
        record.warn(copies.warning())?;
    }
    record.write(Event::Sealed {
        rows: holdout.sealed().len() as u64,
        method: holdout.method(),
        data_hash: profile.data_hash.clone(),
        looks_before: looks(&profile.data_hash),
    })?;

    let evidence = reader.evidence(holdout.train())?;
    let (mut leaked, mut dropped) = find_leaks(&evidence, record, &profile, &understood.task, &table)?;
    reader.stop();
    let group = understood.group_column.as_deref();
    if let Some(group) = group_feature(holdout.scheme(), group, &table, &leaked) {
        leaked.push(group.column.clone());
        dropped.push(group);
    }
    dropped.extend(understood.excluded.iter().cloned());
    for column in &dropped {
        record.write(Event::ColumnDropped { dropped: column.clone() })?;
    }
    let leaks = dropped.iter().filter(|column| column.reason == "leak");
    let names: Vec<&str> = leaks.map(|column| column.column.as_str()).collect();
    let found = if names.is_empty() { "no column gives the target away".into() } else { names.join(", ") };
    record.check(Stage::Data, "leaks", true, found)?;
    if table.columns.len() == leaked.len() {
        return Err(RunError::data("no usable feature column is left")
            .hint("the file needs at least one column beside the target and the id that is not constant"));
    }
    let setup = Setup { understood, profile, holdout, dropped, leaks: leaked, evidence: Some(evidence) };
    folder.write("setup.json", &json(&setup)?)?;
    let copies = copies.map(|copies| copies.numbers);
    Ok(Prepared { setup, truth, table, ids, times, groups, copies })
}

/// Takes up what an earlier life of the run has prepared.
///
/// # Errors
/// When files are missing or damaged.
pub fn reload(folder: &Folder) -> Result<Prepared, RunError> {
    let setup: Setup = folder.json("setup.json")?;
    let (truth, table, ids) = load_arrays(folder)?;
    let times = time_columns(folder, &table, setup.understood.time_column.as_deref());
    let groups = group_columns(folder, &table, setup.understood.group_column.as_deref());
    let has_copies = setup.holdout.scheme() == Scheme::Copies;
    let copies = if has_copies { copies_of_rows(folder, &table, &truth) } else { None };
    let copies = copies.map(|copies| copies.numbers);
    Ok(Prepared { setup, truth, table, ids, times, groups, copies })
}

/// What was measured about the columns of a run; `None` before that, or where there is no run.
pub fn evidence(root: &std::path::Path) -> Option<LeakEvidence> {
    Folder::open(root).ok()?.json::<Setup>("setup.json").ok()?.evidence
}

fn split_input<'a>(
    task: &Task,
    truth: &'a [f64],
    times: Option<&'a (Vec<f64>, Vec<f64>)>,
    groups: Option<&'a (Vec<i64>, Vec<i64>)>,
    copies: Option<&'a [i64]>,
) -> SplitInput<'a> {
    let mut input = SplitInput::new(task.problem, truth);
    if let Some((train, test)) = times {
        input = input.with_times(train, (!test.is_empty()).then_some(test.as_slice()));
    }
    if let Some((train, test)) = groups {
        input = input.with_groups(train, (!test.is_empty()).then_some(test.as_slice()));
    }
    if let Some(copies) = copies {
        input = input.with_copies(copies);
    }
    input
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec_pretty(value).map_err(|error| RunError::failed(format!("writing JSON: {error}")))
}

fn describe(task: &Task) -> String {
    format!("{:?}: predict {} by {}", task.problem, task.target, task.metric.name)
}

fn load_arrays(folder: &Folder) -> Result<(Vec<f64>, Table, Ids), RunError> {
    let table: Table = folder.json("data/table.json")?;
    let target = npy::read(&folder.read("seal/target.npy")?, ROWS_MAX)
        .map_err(|error| RunError::failed(format!("target.npy: {error}")))?;
    let test: Vec<String> = folder.json("seal/ids.json")?;
    let sample = folder.path("seal/sample_ids.json");
    let sample = sample.is_file().then(|| folder.json("seal/sample_ids.json")).transpose()?;
    let low = target.values.iter().copied().filter(|value| value.is_finite()).reduce(f64::min);
    Ok((target.values, table, Ids { test, sample, target_min: low }))
}

fn check_target(task: &Task, truth: &[f64]) -> Result<(), RunError> {
    let known: Vec<f64> = truth.iter().copied().filter(|value| value.is_finite()).collect();
    if known.len() < 20 {
        return Err(RunError::data(format!("only {} rows have a value in `{}`", known.len(), task.target))
            .hint("at least 20 rows with a known target are needed"));
    }
    if known.iter().all(|value| *value == known[0]) {
        return Err(RunError::data(format!("the target `{}` has the same value in every row", task.target))
            .hint("choose another target with --target"));
    }
    Ok(())
}

fn find_leaks(
    evidence: &LeakEvidence,
    record: &mut Record,
    profile: &Profile,
    task: &Task,
    table: &Table,
) -> Result<(Vec<String>, Vec<DroppedColumn>), RunError> {
    let mut leaked = Vec::new();
    let mut dropped = Vec::new();
    for decision in leaks::decide(evidence, profile, task) {
        if !table.columns.iter().any(|column| column.name == decision.column) {
            continue;
        }
        match decision.action {
            Action::Drop => {
                leaked.push(decision.column.clone());
                dropped.extend(decision.dropped());
            }
            Action::Warn => record.warn(format!("column {}: {}", decision.column, decision.evidence))?,
        }
    }
    for warning in [leaks::warn_of_duplicates(evidence), leaks::warn_of_sum(evidence, profile, task)] {
        warning.map_or(Ok(()), |warning| record.warn(warning))?;
    }
    Ok((leaked, dropped))
}

/// The column of the groups, where whole groups are set apart: what is learnt about one group says nothing about another, and
/// training rows would get means of their own group that no later row has. It stays when no other column is left.
fn group_feature(
    scheme: Scheme,
    column: Option<&str>,
    table: &Table,
    leaked: &[String],
) -> Option<DroppedColumn> {
    let column = column.filter(|_| scheme == Scheme::Groups)?.to_owned();
    if leaked.contains(&column) || table.columns.len() <= leaked.len() + 1 {
        return None;
    }
    let evidence =
        "it names the group of a row, and the rows to be predicted belong to other groups".to_owned();
    Some(DroppedColumn { column, reason: "identifier".into(), evidence })
}

/// Rows of the training file that stand in it more than once, where they have to be kept together.
fn copies_of_rows(folder: &Folder, table: &Table, truth: &[f64]) -> Option<Copies> {
    let rows = table.train_rows + table.test_rows;
    if rows.saturating_mul(table.columns.len()) > COPIES_CELLS_MAX {
        return None;
    }
    let mut marks = Marks::new(table.train_rows, table.test_rows);
    for column in &table.columns {
        marks.add(&column_of(folder, table, column)?);
    }
    marks.copies(truth)
}

/// The values of the time column for training and test rows.
fn time_columns(folder: &Folder, table: &Table, name: Option<&str>) -> Option<(Vec<f64>, Vec<f64>)> {
    let column = table.columns.iter().find(|column| Some(column.name.as_str()) == name)?;
    let values = if column.store == "numeric" { column_of(folder, table, column)? } else { return None };
    let (train, test) = values.split_at(table.train_rows);
    Some((train.to_vec(), test.to_vec()))
}

/// The groups of training and test rows: equal values are one group, a row without a value is one by itself.
fn group_columns(folder: &Folder, table: &Table, name: Option<&str>) -> Option<(Vec<i64>, Vec<i64>)> {
    let column = table.columns.iter().find(|column| Some(column.name.as_str()) == name)?;
    let mut values = column_of(folder, table, column)?;
    if column.store != "numeric" {
        // The code of a missing cell is below 0.
        values.iter_mut().filter(|code| **code < 0.0).for_each(|code| *code = f64::NAN);
    }
    let groups = groups_of(&values);
    let (train, test) = groups.split_at(table.train_rows);
    Some((train.to_vec(), test.to_vec()))
}

/// One column of the arrays that our own reader wrote: in Fortran order, hence one stretch of the file.
pub fn column_of(folder: &Folder, table: &Table, column: &StoredColumn) -> Option<Vec<f64>> {
    use std::io::{Read, Seek, SeekFrom};
    let (name, descr, size) =
        if column.store == "numeric" { ("numeric.npy", "'<f8'", 8) } else { ("codes.npy", "'<i4'", 4) };
    let rows = table.train_rows + table.test_rows;
    let mut file = std::fs::File::open(folder.data().join(name)).ok()?;
    let mut head = [0_u8; 10];
    file.read_exact(&mut head).ok()?;
    if &head[..6] != b"\x93NUMPY" || head[6] != 1 {
        return None;
    }
    let length = u64::from(u16::from_le_bytes([head[8], head[9]]));
    let mut header = vec![0; usize::try_from(length).ok()?];
    file.read_exact(&mut header).ok()?;
    let header = String::from_utf8(header).ok()?;
    if !header.contains(descr) || !(header.contains("'fortran_order': True") || column.index == 0) {
        return None;
    }
    file.seek(SeekFrom::Start(10 + length + (column.index * rows * size) as u64)).ok()?;
    let mut bytes = vec![0; rows * size];
    file.read_exact(&mut bytes).ok()?;
    let number = |chunk: &[u8]| match *chunk {
        [a, b, c, d] => f64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => f64::NAN,
    };
    Some(bytes.chunks_exact(size).map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::profile::ColumnKind;

    /// A run folder whose arrays hold two columns of codes, rows of the test last.
    fn coded(train_rows: usize, columns: [&[i32]; 2]) -> (tempfile::TempDir, Folder, Table) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder { root: place.path().to_path_buf() };
        let rows = columns[0].len();
        let header =
            format!("{{'descr': '<i4', 'fortran_order': True, 'shape': ({rows}, 2), }}                \n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.into_bytes());
        bytes.extend(columns.concat().into_iter().flat_map(i32::to_le_bytes));
        std::fs::create_dir(folder.data()).unwrap();
        std::fs::write(folder.data().join("codes.npy"), bytes).unwrap();
        let stored = |index: usize| StoredColumn {
            name: ["house", "colour"][index].into(),
            kind: ColumnKind::Categorical,
            store: "codes".into(),
            index,
            joined: false,
        };
        let columns = (0..2).map(stored).collect();
        (place, folder, Table { train_rows, test_rows: rows - train_rows, columns })
    }

    #[test]
    fn rows_without_a_group_are_groups_of_their_own() {
        let (_place, folder, table) = coded(4, [&[1, -1, 1, -1, 1, -1], &[0; 6]]);
        let (train, test) = group_columns(&folder, &table, Some("house")).unwrap();
        assert_eq!((train, test), (vec![0, -2, 0, -4], vec![0, -6]));
        assert_eq!(group_columns(&folder, &table, Some("street")), None);
    }

    #[test]
    fn copies_are_rows_of_equal_columns_and_targets() {
        let house: Vec<i32> = (0..200).map(|row| row % 190).collect();
        let colour: Vec<i32> = house.iter().map(|house| house * 7919 % 61).collect();
        let (_place, folder, table) = coded(200, [&house, &colour]);
        let mut truth: Vec<f64> = house.iter().map(|house| f64::from(*house)).collect();
        let copies = copies_of_rows(&folder, &table, &truth).unwrap();
        assert_eq!(copies.numbers[190..], copies.numbers[..10]);
        truth[190..].fill(-1.0);
        assert_eq!(copies_of_rows(&folder, &table, &truth), None);
    }

    #[test]
    fn the_group_is_no_feature_where_groups_are_new() {
        let (_place, _, table) = coded(2, [&[0, 1], &[0, 1]]);
        let dropped = |scheme, leaked: &[String]| {
            group_feature(scheme, Some("house"), &table, leaked).map(|dropped| dropped.column)
        };
        assert_eq!(dropped(Scheme::Groups, &[]).as_deref(), Some("house"));
        assert_eq!(dropped(Scheme::Rows, &[]), None);
        assert_eq!(dropped(Scheme::Groups, &["colour".to_owned()]), None, "nothing else is left");
        assert_eq!(group_feature(Scheme::Groups, None, &table, &[]), None);
    }
}
