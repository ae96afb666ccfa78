//! Trying again: whether, and after how long. Pure: time and chance are arguments.

use std::time::Duration;

/// What to do about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed later.
    Later {
        /// The server asked for at least this much time.
        after: Option<Duration>,
    },
    /// The same request will fail again; a changed one may succeed.
    AfterChange,
    /// Nothing that a program does will help.
    Never,
}

/// How patiently something is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Attempts in all, the first included.
    pub tries: u32,
    /// Longest wait after the first failure; doubles with each further one.
    pub first: Duration,
    /// Longest wait between two attempts. A server that asks for more gets no further attempt.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { tries: 6, first: Duration::from_secs(1), cap: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// The wait before the next attempt after so many failures (from 1); `None` when it should be given up.
    ///
    /// Full jitter: uniform between 0 and the doubled wait, so that many clients do not come back at once
    /// (`chance` from 0 to 1 decides). What a server asked for is added to, never undercut.
    pub fn wait(&self, failures: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if failures >= self.tries || asked.is_some_and(|asked| asked > self.cap) {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.cap);
        let jitter = doubled.mul_f64(chance.clamp(0.0, 1.0));
        Some(match asked {
            // A tenth on top spreads clients that were all told the same second.
            Some(asked) => asked + jitter.min(asked.mul_f64(0.1).max(Duration::from_millis(50))),
            None => jitter,
        })
    }
}

/// A number from 0 to 1 out of 64 random bits.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The time that a server asks for: `Retry-After` in seconds (whole or not) or as an HTTP date, or
/// milliseconds in `retry-after-ms`.
pub fn asked(retry_after: Option<&str>, retry_after_ms: Option<&str>, unix_now: u64) -> Option<Duration> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| (0.0..1e9).contains(number));
    if let Some(milliseconds) = retry_after_ms.and_then(number) {
        return Some(Duration::from_secs_f64(milliseconds / 1000.0));
    }
    let text = retry_after?;
    if let Some(seconds) = number(text) {
        return Some(Duration::from_secs_f64(seconds));
    }
    Some(Duration::from_secs(http_date(text)?.saturating_sub(unix_now)))
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    let mut words = text.trim().split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = words.next().and_then(|name| months.iter().position(|month| *month == name))? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part <= 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    (words.next() == Some("GMT") && hour < 24).then_some(())?;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days_before: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let days_in_year: u64 =
        lengths[..month as usize].iter().sum::<u64>() + u64::from(leap(year) && month > 1);
    Some((days_before + days_in_year + day - 1) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(retry_after: &str) -> Option<f64> {
        asked(Some(retry_after), None, 784_111_770).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn all_three_forms_are_read() {
        assert_eq!(seconds("7"), Some(7.0));
        assert_eq!(seconds("1.5"), Some(1.5));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7.0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:40:00 GMT"), Some(0.0));
        assert_eq!(asked(Some("9"), Some("250"), 0), Some(Duration::from_millis(250)));
        for bad in [
            "",
            "soon",
            "-1",
            "nan",
            "inf",
            "1e99",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8 GMT",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    }

    #[test]
    fn waits_double_up_to_a_cap_and_end() {
        let backoff = Backoff { tries: 4, first: Duration::from_secs(2), cap: Duration::from_secs(5) };
        let longest: Vec<_> = (1..=4).map(|failures| backoff.wait(failures, None, 1.0)).collect();
        let s = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(longest, [s(2), s(4), s(5), None]);
        assert_eq!(backoff.wait(1, None, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn what_a_server_asks_for_is_never_undercut() {
        let backoff = Backoff::default();
        for chance in [0.0, 0.3, 1.0] {
            let wait = backoff.wait(1, Some(Duration::from_secs(20)), chance).unwrap();
            assert!((20.0..=22.0).contains(&wait.as_secs_f64()), "{wait:?}");
        }
        assert_eq!(backoff.wait(1, Some(Duration::from_secs(61)), 0.5), None, "too long to wait for");
    }
}
