//! A model whose answers are kept: those of an earlier life of the run are given again, new ones are reported.

use super::{Called, News};
use ansatz_llm::{Answer, Answering, Ask, ChatModel, Entry, Key, LlmError, LlmErrorKind, OnText, Tape};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

pub struct Kept {
    model: Box<dyn ChatModel>,
    known: BTreeMap<Key, Answer>,
    sender: UnboundedSender<News>,
    /// Where an answer is recorded that was got before the recording began.
    tape: Option<Arc<Tape>>,
}

impl Kept {
    pub fn new(
        model: Box<dyn ChatModel>,
        known: BTreeMap<Key, Answer>,
        sender: UnboundedSender<News>,
        tape: Option<Arc<Tape>>,
    ) -> Self {
        Self { model, known, sender, tape }
    }
}

impl ChatModel for Kept {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            if let Some(answer) = self.known.get(&ask.key) {
                if let Some(tape) = &self.tape {
                    let failed = |error| LlmError {
                        model: self.name(),
                        request: None,
                        kind: LlmErrorKind::Cassette(error),
                    };
                    tape.write(&Entry::Call {
                        key: ask.key.clone(),
                        want: ask.want.clone(),
                        fields: ask.fields.clone(),
                        answer: Some(Box::new(answer.clone())),
                        error: None,
                    })
                    .map_err(failed)?;
                }
                on_text(&answer.text);
                return Ok(answer.clone());
            }
            let started = Instant::now();
            let outcome = self.model.answer(ask, on_text).await;
            let result = outcome.as_ref().map_err(ToString::to_string).cloned();
            let called = Called { key: ask.key.clone(), result, seconds: started.elapsed().as_secs_f64() };
            let _ = self.sender.send(News::Called(Box::new(called)));
            outcome
        })
    }

    fn name(&self) -> String {
        self.model.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_llm::{Scripted, silent};
    use tokio::sync::mpsc;

    fn ask(step: &str) -> Ask {
        Ask { key: Key { step: step.into(), ..Key::default() }, ..Ask::default() }
    }

    #[tokio::test]
    async fn an_answer_is_paid_for_once() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let first = Kept::new(Box::new(Scripted::saying(["one"])), BTreeMap::new(), sender.clone(), None);
        let answer = first.answer(&ask("a"), &mut silent()).await.unwrap();
        let Some(News::Called(called)) = receiver.recv().await else { panic!("a call is news") };
        assert_eq!(called.result.as_ref().unwrap().text, "one");
        let known = BTreeMap::from([(called.key.clone(), answer)]);
        let second = Kept::new(Box::new(Scripted::saying(["two"])), known, sender, None);
        assert_eq!(second.answer(&ask("a"), &mut silent()).await.unwrap().text, "one");
        assert!(receiver.try_recv().is_err(), "what is known is no news");
        assert_eq!(second.answer(&ask("b"), &mut silent()).await.unwrap().text, "two");
    }
}
