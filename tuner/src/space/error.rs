//! Why a space was refused: where (the parameter), what (the kind), what to do (the hint).

use super::{NAME_BYTES_MAX, PARAMETERS_MAX, VALUES_MAX};
use serde_json::Value;

/// A space that cannot be searched.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{kind}", .parameter.as_ref().map(|name| format!("parameter `{name}`: ")).unwrap_or_default())]
pub struct SpaceError {
    /// The parameter, when it is about one.
    pub parameter: Option<String>,
    /// What is wrong; part of the message, hence not its source.
    pub kind: SpaceErrorKind,
}

/// What is wrong with a space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpaceErrorKind {
    /// The text is not of the form.
    #[error("the space cannot be read: {problem}")]
    Form {
        /// What the parser says, with line and column where it knows them.
        problem: String,
    },
    /// There is no parameter.
    #[error("the space has no parameter")]
    Empty,
    /// More parameters than allowed.
    #[error("the space has {found} parameters; {PARAMETERS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Its name cannot be used.
    #[error(
        "the name is not made of letters, digits, `_`, `-`, `.`, does not begin with a letter, or is too long"
    )]
    Name,
    /// Two parameters with the same name.
    #[error("there are two parameters of this name")]
    Twice,
    /// The type is not one of ours.
    #[error("there is no type `{found}`")]
    Type {
        /// What was found.
        found: String,
    },
    /// A field that the type needs is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field that the type does not have.
    #[error("a parameter of type `{kind}` has no `{field}`")]
    Superfluous {
        /// The field.
        field: &'static str,
        /// The type.
        kind: &'static str,
    },
    /// `low` is above `high`.
    #[error("`low` = {low} is above `high` = {high}")]
    Bounds {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// A bound is infinite, not a number, or too large to be told from its neighbours.
    #[error("`{field}` = {value} is not a number that can be searched")]
    NotFinite {
        /// Which bound.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A bound of a whole number is not whole.
    #[error("`{field}` = {value} is not a whole number")]
    NotWhole {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A logarithm of zero or less.
    #[error("`low` = {low} has no logarithm")]
    LogOfZero {
        /// Lower end.
        low: f64,
    },
    /// Odds outside of (0, 1).
    #[error("the range from {low} to {high} does not lie strictly between 0 and 1, where odds are defined")]
    Logit {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Two scales at once, or a scale and a step that exclude one another.
    #[error("`{first}` and `{second}` exclude one another")]
    Both {
        /// One field.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A step of zero or less, or wider than the range.
    #[error("`step` = {step} is not above zero or wider than the range")]
    Step {
        /// The step.
        step: f64,
    },
    /// No values to choose from.
    #[error("there is no value to choose from")]
    NoValues,
    /// More values than allowed.
    #[error("it lists {found} values; {VALUES_MAX} are allowed")]
    TooManyValues {
        /// How many there are.
        found: usize,
    },
    /// A value is listed twice.
    #[error("the value {value} is listed twice")]
    ValueTwice {
        /// The value.
        value: Value,
    },
    /// A value is neither a text, a number nor a truth value.
    #[error("the value {value} is not a text, a number or true/false")]
    ValueKind {
        /// The value.
        value: Value,
    },
    /// Ordered values on a logarithmic scale must be numbers above zero.
    #[error("`log` needs numbers above zero, listed upwards or downwards")]
    OrdinalLog,
    /// The default is not one of its values.
    #[error("the default {value} is not one of its values")]
    DefaultOutside {
        /// The default.
        value: Value,
    },
    /// A condition names a parameter that is not there.
    #[error("`when` names `{name}`, which is not a parameter")]
    ConditionNamesUnknown {
        /// The name.
        name: String,
        /// A name that looks alike.
        near: Option<String>,
    },
    /// A condition on a real number.
    #[error("`when` names `{name}`, a real number, whose single values cannot be a condition")]
    ConditionOnReal {
        /// The name.
        name: String,
    },
    /// A condition without values.
    #[error("`when` gives no value of `{name}`, so the parameter would never count")]
    ConditionEmpty {
        /// The name.
        name: String,
    },
    /// A condition on a value that the other parameter cannot have.
    #[error("`when` expects `{name}` = {value}, which it can never be")]
    ConditionValue {
        /// The name.
        name: String,
        /// The value.
        value: Value,
    },
    /// Conditions that depend on one another.
    #[error("its conditions lead back to itself")]
    Circle,
    /// A rule cannot be read.
    #[error("the rule `{rule}` cannot be read: {problem}")]
    Rule {
        /// Its text.
        rule: String,
        /// What is wrong.
        problem: String,
    },
    /// A rule names a parameter that is not there.
    #[error("the rule `{rule}` names `{name}`, which is not a parameter")]
    RuleNamesUnknown {
        /// Its text.
        rule: String,
        /// The name.
        name: String,
        /// A name that looks alike.
        near: Option<String>,
    },
    /// A rule names a parameter that can be a text, which compares with no number.
    #[error("the rule `{rule}` compares `{name}`, whose value {value} is a text and no number")]
    RuleOnText {
        /// Its text.
        rule: String,
        /// The parameter.
        name: String,
        /// One of its texts.
        value: Value,
    },
    /// A size of the training is zero, negative, infinite or not a number.
    #[error("`[scale]`: `{field}` = {value} is not a number above zero")]
    ScaleNumber {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
}

impl SpaceError {
    pub(super) fn whole(kind: SpaceErrorKind) -> Self {
        Self { parameter: None, kind }
    }

    pub(super) fn at(parameter: &str, kind: SpaceErrorKind) -> Self {
        Self { parameter: Some(parameter.into()), kind }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        use SpaceErrorKind as K;
        let near = |near: &Option<String>| near.as_ref().map(|name| format!("did you mean `{name}`?"));
        let hint = match &self.kind {
            K::Form { .. } => {
                "a space is a list of [[parameter]] tables with name, type = \"float\" | \"int\" | \"bool\" | \
                 \"categorical\" | \"ordinal\", low, high, log, values, default, when"
            }
            K::Empty => "add a [[parameter]] table",
            K::TooMany { .. } | K::TooManyValues { .. } => "search the few that matter and fix the others",
            K::Name => {
                return Some(format!("names have at most {NAME_BYTES_MAX} bytes, e.g. `learning_rate`"));
            }
            K::Twice => "name them by their branch, e.g. `svm_c` and `linear_c`",
            K::Type { .. } => "use float, int, bool, categorical or ordinal",
            K::Missing { field: "values" } => "list them: values = [\"a\", \"b\"]",
            K::Missing { .. } => "numbers need `low` and `high`",
            K::Superfluous { .. } | K::Both { .. } => "drop one of them",
            K::Bounds { .. } => "swap them",
            K::NotFinite { .. } => "give a finite bound; whole numbers may reach 2^53",
            K::NotWhole { .. } => "use type = \"float\", or round it",
            K::LogOfZero { .. } => "raise `low` above zero (for whole numbers: to 1), or drop `log`",
            K::Logit { .. } => "e.g. low = 0.001, high = 0.999",
            K::Step { .. } => "give a step above zero that fits into the range",
            K::NoValues => "list at least one: values = [\"a\", \"b\"]",
            K::ValueTwice { .. } => "list each value once",
            K::ValueKind { .. } => "name complicated values by a text and translate it in the program",
            K::OrdinalLog => "list positive numbers in order, or drop `log`",
            K::DefaultOutside { .. } => "change the default, or widen the range",
            K::ConditionNamesUnknown { near: found, .. } | K::RuleNamesUnknown { near: found, .. } => {
                return near(found).or_else(|| Some("names are compared letter by letter".into()));
            }
            K::ConditionOnReal { .. } => {
                "make a bool or categorical parameter that decides, and bind both to it"
            }
            K::ConditionEmpty { .. } => "list the values under which it counts, or drop `when`",
            K::ConditionValue { .. } => "use one of that parameter's own values",
            K::Circle => "a parameter may depend only on those that do not depend on it",
            K::RuleOnText { .. } => {
                "list numbers in place of the texts, or bind parameters to its values by `when`"
            }
            K::ScaleNumber { .. } => "leave out what is not known",
            K::Rule { .. } => "a rule compares sums and products of parameters, e.g. \"2 * a + b <= 100\"",
        };
        Some(hint.into())
    }
}
