//! One endpoint and model: makes one call, adapting to what the server refuses, and nothing more patient than that.

use crate::complaint::shown;
use crate::error::{LlmError, LlmErrorKind};
use crate::guard::{Guard, Notes};
use crate::habits::Habits;
use crate::model::{Answer, Answering, Ask, ChatModel, OnText, Rung, Want, tokens_estimated};
use crate::schema::Ordered;
use crate::wire::{self, Arrived, Whole};
use ansatz_core::bill::Usage;
use ansatz_core::clock::Clock;
use ansatz_core::secret::{Redactor, Secret};
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Adaptations to a server's refusals within one call.
const ADAPTATIONS_MAX: usize = 8;

/// Share of the estimated tokens below which a server has probably cut the prompt in silence.
const CUT_SHARE: f64 = 0.55;

/// Estimated tokens from which such a cut is believed: short prompts are estimated too badly.
const CUT_TOKENS_MIN: u64 = 3000;

/// Limits on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Until a connection stands.
    pub connect: Duration,
    /// Silence before the first word: reading a long prompt and thinking take time.
    pub first_byte: Duration,
    /// Silence between two words.
    pub idle: Duration,
    /// A whole call.
    pub total: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(1),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(10),
        }
    }
}

/// What an endpoint needs to know.
#[derive(Clone)]
pub struct EndpointSettings {
    /// The base URL, e.g. `http://127.0.0.1:8080/v1`.
    pub base: String,
    /// The model's name.
    pub model: String,
    /// The key; local servers need none.
    pub key: Option<Secret>,
    /// Limits on waiting.
    pub waits: Waits,
    /// Where the ladder of structured output begins.
    pub rung: Rung,
    /// Secrets that must not leave in a prompt, the key not needed among them.
    pub redactor: Redactor,
}

impl EndpointSettings {
    /// An endpoint with the usual settings.
    pub fn new(base: &str, model: &str, key: Option<Secret>) -> Self {
        Self {
            base: base.into(),
            model: model.into(),
            key,
            waits: Waits::default(),
            rung: Rung::Bounded,
            redactor: Redactor::default(),
        }
    }
}

/// One endpoint and model.
pub struct Endpoint {
    base: String,
    host: String,
    model: String,
    key: Option<Secret>,
    waits: Waits,
    redactor: Redactor,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    /// Shared by concurrent calls, each of which reads it at its start and writes what it learnt.
    habits: Mutex<Habits>,
}

impl Endpoint {
    /// An endpoint; nothing is sent yet.
    ///
    /// # Errors
    /// When the base URL makes no sense.
    pub fn new(settings: EndpointSettings, clock: Arc<dyn Clock>) -> Result<Self, LlmError> {
        let refused = |why: String| LlmError::new(settings.model.clone(), LlmErrorKind::Address(why));
        let url = reqwest::Url::parse(settings.base.trim()).map_err(|error| refused(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused(format!("{} is neither http nor https", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(refused("it holds a user, a password or a query".into()));
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(settings.waits.connect)
            .user_agent(concat!("ansatz/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                LlmError::new(settings.model.clone(), LlmErrorKind::Connect(error.to_string()))
            })?;
        let mut redactor = settings.redactor;
        if let Some(key) = &settings.key {
            redactor.learn(key);
        }
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            host,
            model: settings.model,
            key: settings.key,
            waits: settings.waits,
            redactor,
            http,
            clock,
            habits: Mutex::new(Habits::new(settings.rung)),
        })
    }

    /// How structure is asked for at present.
    pub fn rung(&self) -> Rung {
        self.habits().rung
    }

    fn habits(&self) -> Habits {
        self.habits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn call(&self, ask: &Ask, on_text: OnText<'_>) -> Result<Answer, LlmError> {
        let started = Instant::now();
        let wants_json = matches!(ask.want, Want::Json { .. });
        for _ in 0..=ADAPTATIONS_MAX {
            let habits = self.habits();
            let notes = Arc::new(Notes::default());
            let outcome = match timeout(self.waits.total, self.attempt(ask, &habits, &notes, &mut *on_text))
                .await
            {
                Ok(outcome) => outcome,
                Err(_) => Err(LlmErrorKind::Timeout { what: "the whole answer", limit: self.waits.total }),
            };
            match outcome {
                Ok((whole, arrived)) => return Ok(self.answer_of(ask, &habits, whole, arrived, started)),
                Err(kind) => {
                    let mut learnt = habits.clone();
                    if learnt.learn(&kind, wants_json) {
                        *self.habits.lock().unwrap_or_else(PoisonError::into_inner) = learnt;
                        continue;
                    }
                    return Err(LlmError { model: self.name(), request: notes.request(), kind });
                }
            }
        }
        let message = "it refuses every form of the request that is known".into();
        Err(LlmError::new(self.name(), LlmErrorKind::Rejected { status: 400, message, param: None }))
    }

    async fn attempt(
        &self,
        ask: &Ask,
        habits: &Habits,
        notes: &Arc<Notes>,
        on_text: OnText<'_>,
    ) -> Result<(Whole, Arrived), LlmErrorKind> {
        let client = self.client(habits, notes)?;
        let body = wire::body(ask, &self.model, habits, &self.redactor);
        let mut arrived = Arrived::default();
        let failed = |error: OpenAIError| self.failure(error, notes);
        if habits.streams {
            let mut pieces =
                client.chat().create_stream_byot::<_, Value>(Ordered(&body)).await.map_err(failed)?;
            while let Some(piece) = pieces.next().await {
                let words = arrived.take(&piece.map_err(failed)?, &self.redactor)?;
                if !words.is_empty() {
                    notes.has_begun.store(true, Ordering::Relaxed);
                    on_text(&words);
                }
            }
            // A stream that the guard ended shows up here as an ordinary end.
            if let Some(kind) = notes.failure() {
                return Err(kind);
            }
            if !arrived.has_choice && !notes.is_done.load(Ordering::Relaxed) {
                return Err(LlmErrorKind::Broken("it ended before it began".into()));
            }
        } else {
            let json: Value = client.chat().create_byot(Ordered(&body)).await.map_err(failed)?;
            let words = arrived.take(&json, &self.redactor)?;
            on_text(&words);
        }
        let rest = Arrived { usage: arrived.usage.take(), model: arrived.model.take(), ..Arrived::default() };
        let is_done = !habits.streams || notes.is_done.load(Ordering::Relaxed);
        Ok((arrived.end(is_done)?, rest))
    }

    fn client(
        &self,
        habits: &Habits,
        notes: &Arc<Notes>,
    ) -> Result<async_openai::Client<OpenAIConfig>, LlmErrorKind> {
        // Made from JSON so that nothing of it comes from the environment; the guard adds the key.
        let config = json!({"api_base": self.base, "api_key": "", "org_id": "", "project_id": ""});
        let config =
            serde_json::from_value(config).map_err(|error| LlmErrorKind::Address(error.to_string()))?;
        let guard = Guard {
            http: self.http.clone(),
            key: self.key.clone(),
            waits: self.waits,
            redactor: self.redactor.clone(),
            clock: Arc::clone(&self.clock),
            notes: Arc::clone(notes),
            streams: habits.streams,
        };
        Ok(async_openai::Client::build(self.http.clone(), config).with_http_service(guard))
    }

    /// What a failure of the layers above the guard means.
    fn failure(&self, error: OpenAIError, notes: &Notes) -> LlmErrorKind {
        if let Some(kind) = notes.failure() {
            return kind;
        }
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<LlmErrorKind>() {
                Ok(kind) => *kind,
                Err(error) => LlmErrorKind::Broken(shown(&error.to_string(), &self.redactor)),
            },
            OpenAIError::JSONDeserialize(error, content) => LlmErrorKind::Shape {
                problem: error.to_string(),
                sample: shown(&content.chars().take(1000).collect::<String>(), &self.redactor),
            },
            other => LlmErrorKind::Broken(shown(&other.to_string(), &self.redactor)),
        }
    }

    fn answer_of(
        &self,
        ask: &Ask,
        habits: &Habits,
        whole: Whole,
        arrived: Arrived,
        started: Instant,
    ) -> Answer {
        let estimate = ask.tokens_estimated();
        let chars =
            whole.text.chars().count() + whole.reasoning.as_ref().map_or(0, |text| text.chars().count());
        let usage = arrived.usage.unwrap_or(Usage {
            input: estimate,
            output: tokens_estimated(chars),
            estimated: true,
            ..Usage::default()
        });
        let mut warnings = Vec::new();
        if estimate > CUT_TOKENS_MIN && (usage.input as f64) < CUT_SHARE * estimate as f64 {
            warnings.push(format!(
                "{} counted {} tokens of a prompt of about {estimate}: it probably cuts long prompts in silence; \
                 start it with a larger context",
                self.host, usage.input
            ));
        }
        Answer {
            text: whole.text,
            reasoning: whole.reasoning,
            finish: whole.finish,
            usage,
            model: arrived.model.unwrap_or_else(|| self.model.clone()),
            endpoint: self.host.clone(),
            rung: if matches!(ask.want, Want::Json { .. }) { habits.rung } else { Rung::Fenced },
            took: started.elapsed(),
            warnings,
        }
    }
}

impl ChatModel for Endpoint {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(self.call(ask, on_text))
    }

    fn name(&self) -> String {
        format!("{} at {}", self.model, self.host)
    }
}
