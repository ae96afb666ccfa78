//! One step of a plan: its kind, what it needs, what it may spend. Knows nothing about other steps but their names.

use ansatz_core::ids::StepId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// What a step does. The order of the variants is the order of the work: a step's inputs are of its own kind or
/// of an earlier one, which is also why merging plans can never close a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Read and describe the data.
    Profile,
    /// Turn rows into features by a recipe.
    Features,
    /// Train a solution with given parameters.
    Model,
    /// Search a solution's space.
    Tune,
    /// Combine candidates.
    Ensemble,
    /// The one look at the seal. Nothing that chooses may come after it, hence its place behind `Ensemble`.
    Verify,
    /// Write the bundle and prove that it loads.
    Package,
    /// Write the report.
    Report,
}

impl StepKind {
    /// All kinds in the order of the work.
    pub const ALL: [Self; 8] = [
        Self::Profile,
        Self::Features,
        Self::Model,
        Self::Tune,
        Self::Ensemble,
        Self::Verify,
        Self::Package,
        Self::Report,
    ];

    /// The name as plan files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Features => "features",
            Self::Model => "model",
            Self::Tune => "tune",
            Self::Ensemble => "ensemble",
            Self::Verify => "verify",
            Self::Package => "package",
            Self::Report => "report",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Kinds of which a step of this kind needs at least one among its inputs; empty when it needs none.
    pub fn needs_one_of(self) -> &'static [Self] {
        match self {
            Self::Profile => &[],
            Self::Features => &[Self::Profile],
            Self::Model => &[Self::Features],
            Self::Tune => &[Self::Model, Self::Features],
            Self::Ensemble => &[Self::Model, Self::Tune],
            Self::Verify => &[Self::Model, Self::Tune, Self::Ensemble],
            Self::Package => &[Self::Verify],
            Self::Report => &[Self::Model, Self::Tune, Self::Ensemble, Self::Verify, Self::Package],
        }
    }

    /// Whether a step of this kind can take a step of `input`'s kind as input.
    pub fn may_follow(self, input: Self) -> bool {
        let chains = matches!(self, Self::Features | Self::Model | Self::Tune | Self::Ensemble);
        input < self || (chains && input == self)
    }

    /// Whether a step of this kind gathers what there is, and so goes on with fewer inputs when one is lost.
    pub fn gathers(self) -> bool {
        matches!(self, Self::Ensemble | Self::Verify | Self::Package | Self::Report)
    }

    /// Whether a plan has at most one step of this kind.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Package | Self::Report)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a step wants to have for itself while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Processor cores.
    pub cpus: u32,
    /// GPUs.
    #[serde(default)]
    pub gpus: u32,
    /// Memory in bytes; 0 makes no claim.
    #[serde(default)]
    pub memory_bytes: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpus: 1, gpus: 0, memory_bytes: 0 }
    }
}

impl Resources {
    /// The larger of both asks, resource by resource.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpus: self.cpus.max(other.cpus),
            gpus: self.gpus.max(other.gpus),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique within the plan.
    pub id: StepId,
    /// What it does.
    pub kind: StepKind,
    /// Steps that must have ended before it starts.
    pub inputs: Vec<StepId>,
    /// What it wants while it runs.
    pub ask: Resources,
    /// Share of the run's budget, from 0 to 1.
    pub share: f64,
    /// What the step's kind reads: the solution's name, the feature recipe, ….
    pub params: Map<String, Value>,
    /// The reason for this step, for a person to read.
    pub why: String,
    /// Whether a run that could not do it counts as cut.
    pub mandatory: bool,
}

impl Step {
    /// A step without inputs, parameters and share, one core, not mandatory.
    pub fn new(id: impl Into<String>, kind: StepKind) -> Self {
        Self {
            id: StepId::new(id),
            kind,
            inputs: Vec::new(),
            ask: Resources::default(),
            share: 0.0,
            params: Map::new(),
            why: String::new(),
            mandatory: false,
        }
    }

    /// Adds an input.
    #[must_use]
    pub fn after(mut self, input: impl Into<String>) -> Self {
        self.inputs.push(StepId::new(input));
        self
    }

    /// Adds inputs.
    #[must_use]
    pub fn after_all<I: IntoIterator<Item = T>, T: Into<String>>(mut self, inputs: I) -> Self {
        self.inputs.extend(inputs.into_iter().map(StepId::new));
        self
    }

    /// Sets a parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets the budget share.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Sets the resource ask.
    #[must_use]
    pub fn ask(mut self, ask: Resources) -> Self {
        self.ask = ask;
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Makes the step mandatory.
    #[must_use]
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }
}
