//! A real language model on a real llama.cpp server: what no double can show. The model is tiny and its ideas are poor;
//! what is tested is the protocol.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

use ansatz_core::bill::PriceTable;
use ansatz_core::clock::ManualClock;
use ansatz_core::seed::Seed;
use ansatz_llm::{
    Ask, Caps, ChatModel as _, EndpointChoice, Key, Ledger, LlmErrorKind, Message, OnText, Patience, Patient,
    Role, Setup, Want, read, silent,
};
use serde::Deserialize;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A running server; it ends with the test.
struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Python with the packages, or `None` when their absence is allowed.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("ANSATZ_TEST_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansatz-home"), PathBuf::from);
    let python = home.join("llama/bin/python");
    if home.join("llama/requirements.lock").exists() {
        return Some(python);
    }
    let allowed = std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default();
    if allowed.split(',').any(|name| name == "llama") {
        println!("skipped: there is no llama.cpp server");
        return None;
    }
    panic!("{} is missing: run scripts/setup-llama, or set ANSATZ_ALLOW_SKIP=llama", python.display());
}

fn start() -> Option<Server> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/llama/serve.py");
    let mut child = Command::new(python()?)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let base = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("http://"))
        .expect("the server says where it listens");
    Some(Server { child, base })
}

fn connect(server: &Server) -> Patient {
    let endpoints = vec![EndpointChoice { base: server.base.clone(), model: "smol".into() }];
    let clock: Arc<dyn ansatz_core::clock::Clock> = Arc::new(ManualClock::default());
    let setup = Setup { endpoints, wait_s: 300.0, effort: None };
    let ledger = Arc::new(Ledger::new(Caps::default(), PriceTable::default()));
    setup
        .connect(
            &[None],
            Patience { total: Duration::from_secs(500), ..Patience::default() },
            Seed(1),
            &clock,
            &ledger,
        )
        .expect("an address")
}

const RULES: &str = "You help to build predictive models from tables. A table has rows and columns; one column is the target. \
    Answer in the form that is asked for and in nothing else. Prefer simple models on small tables, and boosted trees on \
    larger ones. Say what should be checked before a result is believed. Columns that are only known afterwards must not be \
    used. Categories with many values need statistics that were computed on other rows. Dates have parts that repeat.";

fn ask(words: &str, want: Want, tokens_max: u32) -> Ask {
    let messages = vec![Message::new(Role::System, RULES), Message::new(Role::User, words)];
    Ask { key: Key::default(), messages, want, tokens_max, temperature: Some(0.0), ..Ask::default() }
}

/// A plan as small as the model.
#[derive(Debug, Deserialize)]
struct Plan {
    because: String,
    model: String,
    rounds: u32,
    columns: Vec<String>,
}

fn plan() -> Want {
    let schema = json!({
        "type": "object",
        "required": ["because", "model", "rounds", "columns"],
        "properties": {
            "because": {"type": "string", "maxLength": 80},
            "model": {"enum": ["linear", "lightgbm", "catboost"], "type": "string"},
            "rounds": {"type": "integer", "minimum": 50, "maximum": 2000},
            "columns": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "maxLength": 12}},
        },
    });
    Want::Json { name: "plan".into(), schema }
}

/// One server for all: it takes seconds to start, and it answers one at a time anyway.
#[tokio::test]
async fn a_real_model_streams_plans_and_caches() {
    let Some(server) = start() else { return };
    let model = connect(&server);

    let mut pieces = 0;
    let hear: OnText = &mut |_: &str| pieces += 1;
    let words = "Name one kind of model. Answer with one word.";
    let first = model.answer(&ask(words, Want::Text, 48), hear).await;
    let first = match first {
        Ok(answer) => answer,
        // A model that rambles is cut twice: then it could not be heard at all.
        Err(error) => panic!("{error}"),
    };
    assert!(!first.text.is_empty() && pieces >= 2, "{pieces} pieces of {:?}", first.text);
    assert!(!first.usage.estimated && first.usage.input > 50, "{:?}", first.usage);

    let second =
        model.answer(&ask("Name one kind of table.", plan(), 160), &mut silent()).await.expect("an answer");
    let share = second.usage.cached.unwrap_or(0) as f64 / second.usage.input as f64;
    println!(
        "{} of {} prompt tokens came from the cache",
        second.usage.cached.unwrap_or(0),
        second.usage.input
    );
    assert!(share >= 0.5, "{:?}", second.usage);

    let request = "Plan a model for a table of 1,200 gym members with the columns visits, plan and joined; the target is left.";
    let planned = read::<Plan>(&model, &ask(request, plan(), 200), &mut silent(), &|_| Vec::new())
        .await
        .expect("a plan");
    println!("{:?} after {} repairs", planned.value, planned.repairs);
    assert!(planned.value.because.chars().count() <= 80 && planned.value.columns.len() <= 3);
    assert!(["linear", "lightgbm", "catboost"].contains(&planned.value.model.as_str()));
    assert!((50..=2000).contains(&planned.value.rounds));

    let long = ask(&"word ".repeat(9000), Want::Text, 8);
    let error = model.answer(&long, &mut silent()).await.expect_err("it is too long");
    assert!(matches!(error.kind, LlmErrorKind::ContextOverflow(_)), "{error}");
    let shorter =
        Ask { shorter: Some(ask("Say yes.", plan(), 160).messages), want: plan(), tokens_max: 160, ..long };
    model.answer(&shorter, &mut silent()).await.expect("the shorter form is taken");
}
