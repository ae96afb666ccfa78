//! Questions to a language model, answered in a thread of their own: neither limits nor the user nor other trials wait for it.

use super::{Counter, Oracle};
use crate::error::RunError;
use ansatz_core::bill::Bill;
use ansatz_tuner::operation::Operation;
use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::samplers::Random;
use ansatz_tuner::study::Study;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};

/// What came back.
pub struct Answered {
    /// The question's number.
    pub query: u32,
    /// The answer.
    pub answer: Answer,
    /// Why the study must end: a model that was required cannot be had.
    pub refusal: Option<RunError>,
}

/// Whoever answers, and the question that is open.
pub struct Asker {
    oracle: Option<Box<dyn Oracle>>,
    counter: Option<Counter>,
    questions: Option<Sender<(Query, Vec<Operation>)>>,
    /// The open question, and when it was asked, in seconds of the study.
    open: Option<(u32, f64)>,
}

impl Asker {
    /// Nothing is asked yet, and no thread runs.
    pub fn new(oracle: Box<dyn Oracle>) -> Self {
        Self { counter: oracle.counter(), oracle: Some(oracle), questions: None, open: None }
    }

    /// The bill of the moment, where somebody counts.
    pub fn bill(&self) -> Option<Bill> {
        self.counter.as_ref().map(|counter| counter())
    }

    /// Whether this question is the open one.
    pub fn is_about(&self, query: u32) -> bool {
        self.open.is_some_and(|(open, _)| open == query)
    }

    /// The open question, if it was asked so many seconds ago.
    pub fn overdue(&self, now_s: f64, patience_s: f64) -> Option<u32> {
        self.open.filter(|(_, asked_s)| now_s - asked_s > patience_s).map(|(open, _)| open)
    }

    /// Whether an answer is waited for.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Has a question answered, unless it is being answered already (`now_s`: seconds of the study); `reply` hears the answer, and says whether it wants more.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn ask(
        &mut self,
        query: &Query,
        study: &Study,
        now_s: f64,
        reply: impl Fn(Answered) -> bool + Send + 'static,
    ) -> Result<(), RunError> {
        if self.is_about(query.id) {
            return Ok(());
        }
        if let Some(oracle) = self.oracle.take() {
            let (sender, questions) = channel();
            let work = move || {
                let mut oracle = oracle;
                while let Ok((query, operations)) = questions.recv() {
                    if !reply(answered(&mut *oracle, &query, operations)) {
                        return;
                    }
                }
            };
            std::thread::Builder::new()
                .name("questions".into())
                .spawn(work)
                .map_err(|error| RunError::failed(format!("starting a thread: {error}")))?;
            self.questions = Some(sender);
        }
        self.open = Some((query.id, now_s));
        let question = (query.clone(), study.operations().to_vec());
        let is_heard = self.questions.as_ref().is_some_and(|questions| questions.send(question).is_ok());
        if is_heard { Ok(()) } else { Err(RunError::failed("nobody answers the study's questions any more")) }
    }

    /// The open question is answered.
    pub fn close(&mut self) {
        self.open = None;
    }
}

fn answered(oracle: &mut dyn Oracle, query: &Query, operations: Vec<Operation>) -> Answered {
    // Whoever renders the question sees the study as it was when it was asked, in a copy of its own.
    let answer = match Study::replay(operations, Box::new(Random)) {
        // A study must not wait for ever for an answer that a bug of ours has swallowed.
        Ok(study) => catch_unwind(AssertUnwindSafe(|| oracle.answer(query, &study)))
            .unwrap_or_else(|_| Answer::Unavailable { cause: "a bug in ansatz: please report it".into() }),
        Err(error) => Answer::Unavailable { cause: error.to_string() },
    };
    let is_lost = matches!(answer, Answer::Unavailable { .. });
    let refusal = if is_lost { oracle.refusal() } else { None };
    Answered { query: query.id, answer, refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::seed::Seed;
    use ansatz_tuner::query::Question;
    use ansatz_tuner::space::Builder;
    use ansatz_tuner::study::Options;
    use ansatz_tuner::trial::Direction;
    use std::time::Duration;

    /// Tells how many trials it was shown.
    struct Counter;

    impl Oracle for Counter {
        fn answer(&mut self, _: &Query, study: &Study) -> Answer {
            Answer::Unavailable { cause: format!("{} trials", study.trials().len()) }
        }

        fn refusal(&self) -> Option<RunError> {
            Some(RunError::usage("no"))
        }
    }

    #[test]
    fn a_question_is_answered_once_from_a_copy_of_the_study() {
        let space = Builder::new().float("x", 0.0, 1.0).build().unwrap();
        let options = Options::new(Direction::Minimize, Seed(1));
        let mut study = Study::new(space, options, Box::new(Random)).unwrap();
        study.ask();
        let (sender, replies) = channel();
        let mut asker = Asker::new(Box::new(Counter));
        let query = Query { id: 4, question: Question::WarmStart { count: 2 } };
        for _ in 0..3 {
            let sender = sender.clone();
            asker.ask(&query, &study, 3.0, move |answered| sender.send(answered).is_ok()).unwrap();
            assert!(asker.is_open() && asker.is_about(4) && !asker.is_about(5));
            assert_eq!((asker.overdue(12.9, 10.0), asker.overdue(13.1, 10.0)), (None, Some(4)));
        }
        let answered = replies.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(answered.query, 4);
        assert_eq!(answered.answer, Answer::Unavailable { cause: "1 trials".into() });
        assert_eq!(answered.refusal.map(|error| error.message), Some("no".into()));
        asker.close();
        assert!(!asker.is_open() && replies.recv_timeout(Duration::from_millis(50)).is_err());
    }
}
