//! What earlier studies of the same parameters taught this one, and what this one teaches. No study fails or waits because of
//! memory.
//!
//! Spaces are compared by the parameters that they share, never as a whole: a new default or a wider range hides nothing.

use super::{TuneOptions, TuneResult};
use ansatz_core::clock::Clock;
use ansatz_core::ids::RunId;
use ansatz_core::metric;
use ansatz_core::seed::Seed;
use ansatz_memory::{Memory, Record, Snapshot, Study, StudyTrial};
use ansatz_tuner::space::{Axis, Change, Domain, Parameter, Point, Space};
use ansatz_tuner::transfer::{Past, PastTrial};
use ansatz_tuner::trial::Direction;
use serde_json::Value;
use std::sync::Arc;

/// Earlier studies that a search is told about: those of the same command first, then those that share more, then the latest.
const PASTS_MAX: usize = 12;
/// Trials with a value, within the space, below which a study teaches nothing.
const TRIALS_MIN: usize = 3;
/// Missing parameters that a refusal names.
const NAMES_SHOWN_MAX: usize = 6;
/// How much a study of another command counts beside one of the same.
const WEIGHT_OF_OTHERS: f64 = 0.5;

/// What is tuned, as memory names it: two studies of the same subject are the same question again.
fn subject(options: &TuneOptions) -> String {
    let what = options.description.clone().unwrap_or_else(|| options.command.join(" "));
    match options.goals.as_slice() {
        [] => what,
        goals => {
            let names: Vec<&str> = goals.iter().map(|goal| goal.name.as_str()).collect();
            format!("{what}, by {}", names.join(" and "))
        }
    }
}

/// The memory of a study, where it has one.
pub fn memory(options: &TuneOptions, clock: &Arc<dyn Clock>) -> Option<Memory> {
    options.memory.as_ref().map(|folder| Memory::new(folder, Arc::clone(clock)))
}

/// What memory knows of the same parameters, and what the user should know about memory.
pub fn pasts(memory: &Memory, options: &TuneOptions) -> (Vec<Past>, Vec<String>) {
    let snapshot = memory.open_snapshot();
    let mut warnings = snapshot.notices.clone();
    if let Some(holder) = &snapshot.held_by {
        warnings.push(format!("memory is in use by {holder}; this study knows only its last export"));
    }
    (of_snapshot(&snapshot, options), warnings)
}

fn of_snapshot(snapshot: &Snapshot, options: &TuneOptions) -> Vec<Past> {
    let subject = subject(options);
    let known = |study: &Study| {
        let is_same = study.subject == subject;
        let past = past(study, if is_same { 1.0 } else { WEIGHT_OF_OTHERS });
        Some((is_same, carried(&options.space, &past).ok()?))
    };
    let mut found: Vec<(bool, Past)> = snapshot.studies().into_iter().filter_map(known).collect();
    // The order is stable, and memory tells the latest first.
    found.sort_by(|(is_same_a, a), (is_same_b, b)| {
        is_same_b.cmp(is_same_a).then_with(|| b.weight.total_cmp(&a.weight))
    });
    found.into_iter().map(|(_, past)| past).take(PASTS_MAX).collect()
}

/// A past study as this space can take it: the parameters that both know, the trials that lie within the bounds here, and
/// the weight times the share of the parameters here that it knows. Parameters that none of its trials opens are not asked
/// for.
///
/// A trial outside is left out however few there are: moved to the bounds, it would tell a value where nobody measured.
///
/// # Errors
/// It knows fewer than half of the parameters, or too few of its trials lie within: said for whoever named it.
pub fn carried(space: &Space, past: &Past) -> Result<Past, String> {
    let refused = |problem: String| format!("the study {} teaches nothing here: {problem}", past.name);
    let shared = shared(space, past);
    if !shared.contains(&true) {
        return Err(refused("it sets none of the parameters of this space".into()));
    }
    let told: Vec<(PastTrial, Point)> =
        past.trials.iter().filter_map(|trial| told(space, &shared, trial)).collect();
    let scored = told.iter().filter(|(trial, _)| trial.loss.is_some()).count();
    if scored < TRIALS_MIN {
        let tried = past.trials.len();
        return Err(refused(format!(
            "trials that lie within this space and have a value: {scored} of {tried}, at least {TRIALS_MIN} are needed"
        )));
    }
    let counts = |place: &usize| told.iter().any(|(_, point)| point.get(*place).is_some());
    let (known, missing): (Vec<usize>, Vec<usize>) =
        (0..space.len()).filter(counts).partition(|place| shared[*place]);
    let count = known.len() + missing.len();
    if known.len() < missing.len() {
        let problem = format!(
            "it shares {} of the {count} parameters that count, at least half are needed; missing or of another kind: {}",
            known.len(),
            names(space, &missing)
        );
        return Err(refused(problem));
    }
    let weight = past.weight * known.len() as f64 / count as f64;
    let trials = told.into_iter().map(|(trial, _)| trial).collect();
    Ok(Past { name: past.name.clone(), weight, trials })
}

fn names(space: &Space, places: &[usize]) -> String {
    let shown = places.iter().take(NAMES_SHOWN_MAX);
    let shown: Vec<String> = shown.map(|place| format!("`{}`", space.parameters()[*place].name)).collect();
    let more = if places.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// For each parameter here, whether the past study set it too: numbers to any number, choices to one of the values here.
fn shared(space: &Space, past: &Past) -> Vec<bool> {
    let is_shared = |(parameter, axis): (&Parameter, &Axis)| {
        let is_number = range(&parameter.domain).is_some();
        let is_alike =
            |value: &Value| axis.coordinate_of(value).is_some() || (is_number && value.is_number());
        past.trials.iter().filter_map(|trial| trial.params.get(&parameter.name)).any(is_alike)
    };
    space.parameters().iter().zip(space.axes()).map(is_shared).collect()
}

/// A trial reduced to what is shared, and its point here; `None` where a value or a rule keeps it outside.
fn told(space: &Space, shared: &[bool], trial: &PastTrial) -> Option<(PastTrial, Point)> {
    let mut params = trial.params.clone();
    params.retain(|name, _| space.place(name).is_some_and(|place| shared[place]));
    let repaired = space.repair(&params).ok()?;
    let is_within = !repaired.changes.iter().any(|change| is_clamped(space, change));
    is_within.then_some((PastTrial { params, loss: trial.loss }, repaired.point))
}

/// Whether a number had to be moved to an end of its range. One between two steps is merely rounded.
fn is_clamped(space: &Space, change: &Change) -> bool {
    let counts = change.taken.is_some();
    let given = change.given.as_ref().and_then(Value::as_f64);
    let range = space.place(&change.parameter).and_then(|place| range(&space.parameters()[place].domain));
    counts && matches!((given, range), (Some(given), Some((low, high))) if !(low..=high).contains(&given))
}

/// The ends of a parameter whose values are numbers in order.
fn range(domain: &Domain) -> Option<(f64, f64)> {
    match domain {
        Domain::Float { low, high, .. } => Some((*low, *high)),
        Domain::Int { low, high, .. } => Some((*low as f64, *high as f64)),
        Domain::Ordinal { values, .. } => {
            let numbers = values.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()?;
            let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Some((low, high))
        }
        Domain::Bool | Domain::Categorical { .. } => None,
    }
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
        space: format!("{:016x}", options.space.fingerprint()),
        subject: subject(options),
        direction: match options.direction() {
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
            goals: Vec::new(),
            ranking: None,
            pruner: None,
            steps: None,
            tokens_max: None,
            usd_max: None,
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

    /// A study that sets each of these parameters to 0, 1, 2, …
    fn study(run: &str, at: u64, subject: &str, names: &[&str], values: &[Option<f64>]) -> Record {
        let trials = values.iter().enumerate().map(|(place, value)| StudyTrial {
            params: names.iter().map(|name| ((*name).to_owned(), (place as f64).into())).collect(),
            value: *value,
            origin: "tpe".into(),
            note: None,
        });
        Record::Study(Box::new(Study {
            run: RunId::new(run),
            at,
            space: "of another version".into(),
            subject: subject.into(),
            direction: metric::Direction::Maximize,
            trials: trials.collect(),
        }))
    }

    /// A study of weight 1 with these configurations; their losses are 0, 1, 2, …
    fn earlier(configurations: &[&str]) -> Past {
        let trial = |(place, params): (usize, &&str)| PastTrial {
            params: serde_json::from_str(params).unwrap(),
            loss: Some(place as f64),
        };
        let trials = configurations.iter().enumerate().map(trial).collect();
        Past { name: "earlier".into(), weight: 1.0, trials }
    }

    fn losses(past: &Past) -> Vec<Option<f64>> {
        past.trials.iter().map(|trial| trial.loss).collect()
    }

    #[test]
    fn studies_of_the_same_command_are_told_first_then_those_that_share_more_then_the_latest() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), Arc::new(ManualClock::default()));
        let space = Builder::new().float("x", 0.0, 9.0).float("y", 0.0, 9.0).build().unwrap();
        let some = [Some(1.0), None, Some(3.0), Some(2.0)];
        let records = vec![
            study("old", 1, "sort", &["x", "y"], &some),
            study("new", 2, "merge", &["x", "y"], &some),
            study("newer", 3, "merge", &["w", "x", "y"], &some),
            study("half", 4, "merge", &["y"], &some),
            study("part", 5, "sort", &["x"], &some),
            study("elsewhere", 6, "sort", &["w"], &some),
            study("short", 7, "sort", &["x", "y"], &some[..3]),
        ];
        memory.append(&RunId::new("r"), records).unwrap();
        let (found, warnings) = pasts(&memory, &options("sort", space));
        let told: Vec<(&str, f64)> = found.iter().map(|past| (past.name.as_str(), past.weight)).collect();
        let expected = vec![("old", 1.0), ("part", 0.5), ("newer", 0.5), ("new", 0.5), ("half", 0.25)];
        assert_eq!((told, warnings), (expected, Vec::new()));
        assert_eq!(losses(&found[0]), [Some(-1.0), None, Some(-3.0), Some(-2.0)]);
    }

    #[test]
    fn no_more_studies_are_told_than_a_search_can_use() {
        let space = Builder::new().float("x", 0.0, 9.0).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), Arc::new(ManualClock::default()));
        let others = (0..15).map(|at| study(&format!("s{at}"), at, "merge", &["x"], &[Some(1.0); 3]));
        memory.append(&RunId::new("r"), others.collect()).unwrap();
        let (found, _) = pasts(&memory, &options("sort", space));
        assert_eq!((found.len(), found[0].name.as_str()), (PASTS_MAX, "s14"));
    }

    #[test]
    fn new_defaults_and_wider_ranges_hide_nothing_and_what_lies_outside_narrower_ones_is_left_out() {
        let tried = earlier(&[r#"{"x": 1}"#, r#"{"x": 2}"#, r#"{"x": 48}"#, r#"{"x": 64}"#, r#"{"x": 70}"#]);
        let wider = Builder::new().float("x", 0.0, 1000.0).default_value(500.0).build().unwrap();
        assert_eq!(carried(&wider, &tried), Ok(tried.clone()));
        let narrower = Builder::new().int("x", 2, 64).build().unwrap();
        assert_eq!(losses(&carried(&narrower, &tried).unwrap()), [Some(1.0), Some(2.0), Some(3.0)]);
        // Between two of the values is not outside.
        let listed = Builder::new().ordinal("x", [2, 32, 64]).build().unwrap();
        assert_eq!(losses(&carried(&listed, &tried).unwrap()), [Some(1.0), Some(2.0), Some(3.0)]);
        let aside = Builder::new().float("x", 50.0, 100.0).build().unwrap();
        assert_eq!(
            carried(&aside, &tried).unwrap_err(),
            "the study earlier teaches nothing here: trials that lie within this space and have a value: 2 of 5, \
             at least 3 are needed"
        );
    }

    #[test]
    fn a_parameter_of_another_kind_is_another_parameter() {
        let space = Builder::new()
            .float("x", 0.0, 1.0)
            .categorical("method", ["a", "b"])
            .bool("fast")
            .categorical("order", ["up", "down"])
            .build()
            .unwrap();
        let tried = earlier(&[
            r#"{"x": 0.1, "method": "b", "fast": 3, "order": "left"}"#,
            r#"{"x": 0.2, "method": "c", "fast": 3, "order": "left"}"#,
            r#"{"x": 0.3, "method": "a", "fast": 4, "order": "right"}"#,
            r#"{"x": 0.4, "method": "a", "fast": 4, "order": "right"}"#,
        ]);
        let found = carried(&space, &tried).unwrap();
        assert_eq!((found.weight, losses(&found)), (0.5, vec![Some(0.0), Some(2.0), Some(3.0)]));
        assert_eq!(serde_json::to_string(&found.trials[0].params).unwrap(), r#"{"method":"b","x":0.1}"#);
    }

    #[test]
    fn a_study_that_shares_less_than_half_is_refused_with_what_it_lacks() {
        let space = Builder::new().int("a", 0, 9).float("b", 0.0, 1.0).bool("c").build().unwrap();
        let tried =
            earlier(&[r#"{"a": 1, "b": "low"}"#, r#"{"a": 2, "b": "low"}"#, r#"{"a": 3, "b": "high"}"#]);
        assert_eq!(
            carried(&space, &tried).unwrap_err(),
            "the study earlier teaches nothing here: it shares 1 of the 3 parameters that count, at least half are \
             needed; missing or of another kind: `b`, `c`"
        );
        let unlike = earlier(&[r#"{"d": 1}"#, r#"{"d": 2}"#, r#"{"d": 3}"#]);
        assert_eq!(
            carried(&space, &unlike).unwrap_err(),
            "the study earlier teaches nothing here: it sets none of the parameters of this space"
        );
    }

    #[test]
    fn parameters_of_a_choice_that_was_never_made_are_not_missed() {
        let linear = Builder::new().log_float("penalty", 1e-4, 1e2).build().unwrap();
        let forest = Builder::new().int("trees", 1, 9).int("depth", 1, 9).int("leaf", 1, 9).build().unwrap();
        let models = [("linear", Some(linear)), ("forest", Some(forest))];
        let space = Builder::new().choice("model", models).build().unwrap();
        let only = |penalty: &str| format!(r#"{{"model": "linear", "linear.penalty": {penalty}}}"#);
        let tried = [only("0.01"), only("0.1"), only("1")];
        let tried = earlier(&tried.each_ref().map(String::as_str));
        assert_eq!(carried(&space, &tried), Ok(tried.clone()));
    }
}
