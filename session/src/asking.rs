//! Questions about a run that no rule reads: a language model answers them in words, from the facts alone, and the facts stand
//! beside its words. It thinks in a thread of its own, so that the conversation goes on.

use crate::answers;
use crate::evidence;
use crate::front::{Reply, Tell};
use crate::plan::not_understood_at_all;
use crate::session::Session;
use ansatz_engine::{Aside, Words};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};

/// Lines of a fact that are shown beside an answer.
const LINES_MAX: usize = 4;

/// What the conversation has of a language model.
#[derive(Default)]
pub(crate) struct Thinking {
    /// The model, once it was asked something.
    aside: Option<Arc<Aside>>,
    /// Where the answer to an open question will come.
    open: Option<Receiver<Reply>>,
}

impl Thinking {
    /// What these questions cost so far; `None` while nothing was asked.
    pub fn cost(&self) -> Option<String> {
        let total = self.aside.as_ref()?.bill().total;
        Some(format!(
            "questions of this conversation: {} calls ({} tokens in, {} out)",
            total.calls, total.tokens_in, total.tokens_out
        ))
    }

    /// The answer, if it has come.
    pub fn news(&mut self) -> Option<Reply> {
        let heard = self.open.as_ref()?.try_recv();
        if heard != Err(TryRecvError::Empty) {
            self.open = None;
        }
        heard.ok()
    }
}

impl Session {
    /// Whether a language model is thinking about a question.
    pub fn is_thinking(&self) -> bool {
        self.thinking.open.is_some()
    }

    /// Has a language model answer what no rule reads about the run; says that it was not understood where there is none.
    pub(crate) fn wonder(&mut self, parts: &[&String], tell: Tell<'_>) {
        let missed = |tell: Tell<'_>| parts.iter().for_each(|part| tell(not_understood_at_all(part)));
        let Some(seen) = self.seen().filter(|_| self.maker.thinks()) else { return missed(tell) };
        if self.is_thinking() {
            tell(Reply::Trouble("I am still thinking about what you asked before".into(), None));
            return;
        }
        if self.thinking.aside.is_none() {
            match self.maker.aside() {
                Ok(aside) => self.thinking.aside = aside.map(Arc::new),
                Err(trouble) => tell(trouble.into()),
            }
        }
        let Some(aside) = self.thinking.aside.clone() else { return missed(tell) };
        let facts = evidence::facts(&seen, &self.folder().unwrap_or_default());
        let asked = parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ");
        let (sender, receiver) = mpsc::channel();
        let think = move || {
            // Nobody listens any more when the conversation is over.
            let _ = sender.send(answered(&aside, &asked, &facts));
        };
        match std::thread::Builder::new().name("aside".into()).spawn(think) {
            Ok(_) => {
                self.thinking.open = Some(receiver);
                tell(Reply::Said("one moment, the language model reads the facts".into()));
            }
            Err(_) => missed(tell),
        }
    }
}

fn answered(aside: &Aside, asked: &str, facts: &[(&'static str, String)]) -> Reply {
    match aside.answer(asked, facts) {
        Ok(Some(Words { answer, facts: used })) => {
            let mut lines = vec![answer];
            lines.push("  (in the language model's words; what it rests on:)".into());
            let used = facts.iter().filter(|(name, _)| used.iter().any(|used| used == name));
            for (name, text) in used {
                lines.push(format!("  {name}:"));
                lines.extend(text.lines().take(LINES_MAX).map(|line| format!("    {}", line.trim())));
            }
            Reply::Said(answers::shown(&lines))
        }
        Ok(None) => not_understood_at_all(asked),
        Err(why) => {
            let hint = format!("the language model was of no help: {why}");
            Reply::Trouble(format!("I did not understand: {asked}"), Some(hint))
        }
    }
}
