//! Measures what other tasks teach, on pools of recorded evaluations of the same parameters: each task is searched with the
//! others as past studies (`transfer`) and without (`gp`), choosing among its own pool.
//!
//! usage: transfer POOLS.json [--seeds 5] [--trials 30] [--first-task 0] [--tasks 34] [--group 0] [--half 2] [--cold 1]
//!
//! POOLS.f32 holds rows of parameters and a loss, task after task; POOLS.json says how many each has. With `--group N` tasks
//! whose numbers are equal modulo N are left out together, so that none of a group helps another; `--half 0|1` searches every
//! other task alone, so that what was chosen on one half is judged on the other; `--cold 0` leaves out the search without. Prints regret
//! (best so far - best) / (worst - best), averaged over seeds, per task, and the means over tasks.

use ansatz_core::seed::Seed;
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::samplers::{Gp, Transferred};
use ansatz_tuner::space::{Builder, Params, Space};
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::transfer::{Past, PastTrial};
use ansatz_tuner::trial::Direction;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Evaluations after which regret is printed.
const CHECKPOINTS: [usize; 6] = [1, 3, 5, 10, 15, 30];
/// Most trials of a past study that are told.
const PAST_TRIALS: usize = 1000;

struct Pool {
    configurations: Vec<Params>,
    losses: Vec<f64>,
}

fn load(path: &PathBuf) -> Result<(Space, Vec<Pool>)> {
    let header: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let rows: Vec<usize> = serde_json::from_value(header["rows_per_task"].clone())?;
    let columns = header["columns"].as_array().context("no columns")?.len() - 1;
    let bytes = std::fs::read(path.with_extension("f32"))?;
    let numbers: Vec<f64> = bytes
        .chunks_exact(4)
        .map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]])))
        .collect();
    let mut ends = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
    for row in numbers.chunks_exact(columns + 1) {
        for (end, value) in ends.iter_mut().zip(row) {
            *end = (end.0.min(*value), end.1.max(*value));
        }
    }
    let names: Vec<String> = (0..columns).map(|at| format!("x{at}")).collect();
    let mut builder = Builder::new();
    for (name, (low, high)) in names.iter().zip(&ends) {
        builder = builder.float(name, *low, *high);
    }
    let mut from = 0;
    let pools = rows.iter().map(|count| {
        let part = &numbers[from * (columns + 1)..(from + count) * (columns + 1)];
        from += count;
        let rows = part.chunks_exact(columns + 1);
        Pool {
            configurations: rows
                .clone()
                .map(|row| names.iter().cloned().zip(row.iter().map(|value| (*value).into())).collect())
                .collect(),
            losses: rows.map(|row| row[columns]).collect(),
        }
    });
    let pools = pools.collect();
    Ok((builder.build()?, pools))
}

/// What somebody who tried some of a pool by chance would remember of it.
fn past(number: usize, pool: &Pool) -> Past {
    let every = (pool.losses.len() / PAST_TRIALS).max(1);
    let trials = (0..pool.losses.len()).step_by(every);
    let trials =
        trials.map(|at| PastTrial { params: pool.configurations[at].clone(), loss: Some(pool.losses[at]) });
    Past { name: format!("task {number}"), weight: 1.0, trials: trials.collect() }
}

fn regrets(
    space: &Space,
    pool: &Pool,
    sampler: Box<dyn Sampler>,
    seed: u64,
    trials: usize,
) -> Result<Vec<f64>> {
    let mut study = Study::new(space.clone(), Options::new(Direction::Minimize, Seed(seed)), sampler)?;
    let best = pool.losses.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = pool.losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut so_far = f64::INFINITY;
    let mut found = Vec::new();
    for _ in 0..trials {
        let Ask::Suggestion(asked) = study.ask_among(&pool.configurations)? else {
            bail!("the pool is used up")
        };
        let loss = pool.losses[asked.place.context("not from the pool")?];
        study.tell(asked.number, loss)?;
        so_far = so_far.min(loss);
        found.push((so_far - best) / (worst - best));
    }
    Ok(found)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().context("name the file of the pools")?);
    let (mut seeds, mut trials, mut first, mut tasks, mut group, mut half, mut cold) =
        (5, 30, 0, usize::MAX, 0, 2, 1);
    while let Some(name) = arguments.next() {
        let value: usize = arguments.next().with_context(|| format!("{name} needs a value"))?.parse()?;
        match name.as_str() {
            "--seeds" => seeds = value,
            "--trials" => trials = value,
            "--first-task" => first = value,
            "--tasks" => tasks = value,
            "--group" => group = value,
            "--half" => half = value,
            "--cold" => cold = value,
            _ => bail!("there is no option {name}"),
        }
    }
    let (space, pools) = load(&path)?;
    let shown: Vec<usize> = CHECKPOINTS.into_iter().filter(|at| *at <= trials).collect();
    println!("regret after {shown:?} evaluations: cold, then with the other tasks");
    let mut means = [vec![0.0; shown.len()], vec![0.0; shown.len()]];
    let last = pools.len().min(first.saturating_add(tasks));
    let searched: Vec<usize> = (first..last).filter(|task| half > 1 || task % 2 == half).collect();
    for task in searched.iter().copied() {
        let is_other = |other: usize| other != task && (group == 0 || other % group != task % group);
        let pasts: Vec<Past> = (0..pools.len())
            .filter(|other| is_other(*other))
            .map(|other| past(other, &pools[other]))
            .collect();
        let mut line = format!("task {task:2}");
        for (way, mean) in means.iter_mut().enumerate() {
            let mut sum = vec![0.0; shown.len()];
            if way == 0 && cold == 0 {
                continue;
            }
            for seed in 0..seeds {
                let sampler: Box<dyn Sampler> = if way == 0 {
                    Box::new(Gp::default())
                } else {
                    Box::new(Transferred::new(pasts.clone(), Vec::new()))
                };
                let found = regrets(&space, &pools[task], sampler, seed as u64, trials)?;
                shown.iter().zip(&mut sum).for_each(|(at, sum)| *sum += found[at - 1] / seeds as f64);
            }
            let told: Vec<String> = sum.iter().map(|regret| format!("{regret:.4}")).collect();
            line = format!("{line} | {}", told.join(" "));
            mean.iter_mut().zip(&sum).for_each(|(mean, regret)| *mean += regret / searched.len() as f64);
        }
        println!("{line}");
    }
    for (name, mean) in ["cold", "with the others"].iter().zip(&means) {
        println!(
            "{name}: {}",
            mean.iter().map(|regret| format!("{regret:.4}")).collect::<Vec<_>>().join(" ")
        );
    }
    let ratios = means[1].iter().zip(&means[0]).map(|(warm, cold)| format!("{:.2}", warm / cold));
    println!("ratio: {}", ratios.collect::<Vec<_>>().join(" "));
    Ok(())
}
