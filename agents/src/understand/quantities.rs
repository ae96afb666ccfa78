//! Amounts of time and size in a text, and the words around them.

use super::numbers::{STEPS, Unit, figured, unit};
use super::words::plain;

/// An amount: `10 minutes`, `1 hour 30 minutes`, `5 MB`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantity {
    pub(super) number: f64,
    /// The finest unit that it is said in.
    pub(super) unit: Unit,
    /// Its first word.
    pub(super) start: usize,
    /// The word behind its last.
    pub(super) end: usize,
    /// Whether it comes on top of what there was (1) or is taken from it (-1), as in "10 more minutes".
    pub(super) step: Option<f64>,
}

/// A text in plain words, with its amounts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    words: Vec<String>,
    pub(super) quantities: Vec<Quantity>,
}

impl Measured {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Self {
        let words: Vec<String> = plain(&figured(text)).split_whitespace().map(str::to_owned).collect();
        let mut quantities: Vec<Quantity> = Vec::new();
        for quantity in (0..words.len()).filter_map(|at| quantity(&words, at)) {
            match quantities.last_mut().and_then(|last| Some((joined(last, &quantity, &words)?, last))) {
                Some((joined, last)) => *last = joined,
                None => quantities.push(quantity),
            }
        }
        Self { words, quantities }
    }

    /// The words before an amount.
    pub(super) fn before(&self, quantity: &Quantity) -> &[String] {
        &self.words[..quantity.start]
    }

    /// The words behind an amount.
    pub(super) fn after(&self, quantity: &Quantity) -> &[String] {
        &self.words[quantity.end..]
    }

    /// All words beside an amount.
    pub(super) fn beside(&self, quantity: &Quantity) -> impl Iterator<Item = &str> {
        self.before(quantity).iter().chain(self.after(quantity)).map(String::as_str)
    }

    /// An amount as it is said, in figures.
    pub(super) fn said(&self, quantity: &Quantity) -> String {
        self.words[quantity.start..quantity.end].join(" ")
    }

    /// The words around an amount and its own, with a space at both ends. Wide enough for `the model may take at most 5 MB on
    /// disk`, narrow enough that two wishes in one sentence stay apart.
    pub(super) fn near(&self, quantity: &Quantity) -> String {
        const BEFORE: usize = 7;
        const AFTER: usize = 5;
        let last_end =
            self.quantities.iter().map(|other| other.end).filter(|end| *end <= quantity.start).max();
        let next_start = self.quantities.iter().map(|other| other.start).find(|start| *start >= quantity.end);
        let start = quantity.start.saturating_sub(BEFORE).max(last_end.unwrap_or(0));
        let end = (quantity.end + AFTER).min(next_start.unwrap_or(self.words.len())).min(self.words.len());
        format!(" {} ", self.words[start..end].join(" "))
    }
}

/// The amount whose number is the word at `at`.
fn quantity(words: &[String], at: usize) -> Option<Quantity> {
    let number: f64 = words[at].parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())?;
    if !words[at].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let step = words.get(at + 1).map(String::as_str).filter(|word| STEPS.contains(word));
    let named = at + 1 + usize::from(step.is_some());
    let unit = unit(words.get(named)?)?;
    let step = step.map(|step| if matches!(step, "less" | "fewer") { -1.0 } else { 1.0 });
    Some(Quantity { number, unit, start: at, end: named + 1, step })
}

/// Two amounts of time that are one: `1 hour 30 minutes`, `5 minutes and 30 seconds`.
fn joined(first: &Quantity, second: &Quantity, words: &[String]) -> Option<Quantity> {
    let is_next = second.start == first.end
        || second.start == first.end + 1 && words.get(first.end).is_some_and(|word| word == "and");
    if !is_next || !second.unit.divides(first.unit) || second.step.is_some() {
        return None;
    }
    let factor = first.unit.seconds()? / second.unit.seconds()?;
    let number = first.number * factor + second.number;
    Some(Quantity { number, unit: second.unit, end: second.end, ..*first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(f64, Unit, Option<f64>)]) {
        let found: Vec<_> =
            Measured::of(text).quantities.iter().map(|one| (one.number, one.unit, one.step)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn amounts_are_read_and_added_up() {
        check("at most 50ms, 0.5 s", &[(50.0, Unit::Milliseconds, None), (0.5, Unit::Seconds, None)]);
        check("1 hour and 30 minutes", &[(90.0, Unit::Minutes, None)]);
        check("1h30m", &[(90.0, Unit::Minutes, None)]);
        check("5 minutes and thirty seconds", &[(330.0, Unit::Seconds, None)]);
        check("an hour and a half", &[(1.5, Unit::Hours, None)]);
        check("ten more minutes", &[(10.0, Unit::Minutes, Some(1.0))]);
        check("5 minutes, 1 GB", &[(5.0, Unit::Minutes, None), (1.0, Unit::Bytes(1e9), None)]);
        check("-5 minutes of 0 minutes", &[(5.0, Unit::Minutes, None)]);
        check("no amount, minutes alone", &[]);
    }

    #[test]
    fn two_wishes_stay_apart() {
        let text = Measured::of("use 10 minutes and at most 5 ms per prediction");
        let near: Vec<String> = text.quantities.iter().map(|one| text.near(one)).collect();
        assert_eq!(near, [" use 10 minutes and at most ", " and at most 5 ms per prediction "]);
    }
}
