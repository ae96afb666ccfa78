//! From candidates to a deliverable: combine, judge once, train for delivery.
//!
//! Order matters and is fixed: everything is chosen on out-of-fold predictions, then the seal is opened once, then
//! models are trained for delivery. Nothing that is chosen here may depend on a sealed row.

use crate::board::{Board, Entry};
use crate::bundle::PROOF_ROWS;
use crate::control::Control;
use crate::error::RunError;
use crate::functions::Check;
use crate::limits::{self, Limits};
use crate::pace::{Measured, Pace};
use crate::pool::Pool;
use crate::protocol::{Order, OrderKind, TaskBrief};
use crate::record::Record;
use crate::scoring::{Decision, Scoring};
use crate::search::Job;
use crate::worker::TrialOutput;
use ansatz_agents::playbook;
use ansatz_core::candidate::{Candidate, Origin, Solution};
use ansatz_core::event::{Event, Fold};
use ansatz_core::ids::{ArtifactId, CandidateId, TrialId};
use ansatz_core::matrix::Matrix;
use ansatz_core::npy;
use ansatz_core::seed::Seed;
use ansatz_core::task::Task;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Numbers of orders that finalise start here, so that they never meet a trial's or a question's.
const ORDERS_FROM: u32 = 2_000_000;
/// Configurations of one solution that may enter the ensemble.
const CONTENDERS_PER_SOLUTION: usize = 4;
/// The same where single predictions are timed.
const TIMED_PER_SOLUTION: usize = 2;
/// Boosting stages chosen on folds are stretched by the growth of the training rows to this power.
const STAGE_GROWTH_POWER: f64 = 0.5;
/// A challenger takes the lead when it is better with at least this probability.
pub const INCUMBENT_GATE: f64 = 0.6;
/// Longest time for one order where no time is set.
const ORDER_SECONDS_MAX: f64 = 3600.0;
/// An order that begins late has this long all the same.
const ORDER_SECONDS_MIN: f64 = 0.5;
/// Trainings of a member on all rows, each with a seed of its own, that are averaged at most.
const REFITS_MAX: usize = 5;
/// Solutions that learn the same, or nearly, whatever their seed: a second training would add nothing.
const SEEDLESS: [&str; 2] = [playbook::READABLE, playbook::BASELINE];
/// Bytes of all delivered models together that further seeds must not carry them beyond: what they add is small beside so
/// much more to carry. A model of more than half of it is delivered once, however little the others weigh.
const REFIT_BYTES_MAX: usize = 128 << 20;
/// Seconds for loading one more model and predicting with it when the delivered model is proved, beside the share of its
/// training time.
const PROOF_SECONDS: f64 = 0.1;
/// See [`PROOF_SECONDS`].
const PROOF_SHARE: f64 = 0.15;

/// One part of the delivered model.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The candidate.
    pub id: CandidateId,
    /// Its weight; all weights add up to 1.
    pub weight: f64,
    /// The chosen stage, when its solution has stages.
    pub stage: Option<f64>,
    /// Whether the stage counts rounds, which then grow with the rows.
    pub counted: bool,
}

/// What will be delivered, chosen on out-of-fold predictions.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Its parts.
    pub members: Vec<Member>,
    /// Its out-of-fold predictions.
    pub oof: Matrix,
    /// Their score.
    pub score: f64,
    /// How labels are made of probabilities, for metrics of labels.
    pub decision: Decision,
    /// Candidates that it was chosen from, best first.
    pub considered: Vec<CandidateId>,
}

impl Choice {
    /// Whether it is a combination.
    pub fn is_ensemble(&self) -> bool {
        self.members.len() > 1
    }
}

/// A model file for delivery. A member has one, or several whose predictions are averaged: of each fold, or of each seed.
#[derive(Debug, Clone)]
pub struct Part {
    /// Whose model it is.
    pub member: CandidateId,
    /// The model's bytes, as a blob.
    pub model: ArtifactId,
    /// Its weight; those of a member's parts add up to the member's.
    pub weight: f64,
    /// The stage to predict at, when the model has more than one.
    pub stage: Option<f64>,
}

/// Trained for delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Model files with weights.
    pub parts: Vec<Part>,
    /// Predictions of the test rows; without a test file of the first rows of the training file, by which the delivered
    /// model is proved. Raw: as the models give them, before the decision.
    pub test: Matrix,
    /// `fold_bagged` or `refit_all_rows`.
    pub trained: &'static str,
}

/// What an order brought. Its model is among the blobs: many, each large, are not kept in memory.
struct Brought {
    /// One matrix per stage, as the scoring takes them in.
    stages: Vec<Matrix>,
    /// The fitted model, where it was asked for and is not too large.
    model: Option<ArtifactId>,
    /// Bytes of that model.
    bytes: usize,
    /// Wall time from order to end.
    wall_s: f64,
}

/// What the first training of a member on all rows came to.
struct Trained {
    member: CandidateId,
    /// Seconds that one processor would have taken.
    work_s: f64,
    /// Bytes of the model.
    bytes: usize,
}

/// What finalising works on.
pub struct Finalise<'a> {
    /// The task.
    pub task: &'a Task,
    /// Candidates.
    pub board: &'a mut Board,
    /// Journal and watcher.
    pub record: &'a mut Record,
    /// Metric and gates.
    pub scoring: &'a Scoring,
    /// Where children run.
    pub pool: &'a mut Pool<Job>,
    /// Time.
    pub pace: Pace,
    /// Whether trials are counted, by which a run is the same on every machine: a limit of time beside that only ends it.
    pub counts_trials: bool,
    /// Measured times.
    pub measured: Measured,
    /// The run's seed.
    pub seed: Seed,
    /// Columns that solutions do not get.
    pub drop: Vec<String>,
    /// Folder that is mounted at `/in/models`.
    pub models: PathBuf,
    /// Rows of the test file, as numbers of the frame.
    pub test_rows: Vec<usize>,
    /// The user's stop.
    pub stop: &'a Control,
    /// Number of the next order.
    pub orders: u32,
    /// Checks that the submission must pass.
    pub checks: &'a [Check],
}

impl Finalise<'_> {
    /// Combines the best candidates, or chooses the best one; `None` when nothing was scored. `combine` is whether
    /// the plan has an ensemble step.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn choose(&mut self, combine: bool, limits: &Limits) -> Result<Option<Choice>, RunError> {
        let truth = self.board.open_truth().to_vec();
        let mut ranking: Vec<&Entry> = self.contenders();
        if limits.bind() {
            ranking = within(ranking, limits);
        }
        let Some(best) = ranking.first() else { return Ok(None) };
        let candidates: Vec<(CandidateId, &Matrix)> =
            ranking.iter().filter_map(|entry| Some((entry.candidate.id, entry.oof.as_ref()?))).collect();
        let single = vec![(best.candidate.id, 1.0)];
        let mut weights = single.clone();
        if combine && candidates.len() > 1 {
            let combined = self.combine(&truth, candidates, limits);
            if let (Some(mixed), Some(alone)) = (self.blend(&combined), self.blend(&single))
                && self.scoring.p_better_smoothly(&truth, &mixed, &alone) > INCUMBENT_GATE
            {
                weights = combined;
            }
        }
        let Some(oof) = self.blend(&weights) else { return Ok(None) };
        let decision = self.scoring.decision(&truth, &oof);
        let Some(score) = self.scoring.score(&truth, &oof, &decision) else { return Ok(None) };
        let considered = ranking.iter().map(|entry| entry.candidate.id).collect();
        let inputs = weights
            .iter()
            .filter_map(|(id, _)| self.board.entries.get(id))
            .flat_map(|entry| entry.held.values().map(|held| held.predictions.clone()))
            .collect();
        if weights.len() > 1 {
            self.record.write(Event::EnsembleBuilt { members: weights.clone(), score, inputs })?;
        }
        let members = weights.into_iter().map(|(id, weight)| self.member(id, weight)).collect();
        Ok(Some(Choice { members, oof, score, decision, considered }))
    }

    /// The ensemble of candidates that keeps all limits: as long as one is broken, the member that matters least is left out.
    fn combine(
        &self,
        truth: &[f64],
        mut candidates: Vec<(CandidateId, &Matrix)>,
        limits: &Limits,
    ) -> Vec<(CandidateId, f64)> {
        loop {
            let matrices: Vec<Matrix> = candidates.iter().map(|(_, oof)| (*oof).clone()).collect();
            let found = self.scoring.ensemble(truth, &matrices, self.seed.derive("ensemble"));
            let ids = candidates.iter().map(|(id, _)| *id);
            let members: Vec<(CandidateId, f64)> =
                ids.zip(found).filter(|(_, weight)| *weight > 0.0).collect();
            let chosen: Vec<CandidateId> = members.iter().map(|(id, _)| *id).collect();
            let least = members.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(id, _)| *id);
            let Some(least) = least.filter(|_| !limits.keep(&chosen)) else {
                return members;
            };
            candidates.retain(|(id, _)| *id != least);
        }
    }

    /// Candidates that may be chosen, best first.
    pub fn contender_ids(&self) -> Vec<CandidateId> {
        self.contenders().into_iter().map(|entry| entry.candidate.id).collect()
    }

    /// Bytes of a candidate's largest fold model, stretched to all rows; `None` where none was kept.
    pub fn model_bytes(&self, id: CandidateId) -> Option<f64> {
        let held = self.board.entries.get(&id)?.held.values();
        let sizes = held.map(|held| {
            let path = self.record.blobs.path(held.model.as_ref()?).ok()?;
            Some(std::fs::metadata(path).ok()?.len())
        });
        let largest = sizes.collect::<Option<Vec<u64>>>()?.into_iter().max()?;
        Some(largest as f64 * self.growth())
    }

    /// One fold's model of a candidate, as it would be delivered; `None` where none was kept.
    pub fn fold_part(&self, id: CandidateId) -> Option<Part> {
        let model = self.board.entries.get(&id)?.held.values().find_map(|held| held.model.clone())?;
        Some(Part { member: id, model, weight: 1.0, stage: self.member(id, 1.0).stage })
    }

    /// Scored candidates that may become members, best first: a bounded number of each solution.
    fn contenders(&self) -> Vec<&Entry> {
        // Each is asked many times where the time of a prediction matters.
        let is_timed = limits::is_timed(&self.task.constraints);
        let most = if is_timed { TIMED_PER_SOLUTION } else { CONTENDERS_PER_SOLUTION };
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let ranking =
            self.board.ranking(self.scoring.direction()).into_iter().filter(|entry| entry.oof.is_some());
        ranking
            .filter(|entry| {
                let count = counts.entry(entry.candidate.solution.name()).or_default();
                *count += 1;
                *count <= most
            })
            .collect()
    }

    fn member(&self, id: CandidateId, weight: f64) -> Member {
        let scored = self.board.entries.get(&id).and_then(Entry::score);
        let stage = scored.filter(|scored| scored.staged).map(|scored| scored.stage_value);
        Member { id, weight, stage, counted: scored.is_some_and(|scored| scored.counted) }
    }

    fn blend(&self, weights: &[(CandidateId, f64)]) -> Option<Matrix> {
        let parts: Option<Vec<(&Matrix, f64)>> = weights
            .iter()
            .map(|(id, weight)| Some((self.board.entries.get(id)?.oof.as_ref()?, *weight)))
            .collect();
        blend(&parts?)
    }

    /// Predictions of some rows by each given member's fold models, averaged over folds. Models that were not kept
    /// are trained again on their fold.
    ///
    /// # Errors
    /// When an order fails or time runs out.
    pub async fn by_folds(
        &mut self,
        members: &[Member],
        rows: &[usize],
    ) -> Result<BTreeMap<CandidateId, Matrix>, RunError> {
        let mut owners = Vec::new();
        let mut orders = Vec::new();
        for member in members {
            let Some(entry) = self.board.entries.get(&member.id) else { continue };
            let folds: Vec<(Fold, Option<ArtifactId>)> = entry
                .held
                .iter()
                .filter(|(fold, _)| fold.repeat == 0)
                .map(|(fold, held)| (fold.clone(), held.model.clone()))
                .collect();
            let candidate = entry.candidate.clone();
            for (fold, model) in folds {
                owners.push(member.id);
                orders.push(match model {
                    Some(model) => self.predict_order(&candidate, member.stage, &model, rows)?,
                    None => self.fit_order(&candidate, member.stage, &fold, rows),
                });
            }
        }
        let outputs = self.carry_out(orders).await?;
        let mut sums: BTreeMap<CandidateId, (Matrix, f64)> = BTreeMap::new();
        for (owner, output) in owners.into_iter().zip(outputs) {
            let Some(stage) = output.stages.into_iter().next() else {
                return Err(RunError::failed("a model gave no predictions"));
            };
            match sums.get_mut(&owner) {
                Some((sum, count)) => {
                    for (total, value) in sum.data_mut().iter_mut().zip(stage.data()) {
                        *total += value;
                    }
                    *count += 1.0;
                }
                None => {
                    sums.insert(owner, (stage, 1.0));
                }
            }
        }
        Ok(sums
            .into_iter()
            .map(|(id, (mut sum, count))| {
                sum.data_mut().iter_mut().for_each(|value| *value /= count);
                (id, sum)
            })
            .collect())
    }

    /// The fold models themselves, as parts of a bagged delivery; `None` when one was not kept.
    fn bagged_parts(&self, choice: &Choice) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for member in &choice.members {
            let entry = self.board.entries.get(&member.id)?;
            let folds: Vec<_> = entry.held.iter().filter(|(fold, _)| fold.repeat == 0).collect();
            for (_, held) in &folds {
                parts.push(Part {
                    member: member.id,
                    model: held.model.clone()?,
                    weight: member.weight / folds.len() as f64,
                    stage: member.stage,
                });
            }
        }
        Some(parts)
    }

    /// Trains for delivery: anew on all rows when that fits into the reserve, else the fold models as they are.
    ///
    /// # Errors
    /// When an order fails for another reason than time.
    pub async fn train(&mut self, choice: &Choice) -> Result<Delivery, RunError> {
        // Where size or time of the model matter, one model of all rows is worth more than the haste that keeps five.
        let may_hurry = !limits::bind(&self.task.constraints) && self.bagged_parts(choice).is_some();
        let hurried = self.stop.asked() || may_hurry && !self.time_for_refit(choice);
        if !hurried {
            match self.refit(choice).await {
                Ok(delivery) => return Ok(delivery),
                Err(error) => {
                    self.record.warn(format!("training on all rows was given up: {error}"))?;
                    self.pool.resume();
                }
            }
        }
        let parts = self
            .bagged_parts(choice)
            .ok_or_else(|| RunError::failed("the models of the folds were not kept, and a refit failed"))?;
        let rows = self.delivered_rows();
        let by_member = self.by_folds(&choice.members, &rows).await;
        let mixed = by_member.and_then(|predictions| {
            mix(&choice.members, &predictions)
                .ok_or_else(|| RunError::failed("predictions of test rows are missing"))
        });
        let test = match mixed {
            Ok(test) => test,
            // Nobody waits for predictions of training rows; that nothing could be proved is said.
            Err(_) if self.test_rows.is_empty() => Matrix::filled(0, self.task.outputs(), 0.0),
            Err(error) => return Err(error),
        };
        Ok(Delivery { parts, test, trained: "fold_bagged" })
    }

    /// The rows whose predictions are delivered, or that prove the model where there is no test file.
    fn delivered_rows(&self) -> Vec<usize> {
        if self.test_rows.is_empty() {
            (0..self.board.truth.len().min(PROOF_ROWS)).collect()
        } else {
            self.test_rows.clone()
        }
    }

    fn time_for_refit(&self, choice: &Choice) -> bool {
        let Some(wall) = self.pace.wall_s else { return true };
        let growth = self.growth();
        let walls: Vec<f64> = choice
            .members
            .iter()
            .filter_map(|member| self.board.entries.get(&member.id)?.trial_wall_s())
            .map(|seconds| seconds * growth)
            .collect();
        let measured = Measured {
            refit_s: walls.iter().sum(),
            refit_longest_s: walls.iter().copied().fold(0.0, f64::max),
            ..self.measured
        };
        let left = wall + self.pace.grace_s() - self.record.elapsed_s();
        self.pace.refit_s(&measured) + self.pace.base_s(&Measured { predict_s: 0.0, ..self.measured }) <= left
    }

    /// How many times more rows a refit has than a fold.
    fn growth(&self) -> f64 {
        let fold = self.board.entries.values().find_map(|entry| entry.held.keys().next().cloned());
        let trained = fold.map_or(1, |fold| self.board.rows.training(&fold).len());
        let all = self.board.rows.open.len() + self.board.rows.sealed.len();
        all as f64 / trained.max(1) as f64
    }

    /// Trains every member on all rows, and again with further seeds as often as fits into the time that is left. The seal
    /// was opened before, on the models of the folds: how often is trained here cannot change what was judged.
    async fn refit(&mut self, choice: &Choice) -> Result<Delivery, RunError> {
        let threads = self.threads_each(choice.members.len());
        let mut orders = Vec::new();
        for member in &choice.members {
            orders.push(self.refit_order(member, 0)?);
        }
        let outputs = self.carry_out(orders).await?;
        let mut trained: Vec<(&Member, Brought)> = choice.members.iter().zip(outputs).collect();
        let one = |(member, brought): &(&Member, Brought)| Trained {
            member: member.id,
            work_s: self.work_s(member.id, brought.wall_s, threads),
            bytes: brought.bytes,
        };
        let first: Vec<Trained> = trained.iter().map(one).collect();
        trained.extend(self.refit_further(choice, &first).await?);
        let owners: Vec<CandidateId> = trained.iter().map(|(member, _)| member.id).collect();
        let (mut parts, mut predictions) = (Vec::new(), Vec::new());
        for (member, brought) in &trained {
            let weight = shared_weight(member, &owners);
            let model = brought.model.clone();
            let model = model.ok_or_else(|| RunError::failed("a model is too large to keep"))?;
            parts.push(Part { member: member.id, model, weight, stage: None });
            predictions.extend(brought.stages.first().map(|stage| (stage, weight)));
        }
        let test = blend(&predictions).filter(|_| predictions.len() == parts.len());
        let test = test.ok_or_else(|| RunError::failed("predictions of test rows are missing"))?;
        Ok(Delivery { parts, test, trained: "refit_all_rows" })
    }

    /// Seconds that one processor takes for a training of so many seconds on several. They seldom make it as many times faster
    /// as they are, hence no more than the folds, each on one processor, let expect.
    fn work_s(&self, id: CandidateId, wall_s: f64, threads: u32) -> f64 {
        let by_folds = self.board.entries.get(&id).and_then(Entry::trial_wall_s);
        let expected = by_folds.map_or(f64::INFINITY, |seconds| seconds * self.growth());
        (wall_s * f64::from(threads)).min(expected).max(wall_s)
    }

    /// Trains with further seeds; what fails or is not done in time is left out.
    async fn refit_further<'c>(
        &mut self,
        choice: &'c Choice,
        first: &[Trained],
    ) -> Result<Vec<(&'c Member, Brought)>, RunError> {
        let Some(wall) = self.pace.wall_s else { return Ok(Vec::new()) };
        if self.counts_trials || limits::bind(&self.task.constraints) || self.stop.asked() {
            return Ok(Vec::new());
        }
        let until_s = wall - self.pace.base_s(&Measured { predict_s: 0.0, judging_s: 0.0, ..self.measured });
        let is_worth = |one: &&Trained| one.bytes <= REFIT_BYTES_MAX / 2 && self.has_seed(one.member);
        let worth: Vec<&Trained> = first.iter().filter(is_worth).collect();
        let (ids, again_s): (Vec<CandidateId>, Vec<f64>) =
            worth.iter().map(|one| (one.member, one.work_s)).unzip();
        let again: Vec<&Member> = choice.members.iter().filter(|member| ids.contains(&member.id)).collect();
        let all_s: Vec<f64> = first.iter().map(|one| one.work_s).collect();
        let by_time = further_times(&self.pace, &all_s, &again_s, until_s - self.record.elapsed_s());
        let all_bytes = first.iter().map(|one| one.bytes).sum();
        let times = by_time.min(times_by_bytes(all_bytes, worth.iter().map(|one| one.bytes).sum()));
        let (mut owners, mut orders) = (Vec::new(), Vec::new());
        for time in 1..=times {
            for member in &again {
                owners.push(*member);
                orders.push(self.refit_order(member, time)?);
            }
        }
        let (outputs, failure) = self.run_all(orders, Some(until_s), true).await;
        if let Some(failure) = failure {
            self.record.warn(format!("not all models were trained with further seeds: {failure}"))?;
        }
        let done = owners.into_iter().zip(outputs).filter_map(|(member, output)| Some((member, output?)));
        Ok(done.filter(|(_, brought)| brought.model.is_some() && !brought.stages.is_empty()).collect())
    }

    /// Whether another seed makes another model of a candidate.
    fn has_seed(&self, id: CandidateId) -> bool {
        let entry = self.board.entries.get(&id);
        entry.is_some_and(|entry| match &entry.candidate.solution {
            Solution::Builtin(name) => !SEEDLESS.contains(&name.as_str()),
            Solution::Source { .. } => true,
        })
    }

    /// The order that trains a member on all rows; `time` counts its trainings from 0.
    fn refit_order(&mut self, member: &Member, time: usize) -> Result<(Order, Vec<Vec<u8>>), RunError> {
        let entry = self.board.entries.get(&member.id);
        let candidate = entry.map(|entry| entry.candidate.clone());
        let candidate = candidate.ok_or_else(|| RunError::failed("a chosen candidate is gone"))?;
        let mut rows: Vec<usize> =
            self.board.rows.open.iter().chain(&self.board.rows.sealed).copied().collect();
        rows.sort_unstable();
        let truth = self.board.truth_of(&rows);
        let stretch = self.growth().powf(STAGE_GROWTH_POWER);
        // Stages that count something, such as rounds, grow with the rows; strengths of regularisation do not.
        let stage = member.stage.map(|stage| if member.counted { (stage * stretch).round() } else { stage });
        let mut order = self.order(OrderKind::Fit, &candidate, stage);
        let again = if time == 0 { String::new() } else { format!(" {time}") };
        order.seed = self.seed.derive(&format!("refit {}{again}", member.id.0)).for_python();
        order.keep_model = true;
        let sealed = vec![
            npy::write_indices(&rows),
            npy::write_values(&truth),
            npy::write_indices(&self.delivered_rows()),
        ];
        Ok((order, sealed))
    }

    /// Threads for each of so many orders: places that would stay empty are shared among them. In a run that counts trials each
    /// has one, so that no number depends on how many processors there are.
    fn threads_each(&self, orders: usize) -> u32 {
        if self.counts_trials {
            return 1;
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        shared_threads(self.pace.jobs.min(processors), orders)
    }

    fn order(&mut self, kind: OrderKind, candidate: &Candidate, stage: Option<f64>) -> Order {
        self.orders += 1;
        let number = ORDERS_FROM + self.orders;
        let left = self
            .pace
            .wall_s
            .map_or(ORDER_SECONDS_MAX, |wall| (wall - self.record.elapsed_s()).max(ORDER_SECONDS_MIN));
        Order {
            order: kind,
            trial: number,
            solution: Some(candidate.solution.clone()),
            params: candidate.params.clone(),
            seed: 0,
            threads: 1,
            task: TaskBrief::of(self.task),
            drop: self.drop.clone(),
            sealed: ["train_rows", "y", "predict_rows"].map(String::from).to_vec(),
            deadline_s: left,
            timed: !self.counts_trials,
            keep_model: false,
            stage,
            model: None,
            out: format!("/out/f{number}"),
        }
    }

    fn fit_order(
        &mut self,
        candidate: &Candidate,
        stage: Option<f64>,
        fold: &Fold,
        rows: &[usize],
    ) -> (Order, Vec<Vec<u8>>) {
        let training = self.board.rows.training(fold);
        let truth = self.board.truth_of(&training);
        let mut order = self.order(OrderKind::Fit, candidate, stage);
        let name = format!("trial {} {} {}", candidate.id.0, fold.repeat, fold.fold);
        order.seed = self.seed.derive(&name).for_python();
        let sealed = vec![npy::write_indices(&training), npy::write_values(&truth), npy::write_indices(rows)];
        (order, sealed)
    }

    fn predict_order(
        &mut self,
        candidate: &Candidate,
        stage: Option<f64>,
        model: &ArtifactId,
        rows: &[usize],
    ) -> Result<(Order, Vec<Vec<u8>>), RunError> {
        let bytes = self.record.blobs.path(model).map_err(|error| RunError::failed(error.to_string()))?;
        let name = format!("{}.bin", model.as_str().trim_start_matches("sha256:"));
        let place = self.models.join(&name);
        if !place.exists() {
            // A link where the file system allows one: models are large and never changed.
            std::fs::hard_link(&bytes, &place)
                .or_else(|_| std::fs::copy(&bytes, &place).map(drop))
                .map_err(|error| RunError::io("placing", &place, &error))?;
        }
        let mut order = self.order(OrderKind::Predict, candidate, stage);
        order.model = Some(format!("/in/models/{name}"));
        order.sealed = vec!["predict_rows".into()];
        Ok((order, vec![npy::write_indices(rows)]))
    }

    /// Runs orders in the pool; all must succeed. Outputs come in the order of the orders.
    async fn carry_out(&mut self, orders: Vec<(Order, Vec<Vec<u8>>)>) -> Result<Vec<Brought>, RunError> {
        let (outputs, failure) = self.run_all(orders, self.pace.wall_s, false).await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        outputs
            .into_iter()
            .map(|output| output.ok_or_else(|| RunError::failed("an order was lost")))
            .collect()
    }

    /// Runs orders in the pool until one fails; gives what they brought, in their order, and the failure. An order that begins
    /// has what is left until `until_s`. Orders that are a bonus are not begun after that, and end with the user's patience.
    async fn run_all(
        &mut self,
        orders: Vec<(Order, Vec<Vec<u8>>)>,
        until_s: Option<f64>,
        is_bonus: bool,
    ) -> (Vec<Option<Brought>>, Option<RunError>) {
        let threads = self.threads_each(orders.len());
        let mut outputs: Vec<Option<Brought>> = orders.iter().map(|_| None).collect();
        let mut waiting = orders.into_iter().enumerate();
        let (mut failure, stop) = (None, self.stop);
        loop {
            while failure.is_none() && self.pool.has_room() {
                let left_s = until_s.map(|until| until - self.record.elapsed_s());
                if is_bonus && left_s.is_some_and(|left| left <= 0.0) {
                    break;
                }
                let Some((index, (mut order, sealed))) = waiting.next() else { break };
                order.threads = threads;
                if let Some(left) = left_s {
                    order.deadline_s = order.deadline_s.min(left.max(ORDER_SECONDS_MIN));
                }
                let key = Job::Trial(
                    TrialId(index as u32),
                    CandidateId(0),
                    Fold { repeat: 0, fold: 0, rows_permille: 0 },
                );
                self.pool.start(key, order, sealed);
            }
            if self.pool.running() == 0 {
                break;
            }
            let ended = tokio::select! {
                ended = self.pool.ended() => ended,
                () = stop.wished(), if is_bonus && failure.is_none() => {
                    self.pool.stop();
                    failure = Some(RunError::failed("the run was stopped"));
                    continue;
                }
            };
            let Job::Trial(TrialId(index), _, _) = ended.key else { continue };
            match ended.result {
                Ok(output) => {
                    self.record.count_cpu(output.cpu_s);
                    match self.take_in(output) {
                        Ok(brought) => outputs[index as usize] = Some(brought),
                        Err(error) => {
                            self.pool.stop();
                            failure.get_or_insert(error);
                        }
                    }
                }
                Err(error) => {
                    self.record.count_cpu(error.cpu_s);
                    self.pool.stop();
                    failure.get_or_insert(RunError::failed(error.message));
                }
            }
        }
        if failure.is_some() {
            self.pool.resume();
        }
        (outputs, failure)
    }

    /// What an order brought, with its model put among the blobs.
    fn take_in(&self, output: TrialOutput) -> Result<Brought, RunError> {
        let TrialOutput { mut stages, model, wall_s, .. } = output;
        for stage in &mut stages {
            self.scoring.admit(stage);
        }
        let bytes = model.as_ref().map_or(0, Vec::len);
        let model = model.map(|model| self.record.blob(&model)).transpose()?;
        Ok(Brought { stages, model, bytes, wall_s })
    }

    /// Members of the baseline alone, for the lift.
    pub fn baseline_member(&self) -> Option<Member> {
        let entry = self.board.baseline().filter(|entry| entry.candidate.origin == Origin::Baseline)?;
        entry.score()?;
        Some(self.member(entry.candidate.id, 1.0))
    }
}

/// How often members are trained with further seeds, given the processor seconds of one training of each member, and of each
/// that is to be trained again: as often as that fits into the seconds left, with the proof of all models.
fn further_times(pace: &Pace, all_s: &[f64], again_s: &[f64], left_s: f64) -> usize {
    if again_s.is_empty() {
        return 0;
    }
    let sum = |seconds: &[f64]| seconds.iter().sum::<f64>();
    let proof = |seconds: &[f64]| seconds.len() as f64 * PROOF_SECONDS + PROOF_SHARE * sum(seconds);
    let longest = again_s.iter().copied().fold(0.0, f64::max);
    let fits = |times: &usize| {
        let times = *times as f64;
        let measured =
            Measured { refit_s: times * sum(again_s), refit_longest_s: longest, ..Measured::default() };
        pace.refit_s(&measured) + proof(all_s) + times * proof(again_s) <= left_s
    };
    (1..REFITS_MAX).rev().find(fits).unwrap_or(0)
}

/// How often members are trained with further seeds at most for the bytes of the delivered models, given those of one model of
/// each member, and of each that is to be trained again.
fn times_by_bytes(all: usize, again: usize) -> usize {
    let room = REFIT_BYTES_MAX.saturating_sub(all);
    room.checked_div(again).map_or(REFITS_MAX - 1, |times| times.min(REFITS_MAX - 1))
}

/// What one of a member's models weighs, given whose all models are.
fn shared_weight(member: &Member, owners: &[CandidateId]) -> f64 {
    let own = owners.iter().filter(|owner| **owner == member.id).count();
    member.weight / own.max(1) as f64
}

/// Threads for each of so many orders that share so many processors.
fn shared_threads(processors: usize, orders: usize) -> u32 {
    (processors / orders.max(1)).max(1) as u32
}

/// Of entries, best first, those that keep all limits alone; where none does, the one that breaks them least.
fn within<'a>(ranking: Vec<&'a Entry>, limits: &Limits) -> Vec<&'a Entry> {
    let excess = |entry: &&Entry| limits.excess(&[entry.candidate.id]);
    let nearest = ranking.iter().copied().min_by(|a, b| excess(a).total_cmp(&excess(b)));
    let kept: Vec<&Entry> = ranking.into_iter().filter(|entry| excess(entry) <= 1.0).collect();
    if kept.is_empty() { nearest.into_iter().collect() } else { kept }
}

/// The weighted mean of matrices of one shape; `None` when there are none or shapes differ.
pub fn blend(parts: &[(&Matrix, f64)]) -> Option<Matrix> {
    let (first, _) = parts.first()?;
    let mut sum = Matrix::filled(first.rows(), first.columns(), 0.0);
    for (matrix, weight) in parts {
        if (matrix.rows(), matrix.columns()) != (sum.rows(), sum.columns()) {
            return None;
        }
        for (total, value) in sum.data_mut().iter_mut().zip(matrix.data()) {
            *total += value * weight;
        }
    }
    Some(sum)
}

/// The weighted mean of members' predictions.
pub fn mix(members: &[Member], predictions: &BTreeMap<CandidateId, Matrix>) -> Option<Matrix> {
    let parts: Option<Vec<(&Matrix, f64)>> =
        members.iter().map(|member| Some((predictions.get(&member.id)?, member.weight))).collect();
    blend(&parts?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blend_is_a_weighted_mean_of_equal_shapes() {
        let (a, b) = (Matrix::column(vec![1.0, 3.0]), Matrix::column(vec![5.0, 7.0]));
        assert_eq!(blend(&[(&a, 0.75), (&b, 0.25)]).unwrap().data(), [2.0, 4.0]);
        assert!(blend(&[(&a, 0.5), (&Matrix::column(vec![1.0]), 0.5)]).is_none());
    }

    #[test]
    fn members_are_trained_again_as_often_as_fits() {
        let pace = Pace { wall_s: Some(60.0), jobs: 2 };
        let times =
            |all_s: &[f64], again_s: &[f64], left_s: f64| further_times(&pace, all_s, again_s, left_s);
        // Two trainings at once take a second and a fifth for caution; each model adds a quarter to the proof.
        assert_eq!(times(&[1.0], &[1.0], 100.0), REFITS_MAX - 1);
        assert_eq!(times(&[1.0], &[1.0], 1.2 + 0.25 + 2.0 * 0.25 + 0.01), 2);
        assert_eq!(times(&[1.0], &[1.0], 1.2 + 0.25 + 0.25 + 0.01), 1);
        assert_eq!(times(&[1.0], &[1.0], 1.2), 0);
        assert_eq!(times(&[1.0], &[1.0], -3.0), 0);
        // The longest decides where there is room for all at once.
        assert_eq!(times(&[10.0, 0.1], &[10.0, 0.1], 12.0), 0);
        // A member without a seed is proved, but not trained again.
        assert_eq!(times(&[10.0, 0.1], &[0.1], 4.0), REFITS_MAX - 1);
        assert_eq!(times(&[1.0], &[], 100.0), 0);
    }

    #[test]
    fn further_seeds_keep_all_models_together_below_a_limit() {
        const MIB: usize = 1 << 20;
        assert_eq!(times_by_bytes(MIB, MIB), REFITS_MAX - 1);
        // Four members of 10 MiB: three models of each are 120 MiB.
        assert_eq!(times_by_bytes(40 * MIB, 40 * MIB), 2);
        assert_eq!(times_by_bytes(64 * MIB, 64 * MIB), 1);
        assert_eq!(times_by_bytes(70 * MIB, 70 * MIB), 0);
        // A large one that is delivered once leaves less room to the others, or none.
        assert_eq!(times_by_bytes(110 * MIB, 10 * MIB), 1);
        assert_eq!(times_by_bytes(200 * MIB, MIB), 0);
        assert_eq!(times_by_bytes(MIB, 0), REFITS_MAX - 1);
    }

    #[test]
    fn empty_places_are_shared_among_orders() {
        assert_eq!(shared_threads(16, 1), 16);
        assert_eq!(shared_threads(16, 5), 3);
        assert_eq!(shared_threads(2, 5), 1);
        assert_eq!(shared_threads(4, 0), 4);
    }

    #[test]
    fn models_of_several_seeds_weigh_as_much_together_as_their_member() {
        let member = |id, weight| Member { id: CandidateId(id), weight, stage: None, counted: false };
        let (often, once) = (member(7, 0.75), member(9, 0.25));
        let owners = [7, 9, 7, 7].map(CandidateId);
        assert_eq!(shared_weight(&often, &owners), 0.25);
        assert_eq!(shared_weight(&once, &owners), 0.25);
    }
}
