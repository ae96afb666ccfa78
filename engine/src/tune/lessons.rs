//! What earlier studies of the same space taught this one, and what this one teaches. No study fails or waits because of memory.

use super::{TuneOptions, TuneResult};
use ansatz_core::clock::Clock;
use ansatz_core::ids::RunId;
use ansatz_core::metric;
use ansatz_core::seed::Seed;
use ansatz_memory::{Memory, Record, Snapshot, Study, StudyTrial};
use ansatz_tuner::space::Space;
use ansatz_tuner::transfer::{Past, PastTrial};
use ansatz_tuner::trial::Direction;
use std::sync::Arc;

/// Earlier studies that a search is told about, those of the same command first, then the latest.
const PASTS_MAX: usize = 12;
/// Trials with a value below which a study teaches nothing yet.
const TRIALS_MIN: usize = 3;
/// How much a study of another command counts beside one of the same.
const WEIGHT_OF_OTHERS: f64 = 0.5;

/// What is tuned, as memory names it: two studies of the same subject are the same question again.
fn subject(options: &TuneOptions) -> String {
    options.description.clone().unwrap_or_else(|| options.command.join(" "))
}

fn fingerprint(space: &Space) -> String {
    format!("{:016x}", space.fingerprint())
}

/// The memory of a study, where it has one.
pub fn memory(options: &TuneOptions, clock: &Arc<dyn Clock>) -> Option<Memory> {
    options.memory.as_ref().map(|folder| Memory::new(folder, Arc::clone(clock)))
}

/// What memory knows of the same space, and what the user should know about memory.
pub fn pasts(memory: &Memory, options: &TuneOptions) -> (Vec<Past>, Vec<String>) {
    let snapshot = memory.open_snapshot();
    let mut warnings = snapshot.notices.clone();
    if let Some(holder) = &snapshot.held_by {
        warnings.push(format!("memory is in use by {holder}; this study knows only its last export"));
    }
    (of_snapshot(&snapshot, options), warnings)
}

fn of_snapshot(snapshot: &Snapshot, options: &TuneOptions) -> Vec<Past> {
    let (space, subject) = (fingerprint(&options.space), subject(options));
    let scored = |study: &Study| study.trials.iter().filter(|trial| trial.value.is_some()).count();
    let alike =
        snapshot.studies().into_iter().filter(|study| study.space == space && scored(study) >= TRIALS_MIN);
    let (same, others): (Vec<&Study>, Vec<&Study>) = alike.partition(|study| study.subject == subject);
    let weighted = same.into_iter().map(|study| (study, 1.0));
    let weighted = weighted.chain(others.into_iter().map(|study| (study, WEIGHT_OF_OTHERS)));
    weighted.take(PASTS_MAX).map(|(study, weight)| past(study, weight)).collect()
}

fn past(study: &Study, weight: f64) -> Past {
    let told = |trial: &StudyTrial| PastTrial {
        params: trial.params.clone(),
        loss: trial.value.map(|value| -study.direction.gain(value)),
    };
    Past { name: study.run.to_string(), weight, trials: study.trials.iter().map(told).collect() }
}

/// What a study found out, as memory keeps it; `None` when nothing has a value.
pub fn study(options: &TuneOptions, result: &TuneResult, at: u64) -> Option<Study> {
    let told = result.trials.iter().filter(|trial| trial.state == "complete" || trial.state == "failed");
    let trials: Vec<StudyTrial> = told
        .map(|trial| StudyTrial {
            params: trial.params.clone(),
            value: trial.value,
            origin: trial.origin.clone(),
            note: trial.note.clone(),
        })
        .collect();
    let name =
        options.out.file_name().map_or_else(|| "study".into(), |name| name.to_string_lossy().into_owned());
    // Many folders may have the same name; each holds one study.
    let place = Seed(0).derive(&options.out.to_string_lossy()).0;
    let study = Study {
        run: RunId::new(format!("{name}-{:08x}", place >> 32)),
        at,
        space: fingerprint(&options.space),
        subject: subject(options),
        direction: match options.direction {
            Direction::Minimize => metric::Direction::Minimize,
            Direction::Maximize => metric::Direction::Maximize,
        },
        trials,
    };
    study.best().is_some().then_some(study)
}

/// Leaves what a study found out in memory; gives what the user should know about that.
pub fn store(memory: &Memory, options: &TuneOptions, result: &TuneResult, at: u64) -> Option<String> {
    let study = study(options, result, at)?;
    let appended = memory.append(&study.run.clone(), vec![Record::Study(Box::new(study))]);
    appended.err().map(|error| format!("this study could not be remembered: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::clock::ManualClock;
    use ansatz_tuner::space::Builder;

    fn options(command: &str, space: Space) -> TuneOptions {
        TuneOptions {
            space,
            command: vec![command.into()],
            folder: ".".into(),
            out: "study".into(),
            direction: Direction::Maximize,
            trials: Some(5),
            wall: None,
            seed: Seed(0),
            sampler: "auto".into(),
            parallel: 1,
            repeats: 1,
            timeout: None,
            confirm: 0,
            starts: Vec::new(),
            description: None,
            llm: None,
            pasts: Vec::new(),
            memory: None,
        }
    }

    fn study(run: &str, at: u64, subject: &str, space: &Space, values: &[Option<f64>]) -> Record {
        let trials = values.iter().enumerate().map(|(place, value)| StudyTrial {
            params: [("x".to_owned(), (place as f64).into())].into(),
            value: *value,
            origin: "tpe".into(),
            note: None,
        });
        Record::Study(Box::new(Study {
            run: RunId::new(run),
            at,
            space: fingerprint(space),
            subject: subject.into(),
            direction: metric::Direction::Maximize,
            trials: trials.collect(),
        }))
    }

    #[test]
    fn studies_of_the_same_space_are_told_and_those_of_the_same_command_first() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), Arc::new(ManualClock::default()));
        let space = Builder::new().float("x", 0.0, 9.0).build().unwrap();
        let wider = Builder::new().float("x", 0.0, 10.0).build().unwrap();
        let some = [Some(1.0), None, Some(3.0), Some(2.0)];
        let records = vec![
            study("old", 1, "sort", &space, &some),
            study("new", 2, "merge", &space, &some),
            study("elsewhere", 3, "sort", &wider, &some),
            study("short", 4, "sort", &space, &some[..2]),
        ];
        memory.append(&RunId::new("r"), records).unwrap();
        let (found, warnings) = pasts(&memory, &options("sort", space));
        let told: Vec<(&str, f64)> = found.iter().map(|past| (past.name.as_str(), past.weight)).collect();
        assert_eq!((told, warnings), (vec![("old", 1.0), ("new", 0.5)], Vec::new()));
        let losses: Vec<Option<f64>> = found[0].trials.iter().map(|trial| trial.loss).collect();
        assert_eq!(losses, [Some(-1.0), None, Some(-3.0), Some(-2.0)]);
    }
}
