//! Numbers, times and metric names as people read them: no more digits than are known.

use std::time::Duration;

/// Decimals that an interval supports: two significant digits of its half width.
pub fn decimals(low: f64, high: f64) -> usize {
    let half = (high - low).abs() / 2.0;
    if !half.is_finite() || half <= 0.0 {
        return 4;
    }
    let magnitude = half.log10().floor();
    (1.0 - magnitude).clamp(0.0, 6.0) as usize
}

/// Decimals for a score without an interval: four significant digits, at most six decimals.
pub fn decimals_of(score: f64) -> usize {
    if score == 0.0 || !score.is_finite() {
        return 4;
    }
    (3.0 - score.abs().log10().floor()).clamp(0.0, 6.0) as usize
}

/// A score without an interval.
pub fn score(score: f64) -> String {
    fixed(score, decimals_of(score))
}

/// A number with so many decimals and commas between thousands.
pub fn fixed(number: f64, decimals: usize) -> String {
    if !number.is_finite() {
        return "n/a".into();
    }
    if number.abs() >= 1e15 {
        return format!("{number:.3e}");
    }
    let text = format!("{:.decimals$}", number.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if number < 0.0 && !is_zero { "-" } else { "" };
    match fraction {
        Some(fraction) => format!("{sign}{}.{fraction}", grouped(whole)),
        None => format!("{sign}{}", grouped(whole)),
    }
}

/// The same with a plus sign where there is no minus.
pub fn signed(number: f64, decimals: usize) -> String {
    let text = fixed(number, decimals);
    if text.starts_with('-') || text == "n/a" { text } else { format!("+{text}") }
}

/// A whole number with commas between thousands.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `1 row`, `2 rows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time span: `0.8s`, `42s`, `3m12s`, `2h05m`.
pub fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "n/a".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// A [`Duration`] in the same form.
pub fn duration(span: Duration) -> String {
    seconds(span.as_secs_f64())
}

/// A size: `812 B`, `4.2 MiB`.
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut value = size as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A moment in UTC, `2026-03-05 14:02`, from seconds since 1970.
pub fn moment(unix_seconds: u64) -> String {
    let (year, month, day) = date(unix_seconds / 86_400);
    let second = unix_seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second % 3600 / 60)
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
pub fn date(days: u64) -> (u64, u64, u64) {
    // Years are counted from 1 March of the year 0, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A metric's name as people write it.
pub fn metric(name: &str) -> String {
    match name {
        "roc_auc" => "ROC AUC".into(),
        "f1" => "F1".into(),
        "r2" => "R²".into(),
        "rmse" | "root_mean_squared_error" => "RMSE".into(),
        "mse" | "mean_squared_error" => "MSE".into(),
        "mae" | "mean_absolute_error" => "MAE".into(),
        "rmsle" | "root_mean_squared_log_error" => "RMSLE".into(),
        "msle" | "mean_squared_log_error" => "MSLE".into(),
        "mape" | "mean_absolute_percentage_error" => "MAPE".into(),
        "smape" => "SMAPE".into(),
        _ => {
            let words = crate::text::visible(&name.replace('_', " "), crate::text::NAME_WIDTH);
            words.replace("roc auc", "ROC AUC").replace("f1 ", "F1 ")
        }
    }
}

/// Which way is better, in words.
pub fn better(higher_is_better: bool) -> &'static str {
    if higher_is_better { "higher is better" } else { "lower is better" }
}

/// Which way is better, as an arrow.
pub fn arrow(higher_is_better: bool) -> &'static str {
    if higher_is_better { "↑" } else { "↓" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_interval() {
        assert_eq!(decimals(0.846, 0.875), 3);
        assert_eq!(decimals(0.8610, 0.8614), 5);
        assert_eq!(decimals(22_800.0, 24_100.0), 0);
        assert_eq!(decimals(3.0, 3.4), 2);
        assert_eq!(decimals(1.0, 1.0), 4);
        assert_eq!(decimals(f64::NEG_INFINITY, 1.0), 4);
    }

    #[test]
    fn scores_without_interval_have_four_digits() {
        assert_eq!(score(0.861_23), "0.8612");
        assert_eq!(score(23_456.7), "23,457");
        assert_eq!(score(1.5), "1.500");
        assert_eq!(score(0.0), "0.0000");
        assert_eq!(score(f64::NAN), "n/a");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(fixed(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(fixed(-1234.0, 0), "-1,234");
        assert_eq!(fixed(-0.000_01, 3), "0.000");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(signed(0.01, 3), "+0.010");
        assert_eq!(signed(-0.01, 3), "-0.010");
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(seconds(0.84), "0.8s");
        assert_eq!(seconds(9.96), "10s");
        assert_eq!(seconds(59.4), "59s");
        assert_eq!(seconds(59.6), "1m00s");
        assert_eq!(seconds(192.0), "3m12s");
        assert_eq!(seconds(7500.0), "2h05m");
        assert_eq!(seconds(f64::NAN), "n/a");
    }

    #[test]
    fn moments() {
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00");
        assert_eq!(moment(1_767_225_599), "2025-12-31 23:59");
        assert_eq!(moment(4_107_542_400), "2100-03-01 00:00");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(4_404_019), "4.2 MiB");
    }

    #[test]
    fn metrics_by_the_names_people_use() {
        assert_eq!(metric("roc_auc"), "ROC AUC");
        assert_eq!(metric("roc_auc_ovr"), "ROC AUC ovr");
        assert_eq!(metric("f1_macro"), "F1 macro");
        assert_eq!(metric("balanced_accuracy"), "balanced accuracy");
    }
}
