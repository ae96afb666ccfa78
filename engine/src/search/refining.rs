//! Refinement of generated solutions: groups of features are switched off one by one, the one that matters most is revised,
//! and the revision competes like any other candidate. One change at a time, so that its score can be credited to it.

use super::Dispatcher;
use super::ideas::{About, Ideas};
use crate::board::State;
use crate::error::RunError;
use ansatz_agents::code::{self, Part};
use ansatz_agents::model::{self, ABLATIONS_MAX, Ablation, Revised, Work};
use ansatz_agents::playbook::Proposal;
use ansatz_agents::thought::Thought;
use ansatz_core::candidate::{Origin, Params};
use ansatz_core::event::{Event, Fold};
use ansatz_core::ids::{CandidateId, StepId};
use ansatz_prompts::with_error;
use ansatz_sandbox::check;
use std::collections::BTreeMap;

/// Share of the search after which nothing is taken apart any more.
const ABLATION_SHARE_MAX: f64 = 0.6;
/// Share of the search after which no revision is asked for.
const REVISION_SHARE_MAX: f64 = 0.8;
/// Solutions that are taken apart.
const WORKS_MAX: usize = 2;
/// A solution that is behind the best by more than this many standard errors is not refined.
const BEHIND_MAX: f64 = 3.0;

/// A generated solution that is being refined.
#[derive(Debug, Clone)]
pub struct Workpiece {
    /// Its name.
    pub name: String,
    /// The candidate that was scored.
    pub id: CandidateId,
    step: StepId,
    params: Params,
    source: String,
    /// The candidates in which one group is off, by switch; `None` before it was taken apart.
    ablated: Option<BTreeMap<String, Params>>,
    ablations: Vec<Ablation>,
    /// Revisions: switch, what was changed, name of the solution.
    revisions: Vec<(String, String, String)>,
    is_revised_now: bool,
}

impl Workpiece {
    /// Nothing was done to it yet.
    pub fn new(name: String, id: CandidateId, step: StepId, params: Params, source: String) -> Self {
        let (ablated, ablations, revisions) = (None, Vec::new(), Vec::new());
        Self { name, id, step, params, source, ablated, ablations, revisions, is_revised_now: false }
    }
}

impl Dispatcher<'_, '_> {
    /// The next thing to do about generated solutions: take one apart, or ask for a revision.
    pub(super) fn refine(&mut self) -> Result<(), RunError> {
        self.settle_ablations();
        if self.used_share() < ABLATION_SHARE_MAX {
            self.take_apart();
        }
        if self.used_share() < REVISION_SHARE_MAX { self.ask_for_a_revision() } else { Ok(()) }
    }

    fn gain_of(&self, id: CandidateId) -> Option<f64> {
        self.search_gains.get(&id).copied()
    }

    /// Gains of a candidate on the folds of the first repeat.
    fn fold_gains(&self, id: CandidateId) -> BTreeMap<Fold, f64> {
        let own = self.fold_scores.iter().filter(|((other, fold), _)| *other == id && fold.repeat == 0);
        own.map(|((_, fold), gain)| (fold.clone(), *gain)).collect()
    }

    /// Proposes the best generated solution that was not taken apart yet, once without each of its groups.
    fn take_apart(&mut self) {
        let best = self.search_gains.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let (noise, ranking) = (self.noise(), self.s.board.ranking(self.s.scoring.direction()));
        let place = |id: CandidateId| ranking.iter().position(|entry| entry.candidate.id == id);
        let Some(ideas) = &self.ideas else { return };
        let is_open = |work: &Workpiece| {
            work.ablated.as_ref().is_some_and(|ablated| work.ablations.len() < ablated.len())
        };
        let begun = ideas.works.iter().filter(|work| work.ablated.is_some()).count();
        if begun >= WORKS_MAX || ideas.works.iter().any(is_open) {
            return;
        }
        let worth = |work: &&(usize, &Workpiece)| {
            let gain = self.gain_of(work.1.id);
            work.1.ablated.is_none() && gain.is_some_and(|gain| gain >= best - BEHIND_MAX * noise.max(1e-12))
        };
        let works: Vec<(usize, &Workpiece)> = ideas.works.iter().enumerate().collect();
        let Some((index, _)) = works.iter().filter(worth).min_by_key(|(_, work)| place(work.id)).copied()
        else {
            return;
        };
        let Some(space) = self.space_of(&ideas.works[index].name) else { return };
        // A switch whose group cannot be found could be measured, but not revised.
        let parts = parts(&ideas.works[index].source);
        let can_revise = |switch: &String| code::block_of(switch, &parts).is_some();
        let switches = code::switches(space.keys()).into_iter().filter(can_revise);
        let switches: Vec<String> = switches.take(ABLATIONS_MAX).collect();
        let Some(ideas) = &mut self.ideas else { return };
        let work = &mut ideas.works[index];
        // With a single group there is nothing to compare: it is what the solution is.
        let mut ablated = BTreeMap::new();
        for switch in switches.iter().filter(|_| switches.len() > 1) {
            let mut params = work.params.clone();
            params.insert(switch.clone(), false.into());
            ablated.insert(switch.clone(), params.clone());
            let why = format!("{} without {switch}", work.name);
            let proposal = Proposal { solution: work.name.clone(), params, origin: Origin::Search, why };
            ideas.extra.push_back((work.step.clone(), proposal));
        }
        if let [only] = switches.as_slice() {
            work.ablations.push(Ablation { switch: only.clone(), worth: 0.0, error: noise });
            ablated.insert(only.clone(), Params::new());
        }
        work.ablated = Some(ablated);
    }

    /// The space of a generated solution, once the worker was asked for it.
    fn space_of(&self, name: &str) -> Option<ansatz_core::candidate::Space> {
        self.ideas.as_ref()?.spaces.get(name).cloned()
    }

    /// Computes what groups are worth, once all candidates without one are in.
    fn settle_ablations(&mut self) {
        let Some(ideas) = &self.ideas else { return };
        let mut settled: Vec<(usize, Vec<Ablation>)> = Vec::new();
        for (index, work) in ideas.works.iter().enumerate() {
            let Some(ablated) = work.ablated.as_ref().filter(|_| work.ablations.is_empty()) else { continue };
            let found: Option<Vec<Ablation>> =
                ablated.iter().map(|(switch, params)| self.worth_of(work, switch, params)).collect();
            settled.extend(found.filter(|found| !found.is_empty()).map(|found| (index, found)));
        }
        let Some(ideas) = &mut self.ideas else { return };
        for (index, ablations) in settled {
            let name = ideas.works[index].name.clone();
            for one in &ablations {
                let lesson =
                    format!("in {name}, {} is worth {:+.5} ± {:.5}", one.switch, one.worth, one.error);
                ideas.learn(lesson);
            }
            ideas.works[index].ablations = ablations;
        }
    }

    /// What a group is worth on the folds that both have; `None` while folds are due.
    fn worth_of(&self, work: &Workpiece, switch: &str, params: &Params) -> Option<Ablation> {
        let entry = self.s.board.entries.values().find(|entry| {
            entry.candidate.solution.name() == work.name && entry.candidate.params == *params
        })?;
        if entry.state == State::Open {
            return None;
        }
        let (with, without) = (self.fold_gains(work.id), self.fold_gains(entry.candidate.id));
        let differences: Vec<f64> =
            with.iter().filter_map(|(fold, gain)| Some(gain - without.get(fold)?)).collect();
        let count = differences.len() as f64;
        if differences.is_empty() {
            return Some(Ablation { switch: switch.to_owned(), worth: 0.0, error: self.noise() });
        }
        let worth = differences.iter().sum::<f64>() / count;
        let spread =
            differences.iter().map(|one| (one - worth).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        Some(Ablation { switch: switch.to_owned(), worth, error: (spread / count).sqrt().max(1e-9) })
    }

    fn ask_for_a_revision(&mut self) -> Result<(), RunError> {
        let noise = self.noise();
        let Some(ideas) = &self.ideas else { return Ok(()) };
        if ideas.works.iter().any(|work| work.is_revised_now) {
            return Ok(());
        }
        let revised = |work: &Workpiece| {
            let gain = |name: &str| {
                let entries =
                    self.s.board.entries.values().filter(|entry| entry.candidate.solution.name() == name);
                entries.filter_map(|entry| self.gain_of(entry.candidate.id)).reduce(f64::max)
            };
            let each = work.revisions.iter();
            each.map(|(switch, _, name)| (switch.clone(), gain(name).unwrap_or(f64::NEG_INFINITY))).collect()
        };
        let works: Vec<Work> = ideas
            .works
            .iter()
            .map(|work| Work {
                gain: self.gain_of(work.id).unwrap_or(f64::NEG_INFINITY),
                ablations: work.ablations.clone(),
                revised: revised(work),
            })
            .collect();
        let Some((index, switch)) = model::next_block(&works, noise) else { return Ok(()) };
        let work = &ideas.works[index];
        let parts = parts(&work.source);
        let Some(block) = code::block_of(&switch, &parts).map(|part| part.name.clone()) else {
            return Ok(());
        };
        let score =
            self.s.board.entries.get(&work.id).and_then(|entry| entry.score()).map(|scored| scored.score);
        let in_words =
            |score: Option<f64>| score.map_or_else(|| "none".into(), |score| with_error(score, noise));
        let best_of = |name: &str| {
            let ranking = self.s.board.ranking(self.s.scoring.direction());
            let entry = ranking.into_iter().find(|entry| entry.candidate.solution.name() == name);
            in_words(entry.and_then(|entry| Some(entry.score()?.score)))
        };
        let same = work.revisions.iter().filter(|(done, _, _)| *done == switch);
        let history: Vec<(String, String)> =
            same.map(|(_, change, name)| (change.clone(), best_of(name))).collect();
        let prompt = model::refine(&Revised {
            case: &ideas.cases.full,
            score: in_words(score),
            noise,
            code: &work.source,
            ablations: &work.ablations,
            block: &block,
            history: &history,
        });
        let step = work.step.clone();
        if let Some(ideas) = &mut self.ideas {
            ideas.works[index].is_revised_now = true;
        }
        self.think(Thought::Refine(Box::new(prompt)), step.as_str(), About::Revision(index, switch))
    }

    /// Puts a revised group in its place and proposes the result.
    pub(super) fn take_block(&mut self, index: usize, switch: &str, block: &str) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        let Some(work) = ideas.works.get_mut(index) else { return Ok(()) };
        work.is_revised_now = false;
        let change = change_of(block);
        let name = format!("{}-r{}", work.name, work.revisions.len() + 1);
        work.revisions.push((switch.to_owned(), change, name.clone()));
        let parts = parts(&work.source);
        let new = self::parts(block);
        let source = code::block_of(switch, &parts)
            .filter(|part| new.iter().any(|given| given.name == part.name))
            .map(|part| code::replaced(&work.source, part, block));
        let Some(source) = source else {
            let evidence = format!("the reply does not hold the function that {switch} switches");
            return self.s.record.check(ansatz_core::verdict::Stage::Code, name, false, evidence);
        };
        let (step, params) = (work.step.clone(), work.params.clone());
        let checked = check::solution(&source);
        self.s
            .record
            .write(Event::Checked { verdict: check::verdict(&format!("code of {name}"), &checked) })?;
        if checked.is_ok() {
            self.sources.insert(name.clone(), source);
            let why = format!("a revision of {switch}");
            let proposal = Proposal { solution: name.clone(), params, origin: Origin::Model, why };
            self.revisions_due.insert(name.clone(), (step.clone(), proposal));
            self.checks_due.entry(step).or_default().insert(name);
        }
        Ok(())
    }

    /// A revision passed its check and may compete; false when the solution is no revision.
    pub(super) fn revision_checked(&mut self, solution: &str, passed: bool) -> bool {
        let Some((step, proposal)) = self.revisions_due.remove(solution) else { return false };
        if passed && let Some(ideas) = &mut self.ideas {
            ideas.extra.push_back((step, proposal));
        }
        true
    }

    /// A proposal that belongs to no running model step.
    pub(super) fn next_extra(&mut self) -> Option<(StepId, Proposal)> {
        self.ideas.as_mut().and_then(|ideas: &mut Ideas| ideas.extra.pop_front())
    }
}

/// Functions at the top level of source; none when it cannot be read.
fn parts(source: &str) -> Vec<Part> {
    let outline = check::outline(source).unwrap_or_default();
    outline.into_iter().map(|(name, span)| Part { name, span }).collect()
}

/// What a revision says that it changed: the first line of its docstring.
fn change_of(block: &str) -> String {
    let after = block.split_once("\"\"\"").map(|(_, rest)| rest).unwrap_or_default();
    let words = after.split("\"\"\"").next().unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
