//! The circuit breaker of one endpoint: after many failures in a short time it is left alone for a while.

use crate::error::LlmError;
use std::collections::VecDeque;
use std::time::Duration;

/// Failures within [`WINDOW`] that open the circuit.
const FAILURES_MAX: usize = 10;

/// The time over which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);

/// How long an endpoint is left alone; afterwards one call may try.
const REST: Duration = Duration::from_secs(30);

/// Whether an endpoint may be called. Moments are times since some fixed one.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: VecDeque<Duration>,
    resting_until: Option<Duration>,
    /// Why it will not answer again in this process.
    dead: Option<LlmError>,
}

impl Breaker {
    /// Why the endpoint cannot be used at all, if so.
    pub fn dead(&self) -> Option<&LlmError> {
        self.dead.as_ref()
    }

    /// How long the endpoint is still left alone.
    pub fn rest(&self, now: Duration) -> Option<Duration> {
        self.resting_until.map(|until| until.saturating_sub(now)).filter(|rest| !rest.is_zero())
    }

    /// Notes a success.
    pub fn succeeded(&mut self) {
        self.failures.clear();
        self.resting_until = None;
    }

    /// Notes a failure that waiting may heal.
    pub fn failed(&mut self, now: Duration) {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|first| now.saturating_sub(*first) > WINDOW) {
            self.failures.pop_front();
        }
        // After a rest the first failure opens the circuit again.
        if self.failures.len() >= FAILURES_MAX || self.resting_until.is_some() {
            self.resting_until = Some(now + REST);
            self.failures.clear();
        }
    }

    /// Notes a failure that nothing will heal.
    pub fn died(&mut self, why: LlmError) {
        self.dead = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_minute_open_the_circuit() {
        let at = Duration::from_secs;
        let mut breaker = Breaker::default();
        for second in 0..9 {
            breaker.failed(at(second));
        }
        assert_eq!(breaker.rest(at(9)), None);
        breaker.failed(at(9));
        assert_eq!(breaker.rest(at(9)), Some(REST));
        assert_eq!(breaker.rest(at(39)), None, "one call may try");
        breaker.failed(at(40));
        assert_eq!(breaker.rest(at(41)), Some(Duration::from_secs(29)), "and its failure is enough");
        breaker.succeeded();
        assert_eq!(breaker.rest(at(41)), None);
    }

    #[test]
    fn failures_far_apart_do_not() {
        let mut breaker = Breaker::default();
        for half_minute in 0..30 {
            breaker.failed(Duration::from_secs(30 * half_minute));
        }
        assert_eq!(breaker.rest(Duration::from_secs(30 * 29)), None);
    }
}
