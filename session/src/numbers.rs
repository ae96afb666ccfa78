//! Wishes about time and trials in a clause that orders something.

use crate::intent::Amend;
use crate::questions::holds;
use ansatz_agents::understand::{TimeWish, time_in};

/// Seconds that "more time" means when nobody says how much.
pub const MORE_SECONDS: f64 = 300.0;

/// Words beside "longer" or "more time" where a clause says nothing else.
const BESIDE_LONGER: &[&str] = &[
    "a",
    "again",
    "and",
    "bit",
    "can",
    "for",
    "give",
    "go",
    "going",
    "have",
    "i",
    "it",
    "keep",
    "let",
    "little",
    "longer",
    "make",
    "more",
    "much",
    "need",
    "needs",
    "on",
    "run",
    "running",
    "search",
    "searching",
    "some",
    "spend",
    "take",
    "the",
    "this",
    "time",
    "to",
    "train",
    "training",
    "try",
    "tune",
    "tuning",
    "use",
    "we",
    "with",
    "work",
    "you",
];

/// What a clause wishes about time or trials.
pub fn amount(plain: &str) -> Option<Amend> {
    trials(plain).or_else(|| timed(plain)).or_else(|| {
        let is_all = plain.split_whitespace().all(|word| BESIDE_LONGER.contains(&word));
        longer(plain).filter(|_| is_all)
    })
}

/// What a clause wishes about time that says other things as well.
pub fn time(plain: &str) -> Option<Amend> {
    trials(plain).or_else(|| timed(plain)).or_else(|| longer(plain))
}

fn trials(plain: &str) -> Option<Amend> {
    let words: Vec<&str> = plain.split_whitespace().collect();
    let counted =
        words.windows(2).find(|pair| matches!(pair[1].trim_end_matches(','), "trial" | "trials"))?;
    counted[0].parse().ok().map(Amend::Trials)
}

fn timed(plain: &str) -> Option<Amend> {
    Some(match time_in(plain)? {
        TimeWish::All(seconds) => Amend::Seconds(seconds),
        TimeWish::More(seconds) => Amend::MoreSeconds(seconds),
    })
}

/// More time, when nobody says how much.
fn longer(plain: &str) -> Option<Amend> {
    let is_longer = holds(plain, "more time") || holds(plain, "longer") && !holds(plain, "no longer");
    is_longer.then_some(Amend::MoreSeconds(MORE_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_agents::understand::figured;

    fn check(text: &str, expected: impl Into<Option<Amend>>) {
        assert_eq!(amount(&figured(text)), expected.into(), "{text}");
    }

    #[test]
    fn times_and_trials_are_read() {
        check("Five minutes", Some(Amend::Seconds(300.0)));
        check("take an hour and a half", Some(Amend::Seconds(5400.0)));
        check("give it ten more minutes", Some(Amend::MoreSeconds(600.0)));
        check("1,000 trials", Some(Amend::Trials(1000)));
        check("at most two hundred trials", Some(Amend::Trials(200)));
        check("50 more trials", None);
        check("give it more time", Some(Amend::MoreSeconds(MORE_SECONDS)));
        check("train a bit longer", Some(Amend::MoreSeconds(MORE_SECONDS)));
        check("the one with two columns", None);
        check("whoever stays longer", None);
    }
}
