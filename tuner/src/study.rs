//! A study: one search, from its first question to its last answer.
//!
//! [`Study::ask`] gives a configuration (or a question to a model), [`Study::tell`] takes what came out; several may
//! be under way. Nothing is stored: [`Study::operations`] is the journal to be kept by whoever drives the study, and
//! [`Study::replay`] goes on from it.

use crate::operation::Operation;
use crate::pruner::{Advice, Pruner};
use crate::query::{Answer, Query};
use crate::sampler::{History, Move, Sampler};
use crate::space::{LISTED_MAX, Params, ParamsError, Point, Space};
use crate::trial::{Direction, Outcome, Trial, TrialNumber, TrialState};
use ansatz_core::seed::Seed;
use rand::Rng;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Most trials of a study.
pub const TRIALS_MAX: usize = 100_000;
/// Most goals of a study.
pub const GOALS_MAX: usize = 8;
/// Most values that a trial may report on its way.
pub const REPORTS_MAX: usize = 100_000;
/// Rules that are named where nothing is left to try.
const RULES_SHOWN: usize = 3;
/// Longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

/// What a study is about.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which values are better, goal by goal.
    pub goals: Vec<Direction>,
    /// Where all chance comes from.
    pub seed: Seed,
    /// How many trials there will be in all, if known: samplers use it to choose a method.
    pub budget: Option<u32>,
}

impl Options {
    /// One goal, a seed, no known budget.
    pub fn new(goal: Direction, seed: Seed) -> Self {
        Self { goals: vec![goal], seed, budget: None }
    }
}

/// What [`Study::ask`] gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Try this, then tell.
    Suggestion(Suggestion),
    /// Answer this by [`Study::answer`], then ask again.
    Query(Query),
    /// There is nothing new to try.
    Exhausted {
        /// Why: all that there is has been tried, or nothing was found that keeps the constraints (before any trial
        /// [`Space::is_satisfiable`] tells).
        reason: String,
    },
}

/// A configuration to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The number under which to tell.
    pub number: TrialNumber,
    /// The configuration.
    pub params: Params,
    /// Whose idea it is.
    pub origin: String,
    /// What the sampler has to say about it.
    pub note: Option<String>,
    /// The value that somebody expects of it under the first goal.
    pub expected: Option<f64>,
    /// Its place in the pool, if it was chosen from one.
    pub place: Option<usize>,
}

/// Something that does not fit the study.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StudyError {
    /// There is no such trial.
    #[error("there is no trial {0}")]
    NoTrial(TrialNumber),
    /// The trial has ended already.
    #[error("trial {0} has ended already")]
    Ended(TrialNumber),
    /// More or fewer values than goals.
    #[error("trial {number} was told {found} values, but there are {wanted} goals")]
    Values {
        /// Which trial.
        number: TrialNumber,
        /// How many values came.
        found: usize,
        /// How many goals there are.
        wanted: usize,
    },
    /// No goal, or too many.
    #[error("a study has between 1 and {GOALS_MAX} goals, not {0}")]
    Goals(usize),
    /// A configuration does not fit the space.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A pool without a configuration.
    #[error("the pool is empty")]
    EmptyPool,
    /// An answer to a question that is not open.
    #[error("question {0} is not open")]
    NoQuery(u32),
    /// The limit of trials or reports is reached.
    #[error("the study is full: {0}")]
    Full(&'static str),
    /// The journal is not one of a study.
    #[error("operation {at} of the journal does not fit: {problem}")]
    Journal {
        /// Which operation, from 0.
        at: usize,
        /// What is wrong.
        problem: String,
    },
}

/// Where a configuration comes from.
#[derive(Debug, Default)]
struct Idea {
    origin: String,
    note: Option<String>,
    expected: Option<f64>,
    queued: bool,
}

/// A search under way.
pub struct Study {
    space: Space,
    options: Options,
    sampler: Box<dyn Sampler>,
    pruner: Option<Box<dyn Pruner>>,
    trials: Vec<Trial>,
    ended: u32,
    tried: HashSet<Point>,
    queue: VecDeque<(Params, Point, String)>,
    open_query: Option<Query>,
    queries: u32,
    operations: Vec<Operation>,
}

impl std::fmt::Debug for Study {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = (self.sampler.name(), self.pruner.as_ref().map(|pruner| pruner.name()));
        f.debug_struct("Study")
            .field("methods", &names)
            .field("trials", &self.trials.len())
            .finish_non_exhaustive()
    }
}

impl Study {
    /// A new study.
    pub fn new(space: Space, options: Options, sampler: Box<dyn Sampler>) -> Result<Self, StudyError> {
        let goals = options.goals.len();
        if goals == 0 || goals > GOALS_MAX {
            return Err(StudyError::Goals(goals));
        }
        let started = Operation::Started {
            space: Box::new(space.clone()),
            goals: options.goals.clone(),
            seed: options.seed,
            budget: options.budget,
            sampler: sampler.name().into(),
        };
        Ok(Self {
            space,
            options,
            sampler,
            pruner: None,
            trials: Vec::new(),
            ended: 0,
            tried: HashSet::new(),
            queue: VecDeque::new(),
            open_query: None,
            queries: 0,
            operations: vec![started],
        })
    }

    /// The study with somebody to stop hopeless trials.
    #[must_use]
    pub fn with_pruner(mut self, pruner: Box<dyn Pruner>) -> Self {
        self.pruner = Some(pruner);
        self
    }

    /// A study as its operations left it, to go on with. Trials that were running still are: tell them as failed if
    /// nobody is evaluating them any more, or evaluate them anew from the first step. A pruner is no part of the
    /// operations: give the same one by [`Self::with_pruner`], and it judges as it would have.
    pub fn replay(
        operations: impl IntoIterator<Item = Operation>,
        sampler: Box<dyn Sampler>,
    ) -> Result<Self, StudyError> {
        let mut operations = operations.into_iter();
        let Some(Operation::Started { space, goals, seed, budget, .. }) = operations.next() else {
            return Err(StudyError::Journal { at: 0, problem: "it does not begin with the study".into() });
        };
        let mut study = Self::new(*space, Options { goals, seed, budget }, sampler)?;
        for (at, operation) in operations.enumerate() {
            study
                .again(operation)
                .map_err(|error| StudyError::Journal { at: at + 1, problem: error.to_string() })?;
        }
        Ok(study)
    }

    fn again(&mut self, operation: Operation) -> Result<(), StudyError> {
        match operation {
            Operation::Started { .. } => {
                return Err(StudyError::Journal { at: 0, problem: "a study begins once".into() });
            }
            Operation::Enqueued { params, origin } => self.enqueue(params, &origin)?,
            Operation::Asked { number, params, origin, note, expected, queued } => {
                if number.0 as usize != self.trials.len() {
                    return Err(StudyError::NoTrial(number));
                }
                let point = self.space.point(&params)?;
                if queued {
                    self.queue.pop_front();
                }
                self.begin(params, point, Idea { origin, note, expected, queued });
            }
            Operation::Reported { number, step, value } => self.note_report(number, step, value)?,
            Operation::Completed { number, values } => self.tell(number, Outcome::Values(values))?,
            Operation::Pruned { number } => self.tell(number, Outcome::Pruned)?,
            Operation::Failed { number, reason } => self.tell(number, Outcome::Failed(reason))?,
            Operation::Queried { query } => {
                self.queries = query.id + 1;
                self.open_query = Some(query.clone());
                self.operations.push(Operation::Queried { query });
            }
            Operation::Answered { query, answer } => self.answer(query, answer)?,
        }
        Ok(())
    }

    /// What is searched.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Which values are better.
    pub fn goals(&self) -> &[Direction] {
        &self.options.goals
    }

    /// Every trial, by number.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Everything that has happened, oldest first. Keep what was added since the last look, before acting on it.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Which method is at work and why, for reports.
    pub fn reason(&self) -> String {
        self.sampler.reason().unwrap_or_else(|| self.sampler.name().into())
    }

    /// What is known now, for whoever judges from outside.
    pub fn history(&self) -> History<'_> {
        History {
            space: &self.space,
            goals: &self.options.goals,
            trials: &self.trials,
            tried: &self.tried,
            seed: self.options.seed.derive(&format!("trial-{}-{}", self.trials.len(), self.queries)),
            study_seed: self.options.seed,
            budget: self.options.budget,
        }
    }

    /// The best trial under the first goal; the earlier one of equals.
    pub fn best(&self) -> Option<&Trial> {
        let goal = self.options.goals[0];
        let mut best: Option<(f64, &Trial)> = None;
        for trial in &self.trials {
            let Some(values) = trial.values() else { continue };
            let loss = goal.loss(values[0]);
            if best.is_none_or(|(least, _)| loss < least) {
                best = Some((loss, trial));
            }
        }
        best.map(|(_, trial)| trial)
    }

    /// The trials that no other beats under every goal at once.
    pub fn front(&self) -> Vec<&Trial> {
        let known: Vec<(&Trial, Vec<f64>)> = self
            .trials
            .iter()
            .filter_map(|trial| {
                let losses =
                    trial.values()?.iter().zip(&self.options.goals).map(|(value, goal)| goal.loss(*value));
                Some((trial, losses.collect()))
            })
            .collect();
        let beaten = |losses: &[f64]| known.iter().any(|(_, other)| crate::front::dominates(other, losses));
        known.iter().filter(|(_, losses)| !beaten(losses)).map(|(trial, _)| *trial).collect()
    }

    /// Puts a configuration first in line. It must fit exactly: see [`Space::repair`].
    pub fn enqueue(&mut self, params: Params, origin: &str) -> Result<(), StudyError> {
        let point = self.space.point(&params)?;
        if self.queue.len() >= TRIALS_MAX {
            return Err(StudyError::Full("too many configurations wait"));
        }
        self.tried.insert(point.clone());
        self.operations.push(Operation::Enqueued { params: params.clone(), origin: origin.into() });
        self.queue.push_back((params, point, origin.into()));
        Ok(())
    }

    /// The next configuration to try.
    pub fn ask(&mut self) -> Ask {
        if self.trials.len() >= TRIALS_MAX {
            return Ask::Exhausted { reason: format!("a study has at most {TRIALS_MAX} trials") };
        }
        if let Some((params, point, origin)) = self.queue.pop_front() {
            let idea = Idea { origin, queued: true, ..Idea::default() };
            return Ask::Suggestion(self.begin(params, point, idea));
        }
        if let Some(query) = &self.open_query {
            return Ask::Query(query.clone());
        }
        match self.next_move() {
            Move::Ask(question) => {
                let query = Query { id: self.queries, question };
                self.queries += 1;
                self.open_query = Some(query.clone());
                self.operations.push(Operation::Queried { query: query.clone() });
                Ask::Query(query)
            }
            Move::Nothing => Ask::Exhausted { reason: self.why_nothing() },
            Move::Try { point, note, expected } => {
                let origin = self.sampler.name().to_owned();
                let idea = Idea { origin, note, expected, queued: false };
                match self.guarded(&point, idea) {
                    Some(suggestion) => Ask::Suggestion(suggestion),
                    None => Ask::Exhausted { reason: self.why_nothing() },
                }
            }
        }
    }

    /// Why there is nothing to try: all is tried, or nothing is found that keeps the constraints.
    fn why_nothing(&self) -> String {
        let rules: Vec<String> =
            self.space.rules().iter().take(RULES_SHOWN).map(|rule| format!("`{rule}`")).collect();
        let more = if self.space.rules().len() > rules.len() { ", …" } else { "" };
        let rules = format!("{}{more}", rules.join(", "));
        let is_listed = self.space.size(LISTED_MAX).is_some();
        if self.space.rules().is_empty() {
            "every configuration of the space has been tried".into()
        } else if !self.trials.is_empty() && is_listed {
            format!("every configuration that keeps the constraints has been tried ({rules})")
        } else if !self.trials.is_empty() {
            format!("no further configuration was found that keeps the constraints ({rules})")
        } else if self.space.is_satisfiable() == Some(false) {
            format!("no configuration of the space keeps the constraints ({rules})")
        } else {
            format!("no configuration was found that keeps the constraints ({rules})")
        }
    }

    fn next_move(&mut self) -> Move {
        let (history, sampler) = self.parts();
        sampler.next(&history)
    }

    /// What is known, beside the sampler that is to see it.
    fn parts(&mut self) -> (History<'_>, &mut dyn Sampler) {
        let history = History {
            space: &self.space,
            goals: &self.options.goals,
            trials: &self.trials,
            tried: &self.tried,
            seed: self.options.seed.derive(&format!("trial-{}-{}", self.trials.len(), self.queries)),
            study_seed: self.options.seed,
            budget: self.options.budget,
        };
        (history, self.sampler.as_mut())
    }

    /// Begins a trial at a point if it is new and fits, else at one drawn by chance. `None` if the point breaks a rule and
    /// nothing else can be found.
    fn guarded(&mut self, point: &Point, idea: Idea) -> Option<Suggestion> {
        if self.history().is_open(point) {
            return Some(self.begin_at(point, idea));
        }
        let history = self.history();
        let drawn = history.draw(&mut history.rng());
        if let Some(fresh) = drawn {
            let note = Some(format!(
                "{} proposed what was tried before or breaks a rule; drawn by chance",
                idea.origin
            ));
            let idea = Idea { origin: "chance".into(), note, ..Idea::default() };
            return Some(self.begin_at(&fresh, idea));
        }
        // Nothing new can be found: a repeated measurement is worth more than none.
        let is_allowed = self.space.allows(&self.space.settled(point));
        is_allowed.then(|| self.begin_at(point, idea))
    }

    /// The next configuration among given ones: each must fit exactly; those tried before are passed over.
    pub fn ask_among(&mut self, pool: &[Params]) -> Result<Ask, StudyError> {
        if pool.is_empty() {
            return Err(StudyError::EmptyPool);
        }
        if self.trials.len() >= TRIALS_MAX {
            return Ok(Ask::Exhausted { reason: format!("a study has at most {TRIALS_MAX} trials") });
        }
        let mut places = Vec::new();
        let mut points = Vec::new();
        for (place, params) in pool.iter().enumerate() {
            let point = self.space.point(params)?;
            if !self.tried.contains(&point) {
                places.push(place);
                points.push(point);
            }
        }
        if points.is_empty() {
            return Ok(Ask::Exhausted { reason: "every configuration of the pool has been tried".into() });
        }
        let (history, sampler) = self.parts();
        let (best, origin) = match sampler.rank(&history, &points) {
            Some(worth) => (highest(&worth), sampler.name().to_owned()),
            None => (history.rng().random_range(0..points.len()), "chance".into()),
        };
        let place = places[best];
        let idea = Idea { origin, ..Idea::default() };
        let mut suggestion = self.begin(pool[place].clone(), points.swap_remove(best), idea);
        suggestion.place = Some(place);
        Ok(Ask::Suggestion(suggestion))
    }

    /// Begins a trial at a sampler's point, moved to where its written-down configuration lies: a replayed study must
    /// see the very same point.
    fn begin_at(&mut self, point: &Point, idea: Idea) -> Suggestion {
        let point = self.space.settled(point);
        let params = self.space.params(&point);
        self.begin(params, point, idea)
    }

    fn begin(&mut self, params: Params, point: Point, idea: Idea) -> Suggestion {
        let Idea { origin, note, expected, queued } = idea;
        let number = TrialNumber(self.trials.len() as u32);
        self.tried.insert(point.clone());
        self.operations.push(Operation::Asked {
            number,
            params: params.clone(),
            origin: origin.clone(),
            note: note.clone(),
            expected,
            queued,
        });
        self.trials.push(Trial {
            number,
            params: params.clone(),
            point,
            origin: origin.clone(),
            note: note.clone(),
            expected,
            state: TrialState::Running,
            reports: BTreeMap::new(),
            ended: None,
        });
        Suggestion { number, params, origin, note, expected, place: None }
    }

    /// Gives the sampler the answer to its question.
    pub fn answer(&mut self, query: u32, answer: Answer) -> Result<(), StudyError> {
        let open = self.open_query.take_if(|open| open.id == query).ok_or(StudyError::NoQuery(query))?;
        self.sampler.hear(&open, &answer);
        self.operations.push(Operation::Answered { query, answer });
        Ok(())
    }

    /// Takes a value that a running trial reports on its way (under the first goal), and says whether it should go on.
    ///
    /// Steps may come in any order. One that comes again is that of another attempt, so what was reported after it is
    /// forgotten. Nobody is stopped here: whoever is told to stop a trial stops it, then tells it as [`Outcome::Pruned`].
    pub fn report(&mut self, number: TrialNumber, step: u64, value: f64) -> Result<Advice, StudyError> {
        self.running(number)?;
        if !value.is_finite() {
            return Ok(Advice::Stop { reason: format!("it reported {value} at step {step}") });
        }
        self.note_report(number, step, value)?;
        let Some(pruner) = &self.pruner else { return Ok(Advice::Continue) };
        Ok(pruner.judge(&self.history(), &self.trials[number.0 as usize]))
    }

    fn note_report(&mut self, number: TrialNumber, step: u64, value: f64) -> Result<(), StudyError> {
        let trial = self.running(number)?;
        if trial.reports.len() >= REPORTS_MAX {
            return Err(StudyError::Full("too many reports of one trial"));
        }
        if trial.reports.contains_key(&step) {
            trial.reports.retain(|known, _| *known < step);
        }
        trial.reports.insert(step, value);
        self.operations.push(Operation::Reported { number, step, value });
        Ok(())
    }

    /// Takes what became of a running trial.
    pub fn tell(&mut self, number: TrialNumber, outcome: impl Into<Outcome>) -> Result<(), StudyError> {
        let wanted = self.options.goals.len();
        let order = self.ended;
        let trial = self.running(number)?;
        let (state, operation) = match outcome.into() {
            Outcome::Values(values) if values.len() != wanted => {
                return Err(StudyError::Values { number, found: values.len(), wanted });
            }
            Outcome::Values(values) => match values.iter().find(|value| !value.is_finite()) {
                Some(odd) => failed(number, format!("its value is {odd}")),
                None => {
                    (TrialState::Complete { values: values.clone() }, Operation::Completed { number, values })
                }
            },
            Outcome::Pruned => (TrialState::Pruned, Operation::Pruned { number }),
            Outcome::Failed(reason) => failed(number, reason),
        };
        trial.state = state;
        trial.ended = Some(order);
        self.ended += 1;
        self.operations.push(operation);
        Ok(())
    }

    /// Adds an evaluation that was made elsewhere.
    pub fn adopt(
        &mut self,
        params: &Params,
        outcome: Outcome,
        origin: &str,
    ) -> Result<TrialNumber, StudyError> {
        let number = self.begin_elsewhere(params, origin)?;
        self.tell(number, outcome)?;
        Ok(number)
    }

    /// Adds a trial that somebody else has begun and nobody has told of yet.
    pub fn begin_elsewhere(&mut self, params: &Params, origin: &str) -> Result<TrialNumber, StudyError> {
        let point = self.space.point(params)?;
        if self.trials.len() >= TRIALS_MAX {
            return Err(StudyError::Full("too many trials"));
        }
        let idea = Idea { origin: origin.into(), ..Idea::default() };
        Ok(self.begin(params.clone(), point, idea).number)
    }

    /// Ends the study and gives its sampler back, with what that has computed so far.
    pub fn into_sampler(self) -> Box<dyn Sampler> {
        self.sampler
    }

    fn running(&mut self, number: TrialNumber) -> Result<&mut Trial, StudyError> {
        let trial = self.trials.get_mut(number.0 as usize).ok_or(StudyError::NoTrial(number))?;
        if trial.is_running() { Ok(trial) } else { Err(StudyError::Ended(number)) }
    }
}

fn failed(number: TrialNumber, mut reason: String) -> (TrialState, Operation) {
    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at));
    reason.truncate(end.unwrap_or(0));
    (TrialState::Failed { reason: reason.clone() }, Operation::Failed { number, reason })
}

/// The place of the largest number; the first of equals, and of numbers that are none.
fn highest(numbers: &[f64]) -> usize {
    let mut best = 0;
    for (place, number) in numbers.iter().enumerate() {
        if *number > numbers[best] || numbers[best].is_nan() {
            best = place;
        }
    }
    best
}

#[cfg(test)]
mod tests;
