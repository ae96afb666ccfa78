//! Measures samplers on tables of recorded evaluations, the same way for each: five random points to begin with, then
//! the sampler's own. `benches/search/compare.py` sets the result beside that of other libraries.
//!
//! usage: tables --tables FOLDER [--sampler tpe,gp,auto,random] [--seeds 20] [--first-seed 0] [--trials 50] [--only NAME,NAME]
//!
//! FOLDER holds NAME.f32 and NAME.json, as `benches/search/tables.py` describes them. Prints one JSON line per study:
//! {table, sampler, seed, values, seconds}.

mod common;

use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::samplers;
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

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

fn main() -> Result<()> {
    let wanted = wanted()?;
    let silent = |_: &Query| Answer::Unavailable { cause: "nobody is asked".into() };
    let mut out = std::io::stdout().lock();
    for table in common::load_all(&wanted.tables)? {
        if !wanted.only.is_empty() && !wanted.only.contains(&table.header.name) {
            continue;
        }
        for name in &wanted.samplers {
            for seed in wanted.first_seed..wanted.first_seed + wanted.seeds {
                let sampler =
                    samplers::by_name(name).with_context(|| format!("there is no sampler {name}"))?;
                let start = Instant::now();
                let starts = table.initial(seed);
                let values = common::study(&table, sampler, (seed, wanted.trials), starts, &silent)?;
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
