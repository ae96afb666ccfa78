//! A language model beside the statistics: it proposes, a statistical model ranks, and what it says is checked afterwards.
//!
//! After LLAMBO (Liu et al., ICLR 2024), with one structured question for a batch in place of hundreds of completions: first
//! configurations from what is known of the task, then candidates for a score to be reached. Candidates are ranked by a
//! statistical sampler, or by the model itself: by predicted scores, or by the probability of being good. One trial in five is
//! free of the model, whatever it says.
//!
//! What has been asked and answered is kept as it was heard; all else is computed from it and the trials, so a replayed study
//! goes on the same way.

use super::{Auto, Sobol};
use crate::numeric::{normal_below, normal_density};
use crate::query::{Answer, Forecast, Proposal, Query, Question};
use crate::sampler::{History, Move, Sampler};
use crate::space::{Params, Point};
use crate::trial::{Direction, Trial, TrialNumber, TrialState};
use rand::seq::SliceRandom;
use std::fmt;

/// Who ranks candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ranking {
    /// The statistical sampler beside the model, which regresses better than language models do.
    #[default]
    Statistics,
    /// The model predicts scores with deviations; the expected improvement counts.
    Predicted,
    /// The model says how probably a candidate is among the good ones.
    Classified,
}

impl Ranking {
    /// The names that [`Self::by_name`] knows; the first is the default.
    pub const NAMES: &'static [&'static str] = &["statistics", "predicted", "classified"];

    /// A ranking by its name; `None` for a name that is not in [`Self::NAMES`].
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "statistics" => Self::Statistics,
            "predicted" => Self::Predicted,
            "classified" => Self::Classified,
            _ => return None,
        })
    }
}

/// How the sampler works; the default suits most studies.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Configurations asked for at the beginning.
    pub warm_starts: usize,
    /// Candidates asked for at once.
    pub candidates: usize,
    /// Trials made of one answer's candidates, ranked anew each time.
    pub uses: usize,
    /// Who ranks.
    pub ranking: Ranking,
    /// Questions about the same candidates, the examples in another order each time, whose answers are averaged.
    pub permutations: usize,
    /// How far beyond the best tenth the target lies, in ranges between quartiles.
    pub ambition: f64,
    /// Share of trials that are good, for [`Ranking::Classified`].
    pub good_share: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            warm_starts: 5,
            candidates: 8,
            uses: 3,
            ranking: Ranking::default(),
            permutations: 2,
            ambition: 0.1,
            good_share: 0.25,
        }
    }
}

/// How the note of a trial begins that is none of the model's.
pub const WITHOUT: &str = "without the language model";
/// Every so many trials one is free of the model.
const FREE_EVERY: usize = 5;
/// Trials shown: the best, and the latest.
const BEST_SHOWN: usize = 15;
const LATEST_SHOWN: usize = 10;
/// Failed trials shown.
const FAILURES_SHOWN: usize = 3;
/// Trials without a question after answers have failed to come twice in a row.
const REST: usize = 5;

/// The sampler.
pub struct Llambo {
    settings: Settings,
    /// The statistics beside the model.
    inner: Box<dyn Sampler>,
    heard: Vec<(Query, Answer)>,
}

impl Default for Llambo {
    fn default() -> Self {
        Self { settings: Settings::default(), inner: Box::new(Auto::default()), heard: Vec::new() }
    }
}

impl fmt::Debug for Llambo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Llambo")
            .field("settings", &self.settings)
            .field("inner", &self.inner.name())
            .field("heard", &self.heard)
            .finish()
    }
}

/// A proposal that fits the space and was not tried.
#[derive(Debug, Clone)]
struct Candidate {
    point: Point,
    params: Params,
    proposal: Proposal,
}

/// What to do with the candidates there are.
enum Next {
    Try(Candidate, String),
    Ask(Question),
    /// Go on without the model, for this cause.
    Without(String),
}

impl Llambo {
    /// A sampler that works as told.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The sampler with other statistics beside the model than the default: they rank its proposals, and decide where it is
    /// silent or left out. They should ask nothing themselves; what they ask is not heard.
    #[must_use]
    pub fn over(self, inner: Box<dyn Sampler>) -> Self {
        Self { inner, ..self }
    }

    /// What the statistics alone would try, with the cause.
    fn without(&mut self, seen: &History<'_>, cause: &str) -> Move {
        let moved = match self.inner.next(seen) {
            Move::Ask(_) => Sobol.next(seen),
            other => other,
        };
        match moved {
            Move::Try { point, .. } => {
                Move::Try { point, note: Some(format!("{WITHOUT}: {cause}")), expected: None }
            }
            other => other,
        }
    }

    /// Proposals of an answer that can still be tried, and what became of the others.
    fn open(seen: &History<'_>, proposals: &[Proposal]) -> (Vec<Candidate>, usize, usize) {
        let (mut found, mut unfit, mut old): (Vec<Candidate>, usize, usize) = (Vec::new(), 0, 0);
        for proposal in proposals {
            let Ok(repaired) = seen.space.repair(&proposal.params) else {
                unfit += 1;
                continue;
            };
            let point = seen.space.settled(&repaired.point);
            if !seen.is_open(&point) || found.iter().any(|other| other.point == point) {
                old += 1;
                continue;
            }
            found.push(Candidate { point, params: repaired.params, proposal: proposal.clone() });
        }
        (found, unfit, old)
    }

    /// The last answer to a question of either kind that gives configurations.
    fn latest(&self) -> Option<(&Query, &Answer)> {
        let gives =
            |question: &Question| matches!(question, Question::WarmStart { .. } | Question::Propose { .. });
        self.heard
            .iter()
            .rev()
            .find(|(query, _)| gives(&query.question))
            .map(|(query, answer)| (query, answer))
    }

    /// Questions in a row, the latest ones, to which there was no answer.
    fn silence(&self) -> usize {
        self.heard.iter().rev().take_while(|(_, answer)| matches!(answer, Answer::Unavailable { .. })).count()
    }

    fn decide(&mut self, seen: &History<'_>) -> Next {
        let Some((query, answer)) = self.latest() else {
            return Next::Ask(Question::WarmStart { count: self.settings.warm_starts });
        };
        let (id, is_first) = (query.id, matches!(query.question, Question::WarmStart { .. }));
        let used = seen.trials.iter().filter(|trial| is_about(trial, id)).count();
        let Answer::Proposals { proposals } = answer else {
            let cause = match answer {
                Answer::Unavailable { cause } => cause.clone(),
                _ => "the answer was about something else".into(),
            };
            let may_ask = used >= if self.silence() >= 2 { REST } else { 1 };
            return if may_ask {
                self.propose(seen)
            } else {
                Next::Without(format!("question {id}: {cause}"))
            };
        };
        let (open, unfit, old) = Self::open(seen, proposals);
        if is_first && let Some(first) = open.first() {
            // First configurations were made to complement one another: in the model's order.
            return Next::Try(first.clone(), format!("question {id}: first configurations"));
        }
        let spent = used >= self.settings.uses || is_first;
        if !spent && !open.is_empty() {
            return self.choose(seen, id, &open);
        }
        // An answer that was of no use at all is not followed by the same question at once.
        if used == 0 && !is_first {
            let cause = format!(
                "question {id}: {unfit} of {} proposals did not fit and {old} were tried before",
                proposals.len()
            );
            return Next::Without(cause);
        }
        self.propose(seen)
    }

    /// The best of some candidates, or the question that has to be answered first.
    fn choose(&mut self, seen: &History<'_>, id: u32, open: &[Candidate]) -> Next {
        let about = |how: &str| format!("question {id}: ranked by {how}");
        let worth = match self.settings.ranking {
            Ranking::Statistics => None,
            Ranking::Predicted | Ranking::Classified => match self.judged(seen, id, open) {
                Ok(worth) => worth,
                Err(question) => return Next::Ask(question),
            },
        };
        let (worth, how) = if worth.is_some() {
            (worth, "the language model")
        } else {
            let pool: Vec<Point> = open.iter().map(|candidate| candidate.point.clone()).collect();
            (self.inner.rank(seen, &pool), "statistics")
        };
        let best = match &worth {
            Some(worth) => {
                let places = 0..open.len();
                places.reduce(|a, b| if worth[b] > worth[a] { b } else { a }).unwrap_or(0)
            }
            None => 0,
        };
        let how = if worth.is_some() { how } else { "the language model's order" };
        Next::Try(open[best].clone(), about(how))
    }

    /// What the model itself thinks of candidates; `Ok(None)` when it has not said so of any, `Err` when it is to be asked.
    fn judged(&self, seen: &History<'_>, id: u32, open: &[Candidate]) -> Result<Option<Vec<f64>>, Question> {
        let later: Vec<&(Query, Answer)> = self.heard.iter().filter(|(query, _)| query.id > id).collect();
        if later.len() < self.settings.permutations {
            // All candidates of the answer are asked about at once, so that the judgement serves every trial made of it.
            let candidates = open.iter().map(|candidate| candidate.params.clone()).collect();
            let examples = examples(seen, later.len() as u64);
            return Err(match self.settings.ranking {
                Ranking::Classified => {
                    Question::Classify { candidates, threshold: self.threshold(seen), examples }
                }
                _ => Question::Predict { candidates, examples },
            });
        }
        let said = |candidate: &Candidate| -> Option<f64> {
            let mut forecasts: Vec<Forecast> = Vec::new();
            let mut shares: Vec<f64> = Vec::new();
            for (query, answer) in &later {
                let (Question::Predict { candidates, .. } | Question::Classify { candidates, .. }) =
                    &query.question
                else {
                    continue;
                };
                let Some(place) = candidates.iter().position(|other| *other == candidate.params) else {
                    continue;
                };
                match answer {
                    Answer::Scores { scores } => forecasts.extend(scores.get(place).copied().flatten()),
                    Answer::Probabilities { probabilities } => {
                        shares.extend(probabilities.get(place).copied().flatten());
                    }
                    _ => {}
                }
            }
            if !shares.is_empty() {
                return Some(shares.iter().sum::<f64>() / shares.len() as f64);
            }
            (!forecasts.is_empty()).then(|| improvement(seen, &forecasts))
        };
        let worth: Vec<Option<f64>> = open.iter().map(said).collect();
        let known: Vec<f64> = worth.iter().flatten().copied().filter(|worth| worth.is_finite()).collect();
        if known.is_empty() {
            return Ok(None);
        }
        // A candidate without a number is worth as much as the mean of the others.
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        Ok(Some(
            worth.into_iter().map(|worth| worth.filter(|worth| worth.is_finite()).unwrap_or(mean)).collect(),
        ))
    }

    fn propose(&self, seen: &History<'_>) -> Next {
        if seen.complete() < 2 {
            return Next::Without("too little is known to ask for a score".into());
        }
        let failures =
            seen.trials.iter().rev().filter(|trial| matches!(trial.state, TrialState::Failed { .. }));
        Next::Ask(Question::Propose {
            count: self.settings.candidates,
            target: target(&values(seen), seen.goals[0], self.settings.ambition),
            examples: examples(seen, 0),
            failures: failures.take(FAILURES_SHOWN).map(|trial| trial.number).collect(),
        })
    }

    /// The score from which on a trial is good.
    fn threshold(&self, seen: &History<'_>) -> f64 {
        let values = values(seen);
        quantile(&values, seen.goals[0], self.settings.good_share)
    }
}

impl Sampler for Llambo {
    fn name(&self) -> &'static str {
        super::LLAMBO
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        if seen.goals.len() > 1 {
            return self.without(seen, "there are several goals");
        }
        if seen.trials.len() % FREE_EVERY == FREE_EVERY - 1 {
            return self.without(seen, "one in five");
        }
        match self.decide(seen) {
            Next::Ask(question) => Move::Ask(question),
            Next::Without(cause) => self.without(seen, &cause),
            Next::Try(candidate, about) => {
                let expected = candidate.proposal.expected.filter(|score| score.is_finite());
                let said = expected.map(|score| format!(", expected {score}")).unwrap_or_default();
                let why = candidate.proposal.rationale.map(|why| format!(": {why}")).unwrap_or_default();
                let note = Some(format!("{about}{said}{why}"));
                Move::Try { point: candidate.point, note, expected }
            }
        }
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        self.inner.rank(seen, pool)
    }

    fn hear(&mut self, query: &Query, answer: &Answer) {
        self.heard.push((query.clone(), answer.clone()));
    }

    fn reason(&self) -> Option<String> {
        let answered =
            self.heard.iter().filter(|(_, answer)| !matches!(answer, Answer::Unavailable { .. })).count();
        let statistics = self.inner.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
        Some(format!(
            "a language model's proposals ({answered} of {} questions answered) beside statistics{statistics}",
            self.heard.len()
        ))
    }
}

/// Whether a trial came of the answer to a question, or of its absence.
fn is_about(trial: &Trial, id: u32) -> bool {
    let about = format!("question {id}: ");
    trial.note.as_ref().is_some_and(|note| {
        note.starts_with(&about) || note.starts_with(&format!("without the language model: {about}"))
    })
}

fn values(seen: &History<'_>) -> Vec<f64> {
    seen.trials.iter().filter_map(|trial| trial.values().map(|values| values[0])).collect()
}

/// The value that this share of the values is better than or equal to.
fn quantile(values: &[f64], goal: Direction, share: f64) -> f64 {
    let mut losses: Vec<f64> = values.iter().map(|value| goal.loss(*value)).collect();
    losses.sort_by(f64::total_cmp);
    let at = (losses.len().saturating_sub(1)) as f64 * share;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    let Some((a, b)) = losses.get(low).zip(losses.get(high)) else { return f64::NAN };
    goal.loss(a + (b - a) * at.fract())
}

/// The score to ask for: beyond the best tenth by a share of the range between quartiles. Unlike a share of the whole range it
/// does not follow a few disasters, and nothing has to lie between 0 and 1.
pub fn target(values: &[f64], goal: Direction, ambition: f64) -> f64 {
    let loss = |share: f64| goal.loss(quantile(values, goal, share));
    let (best, width) = (loss(0.1), loss(0.75) - loss(0.25));
    let width = if width > 0.0 { width } else { 0.1 * best.abs() };
    goal.loss(best - ambition * width)
}

/// Trials to show: the best and the latest, in an order that depends on the decision and the permutation.
pub fn examples(seen: &History<'_>, permutation: u64) -> Vec<TrialNumber> {
    let goal = seen.goals[0];
    let mut known: Vec<(f64, TrialNumber)> =
        seen.trials.iter().filter_map(|trial| Some((goal.loss(trial.values()?[0]), trial.number))).collect();
    let latest: Vec<TrialNumber> = known.iter().rev().take(LATEST_SHOWN).map(|(_, number)| *number).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut shown: Vec<TrialNumber> = known.iter().take(BEST_SHOWN).map(|(_, number)| *number).collect();
    shown.extend(latest);
    shown.sort_unstable();
    shown.dedup();
    shown.shuffle(&mut super::fresh(seen.seed, &format!("examples-{permutation}")));
    shown
}

/// The expected improvement of predictions about one candidate, averaged over permutations.
fn improvement(seen: &History<'_>, forecasts: &[Forecast]) -> f64 {
    let goal = seen.goals[0];
    let count = forecasts.len() as f64;
    let mean = forecasts.iter().map(|forecast| goal.loss(forecast.mean)).sum::<f64>() / count;
    let within = forecasts.iter().map(|forecast| forecast.deviation.powi(2)).sum::<f64>() / count;
    let between =
        forecasts.iter().map(|forecast| (goal.loss(forecast.mean) - mean).powi(2)).sum::<f64>() / count;
    let deviation = (within + between).sqrt().max(1e-9);
    let best = values(seen).into_iter().map(|value| goal.loss(value)).fold(f64::INFINITY, f64::min);
    let z = (best - mean) / deviation;
    deviation * (z * normal_below(z) + normal_density(z))
}

/// How a model's expected scores compare with what came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Expected and measured, trial by trial.
    pub pairs: Vec<(f64, f64)>,
    /// Mean of measured minus expected.
    pub bias: f64,
    /// Mean absolute difference.
    pub error: f64,
}

/// Scores that were expected of trials, beside what they came to; `None` when no score was expected of a finished trial.
pub fn calibration(trials: &[Trial]) -> Option<Calibration> {
    let expected = |trial: &Trial| Some((trial.expected?, trial.values()?[0]));
    let pairs: Vec<(f64, f64)> = trials.iter().filter_map(expected).collect();
    let count = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
    (!pairs.is_empty()).then(|| Calibration {
        bias: mean(|(expected, measured)| measured - expected),
        error: mean(|(expected, measured)| (measured - expected).abs()),
        pairs: pairs.clone(),
    })
}

#[cfg(test)]
mod tests;
