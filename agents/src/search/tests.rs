//! What is asked, what is never asked again, and that knowing helps.

use super::*;
use ansatz_core::candidate::Dimension;
use serde_json::json;

fn space() -> Space {
    Space::from([
        ("rate".into(), Dimension::Float { low: 0.001, high: 1.0, log: true, default: 0.1 }),
        ("share".into(), Dimension::Float { low: 0.0, high: 1.0, log: false, default: 0.5 }),
        ("leaves".into(), Dimension::Int { low: 2, high: 256, log: true, default: 31 }),
        (
            "kind".into(),
            Dimension::Categorical { values: vec![json!("a"), json!("b"), json!("c")], default: json!("a") },
        ),
    ])
}

/// A smooth hill with its top at rate 0.01, share 0.8, 64 leaves, kind `b`.
fn gain(params: &Params) -> f64 {
    let number = |name: &str| params[name].as_f64().unwrap();
    let rate = (number("rate").log10() + 2.0) / 3.0;
    let leaves = (number("leaves").log2() - 6.0) / 7.0;
    let kind = if params["kind"] == "b" { 0.0 } else { 0.1 };
    -(rate.powi(2) + (number("share") - 0.8).powi(2) + leaves.powi(2) + kind)
}

/// Asks so often, telling what `tell` makes of each configuration.
fn searched(
    space: Space,
    seed: u64,
    questions: usize,
    tell: impl Fn(&Params) -> Seen,
) -> Vec<(Params, Seen)> {
    let mut searcher = Searcher::new(space, Seed(seed));
    let mut known: Vec<(Params, Seen)> = Vec::new();
    for _ in 0..questions {
        let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
        let Some(params) = searcher.ask(&told) else { break };
        let seen = tell(&params);
        known.push((params, seen));
    }
    known
}

#[test]
fn the_first_question_is_the_default_and_none_is_repeated() {
    let known = searched(space(), 1, 70, |params| Seen::Scored(gain(params)));
    assert_eq!(known[0].0["leaves"], json!(31));
    let keys: BTreeSet<String> = known.iter().map(|(params, _)| key(params)).collect();
    assert_eq!(keys.len(), 70);
}

#[test]
fn what_is_known_is_not_asked() {
    let small = Space::from([("k".into(), Dimension::Int { low: 1, high: 5, log: false, default: 1 })]);
    let told = [1.0, 2.2, 4.0].map(|k| Params::from([("k".into(), json!(k))]));
    let seen = [Seen::Scored(0.5), Seen::Untold, Seen::Running];
    let mut known: Vec<(Params, Seen)> = told.into_iter().zip(seen).collect();
    let mut searcher = Searcher::new(small, Seed(3));
    let mut rest = Vec::new();
    loop {
        let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
        let Some(params) = searcher.ask(&told) else { break };
        rest.push(params["k"].as_i64().unwrap());
        known.push((params, Seen::Failed));
    }
    rest.sort_unstable();
    assert_eq!(rest, [3, 5]);
}

#[test]
fn by_chance_the_default_comes_first_and_what_is_known_does_not_matter() {
    let questions = |gain_of: fn(&Params) -> f64| -> Vec<String> {
        let mut searcher = Searcher::new(space(), Seed(2)).by(Method::Halving);
        let mut known: Vec<(Params, Seen)> = Vec::new();
        for _ in 0..12 {
            let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
            let params = searcher.ask(&told).unwrap();
            let seen = Seen::Scored(gain_of(&params));
            known.push((params, seen));
        }
        assert_eq!(known[0].0["leaves"], json!(31));
        known.iter().map(|(params, _)| key(params)).collect()
    };
    assert_eq!(questions(gain), questions(|params| -gain(params)));
}

#[test]
fn a_space_without_dimensions_has_one_configuration() {
    assert_eq!(searched(Space::new(), 3, 5, |_| Seen::Scored(1.0)).len(), 1);
}

#[test]
fn a_dimension_that_cannot_be_searched_stays_at_its_default() {
    let mut odd = space();
    odd.insert("odd".into(), Dimension::Int { low: 9, high: 1, log: true, default: 4 });
    let known = searched(odd, 5, 12, |params| Seen::Scored(gain(params)));
    assert_eq!(known.len(), 12);
    assert!(known.iter().all(|(params, _)| params["odd"] == known[0].0["odd"]));
}

#[test]
fn equal_seeds_and_knowledge_give_equal_questions() {
    let questions = |seed| searched(space(), seed, 25, |params| Seen::Scored(gain(params)));
    assert_eq!(questions(7), questions(7));
    assert_ne!(questions(7), questions(8));
    // Somebody who comes later and is told the same goes on the same way.
    let known = questions(7);
    let told: Vec<Known> = known[..20].iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
    assert_eq!(Searcher::new(space(), Seed(7)).ask(&told).as_ref(), Some(&known[20].0));
}

#[test]
fn what_is_under_way_is_not_crowded() {
    let mut known = searched(space(), 4, 12, |params| Seen::Scored(gain(params)));
    let mut searcher = Searcher::new(space(), Seed(4));
    let mut asked = Vec::new();
    for _ in 0..4 {
        let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
        let params = searcher.ask(&told).unwrap();
        known.push((params.clone(), Seen::Running));
        asked.push(params);
    }
    let keys: BTreeSet<String> = asked.iter().map(key).collect();
    assert_eq!(keys.len(), 4, "{asked:?}");
}

#[test]
fn learning_beats_guessing() {
    let best = |known: &[(Params, Seen)]| {
        known.iter().map(|(params, _)| gain(params)).fold(f64::NEG_INFINITY, f64::max)
    };
    let mean = |tell: fn(&Params) -> Seen| {
        (0..6).map(|seed| best(&searched(space(), seed, 30, tell))).sum::<f64>() / 6.0
    };
    let (learnt, guessed) = (mean(|params| Seen::Scored(gain(params))), mean(|_| Seen::Untold));
    assert!(learnt > guessed / 4.0, "learnt {learnt}, guessed {guessed}"); // both are losses below zero
}

#[test]
fn failures_are_avoided() {
    let fails = |params: &Params| params["share"].as_f64().unwrap() > 0.5;
    let known =
        searched(
            space(),
            11,
            50,
            |params| {
                if fails(params) { Seen::Failed } else { Seen::Scored(gain(params)) }
            },
        );
    let late = known[25..].iter().filter(|(params, _)| fails(params)).count();
    assert!(late < 8, "{late} of the last 25 failed");
}

#[test]
fn useless_switches_among_many_are_found() {
    // Twelve groups of features: three help, three harm, the others do nothing.
    let switch = || Dimension::Categorical { values: vec![json!(true), json!(false)], default: json!(true) };
    let groups: Space = (0..12).map(|at| (format!("use_{at:02}"), switch())).collect();
    let worth = |params: &Params| -> f64 {
        let on = |at: usize| f64::from(u8::from(params[&format!("use_{at:02}")] == json!(true)));
        (0..3).map(on).sum::<f64>() - (3..6).map(on).sum::<f64>()
    };
    let reached: Vec<f64> = (0..5)
        .map(|seed| {
            let known = searched(groups.clone(), seed, 30, |params| Seen::Scored(worth(params)));
            known.iter().map(|(params, _)| worth(params)).fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    let mean = reached.iter().sum::<f64>() / 5.0;
    assert!(mean > 2.7, "{reached:?}");
}

#[test]
fn of_proposed_configurations_those_that_fit_and_are_new_are_picked_the_best_first() {
    let known = searched(space(), 5, 9, |params| Seen::Scored(gain(params)));
    let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
    let params = |text: &str| -> Params { serde_json::from_str(text).unwrap() };
    let near = params(r#"{"rate": 0.012, "share": 0.78, "leaves": 60, "kind": "b"}"#);
    let far = params(r#"{"rate": 0.9, "share": 0.05, "leaves": 3, "kind": "c"}"#);
    let other = params(r#"{"rate": 0.5, "share": 0.1, "leaves": 200, "kind": "a"}"#);
    let beyond = params(r#"{"rate": 7.0, "share": 0.05, "leaves": 3, "kind": "c"}"#);
    let proposed = [far.clone(), known[3].0.clone(), near.clone(), near.clone(), other];
    let mut searcher = Searcher::new(space(), Seed(5));
    assert_eq!(searcher.pick(&told, &proposed, 1), std::slice::from_ref(&near));
    // With room for all of them the order in which they were given stays, and what is known is left out.
    assert_eq!(searcher.pick(&told, &proposed, 5).first(), Some(&far));
    assert_eq!(searcher.pick(&told, &proposed, 5).len(), 3);
    assert_eq!(searcher.pick(&told, &[beyond], 5)[0]["rate"], json!(1.0), "brought to the end of the range");
}

#[test]
fn what_is_shown_is_in_the_direction_of_the_metric() {
    let known = searched(space(), 6, 4, |params| Seen::Scored(gain(params)));
    let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
    let searcher = Searcher::new(space(), Seed(6));
    let shown = searcher.shown(&told, Direction::Minimize).unwrap();
    let values: Vec<f64> = shown.trials().iter().map(|trial| trial.values().unwrap()[0]).collect();
    let expected: Vec<f64> = known.iter().map(|(params, _)| -gain(params)).collect();
    assert_eq!(values, expected);
}
