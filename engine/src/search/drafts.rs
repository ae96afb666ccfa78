//! Code that a language model writes: from the question over the checks to a candidate, and back to the model when it fails.

use super::ideas::{About, Ideas};
use super::refining::Workpiece;
use super::{Dispatcher, StepState};
use crate::error::RunError;
use crate::minds;
use ansatz_agents::model::{self, Brief, Broken, DEBUG_DEPTH, Failure};
use ansatz_agents::planner::Idea;
use ansatz_agents::playbook::{self, Proposal};
use ansatz_agents::thought::Thought;
use ansatz_agents::{code, data};
use ansatz_core::candidate::{Origin, Params, Solution};
use ansatz_core::event::{Event, FailureKind};
use ansatz_core::ids::{CandidateId, StepId};
use ansatz_planner::{Step, StepKind};
use ansatz_prompts::planner::BranchKind;
use ansatz_prompts::with_error;
use ansatz_sandbox::check;

/// Seconds that one fit of generated code may take, at least and at most.
const FIT_SECONDS: (f64, f64) = (3.0, 120.0);
/// Share of the budget that one fit of generated code may take.
const FIT_SHARE: f64 = 0.08;
/// A trial of features on top of a built-in solution may take so many times as long as one of that solution, and seconds more.
const BASE_TIMES: f64 = 1.5;
const BASE_MORE: f64 = 5.0;

/// Code on its way.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is to do.
    pub idea: Idea,
    /// The model step that waits for it.
    pub model: StepId,
    /// Name of the present version; a version that was a candidate keeps its name.
    pub name: String,
    /// Source of the present version; empty before it was written.
    pub code: String,
    /// Corrections so far.
    pub attempts: u32,
    /// What was corrected.
    pub earlier: Vec<String>,
    /// Whether code is being written or corrected.
    pub is_written: bool,
    /// Whether the present version passed its checks.
    pub is_ready: bool,
}

impl Dispatcher<'_, '_> {
    /// Has code written for a features step that holds an idea.
    pub(super) fn begin_draft(&mut self, step: &StepId, idea: Idea) -> Result<(), RunError> {
        let dependents = self.s.plan.dependents(step);
        let Some(model) = dependents.into_iter().find(|step| step.kind == StepKind::Model) else {
            return self.lose_step(step, "nothing is trained on it");
        };
        let model = model.id.clone();
        let thought = self.first_thought(&idea);
        let draft = Draft {
            name: idea.name.clone(),
            idea,
            model,
            code: String::new(),
            attempts: 0,
            earlier: Vec::new(),
            is_written: false,
            is_ready: false,
        };
        let can_ask = self.ideas.as_ref().is_some_and(|ideas| ideas.council.may_ask());
        let (Some(thought), true) = (thought, can_ask) else {
            return self.lose_step(step, "there is no language model to write its code");
        };
        if let Some(ideas) = &mut self.ideas {
            ideas.drafts.insert(step.clone(), draft);
        }
        self.think(thought, step.as_str(), About::Code(step.clone()))
    }

    fn first_thought(&self, idea: &Idea) -> Option<Thought> {
        let ideas = self.ideas.as_ref()?;
        let (case, lessons) = (self.case_now(ideas), ideas.lessons());
        if idea.kind == BranchKind::NewFeatures {
            let limit = self.limit_in_words(idea);
            return Some(Thought::Features(Box::new(data::features(&case, idea, &limit, &lessons))));
        }
        let best = self.best_source();
        let brief = Brief {
            case: &case,
            idea,
            seconds: self.fit_seconds() as u32,
            threads: 1,
            cards: &ideas.known.cards,
            best: best.as_ref().map(|(code, score)| (code.as_str(), score.clone())),
            lessons: &lessons,
        };
        Some(Thought::Solution(Box::new(model::solution(&brief))))
    }

    /// Source and score of the best generated solution so far.
    fn best_source(&self) -> Option<(String, String)> {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        ranking.into_iter().find_map(|entry| {
            let code = self.source_of(entry.candidate.solution.name())?;
            Some((code, with_error(entry.score()?.score, self.noise())))
        })
    }

    /// The longest time of one fit of generated code.
    pub(super) fn fit_seconds(&self) -> f64 {
        let wall = self.s.pace.wall_s.map_or(FIT_SECONDS.1, |wall| wall * FIT_SHARE);
        wall.clamp(FIT_SECONDS.0, FIT_SECONDS.1).round()
    }

    /// The longest time of one trial of generated code: a fit, with features and predictions. Features on top of a built-in
    /// solution may take what that was measured to take, and more.
    pub(super) fn generated_seconds(&self, base: Option<&str>) -> f64 {
        let own = 2.0 * self.fit_seconds() + 2.0;
        let of_base = base.and_then(|base| self.solution_wall_s(base));
        own.max(of_base.map_or(0.0, |wall| BASE_TIMES * wall + BASE_MORE))
    }

    /// The built-in solution that a generated one of this name puts features on; `None` for others.
    pub(super) fn base_of(&self, name: &str) -> Option<String> {
        let mut drafts = self.ideas.as_ref()?.drafts.values();
        let draft = drafts.find(|draft| minds::is_version(name, &draft.idea.name))?;
        (draft.idea.kind == BranchKind::NewFeatures).then(|| draft.idea.base.clone())
    }

    /// The longest time of one fold of an idea's code, in words.
    fn limit_in_words(&self, idea: &Idea) -> String {
        // In a run that counts trials nothing that is asked depends on measured times.
        let is_timed = self.s.trials_max.is_none();
        let base = (is_timed && idea.kind == BranchKind::NewFeatures).then_some(idea.base.as_str());
        format!("{:.0} s", self.generated_seconds(base))
    }

    /// The solution of a name: generated, or built in.
    pub(super) fn solution(&self, name: &str) -> Solution {
        match self.sources.get(name) {
            Some(code) => Solution::Source { name: name.to_owned(), code: code.clone() },
            None => Solution::Builtin(name.to_owned()),
        }
    }

    /// The source of a generated solution.
    pub(super) fn source_of(&self, name: &str) -> Option<String> {
        self.sources.get(name).cloned()
    }

    /// Looks at new code without running it; code that fails goes back to its author.
    pub(super) fn take_code(&mut self, step: &StepId, code: String) -> Result<(), RunError> {
        if self.is_dropped(step) {
            return Ok(());
        }
        let Some(draft) = self.ideas.as_mut().and_then(|ideas| ideas.drafts.get_mut(step)) else {
            return Ok(());
        };
        let code = if draft.idea.kind == BranchKind::Script { code::as_script(code) } else { code };
        draft.is_written = true;
        draft.code.clone_from(&code);
        let name = draft.name.clone();
        let checked = if code::is_script(&code) {
            check::script(&code, &[]).map(drop)
        } else {
            check::solution(&code).map(drop)
        };
        self.s
            .record
            .write(Event::Checked { verdict: check::verdict(&format!("code of {name}"), &checked) })?;
        if let Err(findings) = checked {
            return self.mend(
                step,
                &Failure {
                    stage: "static check".into(),
                    kind: "error".into(),
                    error: check::advised(&findings),
                },
            );
        }
        self.sources.insert(name.clone(), code);
        self.checks_due.entry(step.clone()).or_default().insert(name);
        Ok(())
    }

    /// The features step whose draft goes by this name now.
    pub(super) fn draft_of(&self, name: &str) -> Option<StepId> {
        let drafts = &self.ideas.as_ref()?.drafts;
        drafts.iter().find(|(_, draft)| draft.name == name).map(|(step, _)| step.clone())
    }

    /// Generated features turned out to be computed row by row: the candidate can be tried.
    pub(super) fn draft_passed(&mut self, step: &StepId) {
        if self.is_dropped(step) {
            return;
        }
        let Some(draft) = self.ideas.as_mut().and_then(|ideas| ideas.drafts.get_mut(step)) else { return };
        draft.is_ready = true;
        let model = draft.model.clone();
        // A step that has not begun proposes it when it does.
        if self.states.get(&model) == Some(&StepState::Running)
            && let Some(proposal) = self.proposal_of(step)
        {
            self.proposals.entry(model).or_default().push_back(proposal);
        }
    }

    /// The candidate of a draft that passed its checks.
    fn proposal_of(&self, step: &StepId) -> Option<Proposal> {
        let draft = self.ideas.as_ref()?.drafts.get(step).filter(|draft| draft.is_ready)?;
        let (params, why) = (self.base_params(draft), code::docstring(&draft.code));
        Some(Proposal { solution: draft.name.clone(), params, origin: Origin::Model, why })
    }

    /// What a model step that waits for a draft proposes.
    pub(super) fn drafted_proposal(&self, model: &StepId) -> Option<Proposal> {
        let drafts = &self.ideas.as_ref()?.drafts;
        let step = drafts.iter().find(|(_, draft)| draft.model == *model).map(|(step, _)| step)?;
        self.proposal_of(step)
    }

    /// Parameters that generated code starts from: those of what it builds on that the playbook tries first, and over them those
    /// that the idea names.
    pub(super) fn base_params(&self, draft: &Draft) -> Params {
        if draft.idea.kind != BranchKind::NewFeatures {
            return Params::new();
        }
        let mut params = self.default_params(&draft.idea.base);
        params.extend(self.s.plan.step(&draft.model).and_then(named_params).unwrap_or_default());
        params
    }

    /// Sends a draft back to the model with what went wrong, or gives it up when that was tried often enough. In a run that counts
    /// trials it is sent back when nothing is under way.
    pub(super) fn mend(&mut self, step: &StepId, failure: &Failure) -> Result<(), RunError> {
        if self.is_dropped(step) {
            return Ok(());
        }
        let must_wait = self.must_wait();
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        let can_ask = ideas.council.may_ask();
        let Some(draft) = ideas.drafts.get_mut(step) else { return Ok(()) };
        draft.is_ready = false;
        if draft.attempts >= DEBUG_DEPTH || !can_ask {
            let why = format!("{}: {}", failure.stage, failure.error);
            return self.give_up_draft(&step.clone(), &why);
        }
        draft.is_written = false;
        if must_wait {
            ideas.mends_due.insert(step.clone(), failure.clone());
            return Ok(());
        }
        draft.attempts += 1;
        let Some(thought) = self.correction(step, failure) else { return Ok(()) };
        if let Some(draft) = self.ideas.as_mut().and_then(|ideas| ideas.drafts.get_mut(step)) {
            let first = failure.error.lines().next().unwrap_or_default();
            draft.earlier.push(format!("after {}: {first}", failure.stage));
        }
        self.think(thought, step.as_str(), About::Code(step.clone()))
    }

    fn correction(&self, step: &StepId, failure: &Failure) -> Option<Thought> {
        let ideas = self.ideas.as_ref()?;
        let draft = ideas.drafts.get(step)?;
        let (case, limit) = (self.case_now(ideas), self.limit_in_words(&draft.idea));
        let broken = Broken {
            case: &case,
            code: &draft.code,
            kind: draft.idea.kind,
            failure,
            limit: &limit,
            attempt: draft.attempts,
            earlier: &draft.earlier,
        };
        Some(Thought::Debug(Box::new(model::debug(&broken))))
    }

    /// Asks for the corrections that waited until nothing was under way.
    pub(super) fn mend_what_is_due(&mut self) -> Result<(), RunError> {
        let due = self.ideas.as_mut().map(|ideas| std::mem::take(&mut ideas.mends_due)).unwrap_or_default();
        due.iter().try_for_each(|(step, failure)| self.mend(step, failure))
    }

    /// A candidate of generated code failed in its trials: the code gets another version, if it may.
    pub(super) fn mend_candidate(&mut self, id: CandidateId, reason: &str) -> Result<(), RunError> {
        let Some(entry) = self.s.board.entries.get(&id) else { return Ok(()) };
        let name = entry.candidate.solution.name().to_owned();
        if entry.candidate.origin != Origin::Model {
            return Ok(());
        }
        let Some(step) = self.draft_of(&name).filter(|step| !self.is_dropped(step)) else { return Ok(()) };
        let fold = entry.failures.keys().next().cloned();
        let kind = fold.and_then(|fold| self.failure_kinds.get(&(id, fold)).copied());
        let kind = kind_in_words(kind.unwrap_or(FailureKind::Error)).into();
        let failure = Failure { stage: "fit".into(), kind, error: reason.to_owned() };
        if let Some(draft) = self.ideas.as_mut().and_then(|ideas| ideas.drafts.get_mut(&step)) {
            draft.name = format!("{}-v{}", draft.idea.name, draft.attempts + 2);
        }
        self.mend(&step, &failure)
    }

    /// A draft comes to nothing: its steps are lost, as far as they did not end before.
    pub(super) fn give_up_draft(&mut self, step: &StepId, why: &str) -> Result<(), RunError> {
        if self.is_dropped(step) {
            return Ok(());
        }
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        let Some(draft) = ideas.drafts.get_mut(step) else { return Ok(()) };
        draft.is_written = true;
        draft.is_ready = false;
        let (name, model) = (draft.idea.name.clone(), draft.model.clone());
        let brief: String = why.chars().take(200).collect();
        ideas.learn(format!("{name} could not be made to work: {brief}"));
        if self.states.get(step) == Some(&StepState::Running) {
            return self.lose_step(step, why);
        }
        if self.states.get(&model) == Some(&StepState::Running) {
            return self.lose_step(&model, why);
        }
        Ok(())
    }

    /// Whether a step waits for code.
    pub(super) fn waits_for_code(&self, step: &StepId) -> bool {
        let waits = |(features, draft): (&StepId, &Draft)| {
            let is_due = self.checks_due.get(features).is_some_and(|due| due.contains(&draft.name));
            let is_checked = self.checks_running.contains(features);
            (features == step || draft.model == *step) && (!draft.is_written || is_due || is_checked)
        };
        self.ideas.as_ref().is_some_and(|ideas: &Ideas| ideas.drafts.iter().any(waits))
    }

    /// The name under which a step's solution goes now.
    pub(super) fn current_name(&self, solution: String) -> String {
        let drafts = self.ideas.as_ref().map(|ideas| &ideas.drafts);
        let draft = drafts.and_then(|drafts| drafts.values().find(|draft| draft.idea.name == solution));
        draft.map_or(solution, |draft| draft.name.clone())
    }

    /// A generated solution has a score: from now on it can be refined.
    pub(super) fn welcome(&mut self, id: CandidateId) {
        let Some(entry) = self.s.board.entries.get(&id) else { return };
        let name = entry.candidate.solution.name().to_owned();
        if entry.candidate.origin != Origin::Model {
            return;
        }
        let (step, params) = (entry.step.clone(), entry.candidate.params.clone());
        let Some(source) = self.source_of(&name) else { return };
        let tunes = self.s.plan.steps().iter().filter(|step| step.kind == StepKind::Tune);
        let is_tuned = tunes.filter_map(playbook::solution_of).any(|tuned| self.current_name(tuned) == name);
        let Some(ideas) = &mut self.ideas else { return };
        // A revision is a part of the work on what it revises.
        if ideas.works.iter().any(|work| work.holds(&name)) {
            return;
        }
        if !is_tuned && !code::is_script(&source) {
            ideas.wants_space_of(name.clone());
        }
        ideas.works.push(Workpiece::new(name, id, step, params, source));
    }

    /// Sources of generated solutions that are on the board already.
    pub(super) fn recall_sources(&mut self) {
        for entry in self.s.board.entries.values() {
            if let Solution::Source { name, code } = &entry.candidate.solution {
                self.sources.insert(name.clone(), code.clone());
            }
        }
    }

    /// The proposal of a step that holds an idea about a built-in solution.
    pub(super) fn builtin_idea(&self, step: &Step) -> Option<Proposal> {
        let idea = ansatz_agents::planner::idea_of(step).filter(|idea| idea.kind == BranchKind::Builtin)?;
        let mut params = self.default_params(&playbook::solution_of(step)?);
        params.extend(named_params(step)?);
        Some(Proposal { solution: idea.base, params, origin: Origin::Model, why: idea.what })
    }
}

/// The parameters that a step's idea names.
fn named_params(step: &Step) -> Option<Params> {
    serde_json::from_value(step.params.get("params")?.clone()).ok()
}

/// How a trial failed, as prompts say it.
pub(super) fn kind_in_words(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Timeout => "timeout",
        FailureKind::Memory => "memory",
        FailureKind::Predictions | FailureKind::Quota | FailureKind::Flood => "bad_output",
        FailureKind::Error | FailureKind::Signal | FailureKind::Processes | FailureKind::Cancelled => "error",
    }
}
