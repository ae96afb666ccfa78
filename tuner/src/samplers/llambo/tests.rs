//! A model that answers, is silent, or proposes nonsense; replay; targets; calibration.

use super::*;
use crate::operation::Operation;
use crate::samplers::Transferred;
use crate::space::{Builder, Space};
use crate::study::{Ask, Options, Study};
use crate::transfer::{Past, PastTrial};
use ansatz_core::seed::Seed;
use serde_json::json;

fn space() -> Space {
    Builder::new().log_float("rate", 1e-3, 1.0).int("leaves", 2, 64).bool("dropout").build().unwrap()
}

fn params(rate: f64, leaves: i64) -> Params {
    Params::from([
        ("rate".into(), json!(rate)),
        ("leaves".into(), json!(leaves)),
        ("dropout".into(), json!(true)),
    ])
}

fn proposal(rate: f64, leaves: i64, expected: Option<f64>) -> Proposal {
    Proposal { params: params(rate, leaves), expected, rationale: Some("because".into()) }
}

fn score(params: &Params) -> f64 {
    (params["rate"].as_f64().unwrap().log10() + 1.5).abs() + params["leaves"].as_f64().unwrap() / 100.0
}

fn study(settings: Settings) -> Study {
    let options = Options::new(Direction::Minimize, Seed(3));
    Study::new(space(), options, Box::new(Llambo::new(settings))).unwrap()
}

/// Runs trials with somebody who answers, and gives the questions.
fn run(study: &mut Study, trials: usize, mut answer: impl FnMut(&Query) -> Answer) -> Vec<Question> {
    let (mut asked, mut done) = (Vec::new(), 0);
    while done < trials {
        match study.ask() {
            Ask::Query(query) => {
                let answer = answer(&query);
                study.answer(query.id, answer).unwrap();
                asked.push(query.question);
            }
            Ask::Suggestion(suggestion) => {
                study.tell(suggestion.number, score(&suggestion.params)).unwrap();
                done += 1;
            }
            Ask::Exhausted { reason } => panic!("{reason}"),
        }
    }
    asked
}

/// Answers in the neighbourhood of the best, never twice the same.
fn helpful(query: &Query) -> Answer {
    let at = f64::from(query.id + 1);
    match &query.question {
        Question::WarmStart { count } => Answer::Proposals {
            proposals: (0..*count)
                .map(|k| proposal(0.01 * (k + 1) as f64, 10 + k as i64, Some(0.5)))
                .collect(),
        },
        Question::Propose { count, .. } => Answer::Proposals {
            proposals: (0..*count)
                .map(|k| proposal(0.03 + 0.001 * at + 0.0001 * k as f64, 2 + k as i64, Some(0.1)))
                .collect(),
        },
        Question::Predict { candidates, .. } => Answer::Scores {
            scores: candidates
                .iter()
                .map(|params| Some(Forecast { mean: score(params), deviation: 0.01 }))
                .collect(),
        },
        Question::Classify { candidates, .. } => Answer::Probabilities {
            probabilities: candidates.iter().map(|params| Some(1.0 / (1.0 + score(params)))).collect(),
        },
    }
}

fn free(study: &Study) -> usize {
    let note = |trial: &&Trial| trial.note.as_ref().is_some_and(|note| note.starts_with("without"));
    study.trials().iter().filter(note).count()
}

#[test]
fn the_model_begins_proposes_for_a_target_and_one_in_five_is_free_of_it() {
    let mut study = study(Settings::default());
    let asked = run(&mut study, 20, helpful);
    assert!(matches!(asked[0], Question::WarmStart { count: 5 }));
    let proposes = asked.iter().filter(|question| matches!(question, Question::Propose { .. })).count();
    // Fifteen trials come of the model, five of them of the first answer, three of each later one.
    assert!((3..=5).contains(&proposes), "{proposes}");
    assert!(free(&study) >= 4, "{:?}", study.trials().iter().map(|trial| &trial.note).collect::<Vec<_>>());
    let best = study.best().unwrap().values().unwrap()[0];
    let Question::Propose { target, examples, .. } = &asked[1] else { panic!("{:?}", asked[1]) };
    assert!(*target < 1.0 && !examples.is_empty(), "{target}");
    assert!(best < 0.2, "{best}");
}

#[test]
fn without_answers_the_study_goes_on_and_says_why() {
    let mut study = study(Settings::default());
    let asked = run(&mut study, 20, |_| Answer::Unavailable { cause: "the endpoint is down".into() });
    assert_eq!(free(&study), 20);
    let notes: Vec<&String> = study.trials().iter().filter_map(|trial| trial.note.as_ref()).collect();
    assert!(notes[0].contains("the endpoint is down"), "{notes:?}");
    assert!((2..=6).contains(&asked.len()), "{} questions", asked.len());
}

#[test]
fn proposals_that_do_not_fit_or_were_tried_are_not_tried() {
    let mut study = study(Settings::default());
    run(&mut study, 15, |query| match query.question {
        Question::WarmStart { .. } => Answer::Proposals {
            proposals: vec![
                proposal(0.1, 8, None),
                proposal(0.1, 8, None),
                Proposal {
                    params: Params::from([("rate".into(), json!("fast"))]),
                    expected: None,
                    rationale: None,
                },
            ],
        },
        _ => Answer::Proposals { proposals: vec![proposal(0.1, 8, None)] },
    });
    let mut points: Vec<&Params> = study.trials().iter().map(|trial| &trial.params).collect();
    let count = points.len();
    points.dedup();
    assert_eq!(points.len(), count);
    let told = study.trials().iter().any(|trial| {
        trial
            .note
            .as_ref()
            .is_some_and(|note| note.contains("0 of 1 proposals did not fit and 1 were tried before"))
    });
    assert!(told, "{:?}", study.trials().iter().map(|trial| &trial.note).collect::<Vec<_>>());
}

#[test]
fn the_model_may_rank_by_scores_or_by_classes() {
    for (ranking, permutations) in [(Ranking::Predicted, 2), (Ranking::Classified, 1)] {
        let mut study = study(Settings { ranking, permutations, ..Settings::default() });
        let asked = run(&mut study, 16, helpful);
        let judged: Vec<&Question> = asked
            .iter()
            .filter(|question| matches!(question, Question::Predict { .. } | Question::Classify { .. }))
            .collect();
        assert!(judged.len() >= 2 * permutations, "{} judgements", judged.len());
        let ranked = study.trials().iter().filter(|trial| {
            trial.note.as_ref().is_some_and(|note| note.contains("ranked by the language model"))
        });
        assert!(ranked.count() >= 4);
        if let [Question::Predict { examples: a, .. }, Question::Predict { examples: b, .. }, ..] = judged[..]
        {
            assert!(a != b && a.len() == b.len(), "the order of examples changes: {a:?} {b:?}");
        }
    }
}

#[test]
fn a_replayed_study_goes_on_the_same_way() {
    let mut first = study(Settings::default());
    run(&mut first, 9, helpful);
    let kept = first.operations().to_vec();
    let mut second = Study::replay(kept, Box::new(Llambo::default())).unwrap();
    run(&mut first, 9, helpful);
    run(&mut second, 9, helpful);
    let all = |study: &Study| study.trials().iter().map(|trial| trial.params.clone()).collect::<Vec<_>>();
    assert_eq!(all(&first), all(&second));
}

#[test]
fn targets_lie_beyond_the_best_tenth_either_way() {
    let values: Vec<f64> = (1..=21).map(f64::from).collect();
    assert_eq!(target(&values, Direction::Minimize, 0.1), 3.0 - 1.0);
    assert_eq!(target(&values, Direction::Maximize, 0.1), 19.0 + 1.0);
    // One and the same score, also near the ends of (0, 1), where the original never stops.
    assert!((target(&[1.0, 1.0], Direction::Maximize, 0.1) - 1.01).abs() < 1e-12);
    assert!((target(&[0.0, 0.0], Direction::Minimize, 0.1)).abs() < 1e-12);
}

#[test]
fn expected_scores_are_compared_with_what_came_out() {
    let mut study = study(Settings::default());
    run(&mut study, 8, helpful);
    let found = calibration(study.trials()).unwrap();
    assert!(found.pairs.len() >= 5 && found.pairs[0].0 == 0.5, "{found:?}");
    assert!(found.error >= found.bias.abs() - 1e-12);
    assert_eq!(calibration(&[]), None);
}

#[test]
fn a_rationale_is_no_forecast() {
    let mut study = study(Settings::default());
    let words = "like the best, expected 0.3: surely";
    run(&mut study, 3, |query| match query.question {
        Question::WarmStart { .. } => Answer::Proposals {
            proposals: [(0.1, None), (0.2, Some(0.7)), (0.3, Some(f64::NAN))]
                .map(|(rate, expected)| Proposal {
                    rationale: Some(words.into()),
                    ..proposal(rate, 8, expected)
                })
                .into(),
        },
        _ => helpful(query),
    });
    assert!(study.trials()[0].note.as_ref().unwrap().contains(words));
    let expected: Vec<Option<f64>> = study.trials().iter().map(|trial| trial.expected).collect();
    assert_eq!(expected, [None, Some(0.7), None]);
    let measured = study.trials()[1].values().unwrap()[0];
    assert_eq!(calibration(study.trials()).unwrap().pairs, [(0.7, measured)]);
}

#[test]
fn what_was_expected_is_kept_and_older_journals_are_read() {
    let mut first = study(Settings::default());
    run(&mut first, 4, helpful);
    let lines: Vec<String> =
        first.operations().iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    let read = |line: &String| -> Operation { serde_json::from_str(line).unwrap() };
    let again = Study::replay(lines.iter().map(read), Box::new(Llambo::default())).unwrap();
    assert_eq!(again.trials(), first.trials());
    assert_eq!(again.trials()[0].expected, Some(0.5));
    let older = lines.iter().map(|line| line.replace(",\"expected\":0.5}", "}"));
    assert!(older.clone().ne(lines.iter().cloned()), "{lines:?}");
    let older: Vec<Operation> = older.map(|line| read(&line)).collect();
    let again = Study::replay(older, Box::new(Llambo::default())).unwrap();
    assert_eq!(again.trials().len(), 4);
    assert_eq!(calibration(again.trials()), None);
}

#[test]
fn other_statistics_rank_and_decide_beside_the_model() {
    let past = || {
        let trial = |k: i64| PastTrial { params: params(0.1 * k as f64, 6 * k), loss: Some((k - 4) as f64) };
        Past { name: "another".into(), weight: 1.0, trials: (1..9).map(trial).collect() }
    };
    let knowing = || Box::new(Transferred::new(vec![past()], Vec::new()));
    let llambo = || Box::new(Llambo::default().over(knowing()));
    let mut study = Study::new(space(), Options::new(Direction::Minimize, Seed(3)), llambo()).unwrap();
    run(&mut study, 5, |_| Answer::Unavailable { cause: "no".into() });
    assert!(study.reason().contains("1 past study"), "{}", study.reason());
    let pool = [params(0.1, 6), params(0.8, 48), params(0.4, 24)].map(|at| space().point(&at).unwrap());
    let seen = study.history();
    let ranked = llambo().rank(&seen, &pool);
    assert!(ranked.is_some());
    assert_eq!(ranked, knowing().rank(&seen, &pool));
    assert_ne!(ranked, Auto::default().rank(&seen, &pool));
}

/// Asks whatever it is asked.
struct Curious;

impl Sampler for Curious {
    fn name(&self) -> &'static str {
        "curious"
    }

    fn next(&mut self, _: &History<'_>) -> Move {
        Move::Ask(Question::WarmStart { count: 1 })
    }
}

#[test]
fn statistics_that_ask_are_not_heard() {
    let sampler = Box::new(Llambo::default().over(Box::new(Curious)));
    let mut study = Study::new(space(), Options::new(Direction::Minimize, Seed(3)), sampler).unwrap();
    let asked = run(&mut study, 10, |_| Answer::Unavailable { cause: "no".into() });
    assert_eq!(free(&study), 10);
    assert!(asked.len() <= 4, "{} questions", asked.len());
}

#[test]
fn rankings_have_names() {
    let found: Vec<Ranking> = Ranking::NAMES.iter().map(|name| Ranking::by_name(name).unwrap()).collect();
    assert_eq!(found, [Ranking::Statistics, Ranking::Predicted, Ranking::Classified]);
    assert_eq!(found[0], Settings::default().ranking);
    assert_eq!(Ranking::by_name("Statistics"), None);
}
