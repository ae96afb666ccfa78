//! Refinement of generated solutions: groups of features are switched off one by one, the one that matters most is revised,
//! and the revision competes like any other candidate. One change at a time, so that its score can be credited to it; a revision
//! that does better takes the place of what it revised, and the next begins with it.

use super::Dispatcher;
use super::dropping::Dropped;
use super::ideas::{About, Ideas};
use crate::board::State;
use crate::error::RunError;
use crate::minds;
use ansatz_agents::code::{self, Part};
use ansatz_agents::model::{self, ABLATIONS_MAX, Ablation, Revised, Work};
use ansatz_agents::playbook::Proposal;
use ansatz_agents::thought::Thought;
use ansatz_core::candidate::{Origin, Params, Space};
use ansatz_core::event::{Event, Fold};
use ansatz_core::ids::{CandidateId, StepId};
use ansatz_core::verdict::Stage;
use ansatz_prompts::with_error;
use ansatz_sandbox::check;
use serde_json::Value;
use std::collections::BTreeMap;

/// Share of the search after which nothing is taken apart any more that nobody wished to have revised.
const ABLATION_SHARE_MAX: f64 = 0.6;
/// Share of the search after which no revision is asked for.
const REVISION_SHARE_MAX: f64 = 0.8;
/// A solution that is behind the best by more than this many standard errors is not refined.
const BEHIND_MAX: f64 = 3.0;

/// A generated solution that is being refined.
#[derive(Debug, Clone)]
pub struct Workpiece {
    /// Its name.
    pub name: String,
    /// The candidate that a revision has to beat.
    pub id: CandidateId,
    step: StepId,
    params: Params,
    /// The version that the next revision begins with: its name, and its source.
    version: String,
    source: String,
    /// The candidates in which one group is off, by switch; `None` before it was taken apart.
    ablated: Option<BTreeMap<String, Params>>,
    ablations: Vec<Ablation>,
    tries: Vec<Try>,
    trying: Trying,
}

/// A revision that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Try {
    /// The switch of the group.
    switch: String,
    /// What was changed; empty when no revision came.
    change: String,
    /// The name that it has, or would have had.
    name: String,
}

/// What is being done to a workpiece.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trying {
    Nothing,
    /// A revision was asked for.
    Asked,
    /// The revision of this name is on its way to a score.
    Measuring(String),
}

/// What became of a revision.
enum Fate {
    /// Its score is due.
    Open,
    /// It has none, and will have none.
    Lost,
    Scored(CandidateId),
}

impl Workpiece {
    /// Nothing was done to it yet.
    pub fn new(name: String, id: CandidateId, step: StepId, params: Params, source: String) -> Self {
        let (version, ablated, ablations) = (name.clone(), None, Vec::new());
        let (tries, trying) = (Vec::new(), Trying::Nothing);
        Self { name, id, step, params, version, source, ablated, ablations, tries, trying }
    }

    /// Whether a solution of this name is the workpiece or a revision of it.
    pub fn holds(&self, solution: &str) -> bool {
        let rest = solution.strip_prefix(&self.name);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix("-r").is_some_and(is_number))
    }

    /// Whether it can be taken apart: its space is known, it was not before, and its idea was not dropped.
    fn can_be_taken_apart(&self, spaces: &BTreeMap<String, Space>, dropped: &Dropped) -> bool {
        self.ablated.is_none() && spaces.contains_key(&self.name) && !dropped.holds(&self.name)
    }

    /// What its groups are worth of which one may be revised: none when its idea was dropped.
    fn open_groups(&self, dropped: &Dropped) -> Vec<Ablation> {
        if dropped.holds(&self.name) { Vec::new() } else { self.ablations.clone() }
    }

    /// What was not measured while it was taken apart will not be; if it is wanted again, that begins anew.
    pub fn interrupt(&mut self) {
        if self.ablations.is_empty() {
            self.ablated = None;
        }
    }

    /// Counts a try and gives the name of its revision.
    fn count(&mut self, switch: &str, change: String) -> String {
        let name = format!("{}-r{}", self.name, self.tries.len() + 1);
        self.tries.push(Try { switch: switch.to_owned(), change, name: name.clone() });
        name
    }

    /// A revision that was asked for did not come: it counts as a try, and the next may begin.
    fn lose(&mut self, switch: &str) {
        self.count(switch, String::new());
        self.trying = Trying::Nothing;
    }

    /// The latest revision did better by so much: it is what the next has to beat.
    fn adopt(&mut self, id: CandidateId, source: String, gained: f64) {
        if let Some(best) = self.tries.last() {
            for one in self.ablations.iter_mut().filter(|one| one.switch == best.switch) {
                one.worth += gained;
            }
            self.version.clone_from(&best.name);
        }
        (self.id, self.source) = (id, source);
    }
}

impl Dispatcher<'_, '_> {
    /// The next thing to do about generated solutions: take one apart, or ask for a revision.
    pub(super) fn refine(&mut self) -> Result<(), RunError> {
        self.settle_ablations();
        self.settle_revisions();
        if self.used_share() >= REVISION_SHARE_MAX {
            return Ok(());
        }
        while let Some(index) = self.next_to_take_apart() {
            if self.take_apart(index) {
                break;
            }
        }
        self.ask_for_a_revision()
    }

    fn gain_of(&self, id: CandidateId) -> Option<f64> {
        self.search_gains.get(&id).copied()
    }

    /// Gains of a candidate on the folds of the first repeat.
    fn fold_gains(&self, id: CandidateId) -> BTreeMap<Fold, f64> {
        let own = self.fold_gains.iter().filter(|((other, fold), _)| *other == id && fold.repeat == 0);
        own.map(|((_, fold), gain)| (fold.clone(), *gain)).collect()
    }

    /// The workpiece of the idea that second thoughts want revised.
    fn wished(&self) -> Option<usize> {
        let ideas = self.ideas.as_ref()?;
        let wished = ideas.wished.as_ref()?;
        ideas.works.iter().position(|work| minds::is_version(&work.name, wished))
    }

    /// The workpiece that is taken apart next: the one that is wished for, else the best that is not far behind. One whose space
    /// is not known cannot be, and does not stand in the way of others.
    fn next_to_take_apart(&self) -> Option<usize> {
        let ideas = self.ideas.as_ref()?;
        let is_open = |work: &Workpiece| {
            work.ablated.as_ref().is_some_and(|ablated| work.ablations.len() < ablated.len())
        };
        if ideas.works.iter().any(is_open) {
            return None;
        }
        let can_be = |work: &Workpiece| work.can_be_taken_apart(&ideas.own_spaces, &ideas.dropped);
        if let Some(wished) = self.wished().filter(|index| can_be(&ideas.works[*index])) {
            return Some(wished);
        }
        let begun = ideas.works.iter().filter_map(|work| work.ablated.as_ref());
        let begun = begun.filter(|ablated| !ablated.is_empty()).count();
        if begun >= ideas.council.allowance().works() || self.used_share() >= ABLATION_SHARE_MAX {
            return None;
        }
        let best = self.search_gains.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = best - BEHIND_MAX * self.gain_noise().max(1e-12);
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let place = |id: CandidateId| ranking.iter().position(|entry| entry.candidate.id == id);
        let works = ideas.works.iter().enumerate();
        let worth =
            works.filter(|(_, work)| can_be(work) && self.gain_of(work.id).is_some_and(|gain| gain >= least));
        worth.min_by_key(|(_, work)| place(work.id)).map(|(index, _)| index)
    }

    /// Proposes a workpiece once without each of its groups; false when it has none that could be revised.
    fn take_apart(&mut self, index: usize) -> bool {
        let noise = self.gain_noise();
        let Some(ideas) = &mut self.ideas else { return false };
        let work = &mut ideas.works[index];
        // A switch whose group cannot be found could be measured, but not revised.
        let parts = parts(&work.source);
        let can_revise = |switch: &String| code::block_of(switch, &parts).is_some();
        let space = ideas.own_spaces.get(&work.name);
        let switches = space.map(|space| code::switches(space.keys())).unwrap_or_default();
        let switches: Vec<String> = switches.into_iter().filter(can_revise).take(ABLATIONS_MAX).collect();
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
        !switches.is_empty()
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
        let found = difference(&self.fold_gains(work.id), &self.fold_gains(entry.candidate.id));
        let (worth, error) = found.unwrap_or((0.0, self.gain_noise()));
        Some(Ablation { switch: switch.to_owned(), worth, error })
    }

    /// Takes note of revisions that have come to something. One that beats what it revised, on the same folds, takes its place.
    fn settle_revisions(&mut self) {
        let Some(ideas) = &self.ideas else { return };
        let mut settled: Vec<(usize, Option<(CandidateId, f64)>)> = Vec::new();
        for (index, work) in ideas.works.iter().enumerate() {
            let Trying::Measuring(name) = &work.trying else { continue };
            match self.fate_of(name) {
                Fate::Open => {}
                Fate::Lost => settled.push((index, None)),
                Fate::Scored(id) => {
                    let gained = difference(&self.fold_gains(id), &self.fold_gains(work.id));
                    settled.push((index, Some((id, gained.map_or(0.0, |(gained, _)| gained)))));
                }
            }
        }
        for (index, scored) in settled {
            if let Some((id, gained)) = scored {
                self.judge_revision(index, id, gained);
            }
            if let Some(ideas) = &mut self.ideas {
                ideas.works[index].trying = Trying::Nothing;
            }
        }
    }

    fn fate_of(&self, revision: &str) -> Fate {
        let mut entries = self.s.board.entries.values();
        let entry = entries.find(|entry| entry.candidate.solution.name() == revision);
        let is_proposed = |ideas: &Ideas| ideas.extra.iter().any(|(_, due)| due.solution == revision);
        match entry.map(|entry| (entry.candidate.id, &entry.state)) {
            Some((_, State::Open)) => Fate::Open,
            Some((id, State::Scored(_))) => Fate::Scored(id),
            None if self.revisions_due.contains_key(revision) => Fate::Open,
            None if self.ideas.as_ref().is_some_and(is_proposed) => Fate::Open,
            _ => Fate::Lost,
        }
    }

    /// Learns what a revision gained; one that gained takes the place of what it revised, and is tried with the best that the
    /// search found for that as well.
    fn judge_revision(&mut self, index: usize, id: CandidateId, gained: f64) {
        let Some(work) = self.ideas.as_ref().and_then(|ideas| ideas.works.get(index)) else { return };
        let Some(Try { switch, change, name }) = work.tries.last().cloned() else { return };
        let lesson = format!("in {}, a revision of {switch} gained {gained:+.5}: {change}", work.name);
        let is_on = |params: &Params| params.get(&switch) != Some(&Value::Bool(false));
        let tuned = self.best_params_of(&work.version);
        let tuned = tuned.filter(|params| *params != work.params && is_on(params));
        let source = self.source_of(&name).filter(|_| gained > 0.0);
        let Some(ideas) = &mut self.ideas else { return };
        ideas.learn(lesson);
        let Some(source) = source else { return };
        let work = &mut ideas.works[index];
        work.adopt(id, source, gained);
        if let Some(params) = tuned {
            let why = format!("{name} with the best configuration of what it revised");
            let proposal = Proposal { solution: name, params, origin: Origin::Model, why };
            ideas.extra.push_back((work.step.clone(), proposal));
        }
    }

    /// The parameters of a solution's best candidate.
    fn best_params_of(&self, solution: &str) -> Option<Params> {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let best = ranking.into_iter().find(|entry| entry.candidate.solution.name() == solution);
        best.map(|entry| entry.candidate.params.clone())
    }

    fn ask_for_a_revision(&mut self) -> Result<(), RunError> {
        let noise = self.gain_noise();
        let Some(ideas) = &self.ideas else { return Ok(()) };
        // The next revision is told what came of the one before.
        if ideas.works.iter().any(|work| work.trying != Trying::Nothing) {
            return Ok(());
        }
        let works: Vec<Work> = ideas.works.iter().map(|work| self.work(work, &ideas.dropped)).collect();
        let wished = self.wished();
        let own = wished.and_then(|at| Some((at, model::next_block(&works[at..=at], noise)?.1)));
        let Some((index, switch)) = own.or_else(|| model::next_block(&works, noise)) else { return Ok(()) };
        let work = &ideas.works[index];
        let parts = parts(&work.source);
        let Some(block) = code::block_of(&switch, &parts).map(|part| part.name.clone()) else {
            // An earlier revision renamed it: there is nothing left that the switch stands for.
            self.lose_revision(index, &switch);
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
        let same = work.tries.iter().filter(|one| one.switch == switch && !one.change.is_empty());
        let history: Vec<(String, String)> =
            same.map(|one| (one.change.clone(), best_of(&one.name))).collect();
        let case = self.case_now(ideas);
        let prompt = model::refine(&Revised {
            case: &case,
            score: in_words(score),
            noise,
            code: &work.source,
            ablations: &work.ablations,
            block: &block,
            history: &history,
        });
        let step = work.step.clone();
        if let Some(ideas) = &mut self.ideas {
            ideas.works[index].trying = Trying::Asked;
            if wished == Some(index) {
                ideas.wished = None;
            }
        }
        self.think(Thought::Refine(Box::new(prompt)), step.as_str(), About::Revision(index, switch))
    }

    /// A workpiece as the choice among all sees it.
    fn work(&self, work: &Workpiece, dropped: &Dropped) -> Work {
        let gain = |name: &str| {
            let entries = self.s.board.entries.values();
            let own = entries.filter(|entry| entry.candidate.solution.name() == name);
            own.filter_map(|entry| self.gain_of(entry.candidate.id)).reduce(f64::max)
        };
        let revised = |one: &Try| (one.switch.clone(), gain(&one.name).unwrap_or(f64::NEG_INFINITY));
        Work {
            gain: self.gain_of(work.id).unwrap_or(f64::NEG_INFINITY),
            ablations: work.open_groups(dropped),
            revised: work.tries.iter().map(revised).collect(),
        }
    }

    /// A revision that was asked for did not come.
    pub(super) fn lose_revision(&mut self, index: usize, switch: &str) {
        if let Some(work) = self.ideas.as_mut().and_then(|ideas| ideas.works.get_mut(index)) {
            work.lose(switch);
        }
    }

    /// Puts a revised group in its place and proposes the result.
    pub(super) fn take_block(&mut self, index: usize, switch: &str, block: &str) -> Result<(), RunError> {
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        let Some(work) = ideas.works.get_mut(index) else { return Ok(()) };
        if ideas.dropped.holds(&work.name) {
            work.lose(switch);
            return Ok(());
        }
        let Some((switch, source)) = revised(&work.source, switch, block) else {
            let subject = format!("a revision of {switch} in {}", work.name);
            let evidence = format!("the reply does not hold the function that {switch} switches");
            work.lose(switch);
            return self.s.record.check(Stage::Code, subject, false, evidence);
        };
        let (step, params) = (work.step.clone(), work.params.clone());
        let name = work.count(&switch, change_of(block, &switch));
        let checked = check::solution(&source);
        work.trying = if checked.is_ok() { Trying::Measuring(name.clone()) } else { Trying::Nothing };
        let verdict = check::verdict(&format!("code of {name}"), &checked);
        self.s.record.write(Event::Checked { verdict })?;
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
        if passed
            && let Some(ideas) = &mut self.ideas
            && !ideas.dropped.holds(solution)
        {
            ideas.extra.push_back((step, proposal));
        }
        true
    }

    /// A proposal that belongs to no running model step.
    pub(super) fn next_extra(&mut self) -> Option<(StepId, Proposal)> {
        self.ideas.as_mut().and_then(|ideas: &mut Ideas| ideas.extra.pop_front())
    }
}

/// Mean of the differences on the folds that both have, with its standard error; `None` when they have none in common.
fn difference(these: &BTreeMap<Fold, f64>, those: &BTreeMap<Fold, f64>) -> Option<(f64, f64)> {
    let differences: Vec<f64> =
        these.iter().filter_map(|(fold, gain)| Some(gain - those.get(fold)?)).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let spread = differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (!differences.is_empty()).then(|| (mean, (spread / count).sqrt().max(1e-9)))
}

/// Functions at the top level of source; none when it cannot be read.
fn parts(source: &str) -> Vec<Part> {
    let outline = check::outline(source).unwrap_or_default();
    outline.into_iter().map(|(name, span)| Part { name, span }).collect()
}

/// The module with a revised group, and the switch of that group: the one that was asked for, or the only other one that the reply
/// holds. `None` when the reply holds no group of the module.
fn revised(source: &str, switch: &str, block: &str) -> Option<(String, String)> {
    let (old, new) = (parts(source), parts(block));
    let with = |switch: &str| {
        let source = code::revised(source, &old, switch, block, &new)?;
        Some((switch.to_owned(), source))
    };
    let others = || {
        let blocks = old.iter().filter_map(|part| part.name.strip_prefix("group_"));
        let mut found = blocks.filter_map(|group| with(&format!("use_{group}")));
        found.next().filter(|_| found.next().is_none())
    };
    with(switch).or_else(others)
}

/// What a revision says that it changed: the docstring of the group's function, in one line.
fn change_of(block: &str, switch: &str) -> String {
    let parts = parts(block);
    let own = code::block_of(switch, &parts).and_then(|part| block.get(part.span.clone()));
    let after = own.unwrap_or(block).split_once("\"\"\"").map(|(_, rest)| rest).unwrap_or_default();
    let words = after.split("\"\"\"").next().unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "import numpy as np\n\n\ndef group_size(rows, learned):\n    return {\"a\": rows[\"x\"]}\n\n\ndef group_age(rows, learned):\n    return {}\n\n\nX = 1\n";

    fn work() -> Workpiece {
        let (name, step) = ("x".to_owned(), StepId::new("model:x"));
        let mut work = Workpiece::new(name, CandidateId(1), step, Params::new(), MODULE.into());
        let ablation = |switch: &str| Ablation { switch: switch.into(), worth: 0.01, error: 0.001 };
        work.ablations = vec![ablation("use_size"), ablation("use_age")];
        work
    }

    #[test]
    fn a_try_without_a_revision_counts_and_does_not_end_refinement() {
        let mut work = work();
        work.trying = Trying::Asked;
        work.lose("use_size");
        assert_eq!((work.trying.clone(), work.tries.len()), (Trying::Nothing, 1));
        assert_eq!(work.count("use_age", "ranks".into()), "x-r2");
        assert!(work.holds("x") && work.holds("x-r2") && !work.holds("x-rows") && !work.holds("x-v2"));
    }

    #[test]
    fn a_better_revision_is_what_the_next_begins_with() {
        let mut work = work();
        work.count("use_age", "ranks".into());
        work.adopt(CandidateId(7), "new".into(), 0.002);
        assert_eq!((work.id, work.version.as_str(), work.source.as_str()), (CandidateId(7), "x-r1", "new"));
        let worths: Vec<f64> = work.ablations.iter().map(|one| (one.worth * 1e3).round()).collect();
        assert_eq!(worths, [10.0, 12.0], "its group is worth so much more");
    }

    #[test]
    fn what_was_dropped_is_neither_taken_apart_nor_revised() {
        let mut work = work();
        let spaces = BTreeMap::from([("x".to_owned(), Space::new())]);
        let (none, mut dropped) = (Dropped::default(), Dropped::default());
        dropped.add("x".into());
        assert!(work.can_be_taken_apart(&spaces, &none) && !work.can_be_taken_apart(&spaces, &dropped));
        assert!(!work.can_be_taken_apart(&BTreeMap::new(), &none), "its space is not known");
        let groups = (work.open_groups(&none).len(), work.open_groups(&dropped).len());
        assert_eq!(groups, (2, 0));
        // What was taken apart stays so; what was not measured yet stands in nobody's way.
        work.ablated = Some([("use_size".to_owned(), Params::new())].into());
        work.interrupt();
        assert!(!work.can_be_taken_apart(&spaces, &none));
        work.ablations.clear();
        work.interrupt();
        assert!(work.can_be_taken_apart(&spaces, &none));
    }

    #[test]
    fn candidates_are_compared_on_the_folds_that_both_have() {
        let gains = |gains: &[f64]| -> BTreeMap<Fold, f64> {
            let fold = |fold: usize| Fold { repeat: 0, fold: fold as u32, rows_permille: 1000 };
            gains.iter().enumerate().map(|(at, gain)| (fold(at), *gain)).collect()
        };
        let (mean, error) = difference(&gains(&[0.9, 0.8, 0.1]), &gains(&[0.8, 0.6])).unwrap();
        assert!((mean - 0.15).abs() < 1e-12 && (error - 0.05).abs() < 1e-12, "{mean} {error}");
        assert_eq!(difference(&gains(&[0.9]), &gains(&[])), None);
    }

    #[test]
    fn a_revised_group_takes_the_place_of_the_old_one() {
        let block = "def learn_age(train):\n    \"\"\"Counts.\"\"\"\n\n\ndef group_age(rows, learned):\n    \"\"\"Ranks.\"\"\"\n    return {}\n";
        let (switch, source) = revised(MODULE, "use_age", block).unwrap();
        assert_eq!((switch.as_str(), source.matches("def group_age").count()), ("use_age", 1));
        assert!(
            source.contains("def group_size") && source.contains("Ranks.") && source.ends_with("X = 1\n")
        );
        assert_eq!(change_of(block, &switch), "Ranks.");
        // The only group of the reply is another than was asked for: it is credited with the score.
        assert_eq!(revised(MODULE, "use_size", block).unwrap().0, "use_age");
        for useless in ["No revision.", "def group_other(rows, learned):\n    return {}\n", ""] {
            assert_eq!(revised(MODULE, "use_age", useless), None, "{useless}");
        }
    }
}
