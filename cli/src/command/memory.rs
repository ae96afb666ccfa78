//! `ansatz memory …`: what earlier runs taught.

use super::Session;
use crate::console;
use crate::exit::{Exit, Failure};
use crate::folders::{self, Run};
use crate::table::Table;
use ansatz_core::candidate::{Candidate, Origin};
use ansatz_core::event::Event;
use ansatz_core::ids::{CandidateId, RunId};
use ansatz_core::metric::Direction;
use ansatz_core::profile::Profile;
use ansatz_engine::tune;
use ansatz_journal::Blobs;
use ansatz_memory::{
    Experience, Memory, MetaFeatures, Record, Snapshot, Study, StudyTrial, TaskFacts, TrialFact,
};
use ansatz_report::number::{arrow, count, counted, metric, moment, score};
use ansatz_report::text;
use clap::Subcommand;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Configurations that are remembered of one run, best first.
const TRIALS_MAX: usize = 50;

/// Widest cell of a table.
const CELL_WIDTH: usize = 46;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum MemoryCommand {
    /// List the runs and studies that are remembered
    Ls,
    /// Show what a run or a study taught
    Show {
        /// Its id
        run: String,
    },
    /// Forget what a run or a study taught; that a run looked at sealed rows stays known
    Forget {
        /// Its id
        run: String,
    },
    /// Write everything to a file, one record per line
    Export {
        /// The file
        file: PathBuf,
    },
    /// Add everything from an exported file
    Import {
        /// The file
        file: PathBuf,
    },
    /// Learn anew from the folders of the runs and studies that there are
    Rebuild,
    /// Count what is remembered
    Stats,
}

/// Carries out `memory`.
///
/// # Errors
/// Memory is in use, or a file cannot be read or written.
pub fn execute(command: &MemoryCommand, session: &Session) -> Result<Exit, Failure> {
    let memory = Memory::new(session.home()?.join("memory"), Arc::new(session.clock));
    match command {
        MemoryCommand::Ls => list(&snapshot(&memory, session), session)?,
        MemoryCommand::Show { run } => show(&snapshot(&memory, session), run, session)?,
        MemoryCommand::Forget { run } => {
            let run = unique(&snapshot(&memory, session), run)?;
            memory.forget(&run)?;
            done(session, "forgotten", &run.0, &format!("forgot run {run}"))?;
        }
        MemoryCommand::Export { file } => {
            let path = session.surroundings.absolute(file);
            let records = memory.export(&path)?;
            let sentence =
                format!("{} written to {}", counted(records as u64, "record", "records"), file.display());
            done(session, "records", &records, &sentence)?;
        }
        MemoryCommand::Import { file } => {
            let records = memory.import(&session.surroundings.absolute(file))?;
            let sentence =
                format!("{} read from {}", counted(records as u64, "record", "records"), file.display());
            done(session, "records", &records, &sentence)?;
        }
        MemoryCommand::Rebuild => {
            let records = learnt(session);
            let runs = records.len();
            memory.rebuild(records)?;
            done(
                session,
                "runs",
                &runs,
                &format!("learnt anew from {}", counted(runs as u64, "run or study", "runs and studies")),
            )?;
        }
        MemoryCommand::Stats => stats(&snapshot(&memory, session), session)?,
    }
    Ok(Exit::Ok)
}

/// Everything that is remembered; what the user should know about it is said.
fn snapshot(memory: &Memory, session: &Session) -> Snapshot {
    let snapshot = memory.open_snapshot();
    for notice in &snapshot.notices {
        session.console.note(&format!("note: {notice}"));
    }
    if let Some(holder) = &snapshot.held_by {
        session.console.note(&format!("note: memory is in use by {holder}; this is its last export"));
    }
    snapshot
}

fn done(session: &Session, name: &str, value: &impl serde::Serialize, sentence: &str) -> Result<(), Failure> {
    if session.is_json {
        return console::json(&json!({ name: value }));
    }
    console::result(&format!("{}\n", text::visible(sentence, text::MESSAGE_WIDTH)));
    Ok(())
}

fn list(snapshot: &Snapshot, session: &Session) -> Result<(), Failure> {
    let (experiences, studies) = (snapshot.experiences(), snapshot.studies());
    if session.is_json {
        let all: Vec<serde_json::Value> = experiences
            .iter()
            .map(|experience| json!(experience))
            .chain(studies.iter().map(|study| json!(study)))
            .collect();
        return console::json(&all);
    }
    if experiences.is_empty() && studies.is_empty() {
        session.console.note("nothing is remembered yet; every run and every study leaves what it learnt");
        return Ok(());
    }
    let mut tables = Vec::new();
    if !experiences.is_empty() {
        tables.push(of_runs(experiences));
    }
    if !studies.is_empty() {
        tables.push(of_studies(studies));
    }
    let lines: Vec<String> =
        tables.iter().map(|table| table.lines(session.console.out, session.console.width)).collect();
    console::result(&lines.join("\n"));
    Ok(())
}

fn of_studies(studies: Vec<&Study>) -> Table {
    let mut table = Table::new(&["study", "when (UTC)", "best", "tried", "what"], CELL_WIDTH);
    for study in studies {
        let best =
            study.best().and_then(|trial| trial.value).map_or_else(|| "–".into(), |best| valued(study, best));
        let tried = count(study.trials.len() as u64);
        table.row([study.run.to_string(), moment(study.at), best, tried, study.subject.clone()]);
    }
    table
}

fn valued(study: &Study, value: f64) -> String {
    format!("{} {}", arrow(study.direction == Direction::Maximize), score(value))
}

fn of_runs(experiences: Vec<&Experience>) -> Table {
    let mut table = Table::new(&["run", "when (UTC)", "problem", "best", "tried", "task"], CELL_WIDTH);
    for experience in experiences {
        let facts = &experience.task;
        let best = experience.best.as_ref().map_or_else(|| "–".into(), |best| scored(facts, best));
        let problem = format!("{:?}", facts.problem).to_lowercase();
        let tried = count(experience.trials.len() as u64);
        let task = format!("{} → {}", facts.name, facts.target);
        table.row([experience.run.to_string(), moment(experience.at), problem, best, tried, task]);
    }
    table
}

fn scored(task: &TaskFacts, trial: &TrialFact) -> String {
    let arrow = arrow(task.metric.direction == Direction::Maximize);
    format!("{} {} {arrow} {}", metric(&task.metric.name), score(trial.score), trial.solution)
}

/// The one remembered run or study whose id is or holds this text.
fn unique(snapshot: &Snapshot, named: &str) -> Result<RunId, Failure> {
    let exact = RunId::new(named);
    if snapshot.show(&exact).is_some() || snapshot.study(&exact).is_some() {
        return Ok(exact);
    }
    let runs = snapshot.experiences().into_iter().map(|experience| experience.run.clone());
    let studies = snapshot.studies().into_iter().map(|study| study.run.clone());
    let alike: Vec<RunId> =
        runs.chain(studies).filter(|run| !named.is_empty() && run.as_str().contains(named)).collect();
    match alike.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(format!("nothing is remembered of run {}", text::name(named)))
            .hint("`ansatz memory ls` shows what is there")),
        _ => Err(Failure::usage(format!("{} could be several of them", text::name(named)))
            .hint("say more of its id")),
    }
}

fn show(snapshot: &Snapshot, named: &str, session: &Session) -> Result<(), Failure> {
    let run = unique(snapshot, named)?;
    if let Some(study) = snapshot.study(&run) {
        return show_study(study, session);
    }
    let Some(experience) = snapshot.show(&run) else { return Ok(()) };
    if session.is_json {
        return console::json(experience);
    }
    let facts = &experience.task;
    let higher = facts.metric.direction == Direction::Maximize;
    let mut text = format!(
        "{run}, {} UTC\npredict {} of {}, {} {}\n",
        moment(experience.at),
        text::name(&facts.target),
        text::name(&facts.name),
        metric(&facts.metric.name),
        arrow(higher)
    );
    if let Some(baseline) = experience.baseline {
        let _ = writeln!(text, "the reference model scored {}", score(baseline));
    }
    let mut table = Table::new(&["score", "solution", "parameters"], CELL_WIDTH);
    for trial in &experience.trials {
        let params = serde_json::to_string(&trial.params).unwrap_or_default();
        table.row([score(trial.score), trial.solution.clone(), params]);
    }
    text.push_str(&table.lines(session.console.out, session.console.width));
    for lesson in snapshot.lessons().filter(|lesson| lesson.run == run) {
        let _ = writeln!(text, "lesson: {}", text::visible(&lesson.text, text::MESSAGE_WIDTH));
    }
    console::result(&text);
    Ok(())
}

fn show_study(study: &Study, session: &Session) -> Result<(), Failure> {
    if session.is_json {
        return console::json(study);
    }
    let subject = text::visible(&study.subject, text::MESSAGE_WIDTH);
    let mut told = format!("{}, {} UTC\n{subject}\n", study.run, moment(study.at));
    let mut trials: Vec<&StudyTrial> = study.trials.iter().collect();
    let gain =
        |trial: &StudyTrial| trial.value.map_or(f64::NEG_INFINITY, |value| study.direction.gain(value));
    trials.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    let mut table = Table::new(&["value", "by", "parameters"], CELL_WIDTH);
    for trial in trials {
        let value = trial.value.map_or_else(|| "failed".into(), score);
        let params = serde_json::to_string(&trial.params).unwrap_or_default();
        table.row([value, trial.origin.clone(), params]);
    }
    told.push_str(&table.lines(session.console.out, session.console.width));
    console::result(&told);
    Ok(())
}

fn stats(snapshot: &Snapshot, session: &Session) -> Result<(), Failure> {
    let stats = snapshot.stats();
    let rows = [
        ("runs", stats.experiences),
        ("configurations", stats.trials),
        ("data sets", stats.data_sets),
        ("lessons", stats.lessons),
        ("studies", stats.studies),
        ("looks at seals", stats.looks),
    ];
    if session.is_json {
        let object: serde_json::Map<String, serde_json::Value> =
            rows.iter().map(|(name, number)| (name.replace(' ', "_"), json!(number))).collect();
        return console::json(&object);
    }
    let mut table = Table::new(&["remembered", "number"], CELL_WIDTH);
    for (name, number) in rows {
        table.row([name.into(), count(number as u64)]);
    }
    console::result(&table.lines(session.console.out, session.console.width));
    Ok(())
}

/// What the runs and studies below the runs folder teach. One that cannot be read is named and passed over.
fn learnt(session: &Session) -> Vec<Record> {
    let mut records = Vec::new();
    let pass_over = |error: &dyn std::error::Error| {
        session.console.note(&format!("passed over: {}", crate::exit::chain(error)));
    };
    for folder in folders::all(&session.runs_folder()) {
        match Run::read(&folder) {
            Ok(run) => {
                records.extend(experience(&run).map(|experience| Record::Experience(Box::new(experience))));
            }
            Err(error) => pass_over(&error),
        }
    }
    for folder in folders::studies(&session.runs_folder()) {
        match tune::remembered(&folder) {
            Ok(study) => records.extend(study),
            Err(error) => pass_over(&error),
        }
    }
    records
}

/// What one run taught, from its journal and the profile beside it; `None` when it scored nothing.
fn experience(run: &Run) -> Option<Experience> {
    let task = run.live.task.as_ref()?;
    let profile = run.events.iter().find_map(|event| match event {
        Event::Profiled { profile, .. } => Some(profile),
        _ => None,
    })?;
    let profile: Profile = serde_json::from_slice(&Blobs::new(&run.folder).get(profile).ok()?).ok()?;
    let (trials, baseline) = trials(&run.events, task.metric.direction);
    if trials.is_empty() && baseline.is_none() {
        return None;
    }
    Some(Experience {
        run: RunId::new(run.live.run.clone()),
        at: run.live.started_at + run.live.spent.wall_s as u64,
        data_hash: profile.data_hash.clone(),
        task: TaskFacts {
            name: task.name.clone(),
            problem: task.problem,
            metric: task.metric.clone(),
            target: task.target.clone(),
        },
        meta: MetaFeatures::of(&profile, task),
        best: trials.first().cloned(),
        trials,
        baseline,
    })
}

/// Scored configurations, best first, and the score of the reference model.
fn trials(events: &[Event], direction: Direction) -> (Vec<TrialFact>, Option<f64>) {
    let mut proposed: BTreeMap<CandidateId, &Candidate> = BTreeMap::new();
    let mut scored: BTreeMap<CandidateId, TrialFact> = BTreeMap::new();
    let mut baseline = None;
    for event in events {
        match event {
            Event::CandidateProposed { candidate, .. } => {
                proposed.insert(candidate.id, candidate);
            }
            Event::CandidateScored { candidate, score, stage, seconds, .. } => {
                let Some(found) = proposed.get(candidate) else { continue };
                let fact = TrialFact {
                    solution: found.solution.name().to_owned(),
                    params: found.params.clone(),
                    score: *score,
                    seconds: *seconds,
                    stage: *stage,
                };
                if found.origin == Origin::Baseline {
                    baseline = Some(*score);
                } else {
                    scored.insert(*candidate, fact);
                }
            }
            _ => {}
        }
    }
    let mut trials: Vec<TrialFact> = scored.into_values().collect();
    trials.sort_by(|a, b| direction.gain(b.score).total_cmp(&direction.gain(a.score)));
    trials.truncate(TRIALS_MAX);
    (trials, baseline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::candidate::Solution;
    use ansatz_core::ids::StepId;

    fn events() -> Vec<Event> {
        let candidate = |number: u32, origin| Candidate {
            id: CandidateId(number),
            solution: Solution::Builtin(format!("s{number}")),
            params: BTreeMap::new(),
            origin,
        };
        let origins = [Origin::Baseline, Origin::Playbook, Origin::Search];
        let mut events = Vec::new();
        for (number, origin) in origins.into_iter().enumerate() {
            let candidate = candidate(number as u32, origin);
            let id = candidate.id;
            let step = StepId::new("s");
            events.push(Event::CandidateProposed { candidate: Box::new(candidate), step, inputs: vec![] });
            let score = 0.5 + number as f64 / 10.0;
            events.push(Event::CandidateScored {
                candidate: id,
                score,
                stage: 0,
                seconds: 1.0,
                inputs: vec![],
            });
        }
        events
    }

    #[test]
    fn a_journal_teaches_its_configurations_best_first() {
        let (trials, baseline) = trials(&events(), Direction::Maximize);
        assert_eq!(trials.iter().map(|trial| trial.solution.as_str()).collect::<Vec<_>>(), ["s2", "s1"]);
        assert_eq!(baseline, Some(0.5));
    }

    #[test]
    fn smaller_losses_come_first() {
        let (trials, _) = trials(&events(), Direction::Minimize);
        assert_eq!(trials[0].solution, "s1");
    }
}
