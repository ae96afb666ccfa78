//! Recordings: a folder with a file of JSON lines, one entry each; and the models that write and play them.
//!
//! A request is matched by its key (agent, template and its hash, step, ordinal, turn), by what it wants and by its fields,
//! which hold no measured numbers: a recording plays on another machine, where every second is another second. The rendered
//! text is not compared. Secrets are removed before anything is written.

use crate::error::{LlmError, LlmErrorKind};
use crate::ledger;
use crate::model::{Answer, Answering, Ask, ChatModel, Key, OnText, Want};
use ansatz_core::secret::Redactor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Version of the format.
const FORMAT: u32 = 1;

/// Name of the file in the folder.
const FILE: &str = "cassette.jsonl";

/// Largest recording that is read, in bytes.
const BYTES_MAX: u64 = 256 << 20;

/// First line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    cassette: u32,
    program: String,
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A call of a language model.
    Call {
        /// What it was about.
        key: Key,
        /// What form the answer had to have.
        want: Want,
        /// What went into the prompt but for measured numbers.
        fields: Value,
        /// The answer; `None` when the call failed.
        answer: Option<Box<Answer>>,
        /// Why the call failed.
        error: Option<String>,
    },
    /// A decision of the engine, such as which reply arrived before which trial. Its content is the engine's own.
    Decision {
        /// What was decided.
        name: String,
        /// How.
        value: Value,
    },
}

/// Why a recording cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CassetteError {
    /// There is none.
    #[error("{}: there is no recording", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{}: a recording is there already", .0.display())]
    AlreadyThere(PathBuf),
    /// It was made by another version.
    #[error("{}: the recording has format {found}, and this program reads {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A line cannot be understood.
    #[error("{}: line {line} cannot be understood: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {problem}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// The call is not in it.
    #[error("the recording has no such call: {0}")]
    NoCall(String),
    /// The call is in it, but was about something else.
    #[error("the request differs from the recorded one ({what}): {difference}")]
    Differs {
        /// Which call.
        what: String,
        /// The first difference.
        difference: String,
    },
}

/// A recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Cassette {
    /// Its entries in the order in which they were written.
    pub entries: Vec<Entry>,
}

impl Cassette {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`CassetteError`]: missing, of another format, damaged.
    pub fn open(folder: &Path) -> Result<Self, CassetteError> {
        let path = folder.join(FILE);
        let io =
            |error: &std::io::Error| CassetteError::Io { path: path.clone(), problem: error.to_string() };
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(CassetteError::Missing(folder.into()));
            }
            opened => opened.map_err(|error| io(&error))?,
        };
        if file.metadata().map_err(|error| io(&error))?.len() > BYTES_MAX {
            return Err(CassetteError::Io { path, problem: "it is larger than 256 MiB".into() });
        }
        let mut lines = BufReader::new(file).lines();
        let damaged = |line, problem: String| CassetteError::Damaged { path: path.clone(), line, problem };
        let first =
            lines.next().ok_or_else(|| damaged(1, "it is empty".into()))?.map_err(|error| io(&error))?;
        let header: Header = serde_json::from_str(&first).map_err(|error| damaged(1, error.to_string()))?;
        if header.cassette != FORMAT {
            return Err(CassetteError::Format { path, found: header.cassette });
        }
        let mut entries = Vec::new();
        for (n, line) in lines.enumerate() {
            let line = line.map_err(|error| io(&error))?;
            if !line.trim().is_empty() {
                entries.push(serde_json::from_str(&line).map_err(|error| damaged(n + 2, error.to_string()))?);
            }
        }
        Ok(Self { entries })
    }

    /// The decisions of that name, in order.
    pub fn decisions<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a Value> {
        self.entries.iter().filter_map(move |entry| match entry {
            Entry::Decision { name, value } if name == wanted => Some(value),
            _ => None,
        })
    }
}

/// A model whose calls are written to a recording.
pub struct Recorder<M> {
    model: M,
    tape: Arc<Tape>,
}

/// The file that entries are appended to.
pub struct Tape {
    path: PathBuf,
    /// Written by every call at its end.
    file: Mutex<File>,
    redactor: Redactor,
}

impl Tape {
    /// Begins a recording in a folder, which is made if need be.
    ///
    /// # Errors
    /// [`CassetteError`]: there is one already, or the folder cannot be written.
    pub fn begin(folder: &Path, redactor: Redactor) -> Result<Self, CassetteError> {
        let path = folder.join(FILE);
        let io =
            |error: &std::io::Error| CassetteError::Io { path: path.clone(), problem: error.to_string() };
        std::fs::create_dir_all(folder).map_err(|error| io(&error))?;
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(CassetteError::AlreadyThere(folder.into()));
            }
            opened => opened.map_err(|error| io(&error))?,
        };
        let tape = Self { path, file: Mutex::new(file), redactor };
        tape.line(&Header { cassette: FORMAT, program: env!("CARGO_PKG_VERSION").into() })?;
        Ok(tape)
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, entry: &Entry) -> Result<(), CassetteError> {
        self.line(entry)
    }

    fn line(&self, value: &impl Serialize) -> Result<(), CassetteError> {
        let io = |problem: String| CassetteError::Io { path: self.path.clone(), problem };
        let text = serde_json::to_string(value).map_err(|error| io(error.to_string()))?;
        let line = self.redactor.clean(&text) + "\n";
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(|error| io(error.to_string()))
    }
}

impl<M: ChatModel> Recorder<M> {
    /// Records the calls of a model.
    pub fn new(model: M, tape: Arc<Tape>) -> Self {
        Self { model, tape }
    }
}

impl<M: ChatModel> ChatModel for Recorder<M> {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            let outcome = self.model.answer(ask, on_text).await;
            let entry = Entry::Call {
                key: ask.key.clone(),
                want: ask.want.clone(),
                fields: ask.fields.clone(),
                answer: outcome.as_ref().ok().cloned().map(Box::new),
                error: outcome.as_ref().err().map(|error| error.kind.to_string()),
            };
            let failed = |error| LlmError::new(self.name(), LlmErrorKind::Cassette(error));
            self.tape.write(&entry).map_err(failed)?;
            outcome
        })
    }

    fn name(&self) -> String {
        self.model.name()
    }
}

/// A model that plays a recording.
pub struct Player {
    calls: BTreeMap<Key, Entry>,
    /// Keys that were asked for.
    played: Mutex<Vec<Key>>,
}

impl Player {
    /// Plays the calls of a recording.
    pub fn new(cassette: &Cassette) -> Self {
        let calls = cassette.entries.iter().filter_map(|entry| match entry {
            Entry::Call { key, .. } => Some((key.clone(), entry.clone())),
            Entry::Decision { .. } => None,
        });
        Self { calls: calls.collect(), played: Mutex::default() }
    }

    /// Recorded calls that nobody asked for.
    pub fn unplayed(&self) -> Vec<&Key> {
        let played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
        self.calls.keys().filter(|key| !played.contains(key)).collect()
    }

    fn find(&self, ask: &Ask) -> Result<&Entry, CassetteError> {
        let key = &ask.key;
        let Some(entry) = self.calls.get(key) else { return Err(self.explain(key)) };
        let Entry::Call { want, fields, .. } = entry else { return Err(CassetteError::NoCall(named(key))) };
        let asked = serde_json::to_value(&ask.want).unwrap_or_default();
        let recorded = serde_json::to_value(want).unwrap_or_default();
        let difference = first_difference(&recorded, &asked, "form of the answer")
            .or_else(|| first_difference(fields, &ask.fields, "fields"));
        match difference {
            Some(difference) => Err(CassetteError::Differs { what: named(key), difference }),
            None => Ok(entry),
        }
    }

    /// Why there is no entry for a key.
    fn explain(&self, key: &Key) -> CassetteError {
        let same = |known: &&Key| known.template == key.template && known.step == key.step;
        let others: Vec<&Key> = self.calls.keys().filter(same).collect();
        if let Some(known) =
            others.iter().find(|known| known.ordinal == key.ordinal && known.turn == key.turn)
        {
            let difference = if known.hash == key.hash {
                format!("the agent was {}, and is {}", known.agent, key.agent)
            } else {
                format!("the wording of {} has changed since", key.template)
            };
            return CassetteError::Differs { what: named(key), difference };
        }
        let there = if others.is_empty() {
            let templates = self.calls.keys().filter(|known| known.template == key.template).count();
            format!("it has none for this step, and {templates} of this template for others")
        } else {
            format!("it has {} for this step", others.len())
        };
        CassetteError::NoCall(format!("{}; {there}", named(key)))
    }
}

fn named(key: &Key) -> String {
    let turn = if key.turn == 0 { String::new() } else { format!(", turn {}", key.turn + 1) };
    format!("{} for step {}, call {}{turn}", key.template, key.step, key.ordinal + 1)
}

impl ChatModel for Player {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            let failed = |error| LlmError::new(self.name(), LlmErrorKind::Cassette(error));
            let entry = self.find(ask).map_err(failed)?;
            self.played.lock().unwrap_or_else(PoisonError::into_inner).push(ask.key.clone());
            let Entry::Call { answer, error, .. } = entry else {
                return Err(failed(CassetteError::NoCall(named(&ask.key))));
            };
            if let Some(answer) = answer {
                on_text(&answer.text);
                return Ok((**answer).clone());
            }
            let error = error.clone().unwrap_or_default();
            // Attempts that a recording does not hold may have used up what a cap allowed.
            let is_refusal = ledger::is_refusal(&error);
            let kind = if is_refusal { LlmErrorKind::Cap(error) } else { LlmErrorKind::Recorded(error) };
            Err(LlmError::new(self.name(), kind))
        })
    }

    fn name(&self) -> String {
        "recording".into()
    }
}

/// The first place where two values differ, in words; `None` when they are equal.
pub fn first_difference(recorded: &Value, now: &Value, place: &str) -> Option<String> {
    match (recorded, now) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let place = format!("{place}.{name}");
                match (a.get(name), b.get(name)) {
                    (Some(a), Some(b)) => first_difference(a, b, &place),
                    (Some(_), None) => Some(format!("{place} was there, and is not")),
                    _ => Some(format!("{place} was not there, and is")),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            let inside = a.iter().zip(b).enumerate();
            let inside =
                inside.into_iter().find_map(|(n, (a, b))| first_difference(a, b, &format!("{place}[{n}]")));
            inside.or_else(|| {
                (a.len() != b.len()).then(|| format!("{place} had {} entries, and has {}", a.len(), b.len()))
            })
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{place} was {}, and is {}", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 80 { text } else { text.chars().take(80).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::silent;
    use crate::scripted::Scripted;
    use ansatz_core::secret::Secret;
    use serde_json::json;

    fn ask(template: &str, ordinal: u32) -> Ask {
        let key = Key {
            agent: "planner".into(),
            template: template.into(),
            hash: "h1".into(),
            step: "plan".into(),
            ordinal,
            turn: 0,
        };
        Ask {
            key,
            fields: json!({"rows": 100, "columns": [{"name": "a"}]}),
            tokens_max: 10,
            ..Ask::default()
        }
    }

    async fn recorded(folder: &Path, asks: &[Ask]) {
        let mut redactor = Redactor::default();
        redactor.learn(&Secret::new("sk-secret-1").unwrap());
        let tape = Arc::new(Tape::begin(folder, redactor).unwrap());
        let recorder = Recorder::new(Scripted::saying(["one sk-secret-1", "two"]), Arc::clone(&tape));
        for ask in asks {
            let _ = recorder.answer(ask, &mut silent()).await;
        }
        tape.write(&Entry::Decision { name: "order".into(), value: json!(["reply 1", "trial 3"]) }).unwrap();
    }

    async fn play(player: &Player, ask: &Ask) -> String {
        match player.answer(ask, &mut silent()).await {
            Ok(answer) => answer.text,
            Err(error) => error.kind.to_string(),
        }
    }

    #[tokio::test]
    async fn what_was_recorded_is_played_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let asks = [ask("planner/plans", 0), ask("planner/plans", 1), ask("planner/plans", 2)];
        recorded(folder.path(), &asks).await;
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text.contains("sk-secret") && text.lines().count() == 5, "{text}");
        let cassette = Cassette::open(folder.path()).unwrap();
        assert_eq!(cassette.decisions("order").count(), 1);
        let player = Player::new(&cassette);
        assert_eq!(play(&player, &asks[1]).await, "two", "in any order");
        assert_eq!(play(&player, &asks[0]).await, "one [redacted]");
        assert_eq!(player.unplayed(), [&asks[2].key]);
        assert_eq!(
            play(&player, &asks[2]).await,
            "the script has ended (recorded) (recorded)",
            "failures are played too"
        );
    }

    #[tokio::test]
    async fn the_first_difference_is_named() {
        let folder = tempfile::tempdir().unwrap();
        recorded(folder.path(), &[ask("planner/plans", 0)]).await;
        let player = Player::new(&Cassette::open(folder.path()).unwrap());
        let mut other = ask("planner/plans", 0);
        other.fields = json!({"rows": 100, "columns": [{"name": "b"}]});
        assert_eq!(
            play(&player, &other).await,
            "the request differs from the recorded one (planner/plans for step plan, call 1): fields.columns[0].name was \"a\", and is \"b\""
        );
        other = ask("planner/plans", 0);
        other.key.hash = "h2".into();
        assert!(play(&player, &other).await.ends_with("the wording of planner/plans has changed since"));
        assert_eq!(
            play(&player, &ask("planner/plans", 1)).await,
            "the recording has no such call: planner/plans for step plan, call 2; it has 1 for this step"
        );
        assert!(
            play(&player, &ask("data/features", 0))
                .await
                .ends_with("none for this step, and 0 of this template for others")
        );
        other = ask("planner/plans", 0);
        other.want = Want::Json { name: "x".into(), schema: json!({}) };
        assert!(play(&player, &other).await.contains("form of the answer was \"text\", and is {"));
    }

    #[tokio::test]
    async fn a_recorded_refusal_of_the_ledger_is_one_when_it_is_played() {
        let folder = tempfile::tempdir().unwrap();
        let why = "the next call needs up to 9 tokens, and 95 of 100 are used";
        let refusal = Err(LlmError::new("m", LlmErrorKind::Cap(why.into())));
        let tape = Arc::new(Tape::begin(folder.path(), Redactor::default()).unwrap());
        let ask = ask("planner/plans", 0);
        Recorder::new(Scripted::new(vec![refusal]), tape).answer(&ask, &mut silent()).await.unwrap_err();
        let player = Player::new(&Cassette::open(folder.path()).unwrap());
        let error = player.answer(&ask, &mut silent()).await.unwrap_err();
        assert_eq!(error.kind, LlmErrorKind::Cap(why.into()));
    }

    #[test]
    fn what_is_no_recording_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = || {
            Cassette::open(folder.path())
                .unwrap_err()
                .to_string()
                .replace(&folder.path().display().to_string(), "DIR")
        };
        assert_eq!(error(), "DIR: there is no recording");
        for (content, expected) in [
            ("", "line 1 cannot be understood: it is empty"),
            (
                "{\"cassette\": 9, \"program\": \"9\"}\n",
                "the recording has format 9, and this program reads 1",
            ),
            (
                "{\"cassette\": 1, \"program\": \"0\"}\n{\"entry\": \"new\"}\n",
                "line 2 cannot be understood: unknown variant",
            ),
        ] {
            std::fs::write(folder.path().join(FILE), content).unwrap();
            assert!(error().contains(expected), "{}", error());
        }
        assert_eq!(
            Tape::begin(folder.path(), Redactor::default()).err(),
            Some(CassetteError::AlreadyThere(folder.path().into()))
        );
    }
}
