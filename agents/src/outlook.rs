//! Is going on worth it? An extrapolation of the run's own learning curve, with its uncertainty.

use serde::{Deserialize, Serialize};

/// A moment of the run at which the leading result was known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Seconds since the first trial.
    pub seconds: f64,
    /// Gain of the leader on validation rows (larger is better), in the metric's unit.
    pub gain: f64,
}

/// What more time would bring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Expected gain over the horizon, in the metric's unit; never below 0.
    pub expected: f64,
    /// Its uncertainty (one standard error).
    pub plus_minus: f64,
    /// Whether the expectation stands out from the noise of scores.
    pub is_worth_it: bool,
    /// For a person to read, e.g. `10 more minutes: +0.002 ± 0.003`.
    pub sentence: String,
}

/// What `horizon_s` more seconds would bring, judged by what each doubling of the time has brought so far.
///
/// `history` is the leader over time, oldest first; `now_s` is when the question is asked; `noise` is the standard
/// error of a score. Searches improve about evenly per doubling at first and less and less later, so the last
/// doubling, damped by how it compares with the one before, is carried on.
pub fn worth_continuing(history: &[Moment], now_s: f64, horizon_s: f64, noise: f64) -> Outlook {
    let span = in_words(horizon_s);
    let (Some(_), true) = (history.first(), now_s > 0.0 && horizon_s > 0.0) else {
        let sentence = format!("{span}: nothing is known yet");
        return Outlook { expected: 0.0, plus_minus: noise, is_worth_it: true, sentence };
    };
    let last = gain_between(history, now_s / 2.0, now_s);
    let before = gain_between(history, now_s / 4.0, now_s / 2.0);
    let damping = if before > 0.0 { (last / before).clamp(0.25, 1.0) } else { 0.5 };
    let doublings = (1.0 + horizon_s / now_s).log2();
    let expected = last * damping * doublings.min(1.0) + last * damping.powi(2) * (doublings - 1.0).max(0.0);
    let model_error = 0.5 * (last - before * damping).abs().max(last * damping) * doublings.sqrt();
    let plus_minus = (model_error.powi(2) + (0.5 * noise).powi(2)).sqrt();
    let digits = digits_for(plus_minus);
    let sentence = format!("{span}: +{expected:.digits$} ± {plus_minus:.digits$}");
    Outlook { expected, plus_minus, is_worth_it: expected > 0.25 * noise, sentence }
}

/// How much the leader rose between two moments. Nothing is held against the time before the first result.
fn gain_between(history: &[Moment], from_s: f64, to_s: f64) -> f64 {
    let at = |seconds: f64| history.iter().rev().find(|moment| moment.seconds <= seconds).or(history.first());
    match (at(from_s), at(to_s)) {
        (Some(old), Some(new)) => (new.gain - old.gain).max(0.0),
        _ => 0.0,
    }
}

/// Decimals that show the uncertainty with one digit.
fn digits_for(plus_minus: f64) -> usize {
    if plus_minus > 0.0 && plus_minus.is_finite() {
        (-plus_minus.log10().floor()).clamp(0.0, 8.0) as usize
    } else {
        4
    }
}

fn in_words(seconds: f64) -> String {
    let (number, unit) = if seconds >= 90.0 { (seconds / 60.0, "minute") } else { (seconds, "second") };
    let number = number.round().max(0.0);
    format!("{number} more {unit}{}", if number == 1.0 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(points: &[(f64, f64)]) -> Vec<Moment> {
        points.iter().map(|(seconds, gain)| Moment { seconds: *seconds, gain: *gain }).collect()
    }

    fn check(points: &[(f64, f64)], now_s: f64, horizon_s: f64, noise: f64, expected: &str) {
        let outlook = worth_continuing(&history(points), now_s, horizon_s, noise);
        assert_eq!(format!("{} {}", outlook.sentence, outlook.is_worth_it), expected);
    }

    const FLAT: &[(f64, f64)] = &[(1.0, 0.80), (10.0, 0.85)];
    const RISING: &[(f64, f64)] = &[(1.0, 0.70), (15.0, 0.74), (30.0, 0.78), (60.0, 0.82)];

    #[test]
    fn a_flat_curve_promises_nothing() {
        check(FLAT, 300.0, 600.0, 0.004, "10 more minutes: +0.000 ± 0.002 false");
    }

    #[test]
    fn a_rising_curve_promises_more() {
        check(RISING, 60.0, 60.0, 0.004, "60 more seconds: +0.04 ± 0.02 true");
        let short = worth_continuing(&history(RISING), 60.0, 10.0, 0.004).expected;
        let long = worth_continuing(&history(RISING), 60.0, 600.0, 0.004).expected;
        assert!(0.0 < short && short < 0.04 && 0.04 < long, "{short} {long}");
    }

    #[test]
    fn a_slowing_curve_promises_less_than_it_gave() {
        let slowing = history(&[(1.0, 0.70), (25.0, 0.80), (50.0, 0.82), (90.0, 0.825)]);
        let outlook = worth_continuing(&slowing, 100.0, 100.0, 0.001);
        assert!(outlook.expected < 0.005, "{outlook:?}");
    }

    #[test]
    fn without_results_it_says_so() {
        check(&[], 10.0, 60.0, 0.01, "60 more seconds: nothing is known yet true");
        check(&[], 0.0, 1.0, 0.01, "1 more second: nothing is known yet true");
    }

    #[test]
    fn a_curve_never_promises_a_loss() {
        let falling = history(&[(1.0, 0.9), (10.0, 0.8)]);
        assert_eq!(worth_continuing(&falling, 20.0, 20.0, 0.01).expected, 0.0);
    }
}
