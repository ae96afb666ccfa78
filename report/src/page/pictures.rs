//! Scores as a picture: the judged score with its interval beside reference and guess, on one line of numbers.

use super::Sheet;
use crate::headline;
use crate::number::{better, fixed};
use maud::{Markup, html};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 130.0;
const ROW: f64 = 30.0;

struct Row {
    label: &'static str,
    value: f64,
    interval: Option<(f64, f64)>,
    is_ours: bool,
}

/// The judged score, what a test would show, the reference and guessing, one below the other.
pub(super) fn scores(sheet: &Sheet) -> Markup {
    let Some(result) = sheet.result else { return html! {} };
    let Some(holdout) = &result.holdout else { return html! {} };
    let mut rows = vec![Row {
        label: "delivered",
        value: holdout.score,
        interval: Some((holdout.low, holdout.high)),
        is_ours: true,
    }];
    if let Some(expected) = &result.expected {
        let middle = f64::midpoint(expected.low, expected.high);
        let interval = Some((expected.low, expected.high));
        rows.push(Row { label: "expected on a test", value: middle, interval, is_ours: true });
    }
    if let Some(baseline) = &result.baseline {
        rows.push(Row { label: "default LightGBM", value: baseline.score, interval: None, is_ours: false });
        if let Some(guessing) = baseline.guessing {
            rows.push(Row { label: "guessing", value: guessing, interval: None, is_ours: false });
        }
    }
    draw(&rows, headline::digits(result), sheet.higher_is_better())
}

fn draw(rows: &[Row], digits: usize, higher: bool) -> Markup {
    let ends = |row: &Row| row.interval.unwrap_or((row.value, row.value));
    let low = rows.iter().map(|row| ends(row).0.min(row.value)).fold(f64::INFINITY, f64::min);
    let high = rows.iter().map(|row| ends(row).1.max(row.value)).fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite() && high > low) {
        return html! {};
    }
    let x = |value: f64| LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let height = ROW * rows.len() as f64 + 8.0;
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="scores with intervals" {
                @for (place, row) in rows.iter().enumerate() {
                    @let y = ROW * (place as f64 + 0.5) + 4.0;
                    text x="0" y=(y + 4.0) { (row.label) }
                    line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) {}
                    @if let Some((from, to)) = row.interval {
                        line.mark x1=(place_of(x(from))) x2=(place_of(x(to))) y1=(y) y2=(y) {}
                    }
                    circle.dot.other[!row.is_ours] cx=(place_of(x(row.value))) cy=(y) r="5" {}
                    text.soft x=(WIDTH - RIGHT + 12.0) y=(y + 4.0) { (numbers(row, digits)) }
                }
            }
            figcaption { "Scores on rows that no candidate ever saw, with their intervals; " (better(higher)) "." }
        }
    }
}

fn numbers(row: &Row, digits: usize) -> String {
    match row.interval {
        Some((low, high)) => format!("{} – {}", fixed(low, digits), fixed(high, digits)),
        None => fixed(row.value, digits),
    }
}

/// A coordinate with one decimal: the file stays small and the same on every machine.
pub(super) fn place_of(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}
