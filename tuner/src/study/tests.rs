//! Studies: what may follow what, and that a replayed one goes on as the other would have.

use super::*;
use crate::samplers::Random;
use crate::space::Builder;
use serde_json::json;

fn space() -> Space {
    Builder::new().float("x", -1.0, 1.0).int("k", 1, 3).build().unwrap()
}

fn study() -> Study {
    Study::new(space(), Options::new(Direction::Minimize, Seed(1)), Box::new(Random)).unwrap()
}

fn suggested(study: &mut Study) -> Suggestion {
    match study.ask() {
        Ask::Suggestion(suggestion) => suggestion,
        other => panic!("no suggestion but {other:?}"),
    }
}

fn params(x: f64, k: i64) -> Params {
    Params::from([("x".into(), json!(x)), ("k".into(), json!(k))])
}

#[test]
fn the_best_is_the_best_of_what_gave_numbers() {
    let mut study = study();
    for outcome in [
        Outcome::from(2.0),
        Outcome::from(f64::NAN),
        Outcome::from(f64::NEG_INFINITY),
        Outcome::Failed("no disk".into()),
        Outcome::Pruned,
        Outcome::from(1.0),
        Outcome::from(1.0),
    ] {
        let number = suggested(&mut study).number;
        study.tell(number, outcome).unwrap();
    }
    assert_eq!(study.best().unwrap().number, TrialNumber(5));
    assert!(
        matches!(&study.trials()[1].state, TrialState::Failed { reason } if reason == "its value is NaN")
    );
    assert!(
        matches!(&study.trials()[2].state, TrialState::Failed { reason } if reason == "its value is -inf")
    );
}

#[test]
fn nothing_can_be_told_twice_or_of_nobody() {
    let mut study = study();
    let number = suggested(&mut study).number;
    assert_eq!(study.tell(TrialNumber(9), 1.0), Err(StudyError::NoTrial(TrialNumber(9))));
    assert!(matches!(study.tell(number, Outcome::Values(vec![1.0, 2.0])), Err(StudyError::Values { .. })));
    study.tell(number, 1.0).unwrap();
    assert_eq!(study.tell(number, 2.0), Err(StudyError::Ended(number)));
    assert_eq!(study.report(number, 1, 2.0), Err(StudyError::Ended(number)));
    assert_eq!(study.answer(0, Answer::Unavailable { cause: String::new() }), Err(StudyError::NoQuery(0)));
}

#[test]
fn what_was_enqueued_comes_first_and_is_checked() {
    let mut study = study();
    study.enqueue(params(0.25, 2), "memory").unwrap();
    assert!(study.enqueue(params(0.25, 7), "memory").is_err());
    let first = suggested(&mut study);
    assert_eq!((first.params, first.origin.as_str()), (params(0.25, 2), "memory"));
    assert_eq!(suggested(&mut study).origin, "random");
}

#[test]
fn a_replayed_study_goes_on_as_the_other_would_have() {
    let mut study = study();
    study.enqueue(params(0.5, 1), "user").unwrap();
    for step in 0..6 {
        let suggestion = suggested(&mut study);
        study.report(suggestion.number, 1, 3.0).unwrap();
        let outcome = if step == 3 { Outcome::Failed("odd".into()) } else { Outcome::from(f64::from(step)) };
        study.tell(suggestion.number, outcome).unwrap();
    }
    let pending = suggested(&mut study);
    let lines: Vec<String> =
        study.operations().iter().map(|operation| serde_json::to_string(operation).unwrap()).collect();
    let read = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let mut again = Study::replay(read, Box::new(Random)).unwrap();
    assert_eq!(again.trials(), study.trials());
    assert!(again.trials()[pending.number.0 as usize].is_running());
    assert_eq!(again.operations(), study.operations());
    assert_eq!(again.ask(), study.ask());
}

#[test]
fn a_journal_of_something_else_is_refused() {
    let told = Operation::Completed { number: TrialNumber(0), values: vec![1.0] };
    assert!(matches!(
        Study::replay([told.clone()], Box::new(Random)),
        Err(StudyError::Journal { at: 0, .. })
    ));
    let started = study().operations()[0].clone();
    assert!(matches!(
        Study::replay([started.clone(), told], Box::new(Random)),
        Err(StudyError::Journal { at: 1, .. })
    ));
    assert!(Study::replay([started.clone(), started], Box::new(Random)).is_err());
}

#[test]
fn a_pool_is_chosen_from_without_repetition() {
    let mut study = study();
    let pool: Vec<Params> = (0..5).map(|k| params(f64::from(k) / 10.0, 1)).collect();
    let mut places = Vec::new();
    while let Ask::Suggestion(suggestion) = study.ask_among(&pool).unwrap() {
        let place = suggestion.place.unwrap();
        assert_eq!(suggestion.params, pool[place]);
        places.push(place);
        study.tell(suggestion.number, 1.0).unwrap();
    }
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3, 4]);
    assert_eq!(study.ask_among(&[]), Err(StudyError::EmptyPool));
}

#[test]
fn evaluations_from_elsewhere_are_adopted() {
    let mut study = study();
    study.adopt(&params(0.1, 1), Outcome::from(0.5), "earlier").unwrap();
    assert_eq!(study.best().unwrap().params, params(0.1, 1));
}

#[test]
fn of_several_goals_the_front_is_kept() {
    let options = Options {
        goals: vec![Direction::Maximize, Direction::Minimize],
        ..Options::new(Direction::Minimize, Seed(1))
    };
    let mut study = Study::new(space(), options, Box::new(Random)).unwrap();
    for values in [[1.0, 5.0], [2.0, 5.0], [2.0, 6.0], [0.5, 1.0]] {
        let number = suggested(&mut study).number;
        study.tell(number, Outcome::Values(values.to_vec())).unwrap();
    }
    let numbers: Vec<u32> = study.front().iter().map(|trial| trial.number.0).collect();
    assert_eq!(numbers, [1, 3]);
    assert!(matches!(
        Study::new(space(), Options { goals: vec![], seed: Seed(0), budget: None }, Box::new(Random)),
        Err(StudyError::Goals(0))
    ));
}

/// Proposes one and the same point, whatever rules there are.
struct Stubborn;

impl Sampler for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn next(&mut self, _: &History<'_>) -> Move {
        Point::new(vec![0.5, 0.0]).into()
    }
}

#[test]
fn a_point_that_breaks_a_rule_is_never_tried() {
    let with = |rule: &str| {
        let space = Builder::new().float("x", -1.0, 1.0).int("k", 1, 3).rule(rule).build().unwrap();
        Study::new(space, Options::new(Direction::Minimize, Seed(1)), Box::new(Stubborn)).unwrap()
    };
    let mut replaced = with("k >= 2");
    let first = suggested(&mut replaced);
    assert_eq!(first.origin, "chance");
    assert!(first.params["k"].as_i64().unwrap() >= 2 && first.note.unwrap().contains("stubborn"));
    let mut hopeless = with("k >= 4");
    assert!(matches!(hopeless.ask(), Ask::Exhausted { reason } if reason.contains("keeps the constraints")));
    assert!(hopeless.trials().is_empty() && hopeless.operations().len() == 1);
}

#[test]
fn a_step_that_is_reported_again_is_another_attempts() {
    let mut study = study();
    let number = suggested(&mut study).number;
    for (step, value) in [(1, 9.0), (3, 7.0), (2, 8.0), (1, 5.0), (2, 4.0)] {
        study.report(number, step, value).unwrap();
    }
    assert_eq!(study.trials()[0].reports, BTreeMap::from([(1, 5.0), (2, 4.0)]));
    let again = Study::replay(study.operations().to_vec(), Box::new(Random)).unwrap();
    assert_eq!(again.trials(), study.trials());
}

#[test]
fn a_report_that_is_no_number_ends_the_trial() {
    let mut study = study();
    let number = suggested(&mut study).number;
    assert!(study.report(number, 1, f64::NAN).unwrap().is_stop());
    assert!(study.trials()[0].reports.is_empty());
    assert_eq!(study.report(number, 2, 1.0).unwrap(), Advice::Continue);
}
