//! What a study is told as: its trials, its page, its result.

use super::command::written;
use super::driver::Driver;
use super::result::{Best, Calibration, Comparison, TuneEnd, TuneResult, TuneTrial};
use super::{RESULT, lessons, noise};
use crate::cells::write_durably;
use crate::error::RunError;
use ansatz_core::candidate::Params;
use ansatz_report::{StudyLine, StudySheet, number, study_page};
use ansatz_tuner::importance::importances;
use ansatz_tuner::samplers::llambo::{WITHOUT, calibration};
use ansatz_tuner::trial::{Direction, Trial, TrialState};

/// Name of the page.
const REPORT: &str = "report.html";
/// Origin of the configuration that is in force without tuning.
pub const DEFAULT: &str = "default";

impl Driver<'_> {
    /// A trial, as it stands.
    pub(super) fn told(&self, trial: &Trial) -> TuneTrial {
        let (state, note) = match &trial.state {
            TrialState::Running => ("running", trial.note.clone()),
            TrialState::Complete { .. } => ("complete", trial.note.clone()),
            TrialState::Pruned => {
                ("pruned", self.pruned.get(&trial.number.0).or(trial.note.as_ref()).cloned())
            }
            TrialState::Failed { reason } => ("failed", Some(reason.clone())),
        };
        TuneTrial {
            number: trial.number.0,
            params: trial.params.clone(),
            value: trial.values().map(|values| values[0]),
            values: self.several(trial.values()),
            state: state.into(),
            origin: whose(trial),
            measurements: self.firsts(trial.number.0),
            note,
        }
    }

    /// Values of all goals, where there are several.
    fn several(&self, values: Option<&[f64]>) -> Vec<f64> {
        values.filter(|_| self.has_several_goals()).map(<[f64]>::to_vec).unwrap_or_default()
    }

    fn chosen(&self, trial: &Trial) -> Option<Best> {
        Some(Best {
            number: trial.number.0,
            params: trial.params.clone(),
            value: trial.values()?[0],
            values: self.several(trial.values()),
            measurements: self.firsts(trial.number.0),
        })
    }

    /// Writes the page, so that a browser shows how the study stands.
    pub(super) fn draw(&self, importances: Vec<(String, f64)>, end: &str) -> Result<(), RunError> {
        let line = |trial: &Trial| {
            let told = self.told(trial);
            let goals = self.in_words(&told.values);
            StudyLine {
                number: told.number,
                value: told.value,
                params: in_a_line(&told.params),
                note: [goals, told.note.unwrap_or_default()]
                    .map(|part| part.trim().to_owned())
                    .join(" ")
                    .trim()
                    .into(),
                state: told.state,
                origin: told.origin,
            }
        };
        let best = self.study.best().filter(|_| !self.has_several_goals()).and_then(|trial| {
            let params = trial.params.iter().map(|(name, value)| (name.clone(), written(value))).collect();
            Some((params, trial.values()?[0]))
        });
        let front = if self.has_several_goals() { self.study.front() } else { Vec::new() };
        let ratio = noise::ratio(&self.compared, self.options.direction());
        let sheet = StudySheet {
            title: self.options.description.clone().unwrap_or_default(),
            command: self.options.command.join(" "),
            is_minimized: self.options.direction() == Direction::Minimize,
            sampler: self.study.reason(),
            end: end.into(),
            seconds: self.seconds(),
            best,
            default: self.default_trial().and_then(Trial::values).map(|values| values[0]),
            ratio: ratio.map(|(middle, low, high)| (middle, low, high, self.compared.len())),
            importances,
            front: front.into_iter().map(line).collect(),
            trials: self.study.trials().iter().map(line).collect(),
            warnings: self.warnings.clone(),
        };
        write_durably(&self.options.out.join(REPORT), study_page(&sheet).as_bytes())
    }

    fn in_words(&self, values: &[f64]) -> String {
        let named = self.options.goals.iter().zip(values);
        named
            .map(|(goal, value)| format!("{} {}", goal.name, number::score(*value)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The trial of the configuration that is in force without tuning.
    pub(super) fn default_trial(&self) -> Option<&Trial> {
        self.study.trials().iter().find(|trial| trial.origin == DEFAULT)
    }

    fn calibration(&self) -> Option<Calibration> {
        let found = calibration(self.study.trials())?;
        Some(Calibration { trials: found.pairs.len(), bias: found.bias, error: found.error })
    }

    fn comparison(&self) -> Option<Comparison> {
        let ratio = noise::ratio(&self.compared, self.options.direction());
        (!self.compared.is_empty()).then(|| Comparison {
            default: self.compared.iter().map(|pair| pair.0).collect(),
            best: self.compared.iter().map(|pair| pair.1).collect(),
            ratio: ratio.map(|(middle, _, _)| middle),
            low: ratio.map(|(_, low, _)| low),
            high: ratio.map(|(_, _, high)| high),
        })
    }

    /// The result, written, with its page, and left in memory.
    ///
    /// # Errors
    /// No trial gave a number, or the disk fails.
    pub(super) fn finish(self) -> Result<TuneResult, RunError> {
        let trials: Vec<TuneTrial> = self.study.trials().iter().map(|trial| self.told(trial)).collect();
        let end = self.end.unwrap_or(TuneEnd::Trials);
        let best = self.study.best().and_then(|trial| self.chosen(trial));
        if best.is_none() && end != TuneEnd::Interrupted {
            return Err(self.nothing(&trials));
        }
        let words = match end {
            TuneEnd::Trials => "all trials made",
            TuneEnd::Time => "the time is used up",
            TuneEnd::Exhausted => self.exhausted.as_str(),
            TuneEnd::Interrupted => "interrupted",
        };
        let shares: Vec<(String, f64)> = importances(&self.study.history())
            .into_iter()
            .map(|importance| (importance.parameter, importance.share))
            .collect();
        self.draw(shares.clone(), words)?;
        let front = if self.has_several_goals() { self.study.front() } else { Vec::new() };
        let mut result = TuneResult {
            best,
            front: front.into_iter().filter_map(|trial| self.chosen(trial)).collect(),
            trials,
            sampler: self.study.reason(),
            seconds: self.seconds(),
            end,
            exhausted: Some(self.exhausted.clone()).filter(|_| end == TuneEnd::Exhausted),
            direction: self.options.direction(),
            goals: self.options.goals.clone(),
            seed: self.options.seed.0,
            comparison: self.comparison(),
            noise: self.noise(),
            calibration: self.calibration(),
            importances: shares.into_iter().collect(),
            llm: self.bill.clone(),
            warnings: self.warnings.clone(),
            out: self.options.out.clone(),
        };
        let memory = lessons::memory(&self.options, &self.clock).filter(|_| !self.has_several_goals());
        if let Some(memory) = memory {
            let trouble = lessons::store(&memory, &self.options, &result, self.clock.unix_seconds());
            result.warnings.extend(trouble);
        }
        let text = serde_json::to_vec_pretty(&result)
            .map_err(|error| RunError::failed(format!("writing JSON: {error}")))?;
        write_durably(&self.options.out.join(RESULT), &text)?;
        Ok(result)
    }
}

/// Whose idea a trial was: what a sampler that asks a language model found without it was no idea of the model.
fn whose(trial: &Trial) -> String {
    let is_without = trial.note.as_deref().is_some_and(|note| note.starts_with(WITHOUT));
    if is_without { "statistics".into() } else { trial.origin.clone() }
}

/// A configuration in a line.
fn in_a_line(params: &Params) -> String {
    let all: Vec<String> = params.iter().map(|(name, value)| format!("{name}={}", written(value))).collect();
    all.join(" ")
}
