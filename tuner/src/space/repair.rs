//! Configurations from outside: checked strictly, or repaired where the meaning is plain.

use super::{Axis, Domain, Params, Point, Space, nearest};
use serde_json::Value;
use std::fmt;

/// A configuration that was made to fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// The point.
    pub point: Point,
    /// The configuration at the point.
    pub params: Params,
    /// What had to be changed; empty if nothing.
    pub changes: Vec<Change>,
}

/// Something that was changed in a configuration to make it fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The parameter.
    pub parameter: String,
    /// What was given, if anything was.
    pub given: Option<Value>,
    /// What was taken, if the parameter counts.
    pub taken: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.given, &self.taken) {
            (Some(given), Some(taken)) => write!(f, "`{}` = {given} became {taken}", self.parameter),
            (None, Some(taken)) => write!(f, "`{}` was missing and became {taken}", self.parameter),
            (_, None) => write!(f, "`{}` was dropped: it does not count here", self.parameter),
        }
    }
}

/// Why a configuration does not fit a space: one reason for each thing that is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the configuration does not fit: {}", reasons.join("; "))]
pub struct ParamsError {
    /// The reasons, each a clause that names the parameter.
    pub reasons: Vec<String>,
}

impl Space {
    /// The point of a configuration that fits exactly: every parameter that counts has one of its values, no other is
    /// given, every rule holds.
    pub fn point(&self, params: &Params) -> Result<Point, ParamsError> {
        let mut reasons = Vec::new();
        let point = self.fill(|place, _| {
            let parameter = &self.parameters()[place];
            let Some(value) = params.get(&parameter.name) else {
                reasons.push(format!("`{}` is missing", parameter.name));
                return 0.0;
            };
            self.axes()[place].coordinate_of(value).unwrap_or_else(|| {
                reasons.push(format!("`{}` = {value} is not {}", parameter.name, parameter.domain));
                0.0
            })
        });
        for name in params.keys() {
            match self.place(name) {
                None => reasons.push(self.unknown(name)),
                Some(place) if point.get(place).is_none() && reasons.is_empty() => {
                    reasons.push(format!("`{name}` does not count here"));
                }
                Some(_) => {}
            }
        }
        self.refuse_or(reasons, point)
    }

    /// The nearest point to a configuration: numbers are clamped, rounded and snapped, texts that hold numbers are
    /// read, what is missing takes its default or its middle, what does not count is dropped. A value without a near
    /// one (an unknown choice, no number) and a broken rule are refused with the reason.
    pub fn repair(&self, params: &Params) -> Result<Repaired, ParamsError> {
        let mut reasons = Vec::new();
        let mut changes = Vec::new();
        let point = self.fill(|place, _| {
            let parameter = &self.parameters()[place];
            let axis = &self.axes()[place];
            let given = params.get(&parameter.name);
            let coordinate = match given {
                None => self.start(place),
                Some(value) => fitted(axis, &parameter.domain, value).unwrap_or_else(|| {
                    reasons.push(format!("`{}` = {value} is not {}", parameter.name, parameter.domain));
                    0.0
                }),
            };
            let taken = axis.value(coordinate);
            if given.is_none_or(|value| axis.coordinate_of(value) != Some(coordinate)) {
                let (parameter, given) = (parameter.name.clone(), given.cloned());
                changes.push(Change { parameter, given, taken: Some(taken) });
            }
            coordinate
        });
        for (name, value) in params {
            let counts = self.place(name).is_some_and(|place| point.get(place).is_some());
            if !counts {
                changes.push(Change { parameter: name.clone(), given: Some(value.clone()), taken: None });
            }
        }
        let point = self.refuse_or(reasons, point)?;
        let params = self.params(&point);
        Ok(Repaired { point, params, changes })
    }

    /// Where every parameter has its default, or the middle of its range (the first of unordered values).
    pub fn start_point(&self) -> Point {
        self.fill(|place, _| self.start(place))
    }

    fn start(&self, place: usize) -> f64 {
        let axis = &self.axes()[place];
        let default = self.parameters()[place].default.as_ref().and_then(|value| axis.coordinate_of(value));
        default.unwrap_or_else(|| match axis.kind() {
            super::AxisKind::Choice => 0.0,
            _ => axis.coordinate_at(0.5),
        })
    }

    fn unknown(&self, name: &str) -> String {
        let near = nearest(name, self.parameters().iter().map(|parameter| &parameter.name));
        let hint = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        format!("`{name}` is not a parameter{hint}")
    }

    fn refuse_or(&self, mut reasons: Vec<String>, point: Point) -> Result<Point, ParamsError> {
        if reasons.is_empty()
            && let Some(rule) = self.broken_rule(&self.params(&point))
        {
            let because = rule.because().map(|why| format!(" ({why})")).unwrap_or_default();
            reasons.push(format!("the rule `{rule}` is broken{because}"));
        }
        if reasons.is_empty() { Ok(point) } else { Err(ParamsError { reasons }) }
    }
}

/// The coordinate nearest to what a value seems to mean.
fn fitted(axis: &Axis, domain: &Domain, value: &Value) -> Option<f64> {
    if let Some(exact) = axis.coordinate_of(value) {
        return Some(exact);
    }
    let text = value.as_str().map(str::trim);
    match domain {
        Domain::Bool => {
            let yes = match (text.map(str::to_ascii_lowercase).as_deref(), value.as_f64()) {
                (Some("true" | "yes" | "on" | "1"), _) | (None, Some(1.0)) => true,
                (Some("false" | "no" | "off" | "0"), _) | (None, Some(0.0)) => false,
                _ => return None,
            };
            Some(f64::from(u8::from(yes)))
        }
        Domain::Categorical { values } => {
            // `Relu` for `relu`, "3" for 3, and the other way round.
            let plain = |value: &Value| {
                value.as_str().map_or_else(|| value.to_string(), str::to_owned).trim().to_lowercase()
            };
            let wanted = plain(value);
            values.iter().position(|listed| plain(listed) == wanted).map(|level| level as f64)
        }
        Domain::Ordinal { values, .. } if values.iter().any(|listed| !listed.is_number()) => {
            let wanted = text?.to_lowercase();
            let found =
                |listed: &Value| listed.as_str().is_some_and(|listed| listed.to_lowercase() == wanted);
            values.iter().position(found).map(|level| level as f64)
        }
        _ => {
            let number = value.as_f64().or_else(|| text?.parse().ok()).filter(|number| number.is_finite())?;
            axis.nearest(number)
        }
    }
}

impl fmt::Display for Domain {
    /// What a value has to be, as a clause that follows "is not".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, values: &[Value]| {
            let shown: Vec<String> = values.iter().take(12).map(Value::to_string).collect();
            let more = if values.len() > shown.len() { ", …" } else { "" };
            write!(f, "one of {}{more}", shown.join(", "))
        };
        match self {
            Self::Float { low, high, step: None, .. } => write!(f, "a number from {low:?} to {high:?}"),
            Self::Float { low, high, step: Some(step), .. } => {
                write!(f, "a number from {low:?} to {high:?} in steps of {step:?}")
            }
            Self::Int { low, high, step: 1, .. } => write!(f, "a whole number from {low} to {high}"),
            Self::Int { low, high, step, .. } => {
                write!(f, "a whole number from {low} to {high} in steps of {step}")
            }
            Self::Bool => write!(f, "true or false"),
            Self::Categorical { values } | Self::Ordinal { values, .. } => list(f, values),
        }
    }
}
