//! Ideas of a language model in the search: when it is asked, and what becomes of what it says.
//!
//! The playbook's steps run meanwhile. In a run that counts trials, what a model says is taken up only where nothing is under
//! way, every open question being waited for: what comes next is then a function of the replies, not of their speed.

use super::advice::{Advice, Kind};
use super::drafts::Draft;
use super::refining::Workpiece;
use super::{Dispatcher, Job, StepState};
use crate::error::RunError;
use crate::minds::{self, Cases, Council, News};
use ansatz_agents::mind::MindError;
use ansatz_agents::planner::{self, Means, Outlook};
use ansatz_agents::playbook::{self, Proposal};
use ansatz_agents::thought::{Conclusion, Grounds, Thought};
use ansatz_agents::{data, verifier};
use ansatz_core::candidate::{Origin, Space};
use ansatz_core::event::{Event, Page};
use ansatz_core::evidence::LeakEvidence;
use ansatz_core::ids::StepId;
use ansatz_core::outcome::LeaderboardRow;
use ansatz_core::verdict::Stage;
use ansatz_planner::Plan;
use ansatz_prompts::planner::{BranchResult, PlanIdeas, ReadSources, Replan, Replanned, Source};
use ansatz_prompts::{digits, with_error};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Seconds that must be left for a question to be worth asking.
const ASK_SECONDS_MIN: f64 = 8.0;
/// Share of the search after which the plan is looked at again.
const REPLAN_SHARE: f64 = 0.5;
/// Share of the search after which the evidence is read.
const READING_SHARE: f64 = 0.75;
/// Predictions that miss by so many standard errors contradict a plan.
const SURPRISE: f64 = 3.0;
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
    about: BTreeMap<u32, About>,
    /// Conclusions that wait for their moment, by number of the question.
    concluded: BTreeMap<u32, Result<Conclusion, MindError>>,
    pub(super) spaces: BTreeMap<String, Space>,
    spaces_due: VecDeque<String>,
    spaces_open: BTreeSet<String>,
    insights: Vec<String>,
    pub(super) lessons: Vec<String>,
    pub(super) drafts: BTreeMap<StepId, Draft>,
    pub(super) works: Vec<Workpiece>,
    pub(crate) advice: Advice,
    /// Proposals that belong to no running model step: ablations, revisions.
    pub(super) extra: VecDeque<(StepId, Proposal)>,
    has_planned: bool,
    has_replanned: bool,
    has_read: bool,
    has_assessed: bool,
    asked_insights: bool,
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

    fn knows_spaces(&self) -> bool {
        self.spaces_due.is_empty() && self.spaces_open.is_empty()
    }

    pub(super) fn learn(&mut self, lesson: String) {
        if !self.lessons.contains(&lesson) {
            self.lessons.push(lesson);
        }
    }

    /// Pages join what is known.
    fn read(&mut self, pages: &[Page]) {
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

    /// Asks what is due, and in a counted run waits for and takes up what was said.
    pub(super) fn confer(&mut self) -> Result<Conferred, RunError> {
        if self.ideas.is_none() || self.end.is_some() {
            return Ok(Conferred::Done);
        }
        if self.s.trials_max.is_none() {
            self.wonder()?;
            return Ok(Conferred::Done);
        }
        // The playbook's first proposals come first, so that replies find something to be compared with.
        if self.pool.running() > 0 || !self.queue.is_empty() || self.has_first_proposals() {
            return Ok(Conferred::Done);
        }
        self.wonder()?;
        if self.ideas.as_ref().is_some_and(|ideas| ideas.council.open() > 0) {
            return Ok(Conferred::Waits);
        }
        if self.ideas.as_ref().is_some_and(|ideas| ideas.concluded.is_empty()) {
            return Ok(Conferred::Done);
        }
        self.take_up()?;
        self.advance_steps()?;
        Ok(Conferred::Changed)
    }

    /// Whether a running model step of the plan has not been tried at all.
    pub(super) fn has_first_proposals(&self) -> bool {
        let asked = |step: &StepId| self.s.board.entries.values().any(|entry| entry.step == *step);
        self.proposals.iter().any(|(step, due)| {
            !due.is_empty() && !asked(step) && self.states.get(step) == Some(&StepState::Running)
        })
    }

    /// Asks what is due to be asked.
    fn wonder(&mut self) -> Result<(), RunError> {
        let Some(ideas) = &self.ideas else { return Ok(()) };
        let is_late = self.seconds_left().is_some_and(|left| left < ASK_SECONDS_MIN);
        if is_late || !self.trials_left() || !ideas.council.may_ask() {
            return Ok(());
        }
        let share = self.used_share();
        if !ideas.has_assessed {
            self.ask_about_columns()?;
        }
        let Some(ideas) = &self.ideas else { return Ok(()) };
        if !ideas.has_planned && ideas.knows_spaces() {
            return self.ask_for_plans();
        }
        let is_quiet = ideas.about.values().all(|about| *about != About::Plans);
        if !ideas.has_replanned && share >= REPLAN_SHARE && is_quiet {
            return self.ask_to_replan();
        }
        if !ideas.has_read && share >= READING_SHARE {
            return self.ask_for_a_reading();
        }
        if is_quiet {
            self.ask_for_advice()?;
        }
        self.refine()
    }

    fn ask_about_columns(&mut self) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.has_assessed = true;
        let prompt = data::assess(&ideas.cases.full, ideas.known.evidence.as_ref());
        self.think(Thought::Assess(Box::new(prompt)), "profile", About::Columns)
    }

    fn ask_for_plans(&mut self) -> Result<(), RunError> {
        let reference = self.reference();
        let query = minds::pages::query(&self.s.task.request, &self.s.task.metric.name);
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        if let Some(pages) = ideas.council.take_retrieved() {
            ideas.read(&pages);
        }
        if ideas.council.is_looking() || ideas.council.look_up(query) {
            return Ok(());
        }
        if !ideas.asked_insights && !ideas.known.sources.is_empty() {
            ideas.asked_insights = true;
            let sources = ideas.known.sources.clone();
            let prompt = ReadSources { case: ideas.cases.full.clone(), sources };
            return self.think(Thought::Insights(Box::new(prompt)), "plan", About::Insights);
        }
        if ideas.about.values().any(|about| *about == About::Insights) {
            return Ok(());
        }
        ideas.has_planned = true;
        let outlook = Outlook {
            case: ideas.cases.full.clone(),
            plan: &self.s.plan,
            spaces: &ideas.spaces,
            cards: &ideas.known.cards,
            insights: &ideas.insights,
            reference,
        };
        let prompt = outlook.prompt();
        self.think(Thought::Plans(Box::new(prompt)), "plan", About::Plans)
    }

    /// The score to improve on, in words.
    fn reference(&self) -> String {
        let error = self.noise();
        match self.s.board.baseline().and_then(|entry| entry.score()) {
            Some(scored) => format!("{}, a default LightGBM", with_error(scored.score, error)),
            None => "not measured yet; a default LightGBM is being trained".into(),
        }
    }

    fn ask_to_replan(&mut self) -> Result<(), RunError> {
        let evidence = self.surprises();
        let (results, noise) = (self.branch_results(), self.noise());
        let left = match (self.seconds_left(), self.s.trials_max) {
            (_, Some(max)) => format!("{} trials of one fold", max.saturating_sub(self.trials_started)),
            (Some(left), None) => format!("{left:.0} s"),
            (None, None) => "enough".into(),
        };
        let best = self.best_in_words();
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.has_replanned = true;
        // A plan that came true needs no second thought.
        if evidence.is_empty() || results.is_empty() {
            return Ok(());
        }
        let prompt = Replan {
            case: ideas.cases.full.clone(),
            branches: results,
            best,
            left,
            evidence,
            noise: digits(noise, 2),
        };
        self.think(Thought::Replan(Box::new(prompt)), "plan", About::Replan)
    }

    fn best_in_words(&self) -> String {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let best = ranking.first().and_then(|entry| Some((entry.name(), entry.score()?.score)));
        best.map_or_else(
            || "nothing yet".into(),
            |(name, score)| format!("{} ({name})", with_error(score, self.noise())),
        )
    }

    /// The best score among a step's candidates.
    fn best_of_step(&self, step: &StepId) -> Option<f64> {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        ranking.into_iter().find(|entry| entry.step == *step).and_then(|entry| Some(entry.score()?.score))
    }

    /// Model steps that hold an idea, with what was predicted and what was measured.
    fn branch_results(&self) -> Vec<BranchResult> {
        let error = self.noise();
        let of = |step: &StepId, idea: &planner::Idea| BranchResult {
            name: idea.name.clone(),
            origin: "model".into(),
            what: idea.what.clone(),
            predicted: idea.predicted.map(|score| digits(score, 4)).unwrap_or_default(),
            measured: self.best_of_step(step).map_or_else(|| "none".into(), |score| with_error(score, error)),
            state: match self.lost.get(step) {
                Some(why) => format!("failed: {why}"),
                None if self.best_of_step(step).is_none() => "running".into(),
                None => String::new(),
            },
        };
        self.idea_steps().iter().map(|(step, idea)| of(step, idea)).collect()
    }

    fn idea_steps(&self) -> Vec<(StepId, planner::Idea)> {
        minds::ideas_of(&self.s.plan)
    }

    /// Where predictions and measurements are at odds.
    fn surprises(&self) -> Vec<String> {
        let error = self.noise().max(1e-12);
        let mut surprises = Vec::new();
        for (step, idea) in self.idea_steps() {
            if let Some(why) = self.lost.get(&step) {
                surprises.push(format!("{} failed: {why}", idea.name));
            } else if let (Some(predicted), Some(measured)) = (idea.predicted, self.best_of_step(&step))
                && (predicted - measured).abs() > SURPRISE * error
            {
                let (predicted, measured) = (digits(predicted, 4), with_error(measured, error));
                surprises.push(format!("{}: {predicted} was predicted, {measured} was measured", idea.name));
            }
        }
        surprises
    }

    fn ask_for_a_reading(&mut self) -> Result<(), RunError> {
        let direction = self.s.scoring.direction();
        let rows: Vec<LeaderboardRow> = self
            .s
            .board
            .ranking(direction)
            .into_iter()
            .filter_map(|entry| {
                let (candidate, origin) = (entry.name(), entry.candidate.origin);
                Some(LeaderboardRow {
                    candidate,
                    origin,
                    score: entry.score()?.score,
                    seconds: entry.cpu_s(),
                })
            })
            .collect();
        let best =
            self.s.board.ranking(direction).into_iter().find(|entry| entry.candidate.origin == Origin::Model);
        let code = best.and_then(|entry| self.source_of(entry.candidate.solution.name())).unwrap_or_default();
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.has_read = true;
        if rows.is_empty() {
            return Ok(());
        }
        let (verdicts, demands) = (&self.s.record.verdicts, &ideas.known.demands);
        let prompt = verifier::evidence(&ideas.cases.full, verdicts, &rows, demands, &code);
        self.think(Thought::Evidence(Box::new(prompt)), "verify", About::Evidence)
    }

    /// Acts on what was concluded, in the order in which it was asked.
    fn take_up(&mut self) -> Result<(), RunError> {
        loop {
            let Some(ideas) = &mut self.ideas else { return Ok(()) };
            let Some((number, result)) = ideas.concluded.pop_first() else { return Ok(()) };
            let Some(about) = ideas.about.remove(&number) else { continue };
            match result {
                Ok(conclusion) => self.act(about, conclusion)?,
                Err(error) => self.do_without(about, &error)?,
            }
        }
    }

    fn act(&mut self, about: About, conclusion: Conclusion) -> Result<(), RunError> {
        match (about, conclusion) {
            (About::Insights, Conclusion::Insights(said)) => {
                let Some(ideas) = &mut self.ideas else { return Ok(()) };
                ideas.insights =
                    said.insights.into_iter().map(|one| format!("{}: {}", one.source, one.insight)).collect();
                Ok(())
            }
            (About::Plans, Conclusion::Plans(said)) => self.adopt_plans(&said),
            (About::Columns, Conclusion::Assessment(said)) => {
                let advice = data::advice(&said, self.s.profile, &self.s.drop);
                for suspicion in advice.suspicions {
                    self.s.record.warn(format!(
                        "the language model suspects a leak, which nothing measured confirms: {suspicion}"
                    ))?;
                }
                if let Some(ideas) = &mut self.ideas {
                    advice.lessons.into_iter().for_each(|lesson| ideas.learn(lesson));
                }
                Ok(())
            }
            (About::Code(step), Conclusion::Code(code)) => self.take_code(&step, code),
            (About::Revision(work, switch), Conclusion::Block(block)) => {
                self.take_block(work, &switch, &block)
            }
            (About::Configurations(kind, step), Conclusion::Configurations(proposals)) => {
                self.take_configurations(kind, &step, &proposals)
            }
            (About::Replan, Conclusion::Replanned(said)) => self.replan(&said),
            (About::Evidence, Conclusion::Reading(said)) => {
                let (summary, concerns) = verifier::told(&said);
                let evidence = format!("opinion, beside the checks: {summary}");
                self.s.record.check(Stage::Score, "reading of the evidence", true, evidence)?;
                concerns.into_iter().try_for_each(|concern| self.s.record.warn(concern))
            }
            // The seat answers each thought with its own kind of conclusion.
            _ => Ok(()),
        }
    }

    /// A question stays without an answer: the playbook's work goes on, and what hung on the answer is given up.
    fn do_without(&mut self, about: About, error: &MindError) -> Result<(), RunError> {
        let Some(ideas) = &self.ideas else { return Ok(()) };
        if let Some(error) = ideas.council.ends_run(error) {
            self.pool.stop();
            return Err(error);
        }
        let why = minds::told(error);
        if !minds::is_cap(error) {
            let name = ideas.council.name().to_owned();
            self.s.record.warn(format!("the language model {name} was of no help: {why}"))?;
        }
        match about {
            About::Code(step) => self.give_up_draft(&step, &why),
            _ => Ok(()),
        }
    }

    fn means(&self) -> Option<Means<'_>> {
        let ideas = self.ideas.as_ref()?;
        let names =
            self.s.plan.steps().iter().filter_map(playbook::solution_of).chain(ideas.spaces.keys().cloned());
        let steps = self
            .s
            .plan
            .steps()
            .iter()
            .filter_map(|step| Some(step.id.as_str().split_once(':')?.1.to_owned()));
        let drafted = ideas.drafts.len();
        Some(Means {
            task: self.s.task,
            profile: self.s.profile,
            spaces: &ideas.spaces,
            taken: names.chain(steps).collect(),
            code_max: planner::CODE_BRANCHES_MAX.saturating_sub(drafted),
        })
    }

    fn adopt_plans(&mut self, said: &PlanIdeas) -> Result<(), RunError> {
        let Some(means) = self.means() else { return Ok(()) };
        match planner::plans(said, &means) {
            Ok(plans) if plans.is_empty() => {
                let evidence = "none of the language model's branches adds to the plan";
                self.s.record.check(Stage::Plan, "plans of the language model", true, evidence)
            }
            Ok(plans) => self.merge(&plans, "plans of the language model"),
            Err(error) => {
                self.s.record.check(Stage::Plan, "plans of the language model", false, error.to_string())
            }
        }
    }

    /// Makes one plan of the present one and others, and goes on with it.
    fn merge(&mut self, plans: &[Plan], subject: &str) -> Result<(), RunError> {
        let all: Vec<Plan> = std::iter::once(&self.s.plan).chain(plans).cloned().collect();
        let merged = match ansatz_planner::merge(&all) {
            Ok(merged) => merged,
            Err(error) => return self.s.record.check(Stage::Plan, subject, false, error.to_string()),
        };
        let new: Vec<StepId> = merged
            .steps()
            .iter()
            .map(|step| step.id.clone())
            .filter(|id| !self.states.contains_key(id))
            .collect();
        let names: Vec<&str> = new.iter().map(StepId::as_str).filter(|id| id.starts_with("model:")).collect();
        let evidence = format!("merged into the plan as {}", names.join(", "));
        self.s.record.check(Stage::Plan, subject, true, evidence)?;
        (self.s.adopt)(&merged, self.s.record)?;
        for step in new {
            self.states.insert(step, StepState::Waiting);
        }
        self.s.plan = merged;
        Ok(())
    }

    fn replan(&mut self, said: &Replanned) -> Result<(), RunError> {
        // What is dropped is not tried further; what was measured of it stays.
        for name in &said.drop {
            for due in self.proposals.values_mut() {
                due.retain(|proposal| proposal.solution != *name);
            }
            for tuner in self.tuners.values_mut().filter(|tuner| tuner.solution == *name) {
                tuner.exhausted = true;
            }
        }
        if let Some(ideas) = &mut self.ideas {
            ideas.learn(said.surprise.clone());
        }
        let Some(means) = self.means() else { return Ok(()) };
        match planner::added(&said.add, &said.because, &means) {
            Ok(None) => Ok(()),
            Ok(Some(plan)) => self.merge(&[plan], "second thoughts of the language model"),
            Err(error) => self.s.record.check(
                Stage::Plan,
                "second thoughts of the language model",
                false,
                error.to_string(),
            ),
        }
    }

    /// Asks the worker for the space of a solution that the model will be told of; false when none is due.
    pub(super) fn ask_for_spaces(&mut self) -> bool {
        let Some(solution) = self.ideas.as_mut().and_then(Ideas::next_space_due) else { return false };
        let params = ansatz_core::candidate::Params::new();
        self.ask(crate::protocol::OrderKind::Space, Job::Menu(solution.clone()), &solution, params);
        true
    }
}
