//! Why a plan was refused: where (the step), what (the kind), and what to do about it (the hint).

use crate::step::StepKind;
use ansatz_core::ids::StepId;
use std::fmt;

/// A plan was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct PlanError {
    /// The step at fault; `None` when it is the plan as a whole.
    pub step: Option<StepId>,
    /// What is wrong with it; part of the message, hence not its source.
    pub kind: PlanErrorKind,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "plan refused at step `{step}`: {}", self.kind),
            None => write!(f, "plan refused: {}", self.kind),
        }
    }
}

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanErrorKind {
    /// Steps wait for each other.
    #[error("steps wait for each other: {}", path(.0))]
    Cycle(Vec<StepId>),
    /// An input names no step of the plan.
    #[error("input `{input}` is not a step of the plan")]
    MissingInput {
        /// The name that is not there.
        input: StepId,
        /// The most similar name that is.
        nearest: Option<StepId>,
    },
    /// An input is named twice.
    #[error("input `{0}` is named twice")]
    RepeatedInput(StepId),
    /// The kind is none that we know.
    #[error("kind `{kind}` is unknown")]
    UnknownKind {
        /// What was written.
        kind: String,
        /// The most similar kind.
        nearest: StepKind,
    },
    /// Two steps have one id.
    #[error("another step has the same id")]
    DuplicateId,
    /// The id is empty or too long to be shown.
    #[error("a step id has 1 to {ID_CHARACTERS_MAX} characters, none of them a control character")]
    BadId,
    /// A share is not a number from 0 to 1.
    #[error("budget share {0} is not a number from 0 to 1")]
    BadShare(f64),
    /// The shares of all steps do not add up to more than 0 and at most 1.
    #[error("budget shares add up to {0}, which is not above 0 and at most 1")]
    ShareSum(f64),
    /// None of the inputs is of a kind that the step needs.
    #[error("this {kind} step needs an input of kind {}", one_of(.kind.needs_one_of()))]
    MissingInputKind {
        /// Kind of the step at fault.
        kind: StepKind,
    },
    /// An input is of a kind that comes later in the work.
    #[error("this {kind} step cannot follow the {input_kind} step `{input}`")]
    WrongOrder {
        /// Kind of the step at fault.
        kind: StepKind,
        /// The input at fault.
        input: StepId,
        /// Its kind.
        input_kind: StepKind,
    },
    /// Two steps of a kind that a plan has once.
    #[error("there is a second {kind} step, after `{first}`")]
    SecondOfKind {
        /// The kind.
        kind: StepKind,
        /// The first step of that kind.
        first: StepId,
    },
    /// A parameter has different values in plans that are merged into one step.
    #[error("parameter `{parameter}` of the only {kind} step differs between the plans")]
    ConflictingParameter {
        /// Kind of the step.
        kind: StepKind,
        /// Name of the parameter.
        parameter: String,
    },
    /// The step is not in the plan.
    #[error("there is no such step")]
    UnknownStep,
    /// No step with a share of the budget remains.
    #[error("no step that spends anything is left")]
    NothingLeft,
    /// There are no steps at all.
    #[error("the plan has no steps")]
    Empty,
    /// The text is not a plan.
    #[error("not a plan file: {0}")]
    Json(String),
    /// The file is of another version.
    #[error("plan version {found} is not {expected}")]
    Version {
        /// Version in the file.
        found: u64,
        /// Version that this program reads.
        expected: u64,
    },
}

/// Longer ids make every table and graph unreadable.
pub(crate) const ID_CHARACTERS_MAX: usize = 80;

impl PlanError {
    /// An error about one step.
    pub(crate) fn at(step: &StepId, kind: PlanErrorKind) -> Self {
        Self { step: Some(step.clone()), kind }
    }

    /// An error about the plan as a whole.
    pub(crate) fn whole(kind: PlanErrorKind) -> Self {
        Self { step: None, kind }
    }

    /// What to do about it, for a person to read.
    pub fn hint(&self) -> String {
        use PlanErrorKind as K;
        match &self.kind {
            K::Cycle(_) => "remove one of these inputs".into(),
            K::MissingInput { input, nearest: Some(nearest) } => {
                format!("did you mean `{nearest}`? Otherwise take `{input}` out of the inputs")
            }
            K::MissingInput { input, nearest: None } => format!("take `{input}` out of the inputs"),
            K::RepeatedInput(_) => "name each input once".into(),
            K::UnknownKind { nearest, .. } => {
                format!("did you mean `{nearest}`? Kinds are {}", one_of(&StepKind::ALL))
            }
            K::DuplicateId => "give one of them another id and adapt the inputs that mean it".into(),
            K::BadId => "choose a short id such as `model-lightgbm`".into(),
            K::BadShare(_) | K::ShareSum(_) => {
                "shares are parts of one budget: each from 0 to 1, together above 0 and at most 1".into()
            }
            K::MissingInputKind { kind } => {
                format!("add such a step to its inputs, or remove the {kind} step")
            }
            K::WrongOrder { input_kind: StepKind::Verify, .. } => {
                "verify is the one look at the sealed rows: nothing that chooses may follow it".into()
            }
            K::WrongOrder { .. } => format!("the order of work is {}", order_of_work()),
            K::SecondOfKind { kind, .. } => format!("keep one {kind} step and give it the inputs of both"),
            K::ConflictingParameter { .. } => "give it the same value in all plans".into(),
            K::UnknownStep => "look at the ids in plan.json".into(),
            K::NothingLeft => "keep at least one model or tune step and what it needs".into(),
            K::Empty => "a plan needs at least profile, features and model".into(),
            K::Json(_) => "compare it with the plan.json that a run writes".into(),
            K::Version { .. } => "make the plan anew with this version of the program".into(),
        }
    }
}

fn path(steps: &[StepId]) -> String {
    let mut names: Vec<&str> = steps.iter().map(StepId::as_str).collect();
    names.extend(steps.first().map(StepId::as_str));
    names.join(" -> ")
}

fn one_of(kinds: &[StepKind]) -> String {
    match kinds {
        [] => String::new(),
        [only] => only.name().into(),
        [head @ .., last] => {
            format!("{} or {last}", head.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "))
        }
    }
}

fn order_of_work() -> String {
    StepKind::ALL.map(StepKind::name).join(", ")
}
