//! The written form of a space: TOML for people, JSON for programs, the same fields in both.

use super::axis::same;
use super::{Condition, Domain, Parameter, Rule, Scale, Space, SpaceError, SpaceErrorKind};
use crate::formula::Scale as Training;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longest text of a space, in bytes.
const BYTES_MAX: usize = 4 << 20;
/// How deep choices may open spaces within spaces.
const DEPTH_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceForm {
    #[serde(default)]
    parameter: Vec<ParameterForm>,
    #[serde(default)]
    constraint: Vec<RuleForm>,
    scale: Option<Training>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    rule: String,
    because: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterForm {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    low: Option<f64>,
    high: Option<f64>,
    #[serde(default)]
    log: bool,
    #[serde(default)]
    logit: bool,
    step: Option<f64>,
    values: Option<Vec<Value>>,
    default: Option<Value>,
    #[serde(default)]
    when: BTreeMap<String, OneOrMany>,
    description: Option<String>,
    #[serde(default)]
    choice: Vec<ChoiceForm>,
}

/// A value that opens parameters of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceForm {
    value: Value,
    #[serde(default)]
    parameter: Vec<ParameterForm>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

impl Space {
    /// A space from TOML: `[[parameter]]` tables with `name`, `type`, `low`, `high`, `log`, `logit`, `step`, `values`,
    /// `default`, `when`, `description`; `[[parameter.choice]]` tables (`value`, `[[parameter.choice.parameter]]`) for
    /// choices that open parameters of their own; `[[constraint]]` tables with `rule` and `because`; a `[scale]` table
    /// with the fields of [`formula::Scale`](crate::formula::Scale).
    pub fn from_toml(text: &str) -> Result<Self, SpaceError> {
        check_length(text)?;
        let form: SpaceForm = toml::from_str(text).map_err(|error| unreadable(&in_a_line(&error, text)))?;
        form.build()
    }

    /// A space from JSON, with the same fields as the TOML form.
    pub fn from_json(text: &str) -> Result<Self, SpaceError> {
        check_length(text)?;
        let form: SpaceForm = serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))?;
        form.build()
    }

    /// The JSON form, flat: choices that open spaces are written as `when`.
    pub fn to_json(&self) -> Value {
        let parameters: Vec<Value> = self.parameters().iter().map(written).collect();
        let mut whole = json!({ "parameter": parameters });
        if !self.rules().is_empty() {
            let rules = self.rules().iter().map(|rule| match rule.because() {
                Some(because) => json!({ "rule": rule.to_string(), "because": because }),
                None => json!({ "rule": rule.to_string() }),
            });
            whole["constraint"] = rules.collect();
        }
        if let Some(scale) = self.scale() {
            whole["scale"] = json!(scale);
        }
        whole
    }
}

impl Serialize for Space {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Space {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SpaceForm::deserialize(deserializer)?.build().map_err(serde::de::Error::custom)
    }
}

fn check_length(text: &str) -> Result<(), SpaceError> {
    if text.len() <= BYTES_MAX {
        return Ok(());
    }
    Err(unreadable(&format!("it has more than {BYTES_MAX} bytes")))
}

/// What the parser says, in one line: a drawing of the place does not survive on a line of its own.
fn in_a_line(error: &toml::de::Error, text: &str) -> String {
    let problem = error.message().trim().replace('\n', "; ");
    let at = error.span().map(|span| text.get(..span.start).unwrap_or_default());
    match at {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}: {problem}")
        }
        None => problem,
    }
}

fn unreadable(problem: &str) -> SpaceError {
    SpaceError::whole(SpaceErrorKind::Form { problem: problem.into() })
}

impl SpaceForm {
    fn build(self) -> Result<Space, SpaceError> {
        let mut parameters = Vec::new();
        for form in self.parameter {
            form.build(&[], 0, &mut parameters)?;
        }
        let rules = self.constraint.into_iter().map(|form| Rule::new(&form.rule, form.because));
        let space = Space::new(parameters, rules.collect::<Result<_, _>>()?)?;
        let Some(scale) = self.scale else { return Ok(space) };
        match scale.odd() {
            Some((field, value)) => Err(SpaceError::whole(SpaceErrorKind::ScaleNumber { field, value })),
            None => Ok(space.with_scale(scale)),
        }
    }
}

impl ParameterForm {
    fn build(self, above: &[Condition], depth: usize, found: &mut Vec<Parameter>) -> Result<(), SpaceError> {
        if depth > DEPTH_MAX {
            return Err(unreadable(&format!("choices are nested more than {DEPTH_MAX} deep")));
        }
        let domain = self.domain().map_err(|kind| SpaceError::at(&self.name, kind))?;
        let own = self.when.into_iter().map(|(parameter, values)| Condition {
            parameter,
            values: match values {
                OneOrMany::Many(values) => values,
                OneOrMany::One(value) => vec![value],
            },
        });
        let when = merged(above.iter().cloned().chain(own));
        let name = self.name;
        let description = self.description;
        found.push(Parameter { name: name.clone(), domain, default: self.default, when, description });
        for choice in self.choice {
            let opened = [Condition { parameter: name.clone(), values: vec![choice.value] }];
            for form in choice.parameter {
                form.build(&opened, depth + 1, found)?;
            }
        }
        Ok(())
    }

    fn domain(&self) -> Result<Domain, SpaceErrorKind> {
        let kind = match self.kind.as_str() {
            "float" => "float",
            "int" => "int",
            "bool" => "bool",
            "categorical" => "categorical",
            "ordinal" => "ordinal",
            _ => return Err(SpaceErrorKind::Type { found: self.kind.clone() }),
        };
        let number = matches!(kind, "float" | "int");
        let fields = [
            ("low", self.low.is_some(), number),
            ("high", self.high.is_some(), number),
            ("step", self.step.is_some(), number),
            ("log", self.log, number || kind == "ordinal"),
            ("logit", self.logit, kind == "float"),
            ("values", self.values.is_some(), matches!(kind, "categorical" | "ordinal")),
            ("choice", !self.choice.is_empty(), matches!(kind, "categorical" | "ordinal" | "bool" | "int")),
        ];
        for (field, given, fits) in fields {
            if given && !fits {
                return Err(SpaceErrorKind::Superfluous { field, kind });
            }
        }
        let scale = match (self.log, self.logit) {
            (true, true) => return Err(SpaceErrorKind::Both { first: "log", second: "logit" }),
            (true, false) => Scale::Log,
            (false, true) => Scale::Logit,
            (false, false) => Scale::Linear,
        };
        let low = || self.low.ok_or(SpaceErrorKind::Missing { field: "low" });
        let high = || self.high.ok_or(SpaceErrorKind::Missing { field: "high" });
        Ok(match kind {
            "float" => Domain::Float { low: low()?, high: high()?, scale, step: self.step },
            "int" => Domain::Int {
                low: whole("low", low()?)?,
                high: whole("high", high()?)?,
                scale,
                step: whole("step", self.step.unwrap_or(1.0))?,
            },
            "bool" => Domain::Bool,
            _ => {
                // A categorical parameter may list its values by its choices alone.
                let opened = || self.choice.iter().map(|choice| choice.value.clone()).collect::<Vec<_>>();
                let values = match &self.values {
                    Some(values) => values.clone(),
                    None if !self.choice.is_empty() => opened(),
                    None => return Err(SpaceErrorKind::Missing { field: "values" }),
                };
                match kind {
                    "categorical" => Domain::Categorical { values },
                    _ => Domain::Ordinal { values, scale },
                }
            }
        })
    }
}

/// One condition for each parameter: of two on the same one both must hold.
fn merged(conditions: impl Iterator<Item = Condition>) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::new();
    for condition in conditions {
        match merged.iter_mut().find(|known| known.parameter == condition.parameter) {
            Some(known) => {
                known.values.retain(|value| condition.values.iter().any(|other| same(value, other)));
            }
            None => merged.push(condition),
        }
    }
    merged
}

fn whole(field: &'static str, value: f64) -> Result<i64, SpaceErrorKind> {
    if !value.is_finite() || value.abs() > 9e15 {
        return Err(SpaceErrorKind::NotFinite { field, value });
    }
    if value.fract() != 0.0 {
        return Err(SpaceErrorKind::NotWhole { field, value });
    }
    Ok(value as i64)
}

fn written(parameter: &Parameter) -> Value {
    let mut form = json!({ "name": parameter.name });
    let scale = |form: &mut Value, scale: Scale| match scale {
        Scale::Linear => {}
        Scale::Log => form["log"] = Value::Bool(true),
        Scale::Logit => form["logit"] = Value::Bool(true),
    };
    match &parameter.domain {
        Domain::Float { low, high, scale: on, step } => {
            form["type"] = "float".into();
            form["low"] = (*low).into();
            form["high"] = (*high).into();
            scale(&mut form, *on);
            if let Some(step) = step {
                form["step"] = (*step).into();
            }
        }
        Domain::Int { low, high, scale: on, step } => {
            form["type"] = "int".into();
            form["low"] = (*low).into();
            form["high"] = (*high).into();
            scale(&mut form, *on);
            if *step != 1 {
                form["step"] = (*step).into();
            }
        }
        Domain::Bool => form["type"] = "bool".into(),
        Domain::Categorical { values } => {
            form["type"] = "categorical".into();
            form["values"] = values.clone().into();
        }
        Domain::Ordinal { values, scale: on } => {
            form["type"] = "ordinal".into();
            form["values"] = values.clone().into();
            scale(&mut form, *on);
        }
    }
    if let Some(default) = &parameter.default {
        form["default"] = default.clone();
    }
    if !parameter.when.is_empty() {
        let when = parameter
            .when
            .iter()
            .map(|condition| (condition.parameter.clone(), condition.values.clone().into()));
        form["when"] = Value::Object(when.collect());
    }
    if let Some(description) = &parameter.description {
        form["description"] = description.clone().into();
    }
    form
}
