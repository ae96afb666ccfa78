//! Configurations of a space: defaults, rounding to what can make a difference, and what of a space can be searched.

use ansatz_core::candidate::{Dimension, Params, Space};
use serde_json::{Value, json};

/// The configuration that a space starts from.
pub fn defaults(space: &Space) -> Params {
    snap(space, &Params::new())
}

/// The nearest configuration of the space: unknown names go, missing ones get their default, numbers are kept within
/// their bounds and rounded to what can make a difference (whole numbers; three significant digits).
pub fn snap(space: &Space, params: &Params) -> Params {
    space.iter().map(|(name, dimension)| (name.clone(), snap_value(dimension, params.get(name)))).collect()
}

fn snap_value(dimension: &Dimension, value: Option<&Value>) -> Value {
    let number = value.and_then(Value::as_f64).filter(|number| number.is_finite());
    match dimension {
        Dimension::Float { low, high, default, .. } => {
            json!(rounded(within(number.unwrap_or(*default), *low, *high), *low, *high))
        }
        Dimension::Int { low, high, default, .. } => {
            let number = number.map_or(*default, |number| number.round() as i64);
            json!(number.clamp(*low, (*high).max(*low)))
        }
        Dimension::Categorical { values, default } => {
            value.filter(|value| values.contains(value)).unwrap_or(default).clone()
        }
    }
}

/// Three significant digits, without leaving the bounds.
fn rounded(value: f64, low: f64, high: f64) -> f64 {
    within(format!("{value:.2e}").parse().unwrap_or(value), low, high)
}

/// Between the bounds as far as they make sense.
fn within(value: f64, low: f64, high: f64) -> f64 {
    value.max(low).min(high.max(low))
}

/// A configuration as a text that equal configurations share.
pub(super) fn key(params: &Params) -> String {
    serde_json::to_string(params).unwrap_or_default()
}

/// The dimensions that can be searched, made consistent: a default within its bounds, logarithms of positive numbers only.
/// What has no two values, or values that are none, is left out.
pub(super) fn searchable(space: &Space) -> Space {
    let sound = |(name, dimension): (&String, &Dimension)| {
        let default = snap_value(dimension, None);
        let dimension = match dimension.clone() {
            Dimension::Float { low, high, log, .. } => {
                Dimension::Float { low, high, log: log && low > 0.0, default: default.as_f64()? }
            }
            Dimension::Int { low, high, log, .. } => {
                Dimension::Int { low, high, log: log && low > 0, default: default.as_i64()? }
            }
            Dimension::Categorical { values, .. } => Dimension::Categorical { values, default },
        };
        let alone = Space::from([(name.clone(), dimension.clone())]);
        ansatz_tuner::space::Space::from_solution(&alone).is_ok().then(|| (name.clone(), dimension))
    };
    space.iter().filter_map(sound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> Space {
        Space::from([
            ("a".into(), Dimension::Float { low: 1e-3, high: 30.0, log: true, default: 1.0 }),
            ("b".into(), Dimension::Int { low: 50, high: 2000, log: true, default: 400 }),
            ("c".into(), Dimension::Float { low: 0.2, high: 1.0, log: false, default: 0.6 }),
            (
                "d".into(),
                Dimension::Categorical { values: vec![json!(false), json!(true)], default: json!(false) },
            ),
        ])
    }

    fn check(params: &str, expected: &str) {
        let params: Params = serde_json::from_str(params).unwrap();
        assert_eq!(serde_json::to_string(&snap(&space(), &params)).unwrap(), expected);
    }

    #[test]
    fn snapping_bounds_rounds_and_fills_in() {
        check("{}", r#"{"a":1.0,"b":400,"c":0.6,"d":false}"#);
        check(r#"{"a":99.0,"b":1,"c":0.123,"d":true}"#, r#"{"a":30.0,"b":50,"c":0.2,"d":true}"#);
        check(r#"{"a":0.012345,"b":99.6,"d":"x","e":1}"#, r#"{"a":0.0123,"b":100,"c":0.6,"d":false}"#);
        check(r#"{"a":"many","b":null}"#, r#"{"a":1.0,"b":400,"c":0.6,"d":false}"#);
    }

    #[test]
    fn what_cannot_be_searched_is_left_out_and_the_rest_made_consistent() {
        let odd = Space::from([
            ("a".into(), Dimension::Float { low: 0.0, high: 1.0, log: true, default: 7.0 }),
            ("b".into(), Dimension::Int { low: 5, high: 1, log: false, default: 3 }),
            ("c".into(), Dimension::Categorical { values: vec![], default: json!("x") }),
            ("d".into(), Dimension::Categorical { values: vec![json!(1), json!(null)], default: json!(1) }),
            ("e".into(), Dimension::Float { low: f64::NAN, high: 1.0, log: false, default: 0.0 }),
        ]);
        let sound = searchable(&odd);
        assert_eq!(sound.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(sound["a"], Dimension::Float { low: 0.0, high: 1.0, log: false, default: 1.0 });
        assert_eq!(searchable(&space()), space());
    }
}
