//! A model whose answers are kept: those of an earlier life of the run are given again, new ones are reported.

use super::{Called, News};
use ansatz_llm::{Answer, Answering, Ask, ChatModel, Key, OnText};
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

pub struct Kept {
    model: Box<dyn ChatModel>,
    known: BTreeMap<Key, Answer>,
    sender: UnboundedSender<News>,
}

impl Kept {
    pub fn new(
        model: Box<dyn ChatModel>,
        known: BTreeMap<Key, Answer>,
        sender: UnboundedSender<News>,
    ) -> Self {
        Self { model, known, sender }
    }
}

impl ChatModel for Kept {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            if let Some(answer) = self.known.get(&ask.key) {
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
        let first = Kept::new(Box::new(Scripted::saying(["one"])), BTreeMap::new(), sender.clone());
        let answer = first.answer(&ask("a"), &mut silent()).await.unwrap();
        let Some(News::Called(called)) = receiver.recv().await else { panic!("a call is news") };
        assert_eq!(called.result.as_ref().unwrap().text, "one");
        let known = BTreeMap::from([(called.key.clone(), answer)]);
        let second = Kept::new(Box::new(Scripted::saying(["two"])), known, sender);
        assert_eq!(second.answer(&ask("a"), &mut silent()).await.unwrap().text, "one");
        assert!(receiver.try_recv().is_err(), "what is known is no news");
        assert_eq!(second.answer(&ask("b"), &mut silent()).await.unwrap().text, "two");
    }
}
