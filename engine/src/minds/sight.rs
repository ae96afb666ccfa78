//! What prompts show of the data: the card, what was measured of its columns, and a few open rows as the reader's arrays hold them.
//! Sealed rows are never shown.

use crate::folder::Folder;
use crate::options::Options;
use crate::setup::{Prepared, StoredColumn, column_of};
use ansatz_core::evidence::ColumnEvidence;
use ansatz_core::profile::{Column, ColumnKind, Notice, Profile};
use ansatz_core::task::Problem;
use ansatz_prompts::{COLUMNS_MAX, Case, Finding, Findings, Level, Machine, Sight, digits};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are shown, and cells of all of them: wide tables show fewer.
const ROWS_SHOWN: usize = 14;
const CELLS_SHOWN: usize = 220;
/// Open rows from which quartiles are read, and rows of the longest table for which they are.
const QUARTILE_ROWS: usize = 4000;
const QUARTILE_ROWS_MAX: usize = 200_000;
/// Largest file of levels that is read for it, in bytes.
const LEVELS_BYTES_MAX: u64 = 32 << 20;
/// Columns whose absence is explained.
const HIDDEN_MAX: usize = 20;
/// Columns of further tables and images that are told, and their frequent values.
const FURTHER_SHOWN: usize = 24;
const TOP_SHOWN: usize = 12;

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
    let mut profile = visible(prepared);
    let further = further(prepared, folder);
    if !further.is_empty() {
        let message = format!(
            "{} of the columns are not in the file: they were made of the further tables or the images that came with it, which \
             begin their names",
            further.len()
        );
        profile.notices.insert(0, Notice { code: "further".into(), message });
        profile.columns.extend(further);
    }
    put_first(&mut profile.columns, &task.target, &strengths(prepared));
    let profile = &profile;
    let rows = sample(prepared, profile, folder);
    let findings = findings(prepared, profile, folder);
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
        Case::knowing(task, &sight, &findings)
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

/// Columns that solutions get though no file of the user has them: joined from further tables, or made of images. As the card
/// would tell them, from the open rows.
fn further(prepared: &Prepared, folder: &Folder) -> Vec<Column> {
    let is_new = |column: &&StoredColumn| {
        prepared.setup.profile.column(&column.name).is_none() && !prepared.setup.leaks.contains(&column.name)
    };
    let levels = levels(folder).unwrap_or_default();
    let new = prepared.table.columns.iter().filter(is_new).take(FURTHER_SHOWN);
    new.filter_map(|column| {
        let numbers = column_of(folder, &prepared.table, column)?;
        let open: Vec<f64> = prepared.setup.holdout.train().iter().map(|row| numbers[*row]).collect();
        Some(described(column, &open, &levels))
    })
    .collect()
}

fn described(column: &StoredColumn, open: &[f64], levels: &[Vec<String>]) -> Column {
    let is_number = column.store == "numeric";
    let is_there = |number: &&f64| number.is_finite() && (is_number || **number >= 0.0);
    let known: Vec<f64> = open.iter().filter(is_there).copied().collect();
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for number in &known {
        *counts.entry(number.to_bits()).or_default() += 1;
    }
    let mut frequent: Vec<(f64, u64)> =
        counts.iter().map(|(bits, count)| (f64::from_bits(*bits), *count)).collect();
    frequent.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let name = |number: f64| {
        let level = || levels.get(column.index)?.get(number as usize).cloned();
        if is_number { plain(number) } else { level().unwrap_or_default() }
    };
    let ends = |pick: fn(f64, f64) -> f64| known.iter().copied().reduce(pick).filter(|_| is_number);
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    Column {
        name: column.name.clone(),
        kind: column.kind,
        in_train: true,
        in_test: true,
        missing_train: 1.0 - known.len() as f64 / open.len().max(1) as f64,
        missing_test: 1.0 - known.len() as f64 / open.len().max(1) as f64,
        distinct: frequent.len() as u64,
        whole: is_number && known.iter().all(|number| number.fract() == 0.0),
        min: ends(f64::min),
        max: ends(f64::max),
        mean: (is_number && !known.is_empty()).then_some(mean),
        skew: None,
        top: frequent.iter().take(TOP_SHOWN).map(|(number, count)| (name(*number), *count)).collect(),
        mean_length: None,
        rising: false,
        test_overlap: None,
    }
}

/// Names of codes, by column; `None` where there are too many to be read for a prompt.
fn levels(folder: &Folder) -> Option<Vec<Vec<String>>> {
    let place = folder.data().join("levels.json");
    if place.metadata().ok()?.len() > LEVELS_BYTES_MAX {
        return None;
    }
    serde_json::from_slice(&std::fs::read(place).ok()?).ok()
}

/// What was measured of the card's columns beside it, on open rows: what they say by themselves, and quartiles of their numbers.
fn findings(prepared: &Prepared, profile: &Profile, folder: &Folder) -> Findings {
    let (task, evidence) = (prepared.setup.task(), strengths(prepared));
    let rows = spread(prepared.setup.holdout.train(), QUARTILE_ROWS);
    let numbers = |column: &Column| -> Option<Vec<f64>> {
        let of = |all: &[f64]| rows.iter().filter_map(|row| all.get(*row).copied()).collect();
        if column.name == task.target {
            return (task.problem == Problem::Regression).then(|| of(&prepared.truth));
        }
        let is_its = |stored: &&StoredColumn| stored.name == column.name && stored.store == "numeric";
        let stored = prepared.table.columns.iter().find(is_its)?;
        Some(of(&column_of(folder, &prepared.table, stored)?))
    };
    let is_short = prepared.table.train_rows <= QUARTILE_ROWS_MAX;
    let finding = |column: &Column| {
        let measured = evidence.get(column.name.as_str());
        let is_number = column.kind == ColumnKind::Numeric && is_short;
        let finding = Finding {
            alone: measured.map(|measured| measured.alone).filter(|alone| alone.is_finite()),
            shift: measured.and_then(|measured| measured.shift),
            quartiles: is_number.then(|| numbers(column)).flatten().and_then(quartiles),
        };
        (column.name.clone(), finding)
    };
    profile.columns.iter().take(COLUMNS_MAX).map(finding).collect()
}

/// What was measured of each column by itself.
fn strengths(prepared: &Prepared) -> BTreeMap<&str, &ColumnEvidence> {
    let evidence = prepared.setup.evidence.iter().flat_map(|evidence| &evidence.columns);
    evidence.map(|column| (column.column.as_str(), column)).collect()
}

/// Puts the columns of a wide table that are described before the others: the target and those that say most by themselves, in
/// the order in which they are.
fn put_first(columns: &mut Vec<Column>, target: &str, strengths: &BTreeMap<&str, &ColumnEvidence>) {
    let strength = |column: &Column| {
        let measured = strengths.get(column.name.as_str()).map_or(0.0, |measured| measured.alone);
        if column.name == target { f64::INFINITY } else { measured }
    };
    let mut ranked: Vec<(f64, usize)> = columns.iter().map(strength).zip(0..).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let first: BTreeSet<usize> = ranked.iter().take(COLUMNS_MAX).map(|(_, at)| *at).collect();
    let all = std::mem::take(columns).into_iter().enumerate();
    let (described, others): (Vec<_>, Vec<_>) = all.partition(|(at, _)| first.contains(at));
    columns.extend(described.into_iter().chain(others).map(|(_, column)| column));
}

/// Quartiles of the numbers among some; `None` where there is none.
fn quartiles(mut numbers: Vec<f64>) -> Option<[f64; 3]> {
    numbers.retain(|number| number.is_finite());
    numbers.sort_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    Some([0.25, 0.5, 0.75].map(|share| numbers[(last as f64 * share).round() as usize]))
}

/// So many of the rows, spread over all of them.
fn spread(rows: &[usize], count: usize) -> Vec<usize> {
    let step = (rows.len() / count).max(1);
    rows.iter().copied().step_by(step).take(count).collect()
}

/// Open rows spread over the file, cells in the order of the card's columns; empty when they cannot be read cheaply.
fn sample(prepared: &Prepared, profile: &Profile, folder: &Folder) -> Vec<Vec<String>> {
    let rows = spread(prepared.setup.holdout.train(), rows_shown(profile.columns.len()));
    cells(prepared, profile, folder, &rows).unwrap_or_default()
}

/// Rows that are shown of a table of so many columns.
fn rows_shown(columns: usize) -> usize {
    (CELLS_SHOWN / columns.max(1)).clamp(2, ROWS_SHOWN)
}

fn cells(
    prepared: &Prepared,
    profile: &Profile,
    folder: &Folder,
    rows: &[usize],
) -> Option<Vec<Vec<String>>> {
    let levels = levels(folder)?;
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
        profile.columns.iter().take(COLUMNS_MAX).map(|one| column(&one.name)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn column(store: &str, kind: ColumnKind) -> StoredColumn {
        StoredColumn { name: "stores.size".into(), kind, store: store.into(), index: 0, joined: true }
    }

    #[test]
    fn columns_of_further_tables_are_described_by_their_open_rows() {
        let sizes = described(&column("numeric", ColumnKind::Numeric), &[2.0, 4.0, f64::NAN, 4.0], &[]);
        assert_eq!((sizes.min, sizes.max, sizes.distinct, sizes.whole), (Some(2.0), Some(4.0), 2, true));
        assert!((sizes.missing_train - 0.25).abs() < 1e-12);
        let levels = vec![vec!["north".to_owned(), "south".to_owned()]];
        let regions = described(&column("codes", ColumnKind::Categorical), &[1.0, 1.0, -1.0, 0.0], &levels);
        assert_eq!(regions.top, [("south".to_owned(), 2), ("north".to_owned(), 1)]);
        assert_eq!((regions.min, regions.whole, regions.distinct), (None, false, 2));
        let nothing = described(&column("numeric", ColumnKind::Numeric), &[f64::NAN], &[]);
        assert_eq!((nothing.mean, nothing.missing_train), (None, 1.0));
    }

    #[test]
    fn of_a_wide_table_the_target_and_the_strongest_columns_come_first() {
        let evidence = |number: usize, alone: f64| ColumnEvidence {
            column: format!("c{number}"),
            alone,
            others: None,
            filled_alone: 0.5,
            filled_train: 1.0,
            filled_test: None,
            distinct_share: 1.0,
            copies_target: false,
            shift: None,
            looks_like_id: false,
            row_order: None,
        };
        let named = |number: usize| Column {
            name: format!("c{number}"),
            ..described(&column("numeric", ColumnKind::Numeric), &[], &[])
        };
        let count = COLUMNS_MAX + 12;
        // Later columns are stronger; the weakest of all is the target.
        let known: Vec<ColumnEvidence> = (1..count).map(|number| evidence(number, number as f64)).collect();
        let strengths = known.iter().map(|one| (one.column.as_str(), one)).collect();
        let mut columns: Vec<Column> = (0..count).map(named).collect();
        put_first(&mut columns, "c0", &strengths);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let last = format!("c{}", count - 1);
        assert_eq!((names[..3].to_vec(), names[COLUMNS_MAX - 1]), (vec!["c0", "c13", "c14"], last.as_str()));
        assert_eq!((names[COLUMNS_MAX..].len(), names[COLUMNS_MAX], names[count - 1]), (12, "c1", "c12"));
    }

    #[test]
    fn quartiles_are_those_of_the_numbers_that_are_there() {
        let numbers = [9.0, f64::NAN, 1.0, 3.0, 5.0, 7.0, f64::INFINITY];
        assert_eq!(quartiles(numbers.to_vec()), Some([3.0, 5.0, 7.0]));
        assert_eq!(quartiles(vec![4.0]), Some([4.0; 3]));
        assert_eq!(quartiles(vec![f64::NAN]), None);
    }

    #[test]
    fn a_usual_table_shows_twelve_rows_and_more_and_a_wide_one_few() {
        assert_eq!([1, 12, 18, 30, 60, 400].map(rows_shown), [14, 14, 12, 7, 3, 2]);
        assert_eq!(spread(&[3, 4, 5, 6, 7, 8], 3), [3, 5, 7]);
        assert_eq!(spread(&[3, 4], 5), [3, 4]);
    }
}
