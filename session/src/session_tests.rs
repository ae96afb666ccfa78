//! What sentences do in a conversation that begins its own runs.

use super::*;
use crate::testing::{Nothing, told};

/// A conversation about a file whose plan waits for a yes.
fn planned(maker: &Arc<Nothing>) -> Session {
    let mut session = Session::new(Arc::clone(maker) as Arc<dyn Maker>);
    session.wishes.data = Some("data.csv".into());
    session.is_planned = true;
    session
}

/// A conversation that waits for an answer.
fn asked(maker: &Arc<Nothing>, question: &str) -> Session {
    let mut session = planned(maker);
    session.is_planned = false;
    let columns = ["y", "left", "plan"].map(str::to_owned).to_vec();
    session.asked = Some(Open { question: question.into(), columns });
    session
}

fn say(session: &mut Session, text: &str) -> String {
    let mut replies = Vec::new();
    session.say(text, &mut |reply| replies.push(told(&reply)));
    replies.join("\n")
}

/// What was to be made: `run` or `plan`, with the metric that was wished.
fn made(maker: &Nothing) -> Vec<String> {
    let shown = |(wishes, is_rehearsal): (Wishes, bool)| {
        let what = if is_rehearsal { "plan" } else { "run" };
        format!("{what} {}", wishes.metric.unwrap_or_default()).trim().to_owned()
    };
    maker.made().into_iter().map(shown).collect()
}

/// What is said to a plan, and what is then to be made.
const CONSENTS: &[(&str, &[&str])] = &[
    ("yes", &["run"]),
    ("yes, go ahead", &["run"]),
    ("thanks, yes please", &["run"]),
    ("carry on", &["run"]),
    ("continue", &["run"]),
    // With a change beside it, it begins when the plan was made with the change; here none can be made.
    ("yes, but use rmsle", &["plan rmsle"]),
    ("ok, but 30 trials", &["plan"]),
    ("no, use rmsle", &["plan rmsle"]),
    // Whoever asks has not decided.
    ("ok, what does it cost?", &["plan"]),
    ("ok, how is it going?", &[]),
    ("yes, the moon is made of cheese", &[]),
    ("yes, no", &[]),
];

#[test]
fn a_yes_begins_what_was_shown_and_nothing_else() {
    let maker = Nothing::with(&[]);
    for (text, expected) in CONSENTS {
        let mut session = planned(&maker);
        let replies = say(&mut session, text);
        assert_eq!(made(&maker), *expected, "{text}: {replies}");
    }
    let mut session = planned(&maker);
    let replies = say(&mut session, "yes, the moon is made of cheese");
    assert!(replies.contains("say `yes` alone"), "{replies}");
    assert_eq!(say(&mut planned(&maker), "no"), "? what should be otherwise?");
    assert!(!say(&mut planned(&maker), "no, use rmsle").contains("otherwise"));
}

#[test]
fn a_line_that_is_a_path_is_the_data_that_are_missing() {
    let maker = Nothing::with(&["my data.csv", "/home/me/churn.csv", "gym", "help"]);
    for (line, data) in [
        ("my data.csv", Some("my data.csv")),
        ("\"my data.csv\" ", Some("my data.csv")),
        ("my\\ data.csv", Some("my data.csv")),
        ("/home/me/churn.csv", Some("/home/me/churn.csv")),
        ("gym", Some("gym")),
        ("help", None),
        ("jim", None),
    ] {
        let mut session = Session::new(Arc::clone(&maker) as Arc<dyn Maker>);
        say(&mut session, line);
        assert_eq!(session.wishes.data.as_deref(), data, "{line}");
    }
    // Once there are data, a word is a word.
    let mut session = planned(&maker);
    say(&mut session, "gym");
    assert_eq!(session.wishes.data.as_deref(), Some("data.csv"));
}

#[test]
fn an_open_question_is_answered_or_stays_open() {
    let maker = Nothing::with(&[]);
    let question = "do you mean `left` or `plan`?";
    for (text, target) in [("y", "y"), ("plan", "plan"), ("`Left`", "left")] {
        let mut session = asked(&maker, question);
        say(&mut session, text);
        assert_eq!(session.wishes.target.as_deref(), Some(target), "{text}");
        assert_eq!(made(&maker), ["plan"], "{text}");
    }
    for text in ["yes", "no", "ok", "thanks", "stop", "carry on", "use rmsle"] {
        let mut session = asked(&maker, question);
        let replies = say(&mut session, text);
        assert!(replies.ends_with("? still to be known: do you mean `left` or `plan`?"), "{text}: {replies}");
        assert!(made(&maker).is_empty() && session.asked.is_some(), "{text}");
    }
    let mut session = asked(&maker, "is it `left`?");
    say(&mut session, "yes");
    assert_eq!(session.wishes.target.as_deref(), Some("left"));
    // What was wished beside it is kept for later.
    let mut session = asked(&maker, question);
    say(&mut session, "30 trials");
    assert_eq!((session.wishes.trials, session.asked.is_some()), (Some(30), true));
    // An answer in words that helps nothing leaves the question open.
    let mut session = asked(&maker, question);
    say(&mut session, "the one about leaving");
    assert!(session.asked.is_some() && session.wishes.words.is_empty());
}

#[test]
fn more_time_counts_from_what_there_was() {
    let maker = Nothing::with(&[]);
    let mut session = planned(&maker);
    session.wishes.trials = Some(12);
    say(&mut session, "give it five more minutes");
    assert_eq!((session.wishes.seconds, session.wishes.trials), (Some(600.0), None));
    session.wishes.trials = Some(12);
    session.wishes.seconds = None;
    say(&mut session, "once more please");
    assert_eq!((session.wishes.seconds, session.wishes.trials), (None, Some(12)));
}
