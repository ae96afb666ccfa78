//! Every metric against scikit-learn on 2,500 random cases with ties, missing classes, degenerate input and weights.
//!
//! `golden/metrics.json` holds scikit-learn's scores, written by `golden/make.py`; the inputs are drawn again here, by
//! the same generator and with the same exact arithmetic.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its own cases has to stop")]

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;
use ansatz_referee::metrics::{Prepared, lookup};
use serde_json::Value;

/// Relative agreement that is asked for; the file holds ten digits.
const TOLERANCE: f64 = 2e-9;

/// `SplitMix64`.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (0.5_f64).powi(53)
    }

    fn weights(&mut self) -> Vec<f64> {
        let rows = 1 + self.below(60);
        let mode = self.below(3);
        let mut one = || match mode {
            0 => 1.0,
            1 => self.below(4) as f64,
            _ => self.below(9) as f64 / 4.0,
        };
        let mut weights: Vec<f64> = (0..rows).map(|_| one()).collect();
        weights[0] = 1.0;
        weights
    }

    fn classes(&mut self, rows: usize, classes: u64) -> Vec<f64> {
        let used = if self.below(3) == 0 { 1 + self.below(classes) } else { classes };
        (0..rows).map(|_| self.below(used) as f64).collect()
    }

    fn scores(&mut self, count: usize) -> Vec<f64> {
        let mode = self.below(6);
        let mut one = || match mode {
            0..3 => self.unit(),
            3..5 => self.below(5) as f64 / 4.0,
            _ => 0.5,
        };
        (0..count).map(|_| one()).collect()
    }
}

/// Truth, predictions and weights of a case.
struct Case {
    truth: Vec<f64>,
    predictions: Matrix,
    weights: Vec<f64>,
}

fn labels(draw: &mut Draw, classes: u64) -> Case {
    let weights = draw.weights();
    let truth = draw.classes(weights.len(), classes);
    let mut guess = draw.classes(weights.len(), classes);
    for (guess, actual) in guess.iter_mut().zip(&truth) {
        if draw.below(2) == 0 {
            *guess = *actual;
        }
    }
    Case { truth, predictions: Matrix::column(guess), weights }
}

fn multiclass_labels(draw: &mut Draw) -> Case {
    let classes = 3 + draw.below(3);
    labels(draw, classes)
}

fn binary_probabilities(draw: &mut Draw) -> Case {
    let weights = draw.weights();
    let truth = draw.classes(weights.len(), 2);
    let predictions = Matrix::column(draw.scores(weights.len()));
    Case { truth, predictions, weights }
}

fn multiclass_probabilities(draw: &mut Draw) -> Case {
    let weights = draw.weights();
    let (rows, classes) = (weights.len(), 3 + draw.below(3));
    let truth = draw.classes(rows, classes);
    let mut predictions = Matrix::new(rows, classes as usize, draw.scores(rows * classes as usize)).unwrap();
    for row in 0..rows {
        predictions.row_mut(row)[0] = f64::midpoint(predictions.row(row)[0], 0.25);
    }
    Case { truth, predictions, weights }
}

fn values(draw: &mut Draw) -> Case {
    let weights = draw.weights();
    let (mode, size) = (draw.below(4), 10_f64.powi(draw.below(4) as i32));
    let mut one = || if mode == 0 { draw.below(4) as f64 } else { (draw.unit() - 0.5) * size };
    let mut truth: Vec<f64> = weights.iter().map(|_| one()).collect();
    if mode == 1 {
        truth = vec![truth[0]; truth.len()];
    }
    let noise: Vec<f64> = truth.iter().map(|_| (draw.unit() - 0.5) * size).collect();
    let exact = draw.below(12) == 0;
    let guess =
        truth.iter().zip(noise).map(|(value, noise)| if exact { *value } else { value + noise }).collect();
    Case { truth, predictions: Matrix::column(guess), weights }
}

/// The form of a case of values that metrics of logarithms and counts allow.
fn positive(case: &Case) -> Case {
    Case {
        truth: case.truth.iter().map(|value| value.abs()).collect(),
        predictions: Matrix::column(
            case.predictions.data().iter().map(|value| value.abs() + 0.015_625).collect(),
        ),
        weights: case.weights.clone(),
    }
}

/// The same rows by three ways that must agree: weights, absent rows, and counts of a replicate.
fn scores(name: &str, case: &Case) -> Vec<Result<f64, MetricError>> {
    let metric = lookup(name).unwrap();
    let mut found = vec![metric.score(&case.truth, &case.predictions, Some(&case.weights))];
    let rows: Vec<usize> = (0..case.weights.len()).filter(|&row| case.weights[row] > 0.0).collect();
    let truth: Vec<f64> = rows.iter().map(|&row| case.truth[row]).collect();
    let weights: Vec<f64> = rows.iter().map(|&row| case.weights[row]).collect();
    found.push(metric.score(&truth, &case.predictions.take(&rows), Some(&weights)));
    // Quarters become whole by a factor that no weighted metric sees.
    let counts: Vec<u32> = case.weights.iter().map(|weight| (weight * 4.0) as u32).collect();
    let prepared = Prepared::new(&*metric, &case.truth, &case.predictions).unwrap();
    found.push(prepared.score(&counts).ok_or(MetricError::Undefined(String::new())));
    if case.weights.iter().all(|weight| *weight == 1.0) {
        found.push(metric.score(&case.truth, &case.predictions, None));
    }
    found
}

fn check(family: &str, number: u64, draw_case: fn(&mut Draw) -> Case) {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    let family = &golden["families"][family];
    let names: Vec<&str> =
        family["metrics"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let (mut compared, mut undefined) = (0, 0);
    for (at, expected) in family["scores"].as_array().unwrap().iter().enumerate() {
        let case = draw_case(&mut Draw((number << 32) | at as u64));
        for (name, expected) in names.iter().zip(expected.as_array().unwrap()) {
            let positive_only = ["rmsle", "msle", "mean_poisson_deviance"].contains(name);
            for found in if positive_only { scores(name, &positive(&case)) } else { scores(name, &case) } {
                match (found, expected.as_f64()) {
                    (Ok(found), Some(expected)) => {
                        let error = (found - expected).abs() / expected.abs().max(1.0);
                        assert!(
                            error < TOLERANCE,
                            "{name}, case {at}: {found}, scikit-learn says {expected}"
                        );
                        compared += 1;
                    }
                    (Err(MetricError::Undefined(_)), None) => undefined += 1,
                    (found, expected) => {
                        panic!("{name}, case {at}: {found:?}, scikit-learn says {expected:?}")
                    }
                }
            }
        }
    }
    assert!(
        compared >= 500 * names.len() && undefined < compared,
        "{compared} compared, {undefined} undefined"
    );
}

#[test]
fn labels_of_two_classes() {
    check("binary_labels", 0, |draw| labels(draw, 2));
}

#[test]
fn labels_of_several_classes() {
    check("multiclass_labels", 1, multiclass_labels);
}

#[test]
fn probabilities_of_two_classes() {
    check("binary_probabilities", 2, binary_probabilities);
}

#[test]
fn probabilities_of_several_classes() {
    check("multiclass_probabilities", 3, multiclass_probabilities);
}

#[test]
fn real_values() {
    check("values", 4, values);
}

#[test]
fn bad_input_is_refused_with_the_row() {
    let refused = |name: &str, truth: &[f64], predictions: &[f64]| {
        lookup(name)
            .unwrap()
            .score(truth, &Matrix::column(predictions.to_vec()), None)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("log_loss", &[0.0, 1.0], &[0.2, 1.5]),
        "row 1: prediction 1.5 is not a probability from 0 to 1"
    );
    assert_eq!(
        refused("rmse", &[0.0, 1.0], &[f64::NAN, 1.0]),
        "row 0: prediction is NaN, not a finite number"
    );
    assert_eq!(refused("rmsle", &[0.0, 1.0], &[0.0, -1.0]), "row 1: prediction -1 is not above -1");
    assert_eq!(
        refused("accuracy", &[0.0, 0.5], &[0.0, 0.0]),
        "row 1: truth 0.5 is not a class index from 0 to 16383"
    );
    assert_eq!(refused("f1", &[0.0, 2.0], &[0.0, 0.0]), "row 1: truth 2 is not a class index from 0 to 1");
    assert_eq!(refused("mae", &[0.0, 1.0], &[0.0]), "expected 2 rows of predictions but found 1 rows");
    assert_eq!(refused("mae", &[], &[]), "undefined: there are no rows");
}
