//! First configurations of a language model, recorded: they are read, fit their spaces, and are worth having.
//!
//! The tables lie beside the repository where there are any; without them only the recordings are read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "../../tuner/examples/common/mod.rs"]
mod common;

use ansatz_agents::hpo::proposals;
use ansatz_prompts::hpo::WarmStarts;
use ansatz_tuner::query::{Answer, Query, Question};
use ansatz_tuner::samplers::{Gp, Llambo};
use common::Table;
use std::path::{Path, PathBuf};

/// Seeds and trials: enough to see that the answers help, few enough to be quick.
const SEEDS: u64 = 3;
const TRIALS: u32 = 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn recorded() -> Vec<(usize, WarmStarts)> {
    let text = std::fs::read_to_string(root().join("benches/search/warm/replies.jsonl")).unwrap();
    let reply = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let task = line["task"].as_u64().unwrap() as usize;
        (task, serde_json::from_value(line["reply"].clone()).unwrap())
    };
    text.lines().map(reply).collect()
}

fn tables() -> Option<Vec<Table>> {
    let folder = root().parent()?.join("shared/data/hpo");
    if folder.is_dir() {
        return Some(common::load_all(&folder).unwrap());
    }
    eprintln!("SKIPPED: there are no tables in {}", folder.display());
    None
}

#[test]
fn every_recorded_reply_can_be_read_and_its_configurations_differ() {
    let replies = recorded();
    assert!(replies.len() >= 3);
    for (task, reply) in &replies {
        let mut params: Vec<String> =
            proposals(&reply.configurations).iter().map(|one| format!("{:?}", one.params)).collect();
        params.sort();
        params.dedup();
        assert_eq!(params.len(), 5, "task {task}");
    }
}

#[test]
fn the_answers_are_tried_first_and_lower_the_regret() {
    let Some(tables) = tables() else { return };
    let mut ratios = Vec::new();
    for (task, reply) in recorded() {
        let table = &tables[task - 1];
        let said = proposals(&reply.configurations);
        for proposal in &said {
            let repaired = table.space.repair(&proposal.params);
            assert!(repaired.is_ok_and(|found| found.changes.is_empty()), "task {task}: {proposal:?}");
        }
        let hear = |query: &Query| match query.question {
            Question::WarmStart { .. } => Answer::Proposals { proposals: said.clone() },
            _ => Answer::Unavailable { cause: "only the first question was answered".into() },
        };
        let mean = |regrets: Vec<f64>| regrets.iter().sum::<f64>() / regrets.len() as f64;
        let warm = |seed| {
            let values = common::study(table, Box::new(Llambo::default()), (seed, TRIALS), Vec::new(), &hear);
            let values = values.unwrap();
            let first = table.space.repair(&said[0].params).unwrap();
            assert_eq!(values[0], table.value(&first.params), "the best bet is tried first");
            table.regret(&values)
        };
        let cold = |seed| {
            let starts = table.initial(seed);
            let sampler = Box::new(Gp::default());
            table.regret(&common::study(table, sampler, (seed, TRIALS), starts, &hear).unwrap())
        };
        let (warm, cold) = (mean((0..SEEDS).map(warm).collect()), mean((0..SEEDS).map(cold).collect()));
        ratios.push(warm.max(1e-4) / cold.max(1e-4));
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[ratios.len() / 2] <= 0.6, "in the middle of the tables: {ratios:?}");
}
