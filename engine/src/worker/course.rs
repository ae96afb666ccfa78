//! What a trial's reports say about its end: whether it gets done in time at its own pace.
//!
//! Reports come from code that nobody trusts: all that they can bring about is that the trial that sends them ends early.

use crate::protocol::Order;

/// Rising reports before anything is concluded.
const REPORTS_MIN: u32 = 5;
/// Seconds of reports before anything is concluded …
const WATCHED_S_MIN: f64 = 2.0;
/// … and their share of the time that there was at the first one: a pace has to settle.
const WATCHED_SHARE_MIN: f64 = 0.2;
/// What is missing must take this many times as long as there is time. A trial that is ended wrongly is lost; one that is
/// ended late has only cost more.
const EXCESS: f64 = 1.5;

/// A point of a training.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Seconds since the order.
    at_s: f64,
    /// The share of the training that is over.
    share: f64,
}

impl Mark {
    /// Seconds that a whole training takes at the pace from here to a later mark.
    fn whole_s(self, later: Self) -> f64 {
        (later.at_s - self.at_s) / (later.share - self.share)
    }
}

/// What has been reported so far.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Mark,
    /// Where the recent pace is measured from: a quarter to a half of the way in time from the first mark to the last.
    older: Mark,
    newer: Mark,
    last: Mark,
    /// Reports that rose above the one before.
    reports: u32,
}

impl Seen {
    fn since(first: Mark) -> Self {
        Self { first, older: first, newer: first, last: first, reports: 0 }
    }

    fn take(&mut self, now: Mark) {
        self.reports += 1;
        self.last = now;
        if now.at_s - self.first.at_s >= 2.0 * (self.newer.at_s - self.first.at_s) {
            self.older = self.newer;
            self.newer = now;
        }
    }

    /// Seconds that a whole training takes: at the pace so far or the recent one, whichever is faster.
    fn whole_s(&self) -> f64 {
        self.first.whole_s(self.last).min(self.older.whole_s(self.last))
    }
}

/// The course of one training towards its deadline.
#[derive(Debug, Clone)]
pub struct Course {
    deadline_s: f64,
    seen: Option<Seen>,
}

impl Course {
    /// The course of an order; `None` where time must not decide anything.
    pub fn of(order: &Order) -> Option<Self> {
        order.timed.then_some(Self { deadline_s: order.deadline_s, seen: None })
    }

    /// Hears, `at_s` seconds after the order, that `step` of `of` steps are done. Says why the trial is to be ended, when it
    /// cannot be done in time.
    pub fn hear(&mut self, at_s: f64, step: f64, of: f64) -> Option<String> {
        let now = Mark { at_s, share: step / of };
        if !(0.0..1.0).contains(&now.share) {
            return None;
        }
        let seen = self.seen.get_or_insert(Seen::since(now));
        if now.share <= seen.last.share {
            return None;
        }
        seen.take(now);
        let watched_s = at_s - seen.first.at_s;
        let due_s = (WATCHED_SHARE_MIN * (self.deadline_s - seen.first.at_s)).max(WATCHED_S_MIN);
        let left_s = self.deadline_s - at_s;
        let needed_s = (1.0 - now.share) * seen.whole_s();
        let is_sure = seen.reports >= REPORTS_MIN && watched_s >= due_s;
        (is_sure && needed_s > EXCESS * left_s).then(|| {
            format!(
                "stopped at {:.0} % after {at_s:.1} s: at this pace it would take {needed_s:.1} s more, and {left_s:.1} s \
                 are left",
                100.0 * now.share
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE_S: f64 = 60.0;

    fn begun() -> Course {
        Course { deadline_s: DEADLINE_S, seen: None }
    }

    /// When a training is ended that reports its share every half second, and what is said; `None` when it is not.
    fn end(share: impl Fn(f64) -> f64) -> Option<(f64, String)> {
        let mut course = begun();
        (2..)
            .map(|half| f64::from(half) / 2.0)
            .take_while(|at_s| *at_s < DEADLINE_S)
            .find_map(|at_s| Some((at_s, course.hear(at_s, share(at_s) * 400.0, 400.0)?)))
    }

    #[test]
    fn a_training_that_cannot_be_done_in_time_is_ended_early_and_told_why() {
        let (at_s, why) = end(|at_s| at_s / 500.0).expect("hopeless");
        assert!((12.0..16.0).contains(&at_s), "{at_s}");
        assert!(
            why.starts_with("stopped at 3 % after 13.0 s: at this pace it would take 487.0 s more"),
            "{why}"
        );
        assert!(why.ends_with("and 47.0 s are left"), "{why}");
        // What needs 80 s is ended when it is certain, which is later.
        let (at_s, _) = end(|at_s| at_s / 80.0).expect("too slow");
        assert!((20.0..22.0).contains(&at_s), "{at_s}");
    }

    #[test]
    fn a_training_that_may_be_done_in_time_goes_on() {
        assert_eq!(end(|at_s| at_s / 58.0), None);
        // Reports that stand still or leave their range say nothing.
        assert_eq!(end(|_| 0.01), None);
        assert_eq!(end(|at_s| 1.0 + at_s), None);
        assert_eq!(end(|at_s| -at_s), None);
        assert_eq!(end(|_| f64::NAN), None);
        let mut course = begun();
        assert_eq!(course.hear(30.0, 0.0, 0.0), None);
        assert!(course.seen.is_none());
    }

    #[test]
    fn the_time_before_the_first_report_is_not_held_against_the_pace() {
        // Features took 25 s; the 30 s of fitting fit.
        assert_eq!(end(|at_s| if at_s < 25.0 { f64::NAN } else { (at_s - 25.0) / 30.0 }), None);
    }

    #[test]
    fn a_training_that_has_become_faster_is_judged_by_its_new_pace() {
        // Less than 1 % in the first 8 s, then all the rest in 48 s.
        let share = |at_s: f64| if at_s < 8.0 { at_s / 1200.0 } else { (at_s - 8.0) / 48.0 + 8.0 / 1200.0 };
        assert_eq!(end(share), None);
        // By the pace of the whole way it would have been ended.
        let whole_s = 12.0 / (share(13.0) - share(1.0));
        assert!((1.0 - share(13.0)) * whole_s > EXCESS * (DEADLINE_S - 13.0));
    }

    #[test]
    fn few_reports_are_not_enough() {
        let mut course = begun();
        let ends = [1.0, 15.0, 20.0, 25.0, 30.0, 35.0].map(|at_s| course.hear(at_s, at_s, 1000.0).is_some());
        assert_eq!(ends, [false, false, false, false, false, true]);
        // Nor are many within a moment.
        let mut hasty = begun();
        assert!(
            (0..100).all(|step| hasty.hear(1.0 + f64::from(step) / 100.0, f64::from(step), 1e5).is_none())
        );
    }

    #[test]
    fn without_a_clock_there_is_no_course() {
        let golden = include_str!("../../../worker/testdata/child.jsonl");
        let line = golden.lines().find(|line| line.starts_with("{\"order\":\"fit\"")).expect("an order");
        let mut order: Order = serde_json::from_str(line).expect("an order of ours");
        assert!(!order.timed && Course::of(&order).is_none());
        order.timed = true;
        assert_eq!(Course::of(&order).map(|course| course.deadline_s), Some(40.0));
    }
}
