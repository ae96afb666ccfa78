//! A metric of the user's own, scored in WebAssembly.

use super::trouble;
use crate::error::RunError;
use ansatz_agents::understand::OwnMetric;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Direction, Metric, MetricError, MetricSpec, PredictionKind};
use ansatz_core::task::Task;
use ansatz_referee::gates::FOREIGN_ROWS_MAX;
use ansatz_sandbox::wasm::{
    About, COMPONENT_LIMITS, CallLimits, MetricComponent, Needs, PYTHON_LIMITS, Python, Question, Runtime,
    Source, Table, WasmError, WasmErrorKind,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows on which a metric is tried first.
const TRIED_ROWS: usize = 50;
/// Longest name in reports.
const NAME_CHARS_MAX: usize = 60;
/// Weightings that are asked in one call.
const WEIGHTINGS_PER_CALL: usize = 50;
/// Weightings by which the cost of one is measured.
const WEIGHTINGS_TIMED: usize = 20;
/// Weightings of [`FOREIGN_ROWS_MAX`] rows that one comparison of two candidates asks, roughly.
const WEIGHTINGS_PER_COMPARISON: f64 = 300.0;
/// Share of the wall time that one comparison, and one scoring of all rows, may take.
const WALL_SHARE: f64 = 0.05;
/// The same in seconds, for a run without a wall.
const SECONDS_MAX: f64 = 60.0;
/// Calls and weightings of choosing and judging at the end of a run: ensembles by calls, intervals by weightings.
const CALLS_AT_END: f64 = 250.0;
/// See [`CALLS_AT_END`].
const WEIGHTINGS_AT_END: f64 = 2_000.0;

/// A metric that was loaded but does not know its task yet.
#[derive(Clone)]
pub struct Loaded {
    file: String,
    about: About,
    form: Form,
}

#[derive(Clone)]
enum Form {
    Python { python: Box<Python>, source: Arc<Source> },
    Component(Arc<MetricComponent>),
}

impl Loaded {
    /// Runs the source once and asks what it defines.
    ///
    /// # Errors
    /// Of kind `Usage` when it raises or does not describe itself.
    pub fn python(python: &Python, source: Source) -> Result<Self, RunError> {
        let defined = python.inspect(&source, &PYTHON_LIMITS).map_err(|error| trouble(&error))?;
        let stem = Path::new(&source.file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let about = defined.about(&stem).map_err(|why| {
            RunError::usage(format!("{}: {why}", source.file)).hint("docs/functions.md shows a metric file")
        })?;
        let file = source.file.clone();
        Ok(Self {
            file,
            about,
            form: Form::Python { python: Box::new(python.clone()), source: source.into() },
        })
    }

    /// Compiles a component and asks what it is.
    ///
    /// # Errors
    /// Of kind `Usage` when it is no metric.
    pub fn component(runtime: &Runtime, name: &str, bytes: &[u8]) -> Result<Self, RunError> {
        let component =
            MetricComponent::new(runtime, name, bytes, COMPONENT_LIMITS).map_err(|error| trouble(&error))?;
        let about = component.about().clone();
        Ok(Self { file: name.to_owned(), about, form: Form::Component(component.into()) })
    }

    /// What the metric says of itself, for understanding the task.
    pub fn described(&self) -> OwnMetric {
        let plain = |c: &char| !c.is_control() && !c.is_whitespace() || *c == ' ';
        let name: String = self.about.name.trim().chars().filter(plain).take(NAME_CHARS_MAX).collect();
        OwnMetric {
            file: self.file.clone(),
            name: if name.is_empty() { "custom".into() } else { name },
            direction: if self.about.higher_is_better { Direction::Maximize } else { Direction::Minimize },
            reads: self.about.needs.map(|needs| match needs {
                Needs::Label => PredictionKind::Label,
                Needs::Probability => PredictionKind::Probability,
                Needs::Value => PredictionKind::Value,
            }),
            objective: self.about.objective.clone(),
        }
    }

    /// The metric of a task.
    pub fn of(&self, task: &Task) -> CustomMetric {
        CustomMetric {
            file: self.file.clone(),
            spec: task.metric.clone(),
            labels: task.classes.clone(),
            form: self.form.clone(),
            first_trouble: Mutex::new(None),
        }
    }
}

/// A metric of the user's own for one task.
pub struct CustomMetric {
    file: String,
    spec: MetricSpec,
    labels: Vec<String>,
    form: Form,
    first_trouble: Mutex<Option<String>>,
}

impl CustomMetric {
    /// What went wrong first, of all times that it gave no score; forgets it.
    pub fn take_trouble(&self) -> Option<String> {
        self.first_trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tries it before anything is trained: on a few rows, on as many as comparisons read, and on all. Gives the seconds
    /// that choosing and judging by it will take.
    ///
    /// # Errors
    /// Of kind `Usage` when it raises, returns no number, or is too slow for the wall time.
    pub fn try_out(&self, truth: &[f64], outputs: usize, wall_s: Option<f64>) -> Result<f64, RunError> {
        let most = wall_s.map_or(SECONDS_MAX, |wall| wall * WALL_SHARE);
        self.timed(truth, TRIED_ROWS, outputs, 1, most)?;
        let rows = truth.len().min(FOREIGN_ROWS_MAX);
        let alone = self.timed(truth, rows, outputs, 1, most)?;
        let together = self.timed(truth, rows, outputs, WEIGHTINGS_TIMED, most)?;
        let each = (together / WEIGHTINGS_TIMED as f64).min(alone);
        let allowed = most / WEIGHTINGS_PER_COMPARISON;
        if each > allowed {
            return Err(self.too_slow(rows, each, allowed, wall_s));
        }
        if truth.len() > rows {
            let seconds = self.timed(truth, truth.len(), outputs, 1, most)?;
            if seconds > most / 2.0 {
                return Err(self.too_slow(truth.len(), seconds, most / 2.0, wall_s));
            }
        }
        Ok(CALLS_AT_END * alone + WEIGHTINGS_AT_END * each)
    }

    fn too_slow(&self, rows: usize, seconds: f64, allowed: f64, wall_s: Option<f64>) -> RunError {
        let budget = wall_s.map_or_else(String::new, |wall| format!(" in a run of {wall:.0} s"));
        RunError::usage(format!(
            "{} is too slow: scoring {rows} rows takes {:.1} ms, at most {:.1} ms fit{budget}",
            self.file,
            seconds * 1e3,
            allowed * 1e3
        ))
        .hint(
            "it is asked hundreds of times: go over the rows once, or give the run more time with --minutes",
        )
    }

    /// Seconds for scoring so many rows so often in one call, predictions being the truth of other rows.
    fn timed(
        &self,
        truth: &[f64],
        rows: usize,
        outputs: usize,
        weightings: usize,
        most_s: f64,
    ) -> Result<f64, RunError> {
        let rows = rows.min(truth.len());
        let truth: Vec<f64> = (0..rows).map(|at| truth[at * truth.len() / rows.max(1)]).collect();
        let predictions = self.stand_in(&truth, outputs);
        let counts = if weightings == 1 { Vec::new() } else { vec![1; rows] };
        let begun = Instant::now();
        let limit = Duration::from_secs_f64(most_s.clamp(0.2, PYTHON_LIMITS.time.as_secs_f64()));
        let answers = self
            .ask(&truth, &predictions, &vec![counts; weightings], limit)
            .map_err(|error| trouble(&error))?;
        answers
            .into_iter()
            .find_map(Result::err)
            .map_or_else(|| Ok(begun.elapsed().as_secs_f64()), |error| Err(trouble(&error)))
    }

    /// Predictions that might be a model's: each row gets what suits the row before it, without certainty.
    fn stand_in(&self, truth: &[f64], outputs: usize) -> Matrix {
        let before = |row: usize| truth[(row + truth.len() - 1) % truth.len()];
        let rows = truth.len();
        if self.spec.reads != PredictionKind::Probability {
            return Matrix::column((0..rows).map(before).collect());
        }
        if outputs == 1 {
            return Matrix::column((0..rows).map(|row| 0.1 + 0.8 * before(row)).collect());
        }
        let mut matrix = Matrix::filled(rows, outputs, 0.2 / outputs as f64);
        for row in 0..rows {
            if let Some(own) = matrix.row_mut(row).get_mut(before(row) as usize) {
                *own += 0.8;
            }
        }
        matrix
    }

    /// One answer per weighting; an empty weighting is every row once.
    fn ask(
        &self,
        truth: &[f64],
        predictions: &Matrix,
        weightings: &[Vec<u32>],
        time: Duration,
    ) -> Result<Vec<Result<f64, WasmError>>, WasmError> {
        let columns = predictions.columns() as u32;
        match &self.form {
            Form::Python { python, source } => {
                let question = Question {
                    truth,
                    prediction: Table { columns, numbers: predictions.data() },
                    labels: &self.labels,
                    are_labels: self.spec.reads == PredictionKind::Label,
                };
                python.score(source, &question, weightings, &CallLimits { time, ..PYTHON_LIMITS })
            }
            Form::Component(component) => {
                let one = |counts: &Vec<u32>| {
                    let weights: Vec<f64> = counts.iter().map(|&count| f64::from(count)).collect();
                    let weights = (!weights.is_empty()).then_some(weights.as_slice());
                    let score = component.score(truth, predictions.data(), columns, weights)?;
                    if score.is_finite() {
                        return Ok(score);
                    }
                    Err(WasmError::of_function(
                        &self.file,
                        format!("`metric` returned {score}, not a finite number"),
                    ))
                };
                Ok(weightings.iter().map(one).collect())
            }
        }
    }

    fn remember(&self, error: &WasmError) {
        let mut first = self.first_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_string());
    }
}

impl Metric for CustomMetric {
    fn spec(&self) -> &MetricSpec {
        &self.spec
    }

    fn score(
        &self,
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
    ) -> Result<f64, MetricError> {
        if truth.len() != predictions.rows() || weights.is_some_and(|weights| weights.len() != truth.len()) {
            let found = format!("{} rows of predictions", predictions.rows());
            return Err(MetricError::Shape { expected: format!("{} rows", truth.len()), found });
        }
        let counts: Vec<u32> = weights.unwrap_or_default().iter().map(|&weight| weight as u32).collect();
        if weights.is_some_and(|weights| weights.iter().any(|weight| weight.fract() != 0.0 || *weight < 0.0))
        {
            return Err(MetricError::Undefined("weights of own metrics are counts of rows".into()));
        }
        let undefined = |error: &WasmError| {
            self.remember(error);
            MetricError::Undefined(error.to_string())
        };
        let answers =
            self.ask(truth, predictions, &[counts], PYTHON_LIMITS.time).map_err(|error| undefined(&error))?;
        match answers.into_iter().next() {
            Some(answer) => answer.map_err(|error| undefined(&error)),
            None => Err(MetricError::Undefined("there was no answer".into())),
        }
    }

    fn scores(&self, truth: &[f64], predictions: &Matrix, counts: &[Vec<u32>]) -> Vec<Option<f64>> {
        let mut scores = Vec::with_capacity(counts.len());
        for part in counts.chunks(WEIGHTINGS_PER_CALL) {
            match self.ask(truth, predictions, part, PYTHON_LIMITS.time) {
                // What a replicate lacks, such as a class, is no trouble of the metric.
                Ok(answers) => scores.extend(answers.into_iter().map(Result::ok)),
                Err(error) => {
                    self.remember(&error);
                    scores.extend(part.iter().map(|_| None));
                    if matches!(error.kind(), WasmErrorKind::Timeout(_)) {
                        break;
                    }
                }
            }
        }
        scores.resize(counts.len(), None);
        scores
    }
}
