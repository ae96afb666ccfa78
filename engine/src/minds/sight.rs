//! What prompts show of the data: the card, and a few open rows as the reader's arrays hold them. Sealed rows are never shown.

use crate::folder::Folder;
use crate::options::Options;
use crate::setup::{Prepared, StoredColumn, column_of};
use ansatz_core::profile::{ColumnKind, Notice, Profile};
use ansatz_core::task::Problem;
use ansatz_prompts::{Case, Level, Machine, Sight, digits};

/// Rows that are shown, and cells of all of them: wide tables show fewer.
const ROWS_SHOWN: usize = 6;
const CELLS_SHOWN: usize = 120;
/// Largest file of levels that is read for it, in bytes.
const LEVELS_BYTES_MAX: u64 = 32 << 20;
/// Columns whose absence is explained.
const HIDDEN_MAX: usize = 20;
/// Columns that are read for it.
const COLUMNS_SHOWN: usize = 60;

/// The case as prompts show it, whole and short.
#[derive(Debug, Clone, PartialEq)]
pub struct Cases {
    /// The whole.
    pub full: Case,
    /// Fewer columns, no rows.
    pub short: Case,
}

/// The cases of a run.
pub fn cases(options: &Options, prepared: &Prepared, folder: &Folder) -> Cases {
    let task = prepared.setup.task();
    let profile = &visible(prepared);
    let rows = sample(prepared, profile, folder);
    let machine = Machine { cores: options.jobs, gpus: 0 };
    let nonce = nonce(options);
    let of = |level| {
        let sight = Sight {
            nonce: nonce.clone(),
            profile,
            rows: &rows,
            machine: &machine,
            budget: &options.budget,
            level,
        };
        Case::new(task, &sight)
    };
    Cases { full: of(Level::Full), short: of(Level::Short) }
}

/// The mark of a run's data blocks.
pub fn nonce(options: &Options) -> String {
    format!("{:08x}", options.seed.derive(options.run.as_str()).0 >> 32)
}

/// The card without what solutions do not get: leaks, identifiers, constants. Their names stand among the notices, so that
/// nobody looks for them.
fn visible(prepared: &Prepared) -> Profile {
    let mut profile = prepared.setup.profile.clone();
    let target = &prepared.setup.task().target;
    let leaks = &prepared.setup.leaks;
    let is_seen = |name: &str| {
        name == target
            || (prepared.table.columns.iter().any(|one| one.name == name)
                && !leaks.iter().any(|leak| leak == name))
    };
    let (seen, hidden): (Vec<_>, Vec<_>) =
        profile.columns.into_iter().partition(|column| is_seen(&column.name));
    profile.columns = seen;
    if !hidden.is_empty() {
        let why = |name: &str| {
            let dropped = prepared.setup.dropped.iter().find(|dropped| dropped.column == name);
            dropped.map_or_else(|| "identifier".to_owned(), |dropped| dropped.reason.clone())
        };
        let names: Vec<String> = hidden
            .iter()
            .take(HIDDEN_MAX)
            .map(|column| format!("{} ({})", column.name, why(&column.name)))
            .collect();
        let message = format!("not given to solutions: {}", names.join(", "));
        profile.notices.insert(0, Notice { code: "not_given".into(), message });
    }
    profile
}

/// Open rows spread over the file, cells in the order of the card's columns; empty when they cannot be read cheaply.
fn sample(prepared: &Prepared, profile: &Profile, folder: &Folder) -> Vec<Vec<String>> {
    let open = prepared.setup.holdout.train();
    let count = (CELLS_SHOWN / profile.columns.len().max(1)).clamp(2, ROWS_SHOWN);
    let step = (open.len() / count).max(1);
    let rows: Vec<usize> = open.iter().copied().step_by(step).take(count).collect();
    cells(prepared, profile, folder, &rows).unwrap_or_default()
}

fn cells(
    prepared: &Prepared,
    profile: &Profile,
    folder: &Folder,
    rows: &[usize],
) -> Option<Vec<Vec<String>>> {
    let place = folder.data().join("levels.json");
    if place.metadata().ok()?.len() > LEVELS_BYTES_MAX {
        return None;
    }
    let levels: Vec<Vec<String>> = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    let task = prepared.setup.task();
    let value = |column: &StoredColumn, number: f64| -> Option<String> {
        if column.store != "numeric" {
            return levels.get(column.index)?.get(usize::try_from(number as i64).ok()?).cloned();
        }
        let as_moment = column.kind == ColumnKind::Datetime;
        number.is_finite().then(|| if as_moment { moment(number) } else { plain(number) })
    };
    let stored = |column: &StoredColumn| -> Option<Vec<String>> {
        let numbers = column_of(folder, &prepared.table, column)?;
        Some(rows.iter().map(|row| value(column, numbers[*row]).unwrap_or_default()).collect())
    };
    let target = |row: usize| -> Option<String> {
        let value = *prepared.truth.get(row).filter(|value| value.is_finite())?;
        if task.problem == Problem::Regression {
            Some(plain(value))
        } else {
            task.classes.get(value as usize).cloned()
        }
    };
    let column = |name: &str| -> Vec<String> {
        if name == task.target {
            return rows.iter().map(|row| target(*row).unwrap_or_default()).collect();
        }
        let known = prepared.table.columns.iter().find(|column| column.name == name);
        known.and_then(stored).unwrap_or_else(|| vec![String::new(); rows.len()])
    };
    let columns: Vec<Vec<String>> =
        profile.columns.iter().take(COLUMNS_SHOWN).map(|one| column(&one.name)).collect();
    Some((0..rows.len()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

fn plain(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { digits(number, 6) }
}

/// Seconds since 1970 as a date with a time where there is one.
fn moment(seconds: f64) -> String {
    let seconds = seconds as i64;
    let (day, rest) = (ansatz_prompts::day(seconds), seconds.rem_euclid(86_400));
    if rest == 0 { day } else { format!("{day} {:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60) }
}
