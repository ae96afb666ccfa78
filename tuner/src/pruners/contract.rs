//! What every pruner must keep, run against each of them.

use super::*;
use crate::pruner::Advice;
use crate::samplers::Random;
use crate::space::Builder;
use crate::study::{Ask, Options, Study};
use crate::trial::{Direction, Outcome, TrialNumber};
use ansatz_core::seed::Seed;

const STEPS: u64 = 27;

fn study(name: &str, goal: Direction) -> Study {
    let space = Builder::new().float("x", 0.0, 1.0).build().unwrap();
    let study = Study::new(space, Options::new(goal, Seed(3)), Box::new(Random)).unwrap();
    study.with_pruner(by_name(name, STEPS).unwrap())
}

fn begin(study: &mut Study) -> TrialNumber {
    match study.ask() {
        Ask::Suggestion(suggestion) => suggestion.number,
        other => panic!("no suggestion but {other:?}"),
    }
}

/// Runs a trial whose reports wobble around `level`; gives the step at which it was stopped, if it was.
fn run(study: &mut Study, level: f64) -> Option<u64> {
    let number = begin(study);
    for step in 1..=STEPS {
        let wobble = 0.01 * ((step * 7 % 5) as f64 - 2.0);
        if study.report(number, step, level + wobble).unwrap().is_stop() {
            study.tell(number, Outcome::Pruned).unwrap();
            return Some(step);
        }
    }
    study.tell(number, level).unwrap();
    None
}

#[test]
fn the_best_are_never_stopped_and_the_hopeless_are() {
    for name in NAMES {
        for (goal, sign) in [(Direction::Minimize, 1.0), (Direction::Maximize, -1.0)] {
            let mut study = study(name, goal);
            for k in 0..30 {
                run(&mut study, sign * (1.0 + f64::from(k * 7 % 10)));
            }
            assert_eq!(run(&mut study, sign * 0.5), None, "{name} stopped the best");
            let stopped =
                (0..10).filter(|_| run(&mut study, sign * 50.0).is_some_and(|step| step < STEPS)).count();
            assert!(stopped >= 7, "{name} stopped {stopped} of 10 hopeless ones");
        }
    }
}

#[test]
fn the_first_trial_always_ends() {
    for name in NAMES {
        assert_eq!(run(&mut study(name, Direction::Minimize), 9.0), None, "{name}");
    }
}

#[test]
fn equals_are_not_stopped() {
    for name in NAMES {
        let mut study = study(name, Direction::Minimize);
        assert!((0..20).all(|_| run(&mut study, 2.0).is_none()), "{name}");
    }
}

#[test]
fn a_trial_without_reports_or_with_odd_ones_is_no_trouble() {
    for name in NAMES {
        let mut study = study(name, Direction::Minimize);
        for _ in 0..5 {
            let number = begin(&mut study);
            study.tell(number, 1.0).unwrap();
        }
        let number = begin(&mut study);
        assert_eq!(study.report(number, 0, 1e300).unwrap(), Advice::Continue, "{name}");
        assert_eq!(study.report(number, u64::MAX, 1e300).unwrap(), Advice::Continue, "{name}");
        assert!(study.report(number, 3, f64::NAN).unwrap().is_stop(), "{name}");
    }
}

#[test]
fn a_replayed_study_gives_the_same_verdict() {
    for name in NAMES {
        let mut study = study(name, Direction::Minimize);
        for k in 0..16 {
            run(&mut study, f64::from(k * 5 % 16));
        }
        let again = Study::replay(study.operations().to_vec(), Box::new(Random)).unwrap();
        let mut again = again.with_pruner(by_name(name, STEPS).unwrap());
        for level in [3.0, 8.0, 14.0] {
            assert_eq!(run(&mut study, level), run(&mut again, level), "{name}");
        }
    }
}

#[test]
fn a_trial_under_way_is_judged_on_after_a_replay_and_anew_when_it_begins_anew() {
    for name in NAMES {
        let mut study = study(name, Direction::Minimize);
        for k in 0..16 {
            run(&mut study, f64::from(k * 5 % 16));
        }
        let number = begin(&mut study);
        let value = |step: u64| 12.0 + step as f64 / 100.0;
        let early: Vec<Advice> =
            (1..4).map(|step| study.report(number, step, value(step)).unwrap()).collect();
        let replayed = || {
            let again = Study::replay(study.operations().to_vec(), Box::new(Random)).unwrap();
            again.with_pruner(by_name(name, STEPS).unwrap())
        };
        let (mut goes_on, mut begins_anew) = (replayed(), replayed());
        let repeated: Vec<Advice> =
            (1..4).map(|step| begins_anew.report(number, step, value(step)).unwrap()).collect();
        assert_eq!(repeated, early, "{name}");
        let late = |study: &mut Study| -> Vec<Advice> {
            (4..=STEPS).map(|step| study.report(number, step, value(step)).unwrap()).collect()
        };
        let verdicts = late(&mut study);
        assert_eq!(late(&mut goes_on), verdicts, "{name}");
        assert_eq!(late(&mut begins_anew), verdicts, "{name}");
        assert!(*name == "hyperband" || verdicts.iter().any(Advice::is_stop), "{name} stops nothing");
    }
}

#[test]
fn rungs_begin_at_once_when_nobody_knows_how_often_trials_report() {
    assert_eq!(Asha::new(1).first, 1);
    assert_eq!(Hyperband::new(0).brackets(), 1);
    let mut study = study("asha", Direction::Minimize).with_pruner(by_name(NAMES[0], 1).unwrap());
    for k in 0..8 {
        run(&mut study, f64::from(k));
    }
    assert_eq!(run(&mut study, 50.0), Some(1));
}

#[test]
fn halving_keeps_about_one_in_four() {
    let mut study = study("asha", Direction::Minimize);
    let ended = (0..200u32).filter(|k| run(&mut study, f64::from(k * 37 % 200)).is_none()).count();
    // Rungs at 1, 4 and 16: one in 64 at best, more because early ones pass.
    assert!((3..=40).contains(&ended), "{ended} of 200 reached the end");
}

#[test]
fn brackets_share_the_trials() {
    let hyperband = Hyperband::new(900);
    assert_eq!(hyperband.brackets(), 5);
    let mut counts = [0; 5];
    for trial in 0..2_000 {
        counts[hyperband.bracket(Seed(1), TrialNumber(trial)) as usize] += 1;
    }
    assert!(counts[0] > counts[2] && counts.iter().all(|count| *count > 20), "{counts:?}");
}
