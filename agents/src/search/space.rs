//! Points of a search space: sampling, rounding to what can make a difference, distances.

use ansatz_core::candidate::{Dimension, Params, Space};
use rand::Rng;
use serde_json::{Value, json};

/// A configuration by dimension, in the order of the space: numbers scaled to 0…1 (logarithms where asked),
/// categories as their index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point(Vec<Coordinate>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinate {
    Number(f64),
    Category(usize),
}

impl Point {
    /// Root mean squared difference over the dimensions: 0 for equal points, at most 1.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let squares = self.0.iter().zip(&other.0).map(|pair| match pair {
            (Coordinate::Number(a), Coordinate::Number(b)) => (a - b).powi(2),
            // Another category is like another region, but not like the other end of everything.
            (a, b) => f64::from(u8::from(a != b)) * 0.25,
        });
        (squares.sum::<f64>() / self.0.len().max(1) as f64).sqrt()
    }
}

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
            json!(rounded(number.unwrap_or(*default).clamp(*low, high.max(*low)), *low, *high))
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
    format!("{value:.2e}").parse::<f64>().unwrap_or(value).clamp(low, high.max(low))
}

/// A configuration as a text that equal configurations share.
pub(super) fn key(params: &Params) -> String {
    serde_json::to_string(params).unwrap_or_default()
}

/// The point of a snapped configuration.
pub(super) fn point_of(space: &Space, params: &Params) -> Point {
    let coordinate = |(name, dimension): (&String, &Dimension)| match dimension {
        Dimension::Float { low, high, log, .. } => {
            Coordinate::Number(scaled(number(params, name), *low, *high, *log))
        }
        Dimension::Int { low, high, log, .. } => {
            Coordinate::Number(scaled(number(params, name), *low as f64, *high as f64, *log))
        }
        Dimension::Categorical { values, .. } => {
            let place = params.get(name).and_then(|value| values.iter().position(|known| known == value));
            Coordinate::Category(place.unwrap_or(0))
        }
    };
    Point(space.iter().map(coordinate).collect())
}

fn number(params: &Params, name: &str) -> f64 {
    params.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

/// The snapped configuration of a point.
pub(super) fn params_of(space: &Space, point: &Point) -> Params {
    let raw: Params = space
        .iter()
        .zip(&point.0)
        .map(|((name, dimension), coordinate)| {
            let value = match (dimension, coordinate) {
                (Dimension::Float { low, high, log, .. }, Coordinate::Number(at)) => {
                    json!(unscaled(*at, *low, *high, *log))
                }
                (Dimension::Int { low, high, log, .. }, Coordinate::Number(at)) => {
                    json!(unscaled(*at, *low as f64, *high as f64, *log))
                }
                (Dimension::Categorical { values, .. }, Coordinate::Category(at)) => {
                    values.get(*at).cloned().unwrap_or(Value::Null)
                }
                _ => Value::Null,
            };
            (name.clone(), value)
        })
        .collect();
    snap(space, &raw)
}

fn is_log(low: f64, log: bool) -> bool {
    log && low > 0.0
}

fn scaled(value: f64, low: f64, high: f64, log: bool) -> f64 {
    if high <= low {
        0.0
    } else if is_log(low, log) {
        (value.max(low).ln() - low.ln()) / (high.ln() - low.ln())
    } else {
        (value - low) / (high - low)
    }
}

fn unscaled(at: f64, low: f64, high: f64, log: bool) -> f64 {
    if high <= low {
        low
    } else if is_log(low, log) {
        (low.ln() + at * (high.ln() - low.ln())).exp()
    } else {
        low + at * (high - low)
    }
}

/// A point anywhere in the space.
pub(super) fn random_point(space: &Space, rng: &mut impl Rng) -> Point {
    let coordinate = |dimension: &Dimension| match dimension {
        Dimension::Categorical { values, .. } => {
            Coordinate::Category(rng.random_range(0..values.len().max(1)))
        }
        Dimension::Float { .. } | Dimension::Int { .. } => Coordinate::Number(rng.random::<f64>()),
    };
    Point(space.values().map(coordinate).collect())
}

/// A point near `centre`: about half of the dimensions move by about `spread`, at least one does.
pub(super) fn shaken(space: &Space, centre: &Point, spread: f64, rng: &mut impl Rng) -> Point {
    let dimensions = space.len();
    let always = if dimensions == 0 { 0 } else { rng.random_range(0..dimensions) };
    let coordinates = space.values().zip(&centre.0).enumerate().map(|(place, (dimension, coordinate))| {
        let moves = place == always || rng.random_bool(0.5);
        match (dimension, *coordinate) {
            (_, same) if !moves => same,
            (Dimension::Categorical { values, .. }, Coordinate::Category(at)) => {
                // Another category is a large step: taken half as often as a small one.
                let leaves = place == always || rng.random_bool(0.5);
                Coordinate::Category(if leaves { rng.random_range(0..values.len().max(1)) } else { at })
            }
            (_, Coordinate::Number(at)) => Coordinate::Number(reflected(at + spread * bell(rng))),
            (_, other) => other,
        }
    });
    Point(coordinates.collect())
}

/// About normally distributed with standard deviation 1, within ±3.5.
fn bell(rng: &mut impl Rng) -> f64 {
    // The sum of twelve uniform numbers has variance 1.
    let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
    (sum - 6.0).clamp(-3.5, 3.5)
}

/// Back into 0…1 from beyond an end, so that the ends are not crowded.
fn reflected(at: f64) -> f64 {
    let at = if at < 0.0 { -at } else { at };
    let at = if at > 1.0 { 2.0 - at } else { at };
    at.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

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
    fn points_and_configurations_go_back_and_forth() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let params = params_of(&space(), &random_point(&space(), &mut rng));
            assert_eq!(snap(&space(), &params), params, "a drawn configuration is a point of the space");
            let again = params_of(&space(), &point_of(&space(), &params));
            assert_eq!(again, params);
        }
    }

    #[test]
    fn shaking_stays_inside_and_moves() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let centre = point_of(&space(), &defaults(&space()));
        let moved = (0..200).filter(|_| shaken(&space(), &centre, 0.2, &mut rng) != centre).count();
        assert!(moved > 150, "{moved} of 200 moved");
        for _ in 0..200 {
            let Point(coordinates) = shaken(&space(), &centre, 2.0, &mut rng);
            assert!(
                coordinates.iter().all(|c| !matches!(c, Coordinate::Number(n) if !(0.0..=1.0).contains(n)))
            );
        }
    }

    #[test]
    fn a_logarithmic_dimension_is_sampled_evenly_in_its_logarithm() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let below = (0..1000)
            .filter(|_| number(&params_of(&space(), &random_point(&space(), &mut rng)), "a") < 0.173)
            .count();
        assert!((440..560).contains(&below), "{below} of 1000 below the geometric middle");
    }
}
