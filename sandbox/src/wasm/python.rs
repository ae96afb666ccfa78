//! Python source in the component that holds an interpreter.

use super::error::{WasmError, WasmErrorKind};
use super::runtime::{CallLimits, Guard, Runtime};
use super::{About, Complaint, MESSAGE_CHARS_MAX, Needs};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use wasmtime::component::{Component, Linker};

mod guest {
    wasmtime::component::bindgen!({ path: "wit", world: "python" });
}

/// What a call of Python source may use.
pub const LIMITS: CallLimits =
    CallLimits { time: Duration::from_secs(10), memory_bytes: 256 << 20, output_bytes: 4 << 20 };

/// Modules that source may import: the component holds these and no others.
pub const MODULES: &[&str] = &[
    "__future__",
    "array",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
];

/// The interpreter, ready to be instantiated.
#[derive(Clone)]
pub struct Python {
    runtime: Runtime,
    pre: guest::PythonPre<Guard>,
}

/// Source text under the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the file, for errors.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// What source defines at its top level.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Defined {
    /// Functions with the names of their parameters; `*` for one that takes any number.
    pub functions: BTreeMap<String, Vec<String>>,
    /// Plain values.
    pub constants: BTreeMap<String, serde_json::Value>,
    /// What was printed while it was loaded.
    pub printed: String,
}

/// Numbers, row by row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Table<'a> {
    /// Numbers per row.
    pub columns: u32,
    /// All of them.
    pub numbers: &'a [f64],
}

/// What a metric is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question<'a> {
    /// Truth, one number per row.
    pub truth: &'a [f64],
    /// Predictions.
    pub prediction: Table<'a>,
    /// Labels by position, as their file writes them.
    pub labels: &'a [String],
    /// Whether truth and predictions are positions of labels, to be passed as labels.
    pub are_labels: bool,
}

impl Python {
    pub(super) fn new(runtime: &Runtime, component: &Component) -> Result<Self, WasmError> {
        let linker = Linker::new(runtime.engine());
        let pre = linker
            .instantiate_pre(component)
            .and_then(guest::PythonPre::new)
            .map_err(|error| WasmError::new("Python", WasmErrorKind::Setup(format!("{error:#}"))))?;
        Ok(Self { runtime: runtime.clone(), pre })
    }

    /// Runs source as a module and tells what it defines.
    ///
    /// # Errors
    /// When it raises or is stopped.
    pub fn inspect(&self, source: &Source, limits: &CallLimits) -> Result<Defined, WasmError> {
        let told =
            self.call(source, limits, |world, store| world.call_inspect(store, &source.text, &source.file))?;
        parsed(source, &told)
    }

    /// Calls a function of the source with arrays, as lists of floats (of tuples where there are several columns), and
    /// with further arguments.
    ///
    /// # Errors
    /// When it raises, is stopped, or returns what cannot be written as JSON.
    pub fn eval(
        &self,
        source: &Source,
        function: &str,
        arrays: &[Table<'_>],
        arguments: &[serde_json::Value],
        limits: &CallLimits,
    ) -> Result<serde_json::Value, WasmError> {
        let arrays: Vec<guest::Array> = arrays.iter().map(Table::sent).collect();
        let arguments = serde_json::Value::from(arguments).to_string();
        let told = self.call(source, limits, |world, store| {
            world.call_eval(store, &source.text, &source.file, function, &arrays, &arguments)
        })?;
        parsed(source, &told)
    }

    /// Calls `metric` once for each weighting: how often each row occurs, an empty one standing for "each row once".
    ///
    /// # Errors
    /// When the source cannot be loaded or a call is stopped. What a single weighting raised is its own answer.
    pub fn score(
        &self,
        source: &Source,
        question: &Question<'_>,
        weightings: &[Vec<u32>],
        limits: &CallLimits,
    ) -> Result<Vec<Result<f64, WasmError>>, WasmError> {
        let counts = |counts: &Vec<u32>| counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        let asked = guest::Question {
            truth: Table { columns: 1, numbers: question.truth }.sent(),
            prediction: question.prediction.sent(),
            labels: question.labels.to_vec(),
            are_labels: question.are_labels,
            weightings: weightings.iter().map(counts).collect(),
        };
        let told = self.call(source, limits, |world, store| {
            world.call_score(store, &source.text, &source.file, &asked)
        })?;
        let answer = |outcome| match outcome {
            guest::Outcome::Score(score) => Ok(score),
            guest::Outcome::Missing(fault) => Err(told_fault(source, &fault, limits)),
        };
        Ok(told.into_iter().map(answer).collect())
    }

    /// Complaints of `check_row` and `check_submission` about a submission in CSV.
    ///
    /// # Errors
    /// When they raise, are stopped, or return what is no complaint.
    pub fn check(
        &self,
        source: &Source,
        submission: &str,
        limits: &CallLimits,
    ) -> Result<Vec<Complaint>, WasmError> {
        let found = self.call(source, limits, |world, store| {
            world.call_check(store, &source.text, &source.file, submission)
        })?;
        Ok(found.into_iter().map(|one| Complaint { row: one.row, message: one.message }).collect())
    }

    fn call<T>(
        &self,
        source: &Source,
        limits: &CallLimits,
        work: impl FnOnce(
            &guest::Python,
            &mut wasmtime::Store<Guard>,
        ) -> wasmtime::Result<Result<T, guest::Fault>>,
    ) -> Result<T, WasmError> {
        let answer = self.runtime.call(&source.file, limits, |store| {
            let world = self.pre.instantiate(&mut *store)?;
            work(&world, store)
        })?;
        answer.map_err(|fault| told_fault(source, &fault, limits))
    }
}

impl Table<'_> {
    fn sent(&self) -> guest::Array {
        let numbers = self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        guest::Array { columns: self.columns, numbers }
    }
}

impl Defined {
    /// What a metric file says of itself. `stem` names it when it does not name itself.
    ///
    /// # Errors
    /// In words: when there is no fitting `metric`, or the direction is not said.
    pub fn about(&self, stem: &str) -> Result<About, String> {
        let parameters = self.functions.get("metric").ok_or("it defines no function `metric`")?;
        let open = parameters.last().is_some_and(|last| last == "*");
        if !open && !(2..=3).contains(&parameters.len()) {
            return Err(format!(
                "`metric` takes ({}); it must take (truth, prediction) or (truth, prediction, weight)",
                parameters.join(", ")
            ));
        }
        let higher_is_better = match self.constants.get("higher_is_better") {
            Some(serde_json::Value::Bool(said)) => *said,
            Some(other) => return Err(format!("`higher_is_better` is {other}; it must be True or False")),
            None => return Err("it does not say `higher_is_better = True` or `= False`".into()),
        };
        let text = |name: &str| match self.constants.get(name) {
            None => Ok(None),
            Some(serde_json::Value::String(text)) if !text.trim().is_empty() => {
                Ok(Some(text.trim().to_owned()))
            }
            Some(other) => Err(format!("`{name}` is {other}; it must be a text")),
        };
        let needs = match text("needs")?.as_deref() {
            None => None,
            Some("label") => Some(Needs::Label),
            Some("probability") => Some(Needs::Probability),
            Some("value") => Some(Needs::Value),
            Some(other) => {
                return Err(format!(
                    "`needs` is \"{other}\"; it must be \"label\", \"probability\" or \"value\""
                ));
            }
        };
        let name = text("name")?.unwrap_or_else(|| stem.to_owned());
        Ok(About { name, higher_is_better, needs, objective: text("objective")? })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(source: &Source, told: &str) -> Result<T, WasmError> {
    serde_json::from_str(told).map_err(|error| {
        let message = format!("its answer cannot be read: {error}");
        WasmError::new(&source.file, WasmErrorKind::Fault { message, line: None })
    })
}

fn told_fault(source: &Source, fault: &guest::Fault, limits: &CallLimits) -> WasmError {
    if fault.kind == "MemoryError" {
        return WasmError::new(&source.file, WasmErrorKind::Memory(limits.memory_bytes));
    }
    let words: String = fault.message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
    let message = match fault.kind.as_str() {
        // Our own words about what came back need no name of an exception.
        "Answer" => words,
        kind if words.is_empty() => kind.to_owned(),
        kind => format!("{kind}: {words}"),
    };
    WasmError::new(&source.file, WasmErrorKind::Fault { message, line: fault.line })
}
