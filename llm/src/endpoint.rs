//! One endpoint and model: makes one call, adapting to what the server refuses, and nothing more patient than that.

use crate::complaint::shown;
use crate::cut;
use crate::error::{LlmError, LlmErrorKind};
use crate::guard::{FIRST_BYTE, FIRST_WORD, Guard, Notes};
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
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Adaptations to a server's refusals within one call.
const ADAPTATIONS_MAX: usize = 8;

/// How many times the usual silence before the first word a slow model gets at most.
const PATIENCE_MAX: u32 = 4;

/// Limits on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Until a connection stands.
    pub connect: Duration,
    /// Silence before the first word: reading a long prompt and thinking take time. A model that took longer gets twice as long
    /// the next time, and once more twice that.
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
    /// How much the model should think before it answers, in the provider's word; `None` leaves it to the model.
    pub effort: Option<String>,
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
            effort: None,
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
    effort: Option<String>,
    redactor: Redactor,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    /// Shared by concurrent calls, each of which reads it at its start and writes what it learnt.
    habits: Mutex<Habits>,
    /// How many times the usual silence before the first word is waited for; raised by every call that waited in vain.
    patience: AtomicU32,
    /// Tokens to which prompts are cut in silence; 0 while none was seen to be.
    context: AtomicU64,
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
            effort: settings.effort,
            redactor,
            http,
            clock,
            habits: Mutex::new(Habits::new(settings.rung)),
            patience: AtomicU32::new(1),
            context: AtomicU64::new(0),
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
        if self.would_cut(ask) {
            return Err(LlmError::new(self.name(), LlmErrorKind::ContextOverflow(cut::words(&self.name()))));
        }
        for _ in 0..=ADAPTATIONS_MAX {
            let habits = self.habits();
            let patience = self.patience.load(Ordering::Relaxed);
            let notes = Arc::new(Notes::default());
            let waits = self.waits(patience);
            let outcome =
                match timeout(waits.total, self.attempt(ask, &habits, waits, &notes, &mut *on_text)).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(LlmErrorKind::Timeout { what: "the whole answer", limit: waits.total }),
                };
            let outcome =
                outcome.and_then(|(whole, arrived)| self.answer_of(ask, &habits, whole, arrived, started));
            let kind = match outcome {
                Ok(answer) => return Ok(answer),
                Err(kind) => kind,
            };
            if matches!(kind, LlmErrorKind::Timeout { what: FIRST_BYTE | FIRST_WORD, .. }) {
                self.patience.fetch_max((2 * patience).min(PATIENCE_MAX), Ordering::Relaxed);
            }
            let mut learnt = habits;
            if !learnt.lower(&kind, ask.tokens_max) && !learnt.learn(&kind, wants_json) {
                return Err(LlmError { model: self.name(), request: notes.request(), kind });
            }
            *self.habits.lock().unwrap_or_else(PoisonError::into_inner) = learnt;
        }
        let message = "it refuses every form of the request that is known".into();
        Err(LlmError::new(self.name(), LlmErrorKind::Rejected { status: 400, message, param: None }))
    }

    /// The limits on waiting, for a model that takes so many times as long as usual to begin.
    fn waits(&self, patience: u32) -> Waits {
        let first_byte = self.waits.first_byte.saturating_mul(patience).min(self.waits.total);
        Waits { first_byte, ..self.waits }
    }

    /// Whether the server would cut this prompt, by what it did to others. One that cannot be said shorter is sent all the same.
    fn would_cut(&self, ask: &Ask) -> bool {
        let context = self.context.load(Ordering::Relaxed);
        context > 0 && ask.shorter.is_some() && cut::is_likely(ask.tokens_estimated(), context)
    }

    async fn attempt(
        &self,
        ask: &Ask,
        habits: &Habits,
        waits: Waits,
        notes: &Arc<Notes>,
        on_text: OnText<'_>,
    ) -> Result<(Whole, Arrived), LlmErrorKind> {
        let client = self.client(habits, waits, notes)?;
        let body = wire::body(ask, &self.model, self.effort.as_deref(), habits, &self.redactor);
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
        waits: Waits,
        notes: &Arc<Notes>,
    ) -> Result<async_openai::Client<OpenAIConfig>, LlmErrorKind> {
        // Made from JSON so that nothing of it comes from the environment; the guard adds the key.
        let config = json!({"api_base": self.base, "api_key": "", "org_id": "", "project_id": ""});
        let config =
            serde_json::from_value(config).map_err(|error| LlmErrorKind::Address(error.to_string()))?;
        let guard = Guard {
            http: self.http.clone(),
            key: self.key.clone(),
            waits,
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

    /// The answer; an error when the prompt was cut in silence and can be said shorter, for then it answers another question.
    fn answer_of(
        &self,
        ask: &Ask,
        habits: &Habits,
        whole: Whole,
        arrived: Arrived,
        started: Instant,
    ) -> Result<Answer, LlmErrorKind> {
        let estimate = ask.tokens_estimated();
        let chars =
            whole.text.chars().count() + whole.reasoning.as_ref().map_or(0, |text| text.chars().count());
        let usage = arrived.usage.unwrap_or(Usage {
            input: estimate,
            output: tokens_estimated(chars),
            estimated: true,
            ..Usage::default()
        });
        if cut::is_believed(estimate, &usage) && ask.shorter.is_some() {
            self.context.fetch_max(usage.input, Ordering::Relaxed);
            return Err(LlmErrorKind::ContextOverflow(cut::words(&self.name())));
        }
        let mut warnings = Vec::new();
        if cut::is_likely(estimate, usage.input) {
            warnings.push(cut::words(&self.name()));
        }
        if self.effort.is_some() && habits.drops("reasoning_effort") {
            warnings
                .push(format!("{} takes no reasoning effort; llm_reasoning_effort is left out", self.name()));
        }
        Ok(Answer {
            text: whole.text,
            reasoning: whole.reasoning,
            finish: whole.finish,
            usage,
            model: arrived.model.unwrap_or_else(|| self.model.clone()),
            endpoint: self.host.clone(),
            rung: if matches!(ask.want, Want::Json { .. }) { habits.rung } else { Rung::Fenced },
            took: started.elapsed(),
            warnings,
        })
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
