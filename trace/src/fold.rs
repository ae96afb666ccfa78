//! The fold from events to a graph. Total: an event about things that no earlier event made gets what it can.

use crate::graph::Graph;
use crate::node::{Node, NodeKind};
use ansatz_core::candidate::{Candidate, Solution};
use ansatz_core::event::{Event, FailureKind, Fold, ModelCall};
use ansatz_core::ids::{ArtifactId, CandidateId, StepId, TrialId};
use ansatz_core::outcome::RunResult;
use ansatz_core::task::Task;
use ansatz_core::verdict::{Stage, Verdict};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

impl Graph {
    /// The graph of a run, from its events in order.
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut folding = Folding::default();
        for event in events {
            folding.take(event);
        }
        folding.graph
    }
}

/// The graph so far, and what later events refer to without naming it.
#[derive(Default)]
struct Folding {
    graph: Graph,
    /// Steps that have begun and not ended, latest last: whatever is made without a step's name is theirs.
    running: Vec<StepId>,
    /// The step that asked for a candidate.
    asked_by: BTreeMap<CandidateId, StepId>,
    /// What was made in a step, for its outcome.
    made: BTreeMap<StepId, Vec<NodeIndex>>,
    incumbent: Option<CandidateId>,
    /// Verdicts on things that have no node.
    unplaced: Vec<Verdict>,
}

impl Folding {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Profiled { inputs, profile } => self.profiled(inputs, profile),
            Event::Understood { task, inputs } => self.understood(task, inputs),
            Event::Sealed { rows, method, looks_before, .. } => {
                let text = format!("{rows} rows sealed ({method}), looked at {looks_before} times before");
                self.make(Node::new("seal", NodeKind::Seal, text), &["profile", "task"]);
            }
            Event::ColumnDropped { dropped } => {
                let name = format!("dropped:{}", dropped.column);
                let text =
                    format!("column `{}` dropped ({}): {}", dropped.column, dropped.reason, dropped.evidence);
                self.make(Node::new(name, NodeKind::Dropped, text), &["profile", "seal"]);
            }
            Event::PlanAdopted { plan, steps } => self.planned(plan, steps),
            Event::StepStarted { step } => {
                self.step(step);
                self.running.retain(|running| running != step);
                self.running.push(step.clone());
            }
            Event::StepFinished { step, outputs } => self.ended(step, "finished", true, outputs),
            Event::StepFailed { step, error } => self.ended(step, &format!("failed: {error}"), false, &[]),
            Event::StepSkipped { step, reason } => {
                self.ended(step, &format!("skipped: {reason}"), false, &[]);
            }
            Event::CandidateProposed { candidate, step, inputs } => self.proposed(candidate, step, inputs),
            Event::TrialFinished { trial, candidate, fold, predictions, model, score, .. } => {
                let artifacts = std::iter::once(predictions).chain(model);
                let score = score.map_or_else(String::new, |score| format!(", score {}", number(score)));
                let text = format!("predictions of {candidate} on {}{score}", fold_text(fold));
                let node = Node::new(trial.to_string(), NodeKind::Predictions, text).artifacts(artifacts);
                self.tried(*trial, *candidate, node);
            }
            Event::TrialFailed { trial, candidate, fold, kind, message, .. } => {
                let text = format!("{candidate} on {} {}: {message}", fold_text(fold), failure_text(*kind));
                let node = Node::new(trial.to_string(), NodeKind::Failure, text.clone());
                self.tried(*trial, *candidate, node);
                let about = self.candidate(*candidate);
                self.graph.say(about, false, format!("trial {trial}: {text}"));
            }
            Event::CandidateScored { candidate, score, stage, seconds, inputs } => {
                let text = format!(
                    "score of {candidate}: {} at stage {stage}, {seconds:.1} s of work",
                    number(*score)
                );
                self.scored(*candidate, text, inputs);
            }
            Event::IncumbentChanged { candidate, score, p_better } => {
                self.incumbent = Some(*candidate);
                let about = self.best_of(*candidate);
                let text = format!("took the lead with {}, P(better) {p_better:.2}", number(*score));
                self.graph.say(about, true, text);
            }
            Event::EnsembleBuilt { members, score, inputs } => self.combined(members, *score, inputs),
            Event::SealOpened { subject } => self.judged(subject),
            Event::ModelAnswered { call, answer: Some(answer), model, .. } => {
                self.answered(call, answer, model);
            }
            Event::Checked { verdict } => self.checked(verdict),
            Event::Finished { result } => self.finished(result),
            Event::RunStarted { .. }
            | Event::Resumed { .. }
            | Event::Fetched { .. }
            | Event::TrialStarted { .. }
            | Event::ModelAsked { .. }
            | Event::Retrieved { .. }
            | Event::ModelAnswered { .. }
            | Event::Budgeted { .. }
            | Event::Warned { .. }
            | Event::Ticked { .. }
            | Event::Steered { .. }
            | Event::CancelRequested => {}
        }
    }

    /// Adds a node made from those of the named nodes that are there.
    fn make(&mut self, node: Node, causes: &[&str]) -> NodeIndex {
        let causes: Vec<NodeIndex> = causes.iter().filter_map(|cause| self.graph.index(cause)).collect();
        self.graph.add(node, causes)
    }

    fn profiled(&mut self, inputs: &[ArtifactId], profile: &ArtifactId) {
        let files: Vec<NodeIndex> = inputs
            .iter()
            .enumerate()
            .map(|(number, file)| {
                self.graph.of_artifact(file).unwrap_or_else(|| {
                    let name = if number == 0 { "data".to_string() } else { format!("data:{}", number + 1) };
                    let node = Node::new(name, NodeKind::Data, format!("data file {}", short(file)));
                    self.graph.add(node.artifacts([file]), [])
                })
            })
            .collect();
        let node = Node::new("profile", NodeKind::Profile, "profile of the data").artifacts([profile]);
        self.graph.add(node, files);
    }

    fn understood(&mut self, task: &Task, inputs: &[ArtifactId]) {
        let text = format!("task: predict `{}` ({}, {})", task.target, problem_text(task), task.metric.name);
        let causes = self.holders(inputs);
        let index = self.graph.add(Node::new("task", NodeKind::Task, text), causes);
        for inference in &task.inferred {
            let text = format!("{} = {} because {}", inference.field, inference.value, inference.because);
            self.graph.say(index, true, text);
        }
    }

    fn planned(&mut self, plan: &ArtifactId, steps: &[StepId]) {
        if self.graph.of_artifact(plan).is_some() {
            return;
        }
        let names: Vec<&str> = steps.iter().map(StepId::as_str).collect();
        let text = format!("plan of {} steps: {}", steps.len(), names.join(", "));
        let mut causes: Vec<NodeIndex> = self.graph.of_kind(NodeKind::Dropped).collect();
        causes.extend(["profile", "task", "seal"].iter().filter_map(|cause| self.graph.index(cause)));
        let plan = self.graph.add(Node::new("plan", NodeKind::Plan, text).artifacts([plan]), causes);
        for step in steps {
            // A plan that was merged with more keeps the steps that it had.
            if self.graph.index(&format!("step:{step}")).is_none() {
                self.graph.add(step_node(step), [plan]);
            }
        }
    }

    fn answered(&mut self, call: &ModelCall, answer: &ArtifactId, model: &str) {
        let known = self.graph.index(&format!("step:{}", call.step));
        let causes: Vec<NodeIndex> = known.or_else(|| self.graph.index("task")).into_iter().collect();
        let name = format!("answer:{}:{}:{}.{}", call.template, call.step, call.ordinal, call.turn);
        let text = format!("{model} answered {} for {} (wording {})", call.template, call.step, call.hash);
        let node = Node::new(name, NodeKind::Answer, text).by(format!("agent {}", call.agent));
        self.graph.add(node.artifacts([answer]), causes);
    }

    fn proposed(&mut self, candidate: &Candidate, step: &StepId, inputs: &[ArtifactId]) {
        let id = candidate.id;
        self.asked_by.insert(id, step.clone());
        let step_index = self.step(step);
        let params = serde_json::to_string(&candidate.params).unwrap_or_default();
        let text = format!("parameters of {id}: {}", cut(&params));
        let params = Node::new(format!("{id}.params"), NodeKind::Params, text).value(params);
        let mut causes = vec![step_index, self.graph.add(params, [])];
        if let Solution::Source { code, .. } = &candidate.solution {
            let text = format!("code of {id}, {} lines", code.lines().count());
            causes
                .push(self.graph.add(Node::new(format!("{id}.code"), NodeKind::Code, text).value(code), []));
        }
        causes.extend(self.holders(inputs));
        let origin = format!("{:?}", candidate.origin).to_lowercase();
        let text = format!("candidate {id}: {}, idea of {origin}", candidate.solution.name());
        self.graph
            .add(Node::new(id.to_string(), NodeKind::Candidate, text).by(format!("step {step}")), causes);
    }

    fn tried(&mut self, trial: TrialId, candidate: CandidateId, node: Node) {
        let mut causes = vec![self.candidate(candidate)];
        causes.extend(self.graph.index("seal"));
        self.graph.add(node.by(format!("trial {trial}")), causes);
    }

    fn scored(&mut self, candidate: CandidateId, text: String, inputs: &[ArtifactId]) {
        let mut causes = self.holders(inputs);
        if causes.is_empty() {
            causes.push(self.candidate(candidate));
        }
        let mut node = Node::new(format!("score:{candidate}"), NodeKind::Score, text);
        let step = self.asked_by.get(&candidate).cloned();
        if let Some(step) = &step {
            node = node.by(format!("step {step}"));
        }
        let index = self.graph.add(node, causes);
        if let Some(step) = step {
            self.made.entry(step).or_default().push(index);
        }
    }

    fn combined(&mut self, members: &[(CandidateId, f64)], score: f64, inputs: &[ArtifactId]) {
        let parts: Vec<String> =
            members.iter().map(|(member, weight)| format!("{weight:.2} {member}")).collect();
        let mut causes: Vec<NodeIndex> = members.iter().map(|(member, _)| self.best_of(*member)).collect();
        // Predictions that a member's score was made from are its causes already.
        let known: Vec<NodeIndex> = causes.iter().flat_map(|&cause| self.graph.causes_of(cause)).collect();
        causes.extend(self.holders(inputs).into_iter().filter(|input| !known.contains(input)));
        let text = format!("ensemble {}: score {}", parts.join(" + "), number(score));
        self.in_running_step(Node::new("ensemble", NodeKind::Ensemble, text), causes);
    }

    fn judged(&mut self, subject: &str) {
        let mut causes: Vec<NodeIndex> = self.graph.index("seal").into_iter().collect();
        causes.extend(self.chosen(subject));
        let text = format!("the one look at the sealed rows, at {subject}");
        self.in_running_step(Node::new("judgement", NodeKind::Judgement, text), causes);
    }

    /// Adds a node that the latest step made.
    fn in_running_step(&mut self, mut node: Node, mut causes: Vec<NodeIndex>) {
        let step = self.running.last().cloned();
        if let Some(step) = &step {
            node = node.by(format!("step {step}"));
            causes.push(self.step(step));
        }
        let index = self.graph.add(node, causes);
        if let Some(step) = step {
            self.made.entry(step).or_default().push(index);
        }
    }

    fn ended(&mut self, step: &StepId, how: &str, good: bool, outputs: &[ArtifactId]) {
        let step_index = self.step(step);
        let mut causes = vec![step_index];
        causes.extend(self.made.remove(step).unwrap_or_default());
        for output in outputs {
            let known = self.graph.of_artifact(output);
            causes.push(known.unwrap_or_else(|| {
                let name = short(output);
                let node = Node::new(name.clone(), NodeKind::Artifact, format!("artifact {name}"));
                self.graph.add(node.by(format!("step {step}")).artifacts([output]), [step_index])
            }));
        }
        self.running.retain(|running| running != step);
        let node = Node::new(format!("outcome:{step}"), NodeKind::Outcome, format!("step {step} {how}"));
        self.graph.add(node, causes);
        if !good {
            self.graph.say(step_index, false, how.to_string());
        }
    }

    fn checked(&mut self, verdict: &Verdict) {
        let by_stage = match verdict.stage {
            Stage::Request => self.graph.index("task"),
            Stage::Data => self.graph.index("seal").or_else(|| self.graph.index("profile")),
            Stage::Plan => self.graph.index("plan"),
            Stage::Score => self.graph.index("judgement"),
            Stage::Code | Stage::Execution | Stage::Constraints | Stage::Submission | Stage::Package => None,
        };
        let by_step = || self.running.last().and_then(|step| self.graph.index(&format!("step:{step}")));
        match self.graph.resolve(&verdict.subject).or(by_stage).or_else(by_step) {
            Some(about) => self.graph.say(about, verdict.passed, verdict_text(verdict)),
            None => self.unplaced.push(verdict.clone()),
        }
    }

    fn finished(&mut self, result: &RunResult) {
        let best = result.best.as_ref().map(|best| best.candidate.as_str());
        let judgement = self.graph.index("judgement");
        let mut causes = judgement.map_or_else(Vec::new, |judgement| self.graph.causes_of(judgement));
        let delivered = best.map(|best| self.chosen(best)).unwrap_or_default();
        // What was judged is a cause through the judgement.
        let judged = std::mem::take(&mut causes);
        causes.extend(delivered.into_iter().filter(|index| !judged.contains(index)));
        causes.extend(judgement);
        if causes.is_empty() {
            causes.extend(["plan", "task", "profile"].iter().find_map(|cause| self.graph.index(cause)));
        }
        // Outcomes of steps that lead to nothing else: packaging, and what failed.
        let ends: Vec<NodeIndex> = self.graph.of_kind(NodeKind::Outcome).collect();
        causes.extend(ends.into_iter().filter(|&end| self.explains_the_end(end)));
        let status = format!("{:?}", result.status).to_lowercase();
        let holdout = result.holdout.as_ref().map_or_else(String::new, |holdout| {
            format!(
                ", {} [{}, {}] on sealed rows",
                number(holdout.score),
                number(holdout.low),
                number(holdout.high)
            )
        });
        let delivered = best.map_or_else(String::new, |best| format!(": {best}"));
        let node = Node::new("result", NodeKind::Result, format!("result {status}{delivered}{holdout}"));
        let index = self.graph.add(node, causes);
        for verdict in std::mem::take(&mut self.unplaced) {
            self.graph.say(index, verdict.passed, verdict_text(&verdict));
        }
    }

    /// Whether an outcome has nothing but its step for a cause and that step made nothing.
    fn explains_the_end(&self, outcome: NodeIndex) -> bool {
        let causes = self.graph.causes_of(outcome);
        causes.iter().all(|&cause| {
            let node = self.graph.at(cause);
            node.kind == NodeKind::Step && !node.feedback.is_empty()
        })
    }

    /// What a name such as `lightgbm-c3` or `lightgbm-c3 + linear-c5` means: the ensemble, or the candidate's score.
    fn chosen(&mut self, name: &str) -> Vec<NodeIndex> {
        let parts: Vec<&str> = name.split(" + ").collect();
        let ensemble = self.graph.index("ensemble").filter(|_| parts.len() > 1 || name == "ensemble");
        if let Some(ensemble) = ensemble {
            return vec![ensemble];
        }
        let found: Vec<NodeIndex> = parts
            .iter()
            .filter_map(|part| {
                self.graph.resolve(part).or_else(|| self.graph.resolve(part.rsplit('-').next()?))
            })
            .collect();
        if !found.is_empty() {
            return found;
        }
        self.incumbent.map(|candidate| self.best_of(candidate)).into_iter().collect()
    }

    /// The candidate's latest score, or the candidate.
    fn best_of(&mut self, candidate: CandidateId) -> NodeIndex {
        self.graph.index(&format!("score:{candidate}")).unwrap_or_else(|| self.candidate(candidate))
    }

    fn candidate(&mut self, id: CandidateId) -> NodeIndex {
        self.graph.index(&id.to_string()).unwrap_or_else(|| {
            self.graph.add(Node::new(id.to_string(), NodeKind::Candidate, format!("candidate {id}")), [])
        })
    }

    fn step(&mut self, step: &StepId) -> NodeIndex {
        self.graph.index(&format!("step:{step}")).unwrap_or_else(|| {
            let plan: Vec<NodeIndex> = self.graph.index("plan").into_iter().collect();
            self.graph.add(step_node(step), plan)
        })
    }

    /// Nodes that hold these artifacts; for what no event made, a node of its own.
    fn holders(&mut self, artifacts: &[ArtifactId]) -> Vec<NodeIndex> {
        artifacts
            .iter()
            .map(|artifact| {
                self.graph.of_artifact(artifact).unwrap_or_else(|| {
                    let name = short(artifact);
                    let node = Node::new(name.clone(), NodeKind::Artifact, format!("artifact {name}"));
                    self.graph.add(node.artifacts([artifact]), [])
                })
            })
            .collect()
    }
}

fn step_node(step: &StepId) -> Node {
    Node::new(format!("step:{step}"), NodeKind::Step, format!("step {step} of the plan")).value(step.as_str())
}

fn verdict_text(verdict: &Verdict) -> String {
    let outcome = if verdict.passed { "held" } else { "failed" };
    let stage = format!("{:?}", verdict.stage).to_lowercase();
    format!("check of {stage} {outcome}: {}: {}", verdict.subject, verdict.evidence)
}

fn problem_text(task: &Task) -> String {
    format!("{:?}", task.problem).to_lowercase()
}

fn fold_text(fold: &Fold) -> String {
    let part = if fold.rows_permille < 1000 {
        format!(" with {} ‰ of the rows", fold.rows_permille)
    } else {
        String::new()
    };
    format!("fold {}.{}{part}", fold.repeat, fold.fold)
}

fn failure_text(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Error => "raised an error",
        FailureKind::Signal => "was ended by a signal",
        FailureKind::Memory => "outgrew its memory",
        FailureKind::Timeout => "took too long",
        FailureKind::Quota => "wrote too much",
        FailureKind::Flood => "printed too much",
        FailureKind::Processes => "started too many processes",
        FailureKind::Predictions => "gave unacceptable predictions",
        FailureKind::Cancelled => "was stopped",
    }
}

/// Four decimals for scores; fewer for large numbers, whose decimals nobody reads.
fn number(value: f64) -> String {
    if value.abs() < 1000.0 { format!("{value:.4}") } else { format!("{value:.1}") }
}

/// The first twelve digits of a hash, or the name.
fn short(artifact: &ArtifactId) -> String {
    artifact.as_str().trim_start_matches("sha256:").chars().take(12).collect()
}

/// Texts of this many characters fit beside their indentation on a line of a terminal.
fn cut(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_string();
    }
    text.chars().take(CHARACTERS_MAX - 1).chain(['…']).collect()
}
