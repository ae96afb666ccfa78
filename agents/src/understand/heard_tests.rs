//! Readings of a language model over a small data card: what of them counts.

use super::super::tests::{categories, numbers, request};
use super::*;

const READING: &str = r#"{"relevance": "it asks who quits", "is_relevant": true, "intent": "build", "target": "left",
    "problem": "binary", "metric": "roc_auc", "targets": [], "constraints": [], "group_column": null, "time_column": null,
    "suspects": [], "questions": [], "application": "a gym", "service": null, "confidence": 0.9}"#;

fn reading(changes: &[(&str, serde_json::Value)]) -> Understanding {
    let mut value: serde_json::Value = serde_json::from_str(READING).unwrap();
    for (name, change) in changes {
        value[*name] = change.clone();
    }
    serde_json::from_value(value).unwrap()
}

/// Members of a gym: `left` of two values, then numbers; the last column is no target.
fn gym(said: &str) -> Request {
    let columns = vec![
        numbers("visits"),
        categories("left", &["no", "yes"]),
        categories("plan", &["basic", "gold", "team"]),
        numbers("paid"),
    ];
    request(said, "", super::super::tests::card(columns))
}

fn settled(
    request: &Request,
    reading: &Understanding,
    asks_back: bool,
) -> Result<Understood, UnderstandError> {
    settle(request, understand(request), reading, asks_back)
}

fn heard_fields(understood: &Understood) -> Vec<String> {
    let inferred = understood.task.inferred.iter().filter(|one| one.because.starts_with(BY_MODEL));
    inferred.map(|one| format!("{} {}", one.field, one.value)).collect()
}

#[test]
fn rules_that_read_everything_leave_nothing_to_ask() {
    let clear = gym("predict left, accuracy, at most 50 ms per prediction");
    assert_eq!(doubts(&clear, &understand(&clear)), Vec::<String>::new());
    let flagged = Request {
        flags: super::super::Flags { target: Some("gone".into()), ..Default::default() },
        ..gym("x")
    };
    assert_eq!(
        doubts(&flagged, &understand(&flagged)),
        Vec::<String>::new(),
        "a flag that is wrong is an error"
    );
    let odd = gym("find the members that quit");
    let told = doubts(&odd, &understand(&odd));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("\"paid\" is only a guess") && told[1].contains("find the members that quit"));
}

#[test]
fn a_reading_settles_what_words_leave_open() {
    let odd = gym("find the members that quit, small enough for a phone, we need 85 % at ranking them");
    let demand =
        serde_json::json!([{"kind": "model_bytes", "value": 2e7, "words": "small enough for a phone"}]);
    let targets = serde_json::json!([{"metric": "roc_auc", "value": 0.85}]);
    let understood =
        settled(&odd, &reading(&[("constraints", demand), ("targets", targets)]), false).unwrap();
    assert_eq!((understood.task.target.as_str(), understood.task.metric.name.as_str()), ("left", "roc_auc"));
    assert_eq!(understood.task.constraints.model_bytes_max, Some(20_000_000));
    assert_eq!(understood.task.constraints.score, Some(0.85));
    assert_eq!(
        heard_fields(&understood),
        ["target left", "metric roc_auc", "model size at most 20000000 bytes", "score to reach 0.85"]
    );
    assert!(!understood.guessed);
}

#[test]
fn rules_outrank_a_reading() {
    let said = gym("predict plan by accuracy, at most 5 ms per prediction, the usual stuff for our managers");
    let demand =
        serde_json::json!([{"kind": "latency_ms", "value": 900, "words": "at most 5 ms per prediction"}]);
    let understood = settled(&said, &reading(&[("constraints", demand)]), false).unwrap();
    assert_eq!((understood.task.target.as_str(), understood.task.metric.name.as_str()), ("plan", "accuracy"));
    assert_eq!(understood.task.constraints.latency_ms_max, Some(5.0));
    assert_eq!(heard_fields(&understood), Vec::<String>::new());
}

#[test]
fn what_the_words_do_not_hold_is_no_wish() {
    let odd = gym("find the members that quit");
    let demand = serde_json::json!([
        {"kind": "latency_ms", "value": 1, "words": "it must be instant"},
        {"kind": "interpretable", "value": null, "words": ""}
    ]);
    let targets = serde_json::json!([{"metric": "roc_auc", "value": 0.99}]);
    let understood =
        settled(&odd, &reading(&[("constraints", demand), ("targets", targets)]), false).unwrap();
    assert_eq!(understood.task.constraints, ansatz_core::task::Constraints::default());
    assert!(understood.warnings.iter().any(|warning| warning.contains("it must be instant")));
}

#[test]
fn what_the_data_contradict_is_not_taken() {
    let odd = gym("find the members that quit");
    let told = |changes: &[(&str, serde_json::Value)]| {
        let understood = settled(&odd, &reading(changes), false).unwrap();
        (understood.task.target.clone(), understood.task.metric.name.clone())
    };
    let none = serde_json::Value::Null;
    assert_eq!(told(&[("target", "gone".into()), ("metric", none.clone())]), ("paid".into(), "rmse".into()));
    assert_eq!(
        told(&[("metric", "rmse".into())]),
        ("left".into(), "roc_auc".into()),
        "a metric that does not fit"
    );
    assert_eq!(told(&[("time_column", "plan".into()), ("group_column", "visits".into())]).0, "left");
    let columns = ["left".to_owned(), "plan".to_owned()];
    let found = problems(&reading(&[("target", "gone".into()), ("metric", "beauty".into())]), &columns);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_open_target_is_asked_for_where_somebody_answers() {
    let odd = gym("tell me about the ones in trouble");
    let asks = reading(&[
        ("target", serde_json::Value::Null),
        ("questions", serde_json::json!(["`left` or `plan`?"])),
    ]);
    let error = settled(&odd, &asks, true).unwrap_err();
    assert_eq!(
        (error.question(), error.to_string()),
        (Some("`left` or `plan`?"), "`left` or `plan`?".to_owned())
    );
    let guessed = settled(&odd, &asks, false).unwrap();
    assert_eq!(guessed.task.target, "paid");
    assert!(
        guessed.warnings.iter().any(|warning| warning.contains("`left` or `plan`?")),
        "{:?}",
        guessed.warnings
    );
    let chatter = reading(&[("is_relevant", false.into()), ("relevance", "it speaks of the moon".into())]);
    assert!(settled(&odd, &chatter, false).unwrap_err().to_string().contains("it speaks of the moon"));
    let clear = gym("predict left, accuracy, hurrah for the moon and its cheese");
    assert_eq!(settled(&clear, &chatter, false).unwrap().task.target, "left", "the rules have an answer");
}

#[test]
fn a_score_to_reach_is_read_by_rules() {
    let wanted = |said: &str| understand(&gym(said)).unwrap().task.constraints.score;
    assert_eq!(wanted("predict left, at least 0.9 AUC"), Some(0.9));
    assert_eq!(wanted("predict left with accuracy above 90 %"), Some(0.9));
    assert_eq!(wanted("predict left, accuracy"), None);
    assert_eq!(wanted("predict paid, RMSE below 12.5"), Some(12.5));
    assert_eq!(wanted("predict left, AUC, at most 5 ms per prediction"), None);
    assert_eq!(wanted("predict left, AUC of at least 700"), None);
}
