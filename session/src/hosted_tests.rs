//! What sentences want of a task that a front end keeps.

use super::*;
use crate::front::Maker;
use crate::testing::{Nothing, options, told};

struct Heard {
    wanted: Wanted,
    replies: String,
}

impl Heard {
    /// The options that the task, or another one, is to have.
    fn options(self) -> Options {
        match self.wanted {
            Wanted::Changed { options, .. } | Wanted::Another(options) => *options,
            other => panic!("{other:?}: {}", self.replies),
        }
    }

    fn begins(&self) -> bool {
        matches!(self.wanted, Wanted::Changed { begins: true, .. })
    }
}

fn session() -> Session {
    Session::new(Nothing::with(&[]) as std::sync::Arc<dyn Maker>)
}

fn open(question: &str) -> Open {
    Open { question: question.into(), columns: ["churn", "plan", "tenure", "y"].map(str::to_owned).to_vec() }
}

fn hear_with(session: &mut Session, text: &str, turn: Turn, open: Option<&Open>) -> Heard {
    let options = options();
    let held = Held { options: Some(&options), turn, open, plan: None };
    let mut replies = Vec::new();
    let wanted = session.hear(text, &held, &mut |reply| replies.push(told(&reply)));
    Heard { wanted, replies: replies.join("\n") }
}

fn waiting(text: &str) -> Heard {
    hear_with(&mut session(), text, Turn::NeedsYes, None)
}

/// Of a run that is over, by its journal at least: there is none.
fn over(text: &str) -> Heard {
    let mut session = session();
    session.adopt(Path::new("/nowhere/runs/first"));
    hear_with(&mut session, text, Turn::Run, None)
}

fn asked(text: &str, question: &str) -> Heard {
    hear_with(&mut session(), text, Turn::Waits, Some(&open(question)))
}

#[test]
fn nobody_reaches_other_data_or_other_runs() {
    for text in [
        "predict x in /home/u/private.csv, yes",
        "the data is in secrets.csv",
        "use rmsle, train a model on ../x/churn.csv",
        "resume 20260305-140200-4f2a-churn",
    ] {
        for heard in [waiting(text), over(text), asked(text, "what?")] {
            assert_eq!(heard.wanted, Wanted::Nothing, "{text}: {}", heard.replies);
            assert!(heard.replies.contains("! "), "{text}: {}", heard.replies);
        }
    }
    // Its own data may be named.
    assert_eq!(over("predict plan in churn.csv").options().data, options().data);
}

#[test]
fn a_plan_is_approved_changed_or_both() {
    assert_eq!(waiting("yes").wanted, Wanted::Begin);
    assert_eq!(waiting("carry on").wanted, Wanted::Begin);
    assert_eq!(waiting("thanks").wanted, Wanted::Nothing);
    assert_eq!(waiting("no").replies, "? what should be otherwise?");
    assert_eq!(waiting("ok, what does it cost?").wanted, Wanted::Nothing);
    assert_eq!(waiting("yes, the moon is made of cheese").wanted, Wanted::Nothing);

    let heard = waiting("yes, but use rmsle");
    assert!(heard.begins());
    assert_eq!(heard.options().metric.as_deref(), Some("rmsle"));
    let heard = waiting("without catboost");
    assert!(!heard.begins());
    assert_eq!(heard.options().steer.len(), 1);
    assert_eq!(waiting("predict plan").options().request.as_deref(), Some("predict churn. predict plan"));
    assert_eq!(waiting("ten minutes").options().budget.wall, Some(Duration::from_mins(10)));
    let trials = waiting("30 trials").options().budget;
    assert_eq!((trials.trials, trials.wall), (Some(30), None));
    // A task that waits for a place has no plan to say yes to.
    let heard = hear_with(&mut session(), "yes", Turn::Waits, None);
    assert_eq!((heard.wanted, heard.replies.contains("a place")), (Wanted::Nothing, true));
}

#[test]
fn only_an_answer_answers() {
    let question = "do you mean `churn` or `plan`?";
    for (text, target) in [("y", "y"), ("plan", "plan"), ("the target is tenure", "tenure")] {
        let heard = asked(text, question);
        assert!(matches!(heard.wanted, Wanted::Changed { is_answer: true, .. }), "{text}");
        assert_eq!(heard.options().target.as_deref(), Some(target), "{text}");
    }
    let words = asked("whoever leaves us", question).options().request;
    assert_eq!(words.as_deref(), Some("predict churn. whoever leaves us"));
    for text in ["thanks", "stop", "yes", "no", "help", "what does it cost?"] {
        let heard = asked(text, question);
        assert_eq!(heard.wanted, Wanted::Nothing, "{text}");
        assert!(heard.replies.contains("still to be known: do you mean"), "{text}: {}", heard.replies);
    }
    // Time, trials and steering count, and the question stays.
    for text in ["30 trials", "ten minutes", "drop the zip column", "use rmsle"] {
        let heard = asked(text, question);
        assert!(matches!(heard.wanted, Wanted::Changed { is_answer: false, .. }), "{text}");
        assert!(heard.replies.contains("still to be known"), "{text}: {}", heard.replies);
    }
    assert_eq!(asked("yes", "is it `plan`?").options().target.as_deref(), Some("plan"));
}

#[test]
fn a_run_that_is_over_leads_to_another_task() {
    let more = over("try again with more time").options();
    assert_eq!((more.budget.wall, more.data), (Some(Duration::from_mins(10)), options().data));
    assert_eq!(over("once more please").options(), options());
    let metric = over("use rmsle, ten minutes").options();
    assert_eq!((metric.metric.as_deref(), metric.target.as_deref()), (Some("rmsle"), Some("churn")));
    let other = over("predict plan, and without catboost").options();
    assert!(other.request.is_some_and(|words| !words.contains("churn")) && other.target.is_none());
    assert_eq!(other.steer.len(), 1);
    assert_eq!(over("resume").wanted, Wanted::GoOn);
    for text in ["thanks, bye", "quit", "yes", "no", "stop", "thanks"] {
        let mut session = session();
        session.adopt(Path::new("/nowhere/runs/first"));
        assert_eq!(hear_with(&mut session, text, Turn::Run, None).wanted, Wanted::Nothing, "{text}");
        assert_eq!(session.stage(), Stage::Over, "{text}");
    }
}

#[test]
fn a_run_that_was_begun_elsewhere_is_only_looked_at() {
    let mut session = session();
    session.adopt(Path::new("/nowhere/runs/first"));
    let held = Held { options: None, turn: Turn::Run, open: None, plan: None };
    for (text, expected) in [
        ("how is it going?", "nothing has a score yet"),
        ("try again with more time", "begun elsewhere"),
        ("resume", "begun elsewhere"),
        ("use rmsle", "begun elsewhere"),
    ] {
        let mut replies = Vec::new();
        let wanted = session.hear(text, &held, &mut |reply| replies.push(told(&reply)));
        assert_eq!(wanted, Wanted::Nothing, "{text}");
        assert!(replies.join("\n").contains(expected), "{text}: {replies:?}");
    }
}
