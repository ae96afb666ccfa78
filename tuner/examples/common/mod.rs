//! Tables of recorded evaluations, as `benches/search/tables.py` describes them, and one study on one of them.

use ansatz_core::seed::Seed;
use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::space::{Domain, Parameter, Params, Scale, Space};
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::trial::Direction;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Random points that every method starts from.
const INITIAL: usize = 5;

/// What is said of a table beside its values.
#[derive(Deserialize)]
pub struct Header {
    /// Its name.
    #[allow(dead_code, reason = "not every example names tables")]
    pub name: String,
    /// Which values are better.
    pub direction: Direction,
    parameters: Vec<Axis>,
    log_regret: Option<bool>,
    best: f64,
    worst: f64,
}

#[derive(Deserialize)]
struct Axis {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    values: Vec<Value>,
}

/// A grid whose every point has a value.
pub struct Table {
    /// What is said of it.
    pub header: Header,
    /// Its parameters.
    pub space: Space,
    values: Vec<f32>,
}

impl Table {
    /// The table at a header's path; `None` for a file that describes something else.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let text = std::fs::read_to_string(path)?;
        if !text.contains("\"parameters\"") {
            return Ok(None);
        }
        let header: Header = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let parameters = header.parameters.iter().map(|axis| Parameter {
            name: axis.name.clone(),
            domain: if axis.kind == "categorical" {
                Domain::Categorical { values: axis.values.clone() }
            } else {
                Domain::Ordinal { values: axis.values.clone(), scale: Scale::Linear }
            },
            default: None,
            when: Vec::new(),
            description: None,
        });
        let space = Space::new(parameters.collect(), Vec::new())?;
        let bytes = std::fs::read(path.with_extension("f32"))?;
        let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        Ok(Some(Self { header, space, values: bytes.chunks_exact(4).map(number).collect() }))
    }

    /// The value at a configuration.
    pub fn value(&self, params: &Params) -> f64 {
        let row = self.header.parameters.iter().fold(0, |row, axis| {
            let index = axis.values.iter().position(|value| *value == params[&axis.name]).unwrap_or(0);
            row * axis.values.len() + index
        });
        f64::from(self.values[row])
    }

    /// The points that every method starts from under this seed.
    pub fn initial(&self, seed: u64) -> Vec<Params> {
        let mut state = seed;
        let point = |_| {
            let mut value = |axis: &Axis| {
                axis.values[(split_mix(&mut state) % axis.values.len() as u64) as usize].clone()
            };
            self.header.parameters.iter().map(|axis| (axis.name.clone(), value(axis))).collect()
        };
        (0..INITIAL).map(point).collect()
    }

    /// Distance of the best of some values to the best there is, as a share of the range; losses that span decades are
    /// compared by logarithm.
    #[allow(dead_code, reason = "not every example scores by itself")]
    pub fn regret(&self, values: &[f64]) -> f64 {
        let goal = self.header.direction;
        let is_log = self.header.log_regret.unwrap_or(goal == Direction::Minimize);
        let of = |value: f64| if is_log { value.ln() } else { value };
        let best = values.iter().copied().reduce(|a, b| if goal.loss(b) < goal.loss(a) { b } else { a });
        let best = of(best.unwrap_or(self.header.worst));
        (best - of(self.header.best)) / (of(self.header.worst) - of(self.header.best))
    }
}

/// Every table of a folder, by name.
///
/// # Errors
/// The folder cannot be read, or a table is damaged.
pub fn load_all(folder: &Path) -> Result<Vec<Table>> {
    let mut headers: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("{} is not a folder of tables", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    headers.sort();
    headers.iter().filter_map(|path| Table::load(path).transpose()).collect()
}

/// `SplitMix64`: short enough to be the same in every language.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The values of a study in the order in which they came: it starts from `starts`, then the sampler goes on, whose questions
/// `answer` answers.
///
/// # Errors
/// Something does not fit the table.
pub fn study(
    table: &Table,
    sampler: Box<dyn Sampler>,
    (seed, trials): (u64, u32),
    starts: Vec<Params>,
    answer: &dyn Fn(&Query) -> Answer,
) -> Result<Vec<f64>> {
    let mut options = Options::new(table.header.direction, Seed(seed));
    options.budget = Some(trials);
    let mut study = Study::new(table.space.clone(), options, sampler)?;
    let mut values = Vec::new();
    let mut waiting = starts.into_iter();
    while values.len() < trials as usize {
        // Enqueued one by one, so that a point that chance gives twice is measured twice, as for the others.
        if let Some(params) = waiting.next() {
            study.enqueue(params, "initial")?;
        }
        match study.ask() {
            Ask::Suggestion(asked) => {
                let value = table.value(&asked.params);
                values.push(value);
                study.tell(asked.number, value)?;
            }
            Ask::Query(query) => study.answer(query.id, answer(&query))?,
            Ask::Exhausted { .. } => break,
        }
    }
    Ok(values)
}
