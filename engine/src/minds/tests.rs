//! Tests of the council with models that answer from a script.

use super::*;
use ansatz_core::bill::Price;
use ansatz_core::profile::Profile;
use ansatz_llm::{Finish, Rung, Scripted};
use ansatz_prompts::planner::ReadSources;
use ansatz_prompts::{Case, Level, Machine, Sight};

/// The case of a table about which nothing is known.
fn case() -> Case {
    let profile = Profile {
        train_rows: 9,
        test_rows: 0,
        columns: Vec::new(),
        sample: None,
        notices: Vec::new(),
        data_hash: "h".into(),
    };
    let (machine, budget) = (Machine { cores: 1, gpus: 0 }, Budget::default());
    let sight = Sight {
        nonce: "n".into(),
        profile: &profile,
        rows: &[],
        machine: &machine,
        budget: &budget,
        level: Level::Full,
    };
    Case::unknown("data", "predict y", &sight)
}

fn failed(kind: LlmErrorKind) -> LlmError {
    LlmError { model: "m".into(), request: None, kind }
}

fn late() -> Result<Answer, LlmError> {
    Err(failed(LlmErrorKind::Timeout { what: "the first word", limit: Duration::from_mins(1) }))
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script")]
fn said(text: &str) -> Result<Answer, LlmError> {
    Ok(Answer {
        text: text.into(),
        reasoning: None,
        finish: Finish::Stop,
        usage: ansatz_core::bill::Usage::default(),
        model: "m".into(),
        endpoint: "script".into(),
        rung: Rung::Bounded,
        took: Duration::ZERO,
        warnings: Vec::new(),
    })
}

/// A council over a model that answers like this; it may ask as much as in a default run.
fn council(script: Vec<Result<Answer, LlmError>>, caps: Caps, given_up_after: Option<u32>) -> Council {
    let (sender, receiver) = mpsc::unbounded_channel();
    let kept = Kept::new(Box::new(Scripted::new(script)), BTreeMap::new(), sender.clone(), None);
    let price = Price { input: 1.0, cached: None, output: 1.0 };
    let mut council = Council {
        model: Arc::new(kept),
        name: "m".into(),
        prompts: Arc::new(Prompts::built_in().unwrap()),
        ledger: Arc::new(Ledger::new(caps, PriceTable::default())),
        failure: LastFailure::default(),
        prices: PriceTable { as_of: None, models: [("priced".to_owned(), price)].into() },
        is_required: false,
        search: None,
        retrieved: None,
        is_looking: false,
        player: None,
        tape: None,
        was_late: false,
        sender,
        receiver,
        grounds: None,
        ordinals: BTreeMap::new(),
        open: BTreeMap::new(),
        asked: 0,
        answered: 0,
        allowance: Allowance::of(&Budget::default()),
        failures: 0,
        given_up_after,
        warned: 0,
        caps: Some(caps),
        notes: Vec::new(),
    };
    council.stand_on(Grounds { short: case(), solutions: Vec::new(), columns: Vec::new() });
    council
}

/// Asks one question after the other as long as that may be, so many at most; gives how many were asked.
async fn asks(council: &mut Council, most: u32) -> u32 {
    let mut asked = 0;
    while asked < most && council.may_ask() {
        let thought = Thought::Insights(Box::new(ReadSources { case: case(), sources: Vec::new() }));
        let call = council.call(&thought, "plan");
        assert_eq!(call.ordinal, asked);
        council.ask(thought, &call);
        while !matches!(council.news().await, News::Concluded { .. }) {}
        asked += 1;
    }
    asked
}

const INSIGHTS: &str = r#"{"insights": []}"#;

#[tokio::test]
async fn a_model_that_hangs_twice_is_not_asked_a_third_time() {
    let mut hangs =
        council(vec![late(), said(INSIGHTS), late(), late(), said(INSIGHTS)], Caps::default(), None);
    assert_eq!(asks(&mut hangs, 9).await, 4, "an answer in between begins the count anew");
    let notes = hangs.take_notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("the language model m is not asked any more"), "{notes:?}");
    assert!(hangs.take_notes().is_empty() && !hangs.may_ask());
}

#[tokio::test]
async fn a_model_that_answers_badly_is_asked_again() {
    // Three answers to each question: two are repairs.
    let mut rambles = council(vec![said("no"); 9], Caps::default(), None);
    assert_eq!(asks(&mut rambles, 3).await, 3);
    let cap = || Err(failed(LlmErrorKind::Cap("the next call needs up to 9 tokens".into())));
    let mut capped = council(vec![late(), cap(), cap(), late()], Caps::default(), None);
    assert_eq!(
        asks(&mut capped, 9).await,
        4,
        "a question that was not asked says nothing about the endpoint"
    );
}

#[tokio::test]
async fn a_model_that_was_given_up_in_a_recording_is_asked_as_often_when_it_is_played() {
    let recorded = || Err(failed(LlmErrorKind::Recorded("it took too long".into())));
    let mut played = council(vec![recorded(), recorded(), recorded()], Caps::default(), Some(2));
    assert_eq!(asks(&mut played, 9).await, 2);
}

#[test]
fn a_cap_is_told_of_once() {
    let cap = MindError::from(failed(LlmErrorKind::Cap("the next call needs up to 9 tokens".into())));
    let caps = Caps { tokens: Some(7), ..Caps::default() };
    let mut poor = council(Vec::new(), caps, None);
    assert_eq!(poor.told_of_cap(&MindError::from(failed(LlmErrorKind::Empty))), None);
    assert_eq!(
        poor.told_of_cap(&cap).as_deref(),
        Some(
            "the allowance of 7 tokens is used up: the next call needs up to 9 tokens; raise --max-tokens or --max-usd"
        )
    );
    assert_eq!(poor.told_of_cap(&cap), None);
    let unpriced = Caps { usd: Some(0.5), ..caps };
    let told = council(Vec::new(), unpriced, None).told_of_cap(&cap).unwrap();
    assert!(told.starts_with("the language model m is not asked: "), "{told}");
    let mut priced = council(Vec::new(), unpriced, None);
    priced.name = "priced".into();
    assert!(
        priced.told_of_cap(&cap).unwrap().starts_with("the allowance of 7 tokens and 0.5 USD is used up")
    );
}

#[test]
fn recordings_by_the_clock_are_warned_about() {
    let (timed, counted) = (
        Budget { wall: Some(Duration::from_mins(1)), ..Budget::default() },
        Budget { trials: Some(9), ..Budget::default() },
    );
    assert!(by_the_clock(&timed, true, false).unwrap().contains("with --trials N"));
    assert!(by_the_clock(&timed, false, true).unwrap().contains("is played by the clock"));
    assert_eq!((by_the_clock(&timed, false, false), by_the_clock(&counted, true, true)), (None, None));
}

#[test]
fn second_thoughts_of_a_resumed_run_are_new_ones() {
    let answered = |template: &str, ordinal, answer| Event::ModelAnswered {
        call: Key { template: template.into(), step: "plan".into(), ordinal, ..Key::default() },
        answer,
        error: None,
        model: "m".into(),
        usage: ansatz_core::bill::Usage::default(),
        usd: None,
        seconds: 1.0,
    };
    let blob = || Some(ArtifactId::new("b"));
    let past = [
        answered(Replan::NAME, 0, blob()),
        answered(Replan::NAME, 1, blob()),
        answered(Replan::NAME, 2, None),
        answered("planner/plans", 0, blob()),
    ];
    let asked = asked_before(&past);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [((Replan::NAME.to_owned(), "plan".to_owned()), 2)]);
}
