//! What tests of conversations share: a front end that makes nothing and keeps what it was asked for, and a task.

use crate::front::{Maker, Reply, Trouble, Wishes};
use ansatz_core::clock::{Clock, ManualClock};
use ansatz_engine::{Aside, Keys, Observer, Options, Silent};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A front end whose runs cannot be made.
#[derive(Default)]
pub struct Nothing {
    /// Paths that are there.
    pub paths: Vec<&'static str>,
    /// What was to be made, and whether only as a rehearsal.
    pub made: Mutex<Vec<(Wishes, bool)>>,
}

impl Nothing {
    /// One with these paths.
    pub fn with(paths: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { paths: paths.to_vec(), made: Mutex::default() })
    }

    /// What was to be made since this was asked last.
    pub fn made(&self) -> Vec<(Wishes, bool)> {
        std::mem::take(&mut self.made.lock().unwrap())
    }
}

impl Maker for Nothing {
    fn make(&self, wishes: &Wishes, is_rehearsal: bool) -> Result<(Options, Keys), Trouble> {
        self.made.lock().unwrap().push((wishes.clone(), is_rehearsal));
        Err(Trouble { message: "nothing can be made here".into(), hint: None })
    }

    fn interrupted(&self, _: Option<&str>) -> Result<(PathBuf, PathBuf, Keys), Trouble> {
        Err(Trouble { message: "there is no other run".into(), hint: None })
    }

    fn is_there(&self, word: &str) -> bool {
        self.paths.contains(&word)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(ManualClock::default())
    }

    fn observer(&self) -> Box<dyn Observer> {
        Box::new(Silent)
    }

    fn thinks(&self) -> bool {
        false
    }

    fn aside(&self) -> Result<Option<Aside>, Trouble> {
        Ok(None)
    }
}

/// Options of a task about `/data/churn.csv`.
pub fn options() -> Options {
    let options = serde_json::json!({
        "data": "/data/churn.csv",
        "request": "predict churn",
        "target": "churn",
        "out": "/nowhere/runs/first",
        "run": "first",
        "budget": {},
        "jobs": 1,
        "seed": 3,
        "strict": false,
        "home": "/nowhere/home",
        "dry_run": false,
    });
    serde_json::from_value(options).unwrap()
}

/// A reply in a line.
pub fn told(reply: &Reply) -> String {
    match reply {
        Reply::Said(text) => text.clone(),
        Reply::Asked(text) => format!("? {text}"),
        Reply::Trouble(text, _) => format!("! {text}"),
    }
}
