//! What earlier runs taught, and what this one teaches. No run fails or waits because of memory.

use crate::board::{Board, Entry};
use crate::error::RunError;
use crate::options::Options;
use crate::record::Record;
use crate::scoring::Scoring;
use crate::setup::Prepared;
use ansatz_core::candidate::{Origin, Solution};
use ansatz_core::clock::Clock;
use ansatz_memory::{
    Appended, Experience, Lesson, Look, Memory, MetaFeatures, Snapshot, TaskFacts, TrialFact,
};
use ansatz_memory::{Card, Found, Observation};
use ansatz_prompts::planner::Source;
use ansatz_tuner::transfer::{Past, PastTrial};
use std::collections::BTreeMap;
use std::sync::Arc;

pub use ansatz_memory::WarmStart;

/// Remembered configurations that a run starts from.
const WARM_STARTS_MAX: usize = 4;
/// Scored configurations that are remembered of one run, best first.
const TRIALS_MAX: usize = 50;
/// Probability above which something is claimed; one comparison's share of what is missing is as small as there are many.
const CLAIM_GATE: f64 = 0.95;
/// Cards that a language model is shown.
const CARDS_MAX: usize = 6;
/// Lessons that a language model is told, the latest ones.
const LESSONS_TOLD: usize = 6;

/// Like tasks of which all that was tried is told to the search.
const PASTS_MAX: usize = 12;

/// What earlier runs say about this one.
#[derive(Debug, Clone, Default)]
pub struct Advice {
    /// Configurations to try first.
    pub starts: Vec<WarmStart>,
    /// What was tried, by solution.
    pub pasts: BTreeMap<String, Vec<Past>>,
}

/// Memory as it was when the run began.
pub struct Remembered {
    memory: Option<Memory>,
    snapshot: Snapshot,
    warnings: Vec<String>,
}

impl Remembered {
    /// Reads memory, if there is to be one.
    pub fn open(options: &Options, clock: &Arc<dyn Clock>) -> Self {
        let Some(folder) = &options.memory else {
            return Self { memory: None, snapshot: Snapshot::default(), warnings: Vec::new() };
        };
        let memory = Memory::new(folder, Arc::clone(clock));
        let snapshot = memory.open_snapshot();
        let mut warnings = snapshot.notices.clone();
        if let Some(holder) = &snapshot.held_by {
            warnings.push(format!("memory is in use by {holder}; this run knows only its last export"));
        }
        Self { memory: Some(memory), snapshot, warnings }
    }

    /// What the user should know about memory.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How often the seal over these data was opened by earlier runs.
    pub fn looks(&self, data_hash: &str) -> u32 {
        match &self.memory {
            Some(memory) => memory.looks(data_hash).unwrap_or_else(|_| self.snapshot.looks(data_hash)),
            None => 0,
        }
    }

    /// What a language model is told of earlier runs: the nearest tasks with what won there, and lessons.
    pub fn sources(&self, prepared: &Prepared) -> Vec<Source> {
        let mut sources: Vec<Source> = self
            .warm_starts(prepared)
            .into_iter()
            .map(|start| Source {
                name: format!("past-{}", start.solution),
                kind: "past task".into(),
                text: format!(
                    "{} with {} was {}",
                    start.solution,
                    serde_json::to_string(&start.params).unwrap_or_default(),
                    start.why
                ),
            })
            .collect();
        let mut lessons: Vec<&Lesson> = self.snapshot.lessons().collect();
        lessons.sort_by_key(|lesson| std::cmp::Reverse(lesson.at));
        let lessons = lessons.into_iter().take(LESSONS_TOLD);
        sources.extend(lessons.map(|lesson| Source {
            name: format!("lesson-{}", lesson.id),
            kind: "lesson".into(),
            text: format!("{} ({})", lesson.text, lesson.evidence),
        }));
        sources
    }

    /// Counts the look of this run.
    ///
    /// # Errors
    /// When the journal cannot be written; trouble with memory is a warning.
    pub fn count_look(
        &self,
        options: &Options,
        data_hash: &str,
        record: &mut Record,
    ) -> Result<(), RunError> {
        let Some(memory) = &self.memory else { return Ok(()) };
        // A run looks once; looking again after a crash is the same look.
        let look = Look { data_hash: data_hash.to_owned(), run: options.run.clone(), number: 1 };
        match memory.look(&look) {
            Ok(_) => Ok(()),
            Err(error) => record.warn(format!("this look at the seal could not be counted: {error}")),
        }
    }

    /// What earlier runs say about this one.
    pub fn advice(&self, prepared: &Prepared) -> Advice {
        Advice { starts: self.warm_starts(prepared), pasts: self.pasts(prepared) }
    }

    /// What was tried on like tasks, by solution; the more alike the tasks, the more it counts.
    fn pasts(&self, prepared: &Prepared) -> BTreeMap<String, Vec<Past>> {
        let task = prepared.setup.task();
        let meta = MetaFeatures::of(&prepared.setup.profile, task);
        let mut pasts: BTreeMap<String, Vec<Past>> = BTreeMap::new();
        for (experience, distance) in self.snapshot.nearest(&meta, task.problem, PASTS_MAX) {
            let mut by_solution: BTreeMap<&str, Vec<PastTrial>> = BTreeMap::new();
            for trial in &experience.trials {
                let loss = -experience.task.metric.direction.gain(trial.score);
                let told = PastTrial { params: trial.params.clone(), loss: Some(loss) };
                by_solution.entry(&trial.solution).or_default().push(told);
            }
            for (solution, trials) in by_solution {
                let past = Past { name: experience.task.name.clone(), weight: (-distance).exp(), trials };
                pasts.entry(solution.to_owned()).or_default().push(past);
            }
        }
        pasts
    }

    /// Configurations that did well on like tasks.
    pub fn warm_starts(&self, prepared: &Prepared) -> Vec<WarmStart> {
        let task = prepared.setup.task();
        let meta = MetaFeatures::of(&prepared.setup.profile, task);
        self.snapshot.warm_starts(&meta, task.problem, WARM_STARTS_MAX)
    }

    /// Writes what the run taught.
    ///
    /// # Errors
    /// When the journal cannot be written; trouble with memory is a warning.
    pub fn store(
        &self,
        options: &Options,
        prepared: &Prepared,
        board: &Board,
        scoring: &Scoring,
        at: u64,
        record: &mut Record,
    ) -> Result<(), RunError> {
        let Some(memory) = &self.memory else { return Ok(()) };
        let experience = experience(options, prepared, board, scoring, at);
        let mut records = vec![ansatz_memory::Record::Experience(Box::new(experience))];
        records.extend(
            lessons(options, &prepared.setup.task().name, board, scoring, at)
                .into_iter()
                .map(ansatz_memory::Record::Lesson),
        );
        match memory.append(&options.run, records) {
            Ok(Appended::Stored { notices }) => {
                notices.into_iter().try_for_each(|notice| record.warn(notice))
            }
            Ok(_) => Ok(()),
            Err(error) => record.warn(format!("this run could not be remembered: {error}")),
        }
    }
}

/// Which solution beat which, as far as that is more than chance: each claim needs P(better) above the gate, corrected for the
/// number of comparisons.
fn lessons(options: &Options, task: &str, board: &Board, scoring: &Scoring, at: u64) -> Vec<Lesson> {
    let mut best: Vec<&Entry> = Vec::new();
    for entry in board.ranking(scoring.direction()) {
        let name = entry.candidate.solution.name();
        let is_known = best.iter().any(|known| known.candidate.solution.name() == name);
        if !is_known && entry.oof.is_some() && entry.candidate.origin != Origin::Baseline {
            best.push(entry);
        }
    }
    let Some((first, others)) = best.split_first() else { return Vec::new() };
    let gate = 1.0 - (1.0 - CLAIM_GATE) / others.len().max(1) as f64;
    let lesson = |other: &&Entry| {
        let (winner, loser) = (first.oof.as_ref()?, other.oof.as_ref()?);
        let p_better = scoring.p_better(board.open_truth(), winner, loser);
        let (won, lost) = (first.score()?.score, other.score()?.score);
        (p_better > gate).then(|| {
            let names = (first.candidate.solution.name(), other.candidate.solution.name());
            let kind = match first.candidate.solution {
                Solution::Builtin(_) => "",
                Solution::Source { .. } => " (written by a language model)",
            };
            Lesson {
                id: format!("{}-over-{}", names.0, names.1),
                run: options.run.clone(),
                at,
                text: format!("{}{kind} beat {} on {task}", names.0, names.1),
                evidence: format!("{won:.5} against {lost:.5} by cross-validation, P(better) {p_better:.3}"),
            }
        })
    };
    others.iter().filter_map(lesson).collect()
}

/// Cards that fit a task: names and texts.
pub fn cards(prepared: &Prepared) -> Vec<(String, String)> {
    let (task, profile) = (prepared.setup.task(), &prepared.setup.profile);
    let seen = Observation { task, profile, words: &task.request };
    let found = ansatz_memory::fitting(&Card::all(), &seen, CARDS_MAX);
    let size = (profile.train_rows, profile.columns.len());
    let told = |found: Found| {
        (found.card.name.clone(), format!("{} It fits: {}.", found.card.shown(size.0, size.1), found.why))
    };
    found.into_iter().map(told).collect()
}

fn experience(
    options: &Options,
    prepared: &Prepared,
    board: &Board,
    scoring: &Scoring,
    at: u64,
) -> Experience {
    let task = prepared.setup.task();
    let trials: Vec<TrialFact> = board
        .ranking(scoring.direction())
        .into_iter()
        .filter(|entry| entry.candidate.origin != ansatz_core::candidate::Origin::Baseline)
        // Generated code lives in its run; a later one knows only what is built in.
        .filter(|entry| matches!(entry.candidate.solution, Solution::Builtin(_)))
        .filter_map(|entry| {
            let scored = entry.score()?;
            Some(TrialFact {
                solution: entry.candidate.solution.name().to_owned(),
                params: entry.candidate.params.clone(),
                score: scored.score,
                seconds: entry.cpu_s(),
                stage: scored.stage as u32,
            })
        })
        .take(TRIALS_MAX)
        .collect();
    Experience {
        run: options.run.clone(),
        at,
        data_hash: prepared.setup.profile.data_hash.clone(),
        task: TaskFacts {
            name: task.name.clone(),
            problem: task.problem,
            metric: task.metric.clone(),
            target: task.target.clone(),
        },
        meta: MetaFeatures::of(&prepared.setup.profile, task),
        best: trials.first().cloned(),
        trials,
        baseline: board.baseline().and_then(|entry| Some(entry.score()?.score)),
    }
}
