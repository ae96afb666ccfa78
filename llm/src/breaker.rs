//! The circuit breaker of one endpoint: after many failures in a short time, or a few time-outs, it is left alone for a while.

use crate::error::LlmError;
use std::collections::VecDeque;
use std::time::Duration;

/// Failures that open the circuit.
const FAILURES_MAX: usize = 10;

/// What a time-out counts among them: it takes a minute or more, where another failure takes a moment.
const TIMEOUT_WEIGHT: usize = 4;

/// The time over which failures are counted. Time-outs count until the endpoint answers: each may take longer than this.
const WINDOW: Duration = Duration::from_mins(1);

/// How long an endpoint is left alone; afterwards one call may try.
const REST: Duration = Duration::from_secs(30);

/// The same for one that hangs: longer than a request waits for any endpoint.
const REST_HUNG: Duration = Duration::from_mins(2);

/// How long an endpoint stands behind others after a failure.
const DOUBT: Duration = Duration::from_mins(2);

/// Whether an endpoint may be called. Moments are times since some fixed one.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: VecDeque<Duration>,
    /// Time-outs since its last answer, or since it was last left alone.
    timeouts: usize,
    timed_out_at: Option<Duration>,
    answered_at: Option<Duration>,
    failed_at: Option<Duration>,
    resting_until: Option<Duration>,
    /// Until when it asked not to be called.
    asked_until: Option<Duration>,
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
        let until = self.resting_until.max(self.asked_until)?;
        Some(until.saturating_sub(now)).filter(|rest| !rest.is_zero())
    }

    /// How doubtful it is that it answers: 0 not at all, 1 for a while after a failure, 2 from a time-out to the next answer. The
    /// one that answered last is in no doubt.
    pub fn doubt(&self, now: Duration) -> u8 {
        let is_recent = self.failed_at.is_some_and(|at| now.saturating_sub(at) < DOUBT);
        if self.timed_out_at.is_some() { 2 } else { u8::from(is_recent) }
    }

    /// Notes a success.
    pub fn succeeded(&mut self, now: Duration) {
        *self = Self { dead: self.dead.take(), answered_at: Some(now), ..Self::default() };
    }

    /// Notes a failure that waiting may heal, and the time for which the endpoint asks.
    pub fn failed(&mut self, now: Duration, asked: Option<Duration>) {
        self.failed_at = Some(now);
        self.asked_until = self.asked_until.max(asked.map(|asked| now + asked));
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|first| now.saturating_sub(*first) > WINDOW) {
            self.failures.pop_front();
        }
        self.weigh(now);
    }

    /// Notes that nothing came in time on a call that began then. Calls that waited side by side say it once; where another was
    /// answered meanwhile, the endpoint is busy and does not hang.
    pub fn timed_out(&mut self, began: Duration, now: Duration) {
        if self.answered_at.is_some_and(|at| began < at) {
            self.failed(now, None);
            return;
        }
        self.failed_at = Some(now);
        if self.timed_out_at.is_some_and(|at| began < at) {
            return;
        }
        self.timed_out_at = Some(now);
        self.timeouts += 1;
        self.weigh(now);
    }

    fn weigh(&mut self, now: Duration) {
        // After a rest the first failure opens the circuit again.
        let is_open = self.failures.len() + TIMEOUT_WEIGHT * self.timeouts >= FAILURES_MAX;
        if is_open || self.resting_until.is_some() {
            let rest = if self.timeouts > 0 { REST_HUNG } else { REST };
            self.resting_until = self.resting_until.max(Some(now + rest));
            self.failures.clear();
            self.timeouts = 0;
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

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ten_failures_in_a_minute_open_the_circuit() {
        let mut breaker = Breaker::default();
        for second in 0..9 {
            breaker.failed(at(second), None);
        }
        assert_eq!(breaker.rest(at(9)), None);
        breaker.failed(at(9), None);
        assert_eq!(breaker.rest(at(9)), Some(REST));
        assert_eq!(breaker.rest(at(39)), None, "one call may try");
        breaker.failed(at(40), None);
        assert_eq!(breaker.rest(at(41)), Some(Duration::from_secs(29)), "and its failure is enough");
        breaker.succeeded(at(41));
        assert_eq!(breaker.rest(at(41)), None);
    }

    #[test]
    fn failures_far_apart_do_not() {
        let mut breaker = Breaker::default();
        for half_minute in 0..30 {
            breaker.failed(at(30 * half_minute), None);
        }
        assert_eq!(breaker.rest(at(30 * 29)), None);
    }

    #[test]
    fn three_timeouts_open_it_however_long_they_take() {
        let mut breaker = Breaker::default();
        breaker.timed_out(at(0), at(60));
        breaker.timed_out(at(61), at(181));
        assert_eq!(breaker.rest(at(181)), None);
        breaker.timed_out(at(183), at(423));
        assert_eq!(breaker.rest(at(423)), Some(REST_HUNG));
        breaker.timed_out(at(543), at(600));
        assert_eq!(breaker.rest(at(600)), Some(REST_HUNG), "the one call that may try is enough");
    }

    #[test]
    fn calls_that_hang_side_by_side_say_it_once() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            breaker.timed_out(at(0), at(60));
        }
        for _ in 0..4 {
            breaker.timed_out(at(61), at(181));
        }
        assert_eq!(breaker.rest(at(181)), None, "a slow model gets its longer wait");
        breaker.timed_out(at(182), at(422));
        assert_eq!(breaker.rest(at(422)), Some(REST_HUNG));
    }

    #[test]
    fn a_server_that_answers_one_call_after_the_other_does_not_hang() {
        let mut breaker = Breaker::default();
        for answer in 1..=5 {
            breaker.succeeded(at(40 * answer));
            breaker.timed_out(at(40 * answer - 35), at(40 * answer + 25));
            breaker.timed_out(at(40 * answer - 30), at(40 * answer + 30));
        }
        assert_eq!((breaker.rest(at(230)), breaker.doubt(at(230))), (None, 1));
    }

    #[test]
    fn an_endpoint_that_asks_for_time_gets_it() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), Some(at(17)));
        assert_eq!(breaker.rest(at(1)), Some(at(16)));
        assert_eq!(breaker.rest(at(17)), None);
        breaker.failed(at(18), None);
        assert_eq!(breaker.rest(at(19)), None, "that was no open circuit");
    }

    #[test]
    fn doubt_passes_after_failures_and_stays_after_timeouts() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.doubt(at(0)), 0);
        breaker.failed(at(0), None);
        assert_eq!((breaker.doubt(at(100)), breaker.doubt(at(120))), (1, 0));
        breaker.timed_out(at(130), at(190));
        assert_eq!(breaker.doubt(at(9999)), 2);
        breaker.succeeded(at(200));
        assert_eq!(breaker.doubt(at(9999)), 0);
    }
}
