//! First configurations for a new task: a greedy portfolio over the nearest tasks.
//!
//! Scores of different tasks cannot be compared, ranks can. Each remembered task asks "how far down my list is the
//! best configuration that you chose?", as a whole and once more per solution; nearer tasks ask with more weight.
//! The configuration that lowers the sum of the answers most is chosen next, until none lowers it further.

use crate::experience::{Experience, TrialFact};
use ansatz_core::candidate::Params;
use std::collections::BTreeMap;

/// A configuration to try first.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmStart {
    /// Name of the solution.
    pub solution: String,
    /// Its parameters.
    pub params: Params,
    /// Where it comes from, for a person to read.
    pub why: String,
}

/// A question about one solution weighs half as much as one about the task: a good configuration of a solution that
/// did not win is worth knowing, yet less than the winner.
const SOLUTION_WEIGHT: f64 = 0.5;

/// A solution and its parameters as text; equal ones give equal text.
type Configuration = (String, String);

struct Question<'a> {
    weight: f64,
    /// Normalised rank per configuration: 0 is the best of this question's list, 1 the worst.
    ranks: BTreeMap<Configuration, f64>,
    source: &'a Experience,
    distance: f64,
}

/// At most `limit` configurations, best first; `nearest` holds like experiences with their distances.
pub(crate) fn portfolio(nearest: &[(&Experience, f64)], limit: usize) -> Vec<WarmStart> {
    let questions: Vec<Question> =
        nearest.iter().flat_map(|(experience, distance)| ask(experience, *distance)).collect();
    let known: BTreeMap<Configuration, &TrialFact> = nearest
        .iter()
        .flat_map(|(experience, _)| &experience.trials)
        .map(|trial| (configuration(trial), trial))
        .collect();
    let mut answers = vec![1.0; questions.len()];
    let mut chosen = Vec::new();
    while chosen.len() < limit {
        let gain = |configuration: &Configuration| -> f64 {
            let lowered = |(question, answer): (&Question, &f64)| {
                let rank = question.ranks.get(configuration).copied().unwrap_or(1.0);
                question.weight * (answer - rank).max(0.0)
            };
            questions.iter().zip(&answers).map(lowered).sum()
        };
        let best = known.iter().map(|(configuration, trial)| (gain(configuration), configuration, *trial));
        // Of equal gains the first configuration is taken, so that the same memory gives the same advice.
        let Some((gain, configuration, trial)) = best.reduce(|a, b| if b.0 > a.0 { b } else { a }) else {
            break;
        };
        if gain <= f64::EPSILON {
            break;
        }
        chosen.push(WarmStart {
            solution: trial.solution.clone(),
            params: trial.params.clone(),
            why: reason(&questions, configuration),
        });
        for (question, answer) in questions.iter().zip(&mut answers) {
            *answer = question.ranks.get(configuration).map_or(*answer, |rank| rank.min(*answer));
        }
    }
    chosen
}

/// The questions of one experience: about all its trials, and about those of each solution.
fn ask(experience: &Experience, distance: f64) -> Vec<Question<'_>> {
    let weight = (-distance).exp();
    let all: Vec<&TrialFact> = experience.trials.iter().collect();
    let overall = ranks(experience, &all);
    let mut by_solution: BTreeMap<&str, Vec<&TrialFact>> = BTreeMap::new();
    for trial in all {
        by_solution.entry(&trial.solution).or_default().push(trial);
    }
    let mut questions: Vec<Question> = by_solution
        .values()
        .map(|trials| {
            let best = trials
                .iter()
                .filter_map(|trial| overall.get(&configuration(trial)))
                .copied()
                .fold(1.0, f64::min);
            let weight = weight * SOLUTION_WEIGHT * (1.0 - best);
            Question { weight, ranks: ranks(experience, trials), source: experience, distance }
        })
        .collect();
    questions.push(Question { weight, ranks: overall, source: experience, distance });
    questions
}

/// Normalised ranks by score; equal scores share a rank, a configuration that was tried twice has its better one.
fn ranks(experience: &Experience, trials: &[&TrialFact]) -> BTreeMap<Configuration, f64> {
    let gain = |trial: &TrialFact| experience.task.metric.direction.gain(trial.score);
    let last = trials.len().saturating_sub(1).max(1) as f64;
    let mut ranks = BTreeMap::new();
    for trial in trials {
        let better = trials.iter().filter(|other| gain(other) > gain(trial)).count();
        let rank = better as f64 / last;
        let known: &mut f64 = ranks.entry(configuration(trial)).or_insert(rank);
        *known = known.min(rank);
    }
    ranks
}

fn configuration(trial: &TrialFact) -> Configuration {
    (trial.solution.clone(), serde_json::to_string(&trial.params).unwrap_or_default())
}

/// The task that speaks most for a configuration.
fn reason(questions: &[Question], configuration: &Configuration) -> String {
    let speaks =
        |question: &&Question| question.ranks.get(configuration).map(|rank| question.weight * (1.0 - rank));
    let loudest = questions
        .iter()
        .filter(|question| question.ranks.contains_key(configuration))
        .reduce(|a, b| if speaks(&b) > speaks(&a) { b } else { a });
    loudest.map_or_else(String::new, |question| {
        let source = question.source;
        let trials: Vec<&TrialFact> = source.trials.iter().collect();
        let rank = ranks(source, &trials).get(configuration).copied().unwrap_or(1.0);
        let place = (rank * trials.len().saturating_sub(1) as f64).round() as usize + 1;
        format!(
            "number {place} of {} on `{}` (run {}, distance {:.2})",
            trials.len(),
            source.task.name,
            source.run,
            question.distance
        )
    })
}
