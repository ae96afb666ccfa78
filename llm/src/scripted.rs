//! A model that answers from a script: for tests of whatever asks.

use crate::error::{LlmError, LlmErrorKind};
use crate::model::{Answer, Answering, Ask, ChatModel, Finish, OnText, Rung};
use ansatz_core::bill::Usage;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers from a script, in order, and remembers what it was asked. With no line left it fails like a dead server.
#[derive(Default)]
pub struct Scripted {
    replies: Mutex<VecDeque<Result<Answer, LlmError>>>,
    asked: Mutex<Vec<Ask>>,
    pause: Duration,
}

impl Scripted {
    /// A model with these answers.
    pub fn new(replies: Vec<Result<Answer, LlmError>>) -> Self {
        Self { replies: Mutex::new(replies.into()), ..Self::default() }
    }

    /// A model that says these texts.
    pub fn saying<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::new(texts.into_iter().map(|text| Ok(answered(&text.into()))).collect())
    }

    /// The same, but each answer takes so long.
    #[must_use]
    pub fn slow(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Ask> {
        lock(&self.asked).clone()
    }
}

/// A made-up answer with this text.
pub fn answered(text: &str) -> Answer {
    Answer {
        text: text.into(),
        reasoning: None,
        finish: Finish::Stop,
        usage: Usage { input: 100, cached: Some(0), output: 20, ..Usage::default() },
        model: "scripted".into(),
        endpoint: "script".into(),
        rung: Rung::Bounded,
        took: Duration::ZERO,
        warnings: Vec::new(),
    }
}

impl ChatModel for Scripted {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            lock(&self.asked).push(ask.clone());
            let reply = lock(&self.replies).pop_front();
            tokio::time::sleep(self.pause).await;
            let end =
                || Err(LlmError::new(self.name(), LlmErrorKind::Recorded("the script has ended".into())));
            let answer = reply.unwrap_or_else(end)?;
            on_text(&answer.text);
            Ok(answer)
        })
    }

    fn name(&self) -> String {
        "scripted".into()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
