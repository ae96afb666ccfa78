//! What every sampler must keep, run against each of them.

use super::*;
use crate::query::Answer;
use crate::sampler::{History, Sampler};
use crate::space::{Builder, Params, Space};
use crate::study::{Ask, Options, Study, Suggestion};
use crate::transfer::{Past, PastTrial};
use crate::trial::{Direction, Outcome, Trial};
use ansatz_core::seed::Seed;

type Make = fn(&str) -> Option<Box<dyn Sampler>>;

/// Every sampler by name, new for each case.
fn samplers() -> Vec<(&'static str, Maker)> {
    let make: Make = by_name;
    let named = |name: &'static str| (name, Box::new(move || make(name).unwrap()) as Maker);
    let mut all: Vec<(&'static str, Maker)> = NAMES.iter().copied().map(named).collect();
    all.push(("transfer", Box::new(|| Box::new(Transferred::new(vec![past()], vec![(Params::new(), 1.0)])))));
    all
}

type Maker = Box<dyn Fn() -> Box<dyn Sampler>>;

/// A study of parameters of which some are in some of the spaces here.
fn past() -> Past {
    let trial = |k: i64| PastTrial {
        params: Params::from([("a".into(), (k % 3 + 1).into()), ("c".into(), (k as f64 / 10.0).into())]),
        loss: (k != 4).then_some((k - 3).pow(2) as f64),
    };
    Past { name: "another".into(), weight: 1.0, trials: (1..10).map(trial).collect() }
}

/// Ten dimensions of every kind.
fn mixed() -> Space {
    Builder::new()
        .float("a", -2.0, 3.0)
        .log_float("b", 1e-6, 1.0)
        .float("c", 0.0, 1.0)
        .log_float("d", 0.1, 10.0)
        .int("e", -5, 5)
        .log_int("f", 1, 4096)
        .int("g", 0, 100_000)
        .categorical("h", ["x", "y", "z"])
        .bool("i")
        .ordinal("j", [1, 2, 5, 10])
        .build()
        .unwrap()
}

fn tree() -> Space {
    let svm = Builder::new().log_float("c", 1e-3, 1e3).categorical("kernel", ["rbf", "poly"]);
    let svm = svm.int("degree", 2, 5).when("kernel", ["poly"]).build().unwrap();
    let forest = Builder::new().int("trees", 10, 500).float("share", 0.1, 1.0).build().unwrap();
    Builder::new()
        .choice("model", [("svm", Some(svm)), ("forest", Some(forest)), ("constant", None)])
        .bool("scale")
        .build()
        .unwrap()
}

fn tiny() -> Space {
    Builder::new().int("a", 1, 3).bool("b").build().unwrap()
}

fn study(space: Space, seed: u64, sampler: Box<dyn Sampler>) -> Study {
    let mut options = Options::new(Direction::Minimize, Seed(seed));
    options.budget = Some(40);
    Study::new(space, options, sampler).unwrap()
}

fn suggestion(study: &mut Study) -> Suggestion {
    loop {
        match study.ask() {
            Ask::Suggestion(suggestion) => return suggestion,
            // Whoever asks a model must get on without one.
            Ask::Query(query) => {
                study.answer(query.id, Answer::Unavailable { cause: "nobody is there".into() }).unwrap();
            }
            Ask::Exhausted { reason } => panic!("no suggestion: {reason}"),
        }
    }
}

/// Why nothing is left, also when nobody answers; `None` if there is something.
fn exhausted(study: &mut Study) -> Option<String> {
    loop {
        match study.ask() {
            Ask::Exhausted { reason } => return Some(reason),
            Ask::Suggestion(_) => return None,
            Ask::Query(query) => {
                study.answer(query.id, Answer::Unavailable { cause: "nobody is there".into() }).unwrap();
            }
        }
    }
}

/// Something smooth, on every kind of parameter.
fn bowl(params: &Params) -> f64 {
    let term = |value: &serde_json::Value| match value {
        serde_json::Value::Bool(yes) => f64::from(u8::from(*yes)),
        serde_json::Value::String(text) => text.len() as f64 / 10.0 + f64::from(text.as_bytes()[0]) / 100.0,
        other => (other.as_f64().unwrap() - 0.3).abs().ln_1p(),
    };
    params.values().map(term).sum()
}

/// Runs `trials` trials and gives their configurations.
fn run(study: &mut Study, trials: usize, outcome: impl Fn(usize, &Params) -> Outcome) -> Vec<Params> {
    (0..trials)
        .map(|at| {
            let asked = suggestion(study);
            assert_ne!(asked.origin, "chance", "trial {at} was replaced: {:?}", asked.note);
            study.tell(asked.number, outcome(at, &asked.params)).unwrap();
            asked.params
        })
        .collect()
}

#[test]
fn stays_inside_and_never_repeats() {
    for (name, sampler) in samplers() {
        for space in [mixed(), tree()] {
            let mut study = study(space.clone(), 1, sampler());
            let asked = run(&mut study, 40, |_, params| bowl(params).into());
            for (at, params) in asked.iter().enumerate() {
                assert!(space.point(params).is_ok(), "{name}: {params:?}");
                assert!(!asked[..at].contains(params), "{name} repeats {params:?}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_search_and_another_one_another() {
    for (name, sampler) in samplers() {
        let search = |seed| run(&mut study(mixed(), seed, sampler()), 16, |_, params| bowl(params).into());
        assert_eq!(search(5), search(5), "{name}");
        assert_ne!(search(5), search(6), "{name}");
    }
}

#[test]
fn goes_on_after_a_replay_as_if_nothing_had_happened() {
    for (name, sampler) in samplers() {
        let mut whole = study(tree(), 3, sampler());
        run(&mut whole, 20, |_, params| bowl(params).into());
        let mut again = Study::replay(whole.operations().to_vec(), sampler()).unwrap();
        for _ in 0..3 {
            let (a, b) = (suggestion(&mut whole), suggestion(&mut again));
            assert_eq!(a, b, "{name}");
            whole.tell(a.number, 0.5).unwrap();
            again.tell(b.number, 0.5).unwrap();
        }
    }
}

#[test]
fn survives_failures_odd_numbers_and_extremes() {
    for (name, sampler) in samplers() {
        let mut study = study(mixed(), 2, sampler());
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.0, f64::MIN_POSITIVE];
        let asked = run(&mut study, 30, |at, params| match at % 9 {
            7 => Outcome::Failed("it fell over".into()),
            8 => bowl(params).into(),
            at => odd[at].into(),
        });
        assert_eq!(asked.len(), 30, "{name}");
    }
}

#[test]
fn survives_that_everything_fails_and_that_nothing_ever_changes() {
    for (_, sampler) in samplers() {
        run(&mut study(mixed(), 2, sampler()), 20, |_, _| Outcome::Failed("no".into()));
        let asked = run(&mut study(mixed(), 2, sampler()), 30, |_, _| 4.25.into());
        // A search that learns nothing must go on looking everywhere.
        let lows = asked.iter().filter(|params| params["c"].as_f64().unwrap() < 0.5).count();
        assert!((4..=26).contains(&lows), "{lows} of 30 in one half");
    }
}

#[test]
fn uses_up_a_tiny_space_and_says_so() {
    for (name, sampler) in samplers() {
        let mut study = study(tiny(), 4, sampler());
        let asked = run(&mut study, 6, |_, params| bowl(params).into());
        for (at, params) in asked.iter().enumerate() {
            assert!(!asked[..at].contains(params), "{name} repeats {params:?}");
        }
        let reason = exhausted(&mut study).unwrap_or_else(|| panic!("{name} goes on"));
        assert_eq!(reason, "every configuration of the space has been tried", "{name}");
    }
}

#[test]
fn finds_the_few_that_keep_a_tight_rule_and_says_when_they_are_used_up() {
    let grid = Builder::new().int("a", 1, 128).int("b", 1, 128).rule("a * b == 64").build().unwrap();
    for (name, sampler) in samplers() {
        let mut study = study(grid.clone(), 4, sampler());
        let asked = run(&mut study, 7, |_, params| bowl(params).into());
        for (at, params) in asked.iter().enumerate() {
            let side = |name: &str| params[name].as_i64().unwrap();
            assert_eq!(side("a") * side("b"), 64, "{name}");
            assert!(!asked[..at].contains(params), "{name} repeats {params:?}");
        }
        let reason = exhausted(&mut study).unwrap_or_else(|| panic!("{name} goes on"));
        assert!(reason.contains("has been tried") && reason.contains("`a * b == 64`"), "{name}: {reason}");
    }
}

#[test]
fn says_that_nothing_keeps_the_rules() {
    let grid = Builder::new().int("a", 1, 128).int("b", 1, 128).rule("a * b == 131").build().unwrap();
    let real =
        Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).rule("x + y <= 1e-9").build().unwrap();
    for (name, sampler) in samplers() {
        let reason = exhausted(&mut study(grid.clone(), 4, sampler()));
        let wanted = "no configuration of the space keeps the constraints (`a * b == 131`)";
        assert_eq!(reason.as_deref(), Some(wanted), "{name}");
        let reason = exhausted(&mut study(real.clone(), 4, sampler()));
        let wanted = "no configuration was found that keeps the constraints (`x + y <= 1e-9`)";
        assert_eq!(reason.as_deref(), Some(wanted), "{name}");
    }
}

#[test]
fn goes_on_from_a_start_beside_which_hardly_anything_keeps_the_rules() {
    let space =
        Builder::new().float("x", 0.0, 1.0).default_value(0.0).float("y", 0.0, 1.0).default_value(0.0);
    let space = space.rule("x + y <= 0.0001").build().unwrap();
    for (name, sampler) in samplers() {
        let asked = run(&mut study(space.clone(), 8, sampler()), 12, |_, params| bowl(params).into());
        for (at, params) in asked.iter().enumerate() {
            assert!(space.broken_rule(params).is_none(), "{name}: {params:?}");
            assert!(!asked[..at].contains(params), "{name} repeats {params:?}");
        }
    }
}

#[test]
fn several_under_way_are_all_different() {
    for (name, sampler) in samplers() {
        let mut study = study(tree(), 6, sampler());
        run(&mut study, 12, |_, params| bowl(params).into());
        let pending: Vec<Suggestion> = (0..8).map(|_| suggestion(&mut study)).collect();
        for (at, one) in pending.iter().enumerate() {
            assert!(pending[..at].iter().all(|other| other.params != one.params), "{name}");
        }
        // They may end in any order.
        for one in pending.iter().rev() {
            study.tell(one.number, bowl(&one.params)).unwrap();
        }
        suggestion(&mut study);
    }
}

#[test]
fn keeps_the_rules_of_the_space() {
    let space =
        Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).rule("x + y <= 0.5").build().unwrap();
    for (_, sampler) in samplers() {
        let asked = run(&mut study(space.clone(), 8, sampler()), 25, |_, params| bowl(params).into());
        assert!(asked.iter().all(|params| space.broken_rule(params).is_none()));
    }
}

#[test]
fn takes_stopped_trials_for_what_they_are() {
    for (_, sampler) in samplers() {
        let mut study = study(mixed(), 9, sampler());
        for at in 0..24 {
            let asked = suggestion(&mut study);
            study.report(asked.number, 1, bowl(&asked.params)).unwrap();
            let outcome = if at % 2 == 0 { Outcome::Pruned } else { bowl(&asked.params).into() };
            study.tell(asked.number, outcome).unwrap();
        }
    }
}

#[test]
fn chooses_from_a_pool() {
    for (name, sampler) in samplers() {
        let space = mixed();
        let pool: Vec<Params> = (0..50)
            .map(|seed| {
                let mut rng = super::fresh(Seed(seed), "pool");
                space.params(&space.random(&mut rng).unwrap())
            })
            .collect();
        let mut study = study(space, 10, sampler());
        let mut places = std::collections::HashSet::new();
        for _ in 0..50 {
            let Ask::Suggestion(asked) = study.ask_among(&pool).unwrap() else {
                panic!("{name}: no suggestion")
            };
            assert!(places.insert(asked.place.unwrap()), "{name}");
            study.tell(asked.number, bowl(&asked.params)).unwrap();
        }
        assert!(matches!(study.ask_among(&pool), Ok(Ask::Exhausted { .. })), "{name}");
    }
}

/// Those that learn beat chance on a smooth function by a clear margin.
#[test]
fn learning_pays() {
    for (name, sampler) in samplers() {
        // Evolution needs more than one generation.
        if matches!(name, "random" | "sobol" | "nsga2") {
            continue;
        }
        let space =
            Builder::new().float("x", -3.0, 3.0).float("y", -3.0, 3.0).int("k", 0, 20).build().unwrap();
        let value = |params: &Params| {
            let at = |name: &str| params[name].as_f64().unwrap();
            (at("x") - 1.0).powi(2) + (at("y") + 0.5).powi(2) + (at("k") - 7.0).powi(2) / 40.0
        };
        let best = |sampler: &dyn Fn() -> Box<dyn Sampler>| -> f64 {
            let bests = (0..6).map(|seed| {
                let mut study = study(space.clone(), seed, sampler());
                run(&mut study, 40, |_, params| value(params).into());
                study.best().unwrap().values().unwrap()[0]
            });
            bests.sum()
        };
        let (ours, chance) = (best(&sampler), best(&|| Box::new(Random)));
        assert!(ours < 0.5 * chance, "{name}: {ours} against {chance} by chance");
    }
}

/// A history is all that a decision may depend on.
#[test]
fn a_second_instance_decides_the_same() {
    for (name, sampler) in samplers() {
        let mut study = study(mixed(), 12, sampler());
        run(&mut study, 15, |_, params| bowl(params).into());
        let history: History<'_> = study.history();
        assert_eq!(sampler().next(&history), sampler().next(&history), "{name}");
    }
}

#[test]
fn of_two_goals_a_wider_front_is_found_than_by_chance() {
    let space =
        Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).float("z", 0.0, 1.0).build().unwrap();
    // Zitzler, Deb & Thiele's first problem: the front is where y and z are zero.
    let values = |params: &Params| {
        let at = |name: &str| params[name].as_f64().unwrap();
        let g = 1.0 + 4.5 * (at("y") + at("z"));
        vec![at("x"), g * (1.0 - (at("x") / g).sqrt())]
    };
    let covered = |name: &str, trials: usize| -> f64 {
        let volumes = (0..3).map(|seed| {
            let mut options = Options::new(Direction::Minimize, Seed(seed));
            options.goals = vec![Direction::Minimize; 2];
            let mut study = Study::new(space.clone(), options, by_name(name).unwrap()).unwrap();
            run(&mut study, trials, |_, params| Outcome::Values(values(params)));
            let front: Vec<Vec<f64>> =
                study.front().iter().map(|trial| trial.values().unwrap().to_vec()).collect();
            crate::front::hypervolume(&front, &[1.1, 6.0])
        });
        volumes.sum::<f64>() / 3.0
    };
    let chance = covered("random", 40);
    // The whole front covers 6.0 · 1.1 − 1/3 − 0.1 · … ≈ 6.17.
    let (volume, auto, evolved) = (covered("ehvi", 40), covered("auto", 40), covered("nsga2", 150));
    assert!(volume > chance + 0.25 && volume > 5.9, "ehvi {volume} against {chance}");
    assert_eq!(volume, auto);
    assert!(evolved > covered("random", 150) + 0.05, "nsga2 {evolved}");
}

#[test]
fn more_goals_than_volumes_are_searched_too() {
    for name in NAMES {
        let mut options = Options::new(Direction::Maximize, Seed(1));
        options.goals =
            vec![Direction::Maximize, Direction::Minimize, Direction::Maximize, Direction::Minimize];
        let mut study = Study::new(tree(), options, by_name(name).unwrap()).unwrap();
        run(&mut study, 30, |at, params| match at % 5 {
            4 => Outcome::Failed("no".into()),
            _ => Outcome::Values(vec![bowl(params), 1.0, at as f64, -bowl(params)]),
        });
        assert!(!study.front().is_empty(), "{name}");
    }
}

#[test]
fn two_goals_a_rule_failures_and_several_workers_go_together() {
    let space = Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).int("k", 1, 4);
    let space = space.rule("x + y <= 1").build().unwrap();
    let goals = [Direction::Maximize, Direction::Minimize];
    let outcome = |asked: &Suggestion| -> Outcome {
        let at = |name: &str| asked.params[name].as_f64().unwrap();
        match asked.number.0 % 7 {
            6 => Outcome::Failed("no memory".into()),
            _ => Outcome::Values(vec![at("x") * at("k"), at("x") + (at("y") - 0.5).powi(2)]),
        }
    };
    for (name, sampler) in samplers() {
        let mut options = Options::new(Direction::Maximize, Seed(5));
        (options.goals, options.budget) = (goals.to_vec(), Some(36));
        let mut study = Study::new(space.clone(), options, sampler()).unwrap();
        let mut under_way = std::collections::VecDeque::new();
        for _ in 0..36 {
            under_way.push_back(suggestion(&mut study));
            if under_way.len() == 3 {
                let first = under_way.pop_front().unwrap();
                study.tell(first.number, outcome(&first)).unwrap();
            }
        }
        for left in under_way {
            study.tell(left.number, outcome(&left)).unwrap();
        }
        for (at, trial) in study.trials().iter().enumerate() {
            assert!(space.point(&trial.params).is_ok(), "{name}: {:?}", trial.params);
            assert!(study.trials()[..at].iter().all(|other| other.params != trial.params), "{name}");
        }
        let losses = |trial: &Trial| -> Option<Vec<f64>> {
            Some(trial.values()?.iter().zip(goals).map(|(value, goal)| goal.loss(*value)).collect())
        };
        let all: Vec<Vec<f64>> = study.trials().iter().filter_map(losses).collect();
        assert_eq!(all.len(), 31, "{name}");
        let front: Vec<u32> = study.front().iter().map(|trial| trial.number.0).collect();
        let unbeaten = study.trials().iter().filter(|trial| {
            losses(trial).is_some_and(|own| !all.iter().any(|other| crate::front::dominates(other, &own)))
        });
        let unbeaten: Vec<u32> = unbeaten.map(|trial| trial.number.0).collect();
        assert!(front == unbeaten && front.len() > 1, "{name}: {front:?}, not {unbeaten:?}");
        let mut again = Study::replay(study.operations().to_vec(), sampler()).unwrap();
        assert_eq!(again.trials(), study.trials(), "{name}");
        assert_eq!(suggestion(&mut again), suggestion(&mut study), "{name}");
    }
}

#[test]
fn the_default_says_which_method_is_at_work() {
    let mut one = study(mixed(), 1, by_name("auto").unwrap());
    suggestion(&mut one);
    assert!(one.reason().starts_with("Gaussian process"), "{}", one.reason());
    for at in 0..250 {
        let params = one.space().params(&one.space().random(&mut fresh(Seed(at), "far")).unwrap());
        one.adopt(&params, bowl(&params).into(), "elsewhere").unwrap();
    }
    suggestion(&mut one);
    assert!(one.reason().starts_with("Parzen"), "{}", one.reason());
}
