//! Search spaces: named parameters, when each of them counts, and rules between them.
//!
//! A [`Space`] is a tree written flat: a parameter may be bound to values of parameters before it ([`Condition`]), so
//! that a choice opens a space of its own. It is read from TOML or JSON ([`Space::from_toml`], [`Space::from_json`]),
//! built in code ([`Builder`]) or taken from a solution's declaration ([`Space::from_solution`]).
//!
//! Configurations come and go as [`Params`]. Samplers work on [`Point`]s: one number for each parameter, whose
//! meaning the parameter's [`Axis`] knows.

mod axis;
mod bridge;
mod builder;
mod error;
mod form;
mod point;
mod repair;
mod rule;
mod schema;

pub use axis::{Axis, AxisKind};
pub use builder::Builder;
pub use error::{SpaceError, SpaceErrorKind};
pub use point::Point;
pub use repair::{Change, ParamsError, Repaired};
pub use rule::Rule;

use crate::formula::Scale as Training;
pub use ansatz_core::candidate::Params;
use serde_json::Value;
use std::collections::HashMap;

/// Most parameters that a space may have.
pub const PARAMETERS_MAX: usize = 1_000;
/// Most values that a parameter may list.
pub const VALUES_MAX: usize = 10_000;
/// Longest name of a parameter, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// A space with at most this many configurations is listed to find those that are left or keep its rules.
pub const LISTED_MAX: u64 = 20_000;

/// On what scale equal steps are equally interesting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Differences count.
    Linear,
    /// Ratios count; all values are above zero.
    Log,
    /// Odds count; all values lie strictly between 0 and 1.
    Logit,
}

/// The values that a parameter may take.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// A real number from `low` to `high`, both included; with a `step`, only `low + k · step`.
    Float {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// On what scale it is searched.
        scale: Scale,
        /// Distance between neighbours, when only some values count.
        step: Option<f64>,
    },
    /// A whole number from `low` to `high`, both included, in steps of `step` from `low`.
    Int {
        /// Lower end.
        low: i64,
        /// Upper end.
        high: i64,
        /// On what scale it is searched; never [`Scale::Logit`].
        scale: Scale,
        /// Distance between neighbours, at least 1.
        step: i64,
    },
    /// Yes or no.
    Bool,
    /// One of some values without an order.
    Categorical {
        /// The values, all different.
        values: Vec<Value>,
    },
    /// One of some values in the order given.
    Ordinal {
        /// The values, all different.
        values: Vec<Value>,
        /// `Linear`: neighbours in the list are equally far from each other. `Log`: the values are numbers above zero
        /// and as far from each other as their logarithms.
        scale: Scale,
    },
}

impl Domain {
    /// The values that it lists, in their order; none for ranges and for yes or no.
    pub fn listed(&self) -> &[Value] {
        match self {
            Self::Categorical { values } | Self::Ordinal { values, .. } => values,
            Self::Float { .. } | Self::Int { .. } | Self::Bool => &[],
        }
    }
}

/// A parameter counts only where another one has one of some values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The other parameter.
    pub parameter: String,
    /// The values under which this one counts.
    pub values: Vec<Value>,
}

/// One thing that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, unique in the space.
    pub name: String,
    /// What it may be.
    pub domain: Domain,
    /// Where to start, if somebody knows.
    pub default: Option<Value>,
    /// All of these must hold for it to count; none: it always counts.
    pub when: Vec<Condition>,
    /// What it does, for people and language models.
    pub description: Option<String>,
}

/// Everything that can be set, and what goes with what.
///
/// Parameters stand in an order in which each comes after those that it depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
    rules: Vec<Rule>,
    axes: Vec<Axis>,
    /// For each parameter: (index of the other, its levels under which this one counts).
    gates: Vec<Vec<Gate>>,
    places: HashMap<String, usize>,
    /// How large the training is that it sets, where that is known.
    training: Option<Training>,
}

/// A condition in terms of indices.
#[derive(Debug, Clone, PartialEq)]
struct Gate {
    parent: usize,
    levels: Vec<u64>,
}

impl Space {
    /// A space of these parameters and rules, checked and put in order.
    pub fn new(parameters: Vec<Parameter>, rules: Vec<Rule>) -> Result<Self, SpaceError> {
        if parameters.is_empty() {
            return Err(SpaceError::whole(SpaceErrorKind::Empty));
        }
        if parameters.len() > PARAMETERS_MAX {
            return Err(SpaceError::whole(SpaceErrorKind::TooMany { found: parameters.len() }));
        }
        let mut axes = HashMap::new();
        for parameter in &parameters {
            check_name(&parameter.name)?;
            let axis = Axis::of(&parameter.domain).map_err(|kind| SpaceError::at(&parameter.name, kind))?;
            if let Some(default) = &parameter.default
                && axis.coordinate_of(default).is_none()
            {
                let kind = SpaceErrorKind::DefaultOutside { value: default.clone() };
                return Err(SpaceError::at(&parameter.name, kind));
            }
            if axes.insert(parameter.name.clone(), axis).is_some() {
                return Err(SpaceError::at(&parameter.name, SpaceErrorKind::Twice));
            }
        }
        let mut parameters = in_order(parameters)?;
        for parameter in &mut parameters {
            parameter.when.sort_by(|a, b| a.parameter.cmp(&b.parameter));
        }
        let places: HashMap<String, usize> =
            parameters.iter().enumerate().map(|(place, p)| (p.name.clone(), place)).collect();
        let mut gates = Vec::with_capacity(parameters.len());
        for parameter in &parameters {
            let found = parameter.when.iter().map(|condition| gate(parameter, condition, &places, &axes));
            gates.push(found.collect::<Result<Vec<_>, _>>()?);
        }
        for rule in &rules {
            check_rule(rule, &parameters, &places)?;
        }
        let axes = parameters.iter().filter_map(|parameter| axes.remove(&parameter.name)).collect();
        Ok(Self { parameters, rules, axes, gates, places, training: None })
    }

    /// The space with what is known about the size of the training that it sets: its `[scale]` table.
    #[must_use]
    pub fn with_scale(self, scale: Training) -> Self {
        Self { training: Some(scale), ..self }
    }

    /// What is known about the size of the training that it sets, for [formulas](crate::formula::suggestions).
    pub fn scale(&self) -> Option<&Training> {
        self.training.as_ref()
    }

    /// The parameters, each after those that it depends on.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The rules between parameters.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Always false: a space has at least one parameter.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// What the coordinates of each parameter mean, in the order of [`Self::parameters`].
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The place of a parameter in [`Self::parameters`].
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Whether some parameter counts only under a condition.
    pub fn is_conditional(&self) -> bool {
        self.gates.iter().any(|gates| !gates.is_empty())
    }

    /// Whether every parameter has countably many values.
    pub fn is_discrete(&self) -> bool {
        self.axes.iter().all(|axis| axis.levels() > 0)
    }

    /// Whether the parameter at `place` counts, given the coordinates of those before it.
    pub fn counts(&self, place: usize, coordinates: &[f64]) -> bool {
        self.gates[place].iter().all(|gate| {
            let parent = coordinates[gate.parent];
            !parent.is_nan() && gate.levels.contains(&(parent as u64))
        })
    }

    /// The parameters that the one at `place` depends on directly.
    pub fn parents(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.gates[place].iter().map(|gate| gate.parent)
    }

    /// Whether other parameters depend on the one at `place`.
    pub fn opens(&self, place: usize) -> bool {
        self.gates.iter().flatten().any(|gate| gate.parent == place)
    }

    /// A number that changes when the space does: under which memory files what was learnt in it. The `[scale]` table
    /// is no part of it: a larger training is another task in the same space.
    pub fn fingerprint(&self) -> u64 {
        // The first eight bytes of SHA-256 over the canonical form; descriptions do not matter to a search.
        let mut bare = self.clone();
        bare.training = None;
        for parameter in &mut bare.parameters {
            parameter.description = None;
        }
        ansatz_core::seed::Seed(0).derive(&bare.to_json().to_string()).0
    }
}

fn check_name(name: &str) -> Result<(), SpaceError> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if starts && rest && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(SpaceError::at(name, SpaceErrorKind::Name))
}

/// Parameters in the order given, but for those that come before one that they depend on.
fn in_order(mut waiting: Vec<Parameter>) -> Result<Vec<Parameter>, SpaceError> {
    let names: Vec<String> = waiting.iter().map(|parameter| parameter.name.clone()).collect();
    let mut placed: Vec<Parameter> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|parameter| {
            parameter.when.iter().all(|condition| placed.iter().any(|p| p.name == condition.parameter))
        });
        if let Some(ready) = ready {
            placed.push(waiting.remove(ready));
            continue;
        }
        for parameter in &waiting {
            for condition in &parameter.when {
                if !names.contains(&condition.parameter) {
                    let near = nearest(&condition.parameter, names.iter());
                    let kind =
                        SpaceErrorKind::ConditionNamesUnknown { name: condition.parameter.clone(), near };
                    return Err(SpaceError::at(&parameter.name, kind));
                }
            }
        }
        return Err(SpaceError::at(&waiting[0].name, SpaceErrorKind::Circle));
    }
    Ok(placed)
}

/// A rule compares numbers: what it names must be parameters without texts among their values.
fn check_rule(
    rule: &Rule,
    parameters: &[Parameter],
    places: &HashMap<String, usize>,
) -> Result<(), SpaceError> {
    for name in rule.names() {
        let Some(place) = places.get(name) else {
            let near = nearest(name, places.keys());
            let kind = SpaceErrorKind::RuleNamesUnknown { rule: rule.to_string(), name: name.into(), near };
            return Err(SpaceError::whole(kind));
        };
        let text = parameters[*place].domain.listed().iter().find(|value| value.is_string());
        if let Some(value) = text {
            let (rule, value) = (rule.to_string(), value.clone());
            return Err(SpaceError::whole(SpaceErrorKind::RuleOnText { rule, name: name.into(), value }));
        }
    }
    Ok(())
}

fn gate(
    parameter: &Parameter,
    condition: &Condition,
    places: &HashMap<String, usize>,
    axes: &HashMap<String, Axis>,
) -> Result<Gate, SpaceError> {
    let other = &condition.parameter;
    let fail = |kind| SpaceError::at(&parameter.name, kind);
    let (Some(&parent), Some(axis)) = (places.get(other), axes.get(other)) else {
        return Err(fail(SpaceErrorKind::ConditionNamesUnknown { name: other.clone(), near: None }));
    };
    if axis.levels() == 0 {
        return Err(fail(SpaceErrorKind::ConditionOnReal { name: other.clone() }));
    }
    if condition.values.is_empty() {
        return Err(fail(SpaceErrorKind::ConditionEmpty { name: other.clone() }));
    }
    let mut levels = Vec::new();
    for value in &condition.values {
        let level = axis.coordinate_of(value).ok_or_else(|| {
            fail(SpaceErrorKind::ConditionValue { name: other.clone(), value: value.clone() })
        })?;
        levels.push(level as u64);
    }
    Ok(Gate { parent, levels })
}

/// The name that looks most like a misspelt one, if any is close.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    names
        .map(|name| (edits(wanted, name), name))
        .filter(|(edits, _)| *edits <= 1 + wanted.len() / 3)
        .min_by_key(|(edits, name)| (*edits, (*name).clone()))
        .map(|(_, name)| name.clone())
}

/// The number of letters to insert, drop or replace to turn one word into the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
