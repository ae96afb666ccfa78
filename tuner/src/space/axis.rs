//! What the coordinate of a parameter means.
//!
//! A real number's coordinate is its place in [0, 1] on its own scale. Any other parameter's coordinate is the index
//! of its value (*level*), from 0. Ordered levels have a place in [0, 1] too, in the middle of a *cell* whose
//! neighbours begin where it ends: so the same density serves real and whole numbers.

use super::{Domain, Scale, SpaceErrorKind, VALUES_MAX};
use serde_json::Value;

/// How the values of a parameter relate to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// A continuum; the coordinate is a place in [0, 1].
    Real,
    /// Ordered levels.
    Grid,
    /// Levels without an order.
    Choice,
}

/// The numeric view of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    kind: AxisKind,
    levels: u64,
    spacing: Spacing,
    domain: Domain,
}

#[derive(Debug, Clone, PartialEq)]
enum Spacing {
    /// `low + level · step` on a scale, cells half a step to either side.
    Even { low: f64, high: f64, step: f64, scale: Scale },
    /// Places and edges of cells in [0, 1] (one edge more than places).
    Listed { places: Vec<f64>, edges: Vec<f64> },
}

/// Whole numbers up to here are exact in `f64`.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

fn forward(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => value.ln(),
        Scale::Logit => (value / (1.0 - value)).ln(),
    }
}

fn backward(scale: Scale, place: f64) -> f64 {
    match scale {
        Scale::Linear => place,
        Scale::Log => place.exp(),
        Scale::Logit => 1.0 / (1.0 + (-place).exp()),
    }
}

fn check_bounds(low: f64, high: f64, scale: Scale) -> Result<(), SpaceErrorKind> {
    for (field, value) in [("low", low), ("high", high)] {
        if !value.is_finite() {
            return Err(SpaceErrorKind::NotFinite { field, value });
        }
    }
    if low > high {
        return Err(SpaceErrorKind::Bounds { low, high });
    }
    if !(high - low).is_finite() {
        return Err(SpaceErrorKind::NotFinite { field: "high", value: high });
    }
    match scale {
        Scale::Log if low <= 0.0 => Err(SpaceErrorKind::LogOfZero { low }),
        Scale::Logit if low <= 0.0 || high >= 1.0 => Err(SpaceErrorKind::Logit { low, high }),
        _ => Ok(()),
    }
}

fn check_values(values: &[Value]) -> Result<(), SpaceErrorKind> {
    if values.is_empty() {
        return Err(SpaceErrorKind::NoValues);
    }
    if values.len() > VALUES_MAX {
        return Err(SpaceErrorKind::TooManyValues { found: values.len() });
    }
    let mut seen = std::collections::HashSet::new();
    for value in values {
        if !(value.is_string() || value.is_number() || value.is_boolean()) {
            return Err(SpaceErrorKind::ValueKind { value: value.clone() });
        }
        let key = value.as_f64().map_or_else(|| value.to_string(), |number| format!("{number:?}"));
        if !seen.insert(key) {
            return Err(SpaceErrorKind::ValueTwice { value: value.clone() });
        }
    }
    Ok(())
}

/// Equal as values: 1 and 1.0 are the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

impl Axis {
    pub(super) fn of(domain: &Domain) -> Result<Self, SpaceErrorKind> {
        let (kind, levels, spacing) = match domain {
            Domain::Float { low, high, scale, step } => {
                check_bounds(*low, *high, *scale)?;
                match step {
                    None if low == high => (AxisKind::Grid, 1, even(*low, *low, 1.0, Scale::Linear)),
                    None => (AxisKind::Real, 0, even(*low, *high, 0.0, *scale)),
                    Some(_) if *scale != Scale::Linear => {
                        return Err(SpaceErrorKind::Both { first: "log or logit", second: "step" });
                    }
                    Some(step) => {
                        let count = stepped(*low, *high, *step)?;
                        (AxisKind::Grid, count, even(*low, *low + (count - 1) as f64 * step, *step, *scale))
                    }
                }
            }
            Domain::Int { low, high, scale, step } => {
                for (field, value) in [("low", *low), ("high", *high)] {
                    if (value as f64).abs() >= WHOLE_MAX {
                        return Err(SpaceErrorKind::NotFinite { field, value: value as f64 });
                    }
                }
                let (low, high, step) = (*low as f64, *high as f64, *step as f64);
                check_bounds(low, high, *scale)?;
                if *scale == Scale::Logit {
                    return Err(SpaceErrorKind::Logit { low, high });
                }
                let count = stepped(low, high, step)?;
                (AxisKind::Grid, count, even(low, low + (count - 1) as f64 * step, step, *scale))
            }
            Domain::Bool => (AxisKind::Choice, 2, even(0.0, 1.0, 1.0, Scale::Linear)),
            Domain::Categorical { values } => {
                check_values(values)?;
                let count = values.len();
                (AxisKind::Choice, count as u64, even(0.0, (count - 1) as f64, 1.0, Scale::Linear))
            }
            Domain::Ordinal { values, scale } => {
                check_values(values)?;
                let spacing = match scale {
                    Scale::Linear => even(0.0, (values.len() - 1) as f64, 1.0, Scale::Linear),
                    Scale::Log => listed(values)?,
                    Scale::Logit => return Err(SpaceErrorKind::OrdinalLog),
                };
                (AxisKind::Grid, values.len() as u64, spacing)
            }
        };
        Ok(Self { kind, levels, spacing, domain: domain.clone() })
    }

    /// How its values relate to one another.
    pub fn kind(&self) -> AxisKind {
        self.kind
    }

    /// The number of its values; 0 for a continuum.
    pub fn levels(&self) -> u64 {
        self.levels
    }

    /// The place in [0, 1] of a coordinate. For unordered levels the place says nothing about nearness.
    pub fn place(&self, coordinate: f64) -> f64 {
        if self.kind == AxisKind::Real {
            return coordinate;
        }
        match &self.spacing {
            Spacing::Listed { places, .. } => places[(coordinate as usize).min(places.len() - 1)],
            Spacing::Even { low, step, scale, .. } => {
                self.even_place(forward(*scale, low + coordinate * step))
            }
        }
    }

    /// Where the cell of a level begins and ends in [0, 1].
    pub fn cell(&self, level: u64) -> (f64, f64) {
        match &self.spacing {
            Spacing::Listed { edges, .. } => {
                let level = (level as usize).min(edges.len() - 2);
                (edges[level], edges[level + 1])
            }
            Spacing::Even { low, step, scale, .. } => {
                let middle = low + level as f64 * step;
                let edge = |value: f64| self.even_place(forward(*scale, value));
                (edge(middle - step / 2.0), edge(middle + step / 2.0))
            }
        }
    }

    /// The coordinate at a place in [0, 1]: the place itself, or the level whose cell it falls into.
    pub fn coordinate_at(&self, place: f64) -> f64 {
        let place = place.clamp(0.0, 1.0);
        if self.kind == AxisKind::Real {
            return place;
        }
        let last = (self.levels - 1) as f64;
        match &self.spacing {
            Spacing::Listed { edges, .. } => {
                (edges[1..].partition_point(|edge| *edge <= place) as f64).min(last)
            }
            Spacing::Even { low, step, scale, .. } => {
                let (from, to) = self.ends();
                let value = backward(*scale, from + place * (to - from));
                ((value - low) / step).round().clamp(0.0, last)
            }
        }
    }

    /// The value at a coordinate.
    pub fn value(&self, coordinate: f64) -> Value {
        match &self.domain {
            Domain::Bool => Value::Bool(coordinate as u64 == 1),
            Domain::Categorical { values } | Domain::Ordinal { values, .. } => {
                values[(coordinate as usize).min(values.len() - 1)].clone()
            }
            Domain::Int { low, step, .. } => Value::from(low + coordinate as i64 * step),
            Domain::Float { low, high, scale, step } => {
                let number = match step {
                    _ if low == high => *low,
                    Some(step) => tidy(low + coordinate * step, *step).clamp(*low, *high),
                    None => {
                        let (from, to) = self.ends();
                        short(backward(*scale, from + coordinate * (to - from))).clamp(*low, *high)
                    }
                };
                Value::from(number)
            }
        }
    }

    /// The coordinate of a value; `None` if it is not one of this parameter's values.
    pub fn coordinate_of(&self, value: &Value) -> Option<f64> {
        match &self.domain {
            Domain::Bool => value.as_bool().map(|yes| f64::from(u8::from(yes))),
            Domain::Categorical { values } | Domain::Ordinal { values, .. } => {
                values.iter().position(|listed| same(listed, value)).map(|level| level as f64)
            }
            Domain::Int { low, high, step, .. } => {
                let number = value.as_f64()?;
                let level = (number - *low as f64) / *step as f64;
                (number >= *low as f64 && number <= *high as f64 && level.fract() == 0.0).then_some(level)
            }
            Domain::Float { low, high, scale, step } => {
                let number = value.as_f64()?;
                if !(*low..=*high).contains(&number) {
                    return None;
                }
                match step {
                    _ if low == high => Some(0.0),
                    Some(step) => {
                        let level = (number - low) / step;
                        ((level - level.round()).abs() < 1e-6).then_some(level.round())
                    }
                    None => {
                        let (from, to) = self.ends();
                        Some(((forward(*scale, number) - from) / (to - from)).clamp(0.0, 1.0))
                    }
                }
            }
        }
    }

    /// The coordinate of the number nearest to `number`; `None` for parameters that are not numbers.
    pub(super) fn nearest(&self, number: f64) -> Option<f64> {
        match &self.domain {
            Domain::Bool | Domain::Categorical { .. } => None,
            Domain::Ordinal { values, .. } => {
                let numbers: Option<Vec<f64>> = values.iter().map(Value::as_f64).collect();
                let far = |listed: &f64| {
                    // Nearness by ratio where all are positive: 900 is nearer to 1,000 than to 100 on any scale.
                    if *listed > 0.0 && number > 0.0 {
                        (listed / number).ln().abs()
                    } else {
                        (listed - number).abs()
                    }
                };
                let numbers = numbers?;
                let level =
                    (0..numbers.len()).min_by(|a, b| far(&numbers[*a]).total_cmp(&far(&numbers[*b])))?;
                Some(level as f64)
            }
            Domain::Int { low, step, .. } => {
                let last = (self.levels - 1) as f64;
                Some(((number - *low as f64) / *step as f64).round().clamp(0.0, last))
            }
            Domain::Float { low, high, step: Some(step), .. } => {
                let last = (self.levels - 1) as f64;
                Some(((number.clamp(*low, *high) - low) / step).round().clamp(0.0, last))
            }
            Domain::Float { low, high, .. } => self.coordinate_of(&Value::from(number.clamp(*low, *high))),
        }
    }

    /// The ends of an evenly spaced axis on its own scale, half a step beyond the first and the last level.
    fn ends(&self) -> (f64, f64) {
        match &self.spacing {
            Spacing::Listed { .. } => (0.0, 1.0),
            Spacing::Even { low, high, step, scale } => {
                // On a logarithmic scale half a step may reach zero; half of the lowest value is as good an end.
                let first = low - step / 2.0;
                let first = if *scale == Scale::Log { first.max(low / 2.0) } else { first };
                (forward(*scale, first), forward(*scale, high + step / 2.0))
            }
        }
    }

    fn even_place(&self, at: f64) -> f64 {
        let (from, to) = self.ends();
        ((at - from) / (to - from)).clamp(0.0, 1.0)
    }
}

fn even(low: f64, high: f64, step: f64, scale: Scale) -> Spacing {
    Spacing::Even { low, high, step, scale }
}

/// The number of values from `low` in steps up to `high`.
fn stepped(low: f64, high: f64, step: f64) -> Result<u64, SpaceErrorKind> {
    if !step.is_finite() || step <= 0.0 || (high > low && step > high - low) {
        return Err(SpaceErrorKind::Step { step });
    }
    let count = ((high - low) / step + 1e-9).floor();
    if count >= WHOLE_MAX {
        return Err(SpaceErrorKind::Step { step });
    }
    Ok(count as u64 + 1)
}

/// Places of listed numbers by their logarithms, cells ending halfway between neighbours.
fn listed(values: &[Value]) -> Result<Spacing, SpaceErrorKind> {
    let logs: Option<Vec<f64>> =
        values.iter().map(|value| value.as_f64().filter(|number| *number > 0.0).map(f64::ln)).collect();
    let mut logs = logs.ok_or(SpaceErrorKind::OrdinalLog)?;
    if logs.len() == 1 {
        return Ok(even(0.0, 0.0, 1.0, Scale::Linear));
    }
    if logs[0] > logs[1] {
        logs = logs.iter().map(|log| -log).collect();
    }
    if logs.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(SpaceErrorKind::OrdinalLog);
    }
    let last = logs.len() - 1;
    let mut edges = vec![logs[0] - (logs[1] - logs[0]) / 2.0];
    edges.extend(logs.windows(2).map(|pair| f64::midpoint(pair[0], pair[1])));
    edges.push(logs[last] + (logs[last] - logs[last - 1]) / 2.0);
    let (from, to) = (edges[0], edges[last + 1]);
    let place = |at: &f64| (at - from) / (to - from);
    Ok(Spacing::Listed { places: logs.iter().map(place).collect(), edges: edges.iter().map(place).collect() })
}

/// A number to twelve digits: more would only show how binary fractions are rounded.
fn short(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

/// A multiple of a step without the dust of binary fractions: 0.3 rather than 0.30000000000000004.
fn tidy(value: f64, step: f64) -> f64 {
    let digits = (9.0 - step.abs().log10().floor()).clamp(0.0, 300.0) as usize;
    format!("{value:.digits$}").parse().unwrap_or(value)
}
