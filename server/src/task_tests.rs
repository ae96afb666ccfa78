//! Where tasks stand, by what was kept of them and by what is said to them.

use super::*;
use crate::testing::{Stub, journal, options};
use ansatz_core::bill::{Quote, Span};
use tempfile::TempDir;

/// A place for a task, with the folder of runs.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("runs")).unwrap();
    home
}

fn kept(home: &Path, stand: Stand) -> Kept {
    Kept::new(options(home, "r0"), stand, None, 7)
}

fn task(home: &Path, kept: Option<Kept>) -> Task {
    let (stub, out) = (Stub::new(home), options(home, "r0").out);
    Task::new("r0".into(), out, &home.join("runs"), kept, stub)
}

/// The same task as a server that starts anew finds it.
fn found_anew(home: &Path) -> Task {
    let runs = home.join("runs");
    let stub = Stub::new(home);
    if let Some(kept) = Kept::read(&kept::beside(&runs, "r0")) {
        return Task::left("r0".into(), &runs, kept, stub);
    }
    let folder = runs.join("r0");
    let kept = Kept::read(&kept::inside(&folder));
    Task::new("r0".into(), folder, &runs, kept, stub)
}

fn plan() -> Planned {
    let (none, minute) = (Span { low: 0.0, high: 0.0 }, Span { low: 0.0, high: 60.0 });
    let (tokens_in, tokens_out) = (none, none);
    let quote = Quote { seconds: minute, calls: none, tokens_in, tokens_out, usd: None, prices_as_of: None };
    let steps = vec!["model:linear".to_owned()];
    Planned { told: "predict churn\nplan: 1 step".into(), steps, quote: Some(quote), given: Vec::new() }
}

fn texts(task: &mut Task, text: &str) -> String {
    let (replies, _) = task.hear(text).unwrap();
    replies.iter().filter_map(|reply| reply["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_is_shown_and_waits_for_a_yes() {
    let home = home();
    let mut task = task(home.path(), Some(kept(home.path(), Stand::NeedsYes)));
    assert!(task.wants_plan());
    assert_eq!((task.status(), &task.shown()["plan"]), ("awaiting_input", &Value::Null));
    task.take_plan(Ok(plan()));
    let shown = task.shown();
    assert_eq!(shown["plan"]["text"], "predict churn\nplan: 1 step");
    assert_eq!(
        (&shown["quote"]["seconds"]["high"], &shown["question"]),
        (&60.0.into(), &SHALL_IT_BEGIN.into())
    );
    assert_eq!(texts(&mut task, "what does it cost?"), "predict churn\nplan: 1 step");
    assert_eq!(task.status(), "awaiting_input");
    // A change wants another plan; a yes beside it counts when that plan is there.
    texts(&mut task, "without catboost");
    assert!(task.wants_plan() && task.shown()["plan"].is_null());
    task.take_plan(Ok(plan()));
    assert_eq!(task.status(), "awaiting_input");
    texts(&mut task, "yes, but 30 trials");
    assert_eq!(task.status(), "awaiting_input");
    task.take_plan(Ok(plan()));
    assert_eq!(task.status(), "queued");
    let options = found_anew(home.path()).kept.unwrap().options;
    assert_eq!((options.budget.trials, options.steer.len()), (Some(30), 1));
}

#[test]
fn a_plan_that_cannot_be_made_is_told() {
    let home = home();
    let mut task = task(home.path(), Some(kept(home.path(), Stand::NeedsYes)));
    let trouble = Trouble { message: "no column churn".into(), hint: None };
    task.take_plan(Err(Unplanned::Trouble(trouble)));
    let shown = task.shown();
    assert_eq!(
        (&shown["status"], &shown["error"]["detail"]),
        (&"awaiting_input".into(), &"no column churn".into())
    );
    assert!(!task.wants_plan());
    texts(&mut task, "the target is plan_b");
    assert!(task.wants_plan() && task.shown()["error"].is_null());
    // One that has to be asked for first.
    let open = Open { question: "which one?".into(), columns: vec!["left".into()] };
    task.take_plan(Err(Unplanned::Open(open)));
    assert_eq!(task.shown()["question"], "which one?");
    assert_eq!(task.approve().unwrap_err().code, "state");
    assert!(texts(&mut task, "thanks").contains("still to be known: which one?"));
    texts(&mut task, "left");
    assert!(task.wants_plan());
    assert_eq!(found_anew(home.path()).status(), "awaiting_input");
    assert_eq!((task.approve(), task.status()), (Ok(()), "queued"));
}

#[test]
fn what_waits_can_be_cancelled_and_stays_so() {
    for stand in [Stand::Queued, Stand::NeedsYes] {
        let home = home();
        let mut task = task(home.path(), Some(kept(home.path(), stand)));
        assert_eq!((task.cancel(), task.status()), (Ok(()), "cancelled"));
        assert_eq!(task.cancel().unwrap_err().status, StatusCode::CONFLICT);
        // No sentence brings it back.
        for text in ["yes", "left", "try again", "thanks, bye"] {
            assert_eq!(task.hear(text).unwrap_err().status, StatusCode::CONFLICT, "{text}");
        }
        assert!(task.approve().is_err());
        assert_eq!((task.status(), found_anew(home.path()).status()), ("cancelled", "cancelled"));
    }
}

#[test]
fn a_question_outlives_the_server() {
    let home = home();
    let mut kept = kept(home.path(), Stand::Queued);
    kept.question = Some(kept::Question { question: "which one?".into(), columns: vec!["left".into()] });
    kept.write(&kept::beside(&home.path().join("runs"), "r0")).unwrap();
    drop(journal(&kept.options, false, Some(RunStatus::Failed)));
    let mut task = found_anew(home.path());
    assert_eq!(
        (task.status(), &task.shown()["question"], &task.shown()["error"]),
        ("awaiting_input", &"which one?".into(), &Value::Null)
    );
    assert!(texts(&mut task, "30 trials").contains("still to be known"));
    assert_eq!(task.status(), "awaiting_input");
    assert!(texts(&mut task, "left").contains("thank you"));
    assert_eq!((task.status(), task.folder.exists()), ("queued", false));
    // The answer, and the numbers of what was told, outlive it as well.
    let kept = found_anew(home.path()).kept.unwrap();
    assert_eq!((kept.options.target.as_deref(), kept.events_before), (Some("left"), 3));
    assert_eq!((kept.options.budget.trials, kept.question), (Some(30), None));
}

#[test]
fn a_cancelled_question_stays_cancelled() {
    let home = home();
    let mut kept = kept(home.path(), Stand::Queued);
    kept.question = Some(kept::Question { question: "which one?".into(), columns: vec!["left".into()] });
    drop(journal(&kept.options, false, Some(RunStatus::Failed)));
    let mut task = task(home.path(), Some(kept));
    assert_eq!((task.cancel(), task.status()), (Ok(()), "cancelled"));
    assert_eq!(task.hear("left").unwrap_err().status, StatusCode::CONFLICT);
    assert_eq!(found_anew(home.path()).status(), "cancelled");
}

#[test]
fn a_run_tells_how_it_ended_in_every_life_of_the_server() {
    for (end, status, told) in [
        (Some(RunStatus::Succeeded), "succeeded", None),
        (Some(RunStatus::Partial), "succeeded", None),
        (Some(RunStatus::Interrupted), "cancelled", None),
        (Some(RunStatus::Failed), "failed", Some("it was refused")),
        (None, "failed", Some("this run was interrupted")),
    ] {
        let home = home();
        let kept = kept(home.path(), Stand::Begun);
        drop(journal(&kept.options, true, end));
        kept.write(&kept::inside(&kept.options.out)).unwrap();
        let mut task = found_anew(home.path());
        assert_eq!(task.status(), status);
        assert_eq!(task.shown()["error"]["detail"].as_str(), told, "{status}");
        // Taking leave of it changes nothing.
        texts(&mut task, "thanks, bye");
        texts(&mut task, "quit");
        assert_eq!((task.status(), task.is_over()), (status, true));
    }
}

#[test]
fn an_interrupted_run_waits_to_go_on() {
    let home = home();
    let kept = kept(home.path(), Stand::Begun);
    drop(journal(&kept.options, true, None));
    kept.write(&kept::inside(&kept.options.out)).unwrap();
    let mut task = found_anew(home.path());
    assert!(texts(&mut task, "resume").contains("goes on as soon as there is a place"));
    assert_eq!((task.status(), found_anew(home.path()).status()), ("queued", "queued"));
    // Who does not want it after all has what there was.
    assert_eq!((task.cancel(), task.status()), (Ok(()), "failed"));
}

#[test]
fn a_run_that_another_process_works_on_goes_on() {
    let home = home();
    let options = options(home.path(), "r0");
    let held = journal(&options, true, None);
    let mut task = task(home.path(), None);
    assert_eq!((task.status(), task.is_over()), ("running", false));
    assert_eq!(task.cancel().unwrap_err().status, StatusCode::CONFLICT);
    drop(held);
    assert_eq!(task.status(), "failed");
    assert!(texts(&mut task, "resume").contains("begun elsewhere"));
}

#[test]
fn what_was_left_unsaid_is_asked_again() {
    // The server ended between a run's question and its writing down: the run is made anew.
    let home = home();
    let kept = kept(home.path(), Stand::Queued);
    drop(journal(&kept.options, false, Some(RunStatus::Failed)));
    kept.write(&kept::beside(&home.path().join("runs"), "r0")).unwrap();
    let task = found_anew(home.path());
    assert_eq!((task.status(), task.folder.exists()), ("queued", false));
    assert_eq!(task.kept.unwrap().events_before, 3);
}
