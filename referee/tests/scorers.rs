//! Metrics under scikit-learn's scorer names and a few more, against values of its documentation and values by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot score has to stop")]

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Direction, MetricError};
use ansatz_core::task::Problem;
use ansatz_referee::metrics::{Prepared, fits, lookup, names};

const TOLERANCE: f64 = 1e-12;

/// The score, by the metric itself, by a prepared one, and with every row given twice.
fn check(name: &str, truth: &[f64], predictions: &Matrix, expected: f64) {
    let metric = lookup(name).unwrap();
    assert_eq!(metric.spec().name, name);
    let prepared = Prepared::new(&*metric, truth, predictions).unwrap();
    let doubled: Vec<usize> = (0..2 * truth.len()).map(|row| row / 2).collect();
    let twice: Vec<f64> = doubled.iter().map(|&row| truth[row]).collect();
    for found in [
        metric.score(truth, predictions, None).unwrap(),
        prepared.all().unwrap(),
        prepared.score(&vec![2; truth.len()]).unwrap(),
        metric.score(&twice, &predictions.take(&doubled), None).unwrap(),
    ] {
        assert!((found - expected).abs() < TOLERANCE, "{name}: {found}, not {expected}");
    }
}

fn check_labels(name: &str, truth: &[f64], guesses: &[f64], expected: f64) {
    check(name, truth, &Matrix::column(guesses.to_vec()), expected);
}

#[test]
fn labels_of_several_classes() {
    // The example of scikit-learn's documentation: recalls 1, 0, 0; precisions 2/3, 0, 0.
    let (truth, guesses) = ([0.0, 1.0, 2.0, 0.0, 1.0, 2.0], [0.0, 2.0, 1.0, 0.0, 0.0, 1.0]);
    check_labels("precision_macro", &truth, &guesses, 2.0 / 9.0);
    check_labels("precision_micro", &truth, &guesses, 1.0 / 3.0);
    check_labels("precision_weighted", &truth, &guesses, 2.0 / 9.0);
    check_labels("recall_macro", &truth, &guesses, 1.0 / 3.0);
    check_labels("recall_micro", &truth, &guesses, 1.0 / 3.0);
    check_labels("recall_weighted", &truth, &guesses, 1.0 / 3.0);
    check_labels("jaccard_macro", &truth, &guesses, 2.0 / 9.0);
    check_labels("jaccard_micro", &truth, &guesses, 2.0 / 10.0);
    check_labels("jaccard_weighted", &truth, &guesses, 2.0 / 9.0);
    // Class 2 is predicted and never true: it counts for the mean over classes, but not for the weighted one.
    let (truth, guesses) = ([0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 2.0, 1.0]);
    check_labels("recall_macro", &truth, &guesses, (2.0 / 3.0 + 1.0 + 0.0) / 3.0);
    check_labels("recall_weighted", &truth, &guesses, 3.0 / 4.0);
    check_labels("precision_weighted", &truth, &guesses, 1.0);
    check_labels("jaccard_weighted", &truth, &guesses, (3.0 * 2.0 / 3.0 + 1.0) / 4.0);
}

#[test]
fn labels_of_two_classes() {
    let (truth, guesses) = ([0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0, 1.0]);
    check_labels("jaccard", &truth, &guesses, 2.0 / 4.0);
    check_labels("jaccard_macro", &truth, &guesses, f64::midpoint(2.0 / 4.0, 1.0 / 3.0));
    check_labels("precision_macro", &truth, &guesses, f64::midpoint(2.0 / 3.0, 1.0 / 2.0));
    check_labels("jaccard", &[0.0, 0.0], &[0.0, 0.0], 0.0);
}

#[test]
fn rankings_of_several_classes() {
    let truth = [0.0, 0.0, 1.0, 1.0, 1.0, 2.0];
    let shares = [
        [0.6, 0.3, 0.1],
        [0.3, 0.5, 0.2],
        [0.2, 0.7, 0.1],
        [0.4, 0.4, 0.2],
        [0.1, 0.6, 0.3],
        [0.3, 0.4, 0.3],
    ];
    let predictions = Matrix::new(6, 3, shares.concat()).unwrap();
    // Each class against the rest: 0 has 6.5 of 8 pairs right, 1 has 7.5 of 9, 2 has 4.5 of 5.
    let rest = [6.5 / 8.0, 7.5 / 9.0, 4.5 / 5.0];
    check("roc_auc_ovr", &truth, &predictions, rest.iter().sum::<f64>() / 3.0);
    check("roc_auc_ovr_weighted", &truth, &predictions, (2.0 * rest[0] + 3.0 * rest[1] + rest[2]) / 6.0);
    // Pairs of classes: 0 and 1 by both scores, 0 and 2, 1 and 2.
    let pairs = [5.0 / 6.0, f64::midpoint(1.5 / 2.0, 1.0), 2.5 / 3.0];
    check("roc_auc_ovo", &truth, &predictions, pairs.iter().sum::<f64>() / 3.0);
    check(
        "roc_auc_ovo_weighted",
        &truth,
        &predictions,
        (5.0 * pairs[0] + 3.0 * pairs[1] + 4.0 * pairs[2]) / 12.0,
    );
    let metric = lookup("roc_auc_ovo").unwrap();
    let one = metric.score(&[1.0; 6], &predictions, None);
    assert!(matches!(one, Err(MetricError::Undefined(_))), "{one:?}");
}

#[test]
fn many_classes_are_ranked_in_pairs_too() {
    let (rows, classes) = (120, 40);
    let truth: Vec<f64> = (0..rows).map(|row| (row % classes) as f64).collect();
    let mut predictions = Matrix::filled(rows, classes, 0.0);
    for row in 0..rows {
        predictions.row_mut(row)[row % classes] = 1.0;
    }
    check("roc_auc_ovo", &truth, &predictions, 1.0);
}

#[test]
fn the_true_class_among_the_first() {
    let shares = [[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]];
    let predictions = Matrix::new(4, 3, shares.concat()).unwrap();
    let truth = [0.0, 1.0, 2.0, 2.0];
    check("top_k_accuracy", &truth, &predictions, 0.75);
    check("top_1_accuracy", &truth, &predictions, 0.5);
    check("top_3_accuracy", &truth, &predictions, 1.0);
    // Of equal scores the higher class stands first.
    check("top_k_accuracy", &[1.0, 2.0], &predictions.take(&[0, 0]), 0.5);
}

#[test]
fn values_of_the_documentation() {
    let (truth, guesses) = ([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]);
    check_labels("explained_variance", &truth, &guesses, 1.0 - 1.25 / 29.1875);
    check_labels("d2_absolute_error_score", &truth, &guesses, 1.0 - 2.0 / 8.5);
    check_labels(
        "mean_gamma_deviance",
        &[2.0, 0.5, 1.0, 4.0],
        &[0.5, 0.5, 2.0, 2.0],
        1.056_852_819_440_054_6,
    );
    let (truth, guesses) = ([1.0, 2.0, 3.0], [0.0, 2.0, 3.0]);
    check_labels("pinball_10", &truth, &guesses, 0.1 / 3.0);
    check_labels("pinball_90", &truth, &guesses, 0.9 / 3.0);
    check_labels("pinball_90", &guesses, &truth, 0.1 / 3.0);
    check_labels("mean_pinball_loss", &truth, &guesses, 0.5 / 3.0);
}

#[test]
fn values_by_hand() {
    let (truth, guesses) = ([1.0, 2.0, -4.0], [1.5, 1.0, -4.0]);
    check_labels("rmspe", &truth, &guesses, ((0.25 + 0.25) / 3.0_f64).sqrt());
    check_labels("wape", &truth, &guesses, 1.5 / 7.0);
    // A constant error costs no variance.
    check_labels("explained_variance", &[1.0, 2.0, 4.0], &[3.0, 4.0, 6.0], 1.0);
    check_labels("explained_variance", &[2.0, 2.0], &[1.0, 3.0], 0.0);
    check_labels("d2_absolute_error_score", &[2.0, 2.0], &[2.0, 2.0], 1.0);
    let undefined = lookup("wape").unwrap().score(&[0.0, 0.0], &Matrix::column(vec![1.0, 2.0]), None);
    assert!(matches!(undefined, Err(MetricError::Undefined(_))), "{undefined:?}");
    let refused =
        lookup("mean_gamma_deviance").unwrap().score(&[1.0, 0.0], &Matrix::column(vec![1.0, 2.0]), None);
    assert_eq!(refused.unwrap_err().to_string(), "row 1: truth 0 is not above 0");
}

#[test]
fn shares_of_the_best_constant_probabilities() {
    let truth = [0.0, 0.0, 0.0, 1.0];
    let entropy = -(0.75_f64 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
    check_labels("d2_log_loss_score", &truth, &[0.25; 4], 0.0);
    check_labels("d2_brier_score", &truth, &[0.25; 4], 0.0);
    let guesses = [0.1, 0.1, 0.1, 0.9];
    check_labels("d2_log_loss_score", &truth, &guesses, 1.0 + 0.9_f64.ln() / entropy);
    check_labels("d2_brier_score", &truth, &guesses, 1.0 - 0.01 / (0.75 * 0.25));
    let wide = Matrix::new(4, 2, guesses.iter().flat_map(|share| [1.0 - share, *share]).collect()).unwrap();
    check("d2_brier_score", &truth, &wide, 1.0 - 0.01 / (0.75 * 0.25));
}

#[test]
fn every_name_fits_a_problem_and_has_the_direction_of_its_scorer() {
    for name in names().into_iter().filter(|name| *name != "map_at_k") {
        let metric = lookup(name).unwrap();
        let problems = [Problem::Binary, Problem::Multiclass, Problem::Regression];
        assert!(problems.iter().any(|problem| fits(metric.spec(), *problem)), "{name}");
        let is_loss = ["loss", "error", "deviance", "brier_score"].iter().any(|word| name.contains(word))
            || ["rmse", "mse", "mae", "mape", "rmsle", "msle", "smape", "rmspe", "wape"].contains(&name);
        let expected =
            if is_loss && !name.starts_with("d2_") { Direction::Minimize } else { Direction::Maximize };
        assert_eq!(metric.spec().direction, expected, "{name}");
    }
}
