//! Measures samplers on tables of recorded evaluations, the same way for each: five random points to begin with, then
//! the sampler's own. `benches/search/compare.py` sets the result beside that of other libraries.
//!
//! usage: tables --tables FOLDER [--sampler tpe,gp,auto,random] [--seeds 20] [--first-seed 0] [--trials 50] [--only NAME,NAME]
//!
//! FOLDER holds NAME.f32 and NAME.json, as `benches/search/tables.py` describes them. Prints one JSON line per study:
//! {table, sampler, seed, values, seconds}.

use ansatz_core::seed::Seed;
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::samplers;
use ansatz_tuner::space::{Domain, Parameter, Params, Scale, Space};
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::trial::Direction;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Random points that every method starts from.
const INITIAL: usize = 5;

#[derive(Deserialize)]
struct Header {
    name: String,
    direction: Direction,
    parameters: Vec<Axis>,
}

#[derive(Deserialize)]
struct Axis {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    values: Vec<Value>,
}

struct Table {
    header: Header,
    space: Space,
    values: Vec<f32>,
}

impl Table {
    fn load(path: &Path) -> Result<Option<Self>> {
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

    fn value(&self, params: &Params) -> f64 {
        let row = self.header.parameters.iter().fold(0, |row, axis| {
            let index = axis.values.iter().position(|value| *value == params[&axis.name]).unwrap_or(0);
            row * axis.values.len() + index
        });
        f64::from(self.values[row])
    }

    /// The points that every method starts from under this seed.
    fn initial(&self, seed: u64) -> Vec<Params> {
        let mut state = seed;
        let point = |_| {
            let mut value = |axis: &Axis| {
                axis.values[(split_mix(&mut state) % axis.values.len() as u64) as usize].clone()
            };
            self.header.parameters.iter().map(|axis| (axis.name.clone(), value(axis))).collect()
        };
        (0..INITIAL).map(point).collect()
    }
}

/// `SplitMix64`: short enough to be the same in every language.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Wanted {
    tables: PathBuf,
    samplers: Vec<String>,
    seeds: u64,
    first_seed: u64,
    trials: u32,
    only: Vec<String>,
}

fn wanted() -> Result<Wanted> {
    let mut wanted = Wanted {
        tables: PathBuf::new(),
        samplers: vec!["tpe".into()],
        seeds: 20,
        first_seed: 0,
        trials: 50,
        only: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    let list = |text: String| text.split(',').map(str::to_owned).collect();
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--tables" => wanted.tables = value.into(),
            "--sampler" => wanted.samplers = list(value),
            "--seeds" => wanted.seeds = value.parse()?,
            "--first-seed" => wanted.first_seed = value.parse()?,
            "--trials" => wanted.trials = value.parse()?,
            "--only" => wanted.only = list(value),
            _ => bail!("there is no option {name}"),
        }
    }
    Ok(wanted)
}

fn study(table: &Table, sampler: Box<dyn Sampler>, seed: u64, trials: u32) -> Result<Vec<f64>> {
    let mut options = Options::new(table.header.direction, Seed(seed));
    options.budget = Some(trials);
    let mut study = Study::new(table.space.clone(), options, sampler)?;
    let mut values = Vec::new();
    let mut waiting = table.initial(seed).into_iter();
    while values.len() < trials as usize {
        // Enqueued one by one, so that a point that chance gives twice is measured twice, as for the others.
        if let Some(params) = waiting.next() {
            study.enqueue(params, "initial")?;
        }
        let Ask::Suggestion(asked) = study.ask() else { break };
        let value = table.value(&asked.params);
        values.push(value);
        study.tell(asked.number, value)?;
    }
    Ok(values)
}

fn main() -> Result<()> {
    let wanted = wanted()?;
    let mut headers: Vec<PathBuf> = std::fs::read_dir(&wanted.tables)
        .with_context(|| format!("{} is not a folder of tables", wanted.tables.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    headers.sort();
    let mut out = std::io::stdout().lock();
    for path in headers {
        let Some(table) = Table::load(&path)? else { continue };
        if !wanted.only.is_empty() && !wanted.only.contains(&table.header.name) {
            continue;
        }
        for name in &wanted.samplers {
            for seed in wanted.first_seed..wanted.first_seed + wanted.seeds {
                let sampler =
                    samplers::by_name(name).with_context(|| format!("there is no sampler {name}"))?;
                let start = Instant::now();
                let values = study(&table, sampler, seed, wanted.trials)?;
                let seconds = start.elapsed().as_secs_f64();
                let line = serde_json::json!({
                    "table": table.header.name, "sampler": name, "seed": seed, "values": values, "seconds": seconds,
                });
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}
