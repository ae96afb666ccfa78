//! Ideas of a language model in the search: what is kept of them, and how questions go out and answers come in. When it is asked
//! what stands in `asking`, what becomes of what it says in `concluding`.
//!
//! The playbook's steps run meanwhile. In a run that counts trials, what a model says is taken up only where nothing is under
//! way, every open question being waited for: what comes next is then a function of the replies, not of their speed.

use super::Dispatcher;
use super::advice::{Advice, Kind};
use super::drafts::Draft;
use super::refining::Workpiece;
use crate::error::RunError;
use crate::minds::{Cases, Council, News};
use ansatz_agents::mind::MindError;
use ansatz_agents::planner;
use ansatz_agents::playbook::Proposal;
use ansatz_agents::thought::{Conclusion, Grounds, Thought};
use ansatz_core::candidate::Space;
use ansatz_core::event::{Event, Page};
use ansatz_core::evidence::LeakEvidence;
use ansatz_core::ids::StepId;
use ansatz_planner::Plan;
use ansatz_prompts::planner::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lessons that prompts are given.
const LESSONS_MAX: usize = 12;

/// What a question was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// What is known.
    Insights,
    /// Plans.
    Plans,
    /// The columns.
    Columns,
    /// Code for a features step.
    Code(StepId),
    /// A revision of a workpiece's group.
    Revision(usize, String),
    /// Configurations for the search of a tune step.
    Configurations(Kind, StepId),
    /// The plan, again.
    Replan,
    /// The evidence.
    Evidence,
}

/// How a look at what a model is asked and says ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conferred {
    /// Nothing stands in the way of the next trial.
    Done,
    /// An answer must come first.
    Waits,
    /// Something was taken up: what is due has to be looked at anew.
    Changed,
}

/// What the run knows that a model is told.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What was measured about leaks.
    pub evidence: Option<LeakEvidence>,
    /// Cards that fit: name and text.
    pub cards: Vec<(String, String)>,
    /// Past tasks, lessons, pages.
    pub sources: Vec<Source>,
    /// The user's demands, in words.
    pub demands: Vec<String>,
}

/// All state about a language model's ideas.
#[expect(clippy::struct_excessive_bools, reason = "each is a question that is asked once")]
pub struct Ideas {
    /// The model.
    pub council: Council,
    pub(super) cases: Cases,
    pub(super) known: Known,
    pub(super) about: BTreeMap<u32, About>,
    /// Conclusions that wait for their moment, by number of the question.
    pub(super) concluded: BTreeMap<u32, Result<Conclusion, MindError>>,
    pub(super) spaces: BTreeMap<String, Space>,
    spaces_due: VecDeque<String>,
    spaces_open: BTreeSet<String>,
    pub(super) insights: Vec<String>,
    pub(super) lessons: Vec<String>,
    pub(super) drafts: BTreeMap<StepId, Draft>,
    pub(super) works: Vec<Workpiece>,
    pub(crate) advice: Advice,
    /// Proposals that belong to no running model step: ablations, revisions.
    pub(super) extra: VecDeque<(StepId, Proposal)>,
    pub(super) has_planned: bool,
    pub(super) has_replanned: bool,
    pub(super) has_read: bool,
    pub(super) has_assessed: bool,
    pub(super) asked_insights: bool,
}

impl Ideas {
    /// Nothing is asked yet.
    pub fn new(council: Council, cases: Cases, known: Known) -> Self {
        Self {
            council,
            cases,
            known,
            about: BTreeMap::new(),
            concluded: BTreeMap::new(),
            spaces: BTreeMap::new(),
            spaces_due: VecDeque::new(),
            spaces_open: BTreeSet::new(),
            insights: Vec::new(),
            lessons: Vec::new(),
            drafts: BTreeMap::new(),
            works: Vec::new(),
            advice: Advice::default(),
            extra: VecDeque::new(),
            has_planned: false,
            has_replanned: false,
            has_read: false,
            has_assessed: false,
            asked_insights: false,
        }
    }

    /// Built-in solutions whose spaces a model must know before it can plan.
    pub(super) fn wants_spaces_of(&mut self, solutions: Vec<String>) {
        self.council.stand_on(Grounds {
            short: self.cases.short.clone(),
            solutions: solutions.clone(),
            columns: Vec::new(),
        });
        self.spaces_due = solutions.into();
    }

    /// A plan that holds ideas already is not planned again: a resumed run goes on with what it has.
    pub(super) fn recall(&mut self, plan: &Plan) {
        let has_ideas = plan.steps().iter().any(|step| planner::idea_of(step).is_some());
        self.has_planned = has_ideas;
        self.has_replanned = has_ideas;
    }

    pub(super) fn next_space_due(&mut self) -> Option<String> {
        let solution = self.spaces_due.pop_front()?;
        self.spaces_open.insert(solution.clone());
        Some(solution)
    }

    pub(super) fn learn_space(&mut self, solution: &str, space: Option<Space>) {
        self.spaces_open.remove(solution);
        self.spaces.extend(space.map(|space| (solution.to_owned(), space)));
    }

    pub(super) fn knows_spaces(&self) -> bool {
        self.spaces_due.is_empty() && self.spaces_open.is_empty()
    }

    pub(super) fn learn(&mut self, lesson: String) {
        if !self.lessons.contains(&lesson) {
            self.lessons.push(lesson);
        }
    }

    /// Pages join what is known.
    pub(super) fn read(&mut self, pages: &[Page]) {
        let source = |(at, page): (usize, &Page)| Source {
            name: format!("page-{}", at + 1),
            kind: "page".into(),
            text: format!("{} ({})", page.text, page.url),
        };
        self.known.sources.extend(pages.iter().enumerate().map(source));
    }

    /// The latest lessons, for prompts.
    pub(super) fn lessons(&self) -> Vec<String> {
        self.lessons.iter().rev().take(LESSONS_MAX).rev().cloned().collect()
    }
}

impl Dispatcher<'_, '_> {
    /// Whether a model may still bring something.
    pub(super) fn is_thinking(&self) -> bool {
        let open = |ideas: &Ideas| ideas.council.open() > 0 || !ideas.concluded.is_empty();
        self.end.is_none() && self.trials_left() && self.ideas.as_ref().is_some_and(open)
    }

    /// What came from the model next; waits for ever without one.
    pub(super) async fn news(ideas: &mut Option<Ideas>) -> News {
        match ideas {
            Some(ideas) => ideas.council.news().await,
            None => std::future::pending().await,
        }
    }

    /// Has a thought answered for a step. The question is journalled before it is asked.
    pub(super) fn think(&mut self, thought: Thought, step: &str, about: About) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        let call = ideas.council.call(&thought, step);
        self.s.record.write(Event::ModelAsked { call: call.clone() })?;
        let number = ideas.council.ask(thought, &call);
        ideas.about.insert(number, about);
        Ok(())
    }

    /// Takes note of what came back. Whatever is decided on it comes later, where the order is certain.
    pub(super) fn hear(&mut self, news: News) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        match news {
            News::Called(called) => ideas.council.keep(&called, self.s.record),
            News::Retrieved { query, result } => {
                let (pages, error) = match result {
                    Ok(pages) => (pages, None),
                    Err(error) => (Vec::new(), Some(error)),
                };
                ideas.read(&pages);
                if let Some(error) = &error {
                    self.s.record.warn(format!("the search endpoint was of no help: {error}"))?;
                }
                self.s.record.write(Event::Retrieved { query, pages, error })
            }
            News::Concluded { thought, result } => {
                ideas.concluded.insert(thought, result);
                if self.s.trials_max.is_none() { self.take_up() } else { Ok(()) }
            }
        }
    }
}
