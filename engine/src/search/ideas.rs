//! Ideas of a language model in the search: what is kept of them, and how questions go out and answers come in. When it is asked
//! what stands in `asking`, what becomes of what it says in `concluding`.
//!
//! The playbook's steps run meanwhile. In a run that counts trials, what a model says is taken up only where nothing is under
//! way, every open question being waited for: what comes next is then a function of the replies, not of their speed.

use super::Dispatcher;
use super::advice::{Advice, Kind};
use super::drafts::Draft;
use super::dropping::Dropped;
use super::refining::Workpiece;
use crate::error::RunError;
use crate::minds::{Cases, Council, News};
use ansatz_agents::mind::MindError;
use ansatz_agents::model::Failure;
use ansatz_agents::planner;
use ansatz_agents::playbook::Proposal;
use ansatz_agents::thought::{Conclusion, Grounds, Thought};
use ansatz_core::candidate::Space;
use ansatz_core::event::{Event, Page};
use ansatz_core::evidence::LeakEvidence;
use ansatz_core::ids::StepId;
use ansatz_planner::Plan;
use ansatz_prompts::Prompt as _;
use ansatz_prompts::planner::{Replan, Source};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Lessons that prompts are given.
const LESSONS_MAX: usize = 12;
/// The step of questions about the plan.
pub(super) const PLAN: &str = "plan";

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
    /// Spaces of built-in solutions.
    pub(super) spaces: BTreeMap<String, Space>,
    /// Spaces of generated ones.
    pub(super) own_spaces: BTreeMap<String, Space>,
    spaces_due: VecDeque<String>,
    spaces_open: BTreeSet<String>,
    pub(super) insights: Vec<String>,
    pub(super) lessons: Vec<String>,
    pub(super) drafts: BTreeMap<StepId, Draft>,
    pub(super) works: Vec<Workpiece>,
    pub(crate) advice: Advice,
    /// Proposals that belong to no running model step: ablations, revisions.
    pub(super) extra: VecDeque<(StepId, Proposal)>,
    /// Corrections that are asked for when nothing is under way, by step: in a run that counts trials.
    pub(super) mends_due: BTreeMap<StepId, Failure>,
    /// How often the plan was looked at again, and model steps whose outcome was known then.
    pub(super) replans: u32,
    pub(super) judged: BTreeSet<StepId>,
    /// Ideas that second thoughts dropped.
    pub(super) dropped: Dropped,
    /// The idea whose code second thoughts want revised.
    pub(super) wished: Option<String>,
    pub(super) has_planned: bool,
    pub(super) has_planned_again: bool,
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
            own_spaces: BTreeMap::new(),
            spaces_due: VecDeque::new(),
            spaces_open: BTreeSet::new(),
            insights: Vec::new(),
            lessons: Vec::new(),
            drafts: BTreeMap::new(),
            works: Vec::new(),
            advice: Advice::default(),
            extra: VecDeque::new(),
            mends_due: BTreeMap::new(),
            replans: 0,
            judged: BTreeSet::new(),
            dropped: Dropped::default(),
            wished: None,
            has_planned: false,
            has_planned_again: false,
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

    /// A space that is needed to take a generated solution apart.
    pub(super) fn wants_space_of(&mut self, generated: String) {
        if !self.own_spaces.contains_key(&generated) {
            self.spaces_due.push_back(generated);
        }
    }

    /// A plan that holds ideas already is not planned again: a resumed run goes on with what it has.
    pub(super) fn recall(&mut self, plan: &Plan) {
        self.has_planned = plan.steps().iter().any(|step| planner::idea_of(step).is_some());
        self.replans = self.council.times_asked(Replan::NAME, PLAN);
    }

    pub(super) fn next_space_due(&mut self) -> Option<String> {
        let solution = self.spaces_due.pop_front()?;
        self.spaces_open.insert(solution.clone());
        Some(solution)
    }

    pub(super) fn learn_space(&mut self, solution: &str, space: Option<Space>, is_generated: bool) {
        self.spaces_open.remove(solution);
        let spaces = if is_generated { &mut self.own_spaces } else { &mut self.spaces };
        spaces.extend(space.map(|space| (solution.to_owned(), space)));
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
        let open = |ideas: &Ideas| {
            ideas.council.open() > 0 || !ideas.concluded.is_empty() || !ideas.mends_due.is_empty()
        };
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
        for note in ideas.council.take_notes() {
            self.s.record.warn(note)?;
        }
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
