//! Tasks that are taken, found again, and lead to others. No run of these gets beyond its first step.

use super::*;
use crate::testing::{Stub, journal, options};
use ansatz_core::outcome::RunStatus;
use tempfile::TempDir;

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("runs")).unwrap();
    home
}

fn board(home: &Path) -> Board {
    let uploads = Uploads::open(home.join("uploads"), 1_000);
    Board::open(home.join("runs"), uploads, 1, Stub::new(home))
}

fn asked(task: &str) -> Asked {
    let (data, task) = (Some("churn.csv".to_owned()), Some(task.to_owned()));
    Asked { data, task, wait_for_approval: true, ..Asked::default() }
}

fn id(task: &Shared) -> String {
    locked(task).id.clone()
}

fn status(board: &Board, id: &str) -> &'static str {
    let task = board.get(id).unwrap();
    let mut task = locked(&task);
    task.catch_up();
    task.status()
}

/// Waits until a task stands so.
fn wait_for(board: &Board, id: &str, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while status(board, id) != wanted && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
        board.look_around();
    }
    assert_eq!(status(board, id), wanted);
}

/// A run that is over, as an earlier server left it.
fn leave(home: &Path, end: RunStatus) -> String {
    let kept = Kept::new(options(home, "r0"), Stand::Begun, None, 7);
    drop(journal(&kept.options, true, Some(end)));
    kept.write(&kept::inside(&kept.options.out)).unwrap();
    "r0".into()
}

fn replies(board: &Board, id: &str, text: &str) -> String {
    serde_json::to_string(&board.say(id, text).unwrap()).unwrap()
}

#[test]
fn a_key_gives_the_same_task_in_every_life_of_the_server() {
    let home = home();
    let first = board(home.path());
    let (task, is_known) = first.submit(&asked("predict churn"), Some("k")).unwrap();
    let task = id(&task);
    assert!(!is_known);
    drop(first);
    let second = board(home.path());
    let (again, is_known) = second.submit(&asked("predict churn"), Some("k")).unwrap();
    assert_eq!((id(&again), is_known), (task, true));
    let other = second.submit(&asked("predict plan"), Some("k")).err().unwrap();
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!second.submit(&asked("predict churn"), Some("other")).unwrap().1);
    assert!(!second.submit(&asked("predict churn"), None).unwrap().1);
}

#[test]
fn tasks_that_wait_are_found_again() {
    let home = home();
    let first = board(home.path());
    let [waits, cancelled] = ["predict churn", "predict plan"].map(|task| {
        let (task, _) = first.submit(&asked(task), None).unwrap();
        id(&task)
    });
    locked(&first.get(&cancelled).unwrap()).cancel().unwrap();
    drop(first);
    let second = board(home.path());
    assert_eq!((status(&second, &waits), status(&second, &cancelled)), ("awaiting_input", "cancelled"));
    // A run that cannot begin is failed, and stays so.
    locked(&second.get(&waits).unwrap()).approve().unwrap();
    wait_for(&second, &waits, "failed");
    drop(second);
    let third = board(home.path());
    assert_eq!(status(&third, &waits), "failed");
    let shown = locked(&third.get(&waits).unwrap()).shown();
    assert!(shown["error"]["detail"].as_str().is_some_and(|detail| detail.contains("metric.py")), "{shown}");
}

#[test]
fn once_more_is_another_task() {
    let home = home();
    let first = leave(home.path(), RunStatus::Succeeded);
    let board = board(home.path());
    let said = board.say(&first, "try again with more time").unwrap();
    let other = said.iter().find_map(|reply| reply["task"].as_str()).expect("another task").to_owned();
    assert_ne!(other, first);
    let kept = Kept::read(&kept::beside(&home.path().join("runs"), &other)).unwrap();
    assert_eq!(kept.options.budget.wall, Some(Duration::from_mins(10)));
    assert_eq!(kept.options.data, options(home.path(), "r0").data);
    assert_eq!(kept.options.run.as_str(), other);
    assert_eq!(status(&board, &first), "succeeded");
    // It waits and begins like all others.
    wait_for(&board, &other, "failed");
}

#[test]
fn no_sentence_names_other_data() {
    let home = home();
    let first = leave(home.path(), RunStatus::Succeeded);
    let board = board(home.path());
    for text in
        ["predict x in /home/u/private.csv, yes", "the data is in other.csv", "resume 20260305-140200-4f2a-x"]
    {
        assert!(replies(&board, &first, text).contains("trouble"), "{text}");
    }
    assert_eq!(board.all().len(), 1);
}

#[test]
fn nothing_begins_behind_the_end() {
    let home = home();
    let first = leave(home.path(), RunStatus::Succeeded);
    let kept = Kept::new(options(home.path(), "r1"), Stand::Queued, None, 7);
    kept.write(&kept::beside(&home.path().join("runs"), "r1")).unwrap();
    let board = board(home.path());
    board.close();
    board.look_around();
    assert_eq!(status(&board, "r1"), "queued");
    assert_eq!(board.submit(&asked("predict churn"), None).err().unwrap().code, "closing");
    assert_eq!(board.say(&first, "once more").unwrap_err().code, "closing");
    board.finish();
}

#[test]
fn what_somebody_looks_at_holds_up_nothing_but_itself() {
    let home = home();
    let runs = home.path().join("runs");
    for id in ["r1", "r2"] {
        Kept::new(options(home.path(), id), Stand::Queued, None, 7).write(&kept::beside(&runs, id)).unwrap();
    }
    let uploads = Uploads::open(home.path().join("uploads"), 1_000);
    let board = Board::open(runs, uploads, 2, Stub::new(home.path()));
    let busy = board.get("r1").unwrap();
    let looked_at = locked(&busy);
    wait_for(&board, "r2", "failed");
    assert_eq!(looked_at.status(), "queued");
    drop(looked_at);
    wait_for(&board, "r1", "failed");
}

#[test]
fn pages_are_newest_first() {
    let home = home();
    let runs = home.path().join("runs");
    for id in ["a", "b", "c"] {
        Kept::new(options(home.path(), id), Stand::NeedsYes, None, 7)
            .write(&kept::beside(&runs, id))
            .unwrap();
    }
    let board = board(home.path());
    let ids = |limit, after: Option<&str>, status: Option<&str>| {
        let (found, has_more) = board.page(limit, after, status);
        let ids: Vec<String> =
            found.iter().filter_map(|task| Some(task["id"].as_str()?.to_owned())).collect();
        (ids.join(""), has_more)
    };
    assert_eq!(ids(2, None, None), ("cb".into(), true));
    assert_eq!(ids(2, Some("b"), None), ("a".into(), false));
    assert_eq!(ids(3, None, Some("awaiting_input")), ("cba".into(), false));
    assert_eq!(ids(3, None, Some("failed")), (String::new(), false));
}
