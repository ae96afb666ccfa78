//! Numbers as people write them, made into figures: "twenty-five minutes", "an hour and a half", "1h30", "1,000 trials".

/// Numbers below twenty.
const ONES: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// Tens, from twenty on.
const TENS: &[&str] = &["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
/// Words that multiply the number before them.
const FACTORS: &[(&str, f64)] = &[("hundred", 100.0), ("thousand", 1000.0)];
/// Phrases before a unit that are numbers.
const SHARES: &[(&[&str], f64)] = &[
    (&["three", "quarters", "of", "an"], 0.75),
    (&["a", "quarter", "of", "an"], 0.25),
    (&["a", "quarter", "of", "a"], 0.25),
    (&["quarter", "of", "an"], 0.25),
    (&["quarter", "of", "a"], 0.25),
    (&["half", "an"], 0.5),
    (&["half", "a"], 0.5),
    (&["a", "half"], 0.5),
    (&["half"], 0.5),
    (&["a", "couple", "of"], 2.0),
    (&["a", "couple"], 2.0),
    (&["couple", "of"], 2.0),
    (&["a", "few"], 3.0),
    (&["few"], 3.0),
];
/// Units that an article alone counts: "an hour".
const AFTER_ARTICLE: &[&str] =
    &["hour", "minute", "min", "second", "sec", "millisecond", "kilobyte", "megabyte", "gigabyte"];
/// What may follow "a second": before a noun it is an ordinal.
const AFTER_SECOND: &[&str] = &["per", "each", "for", "to", "or", "at", "on", "max", "maximum"];
/// Words between a number and its unit that say that there is to be more or less than there was.
pub(super) const STEPS: &[&str] = &["more", "extra", "additional", "further", "less", "fewer"];

/// A unit of time or size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    /// With the number of bytes in one.
    Bytes(f64),
}

impl Unit {
    /// Seconds in one; `None` for sizes.
    pub(super) fn seconds(self) -> Option<f64> {
        Some(match self {
            Self::Microseconds => 1e-6,
            Self::Milliseconds => 1e-3,
            Self::Seconds => 1.0,
            Self::Minutes => 60.0,
            Self::Hours => 3600.0,
            Self::Bytes(_) => return None,
        })
    }

    /// Whether work is timed in it.
    pub(super) fn is_of_work(self) -> bool {
        matches!(self, Self::Seconds | Self::Minutes | Self::Hours)
    }

    /// Whether it divides another unit in which work is timed.
    pub(super) fn divides(self, larger: Self) -> bool {
        self.is_of_work() && larger.is_of_work() && self.seconds() < larger.seconds()
    }
}

/// The unit that a word is.
pub(super) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "microsecond" | "microseconds" => Unit::Microseconds,
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Milliseconds,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Seconds,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minutes,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hours,
        "byte" | "bytes" => Unit::Bytes(1.0),
        "kb" | "kilobyte" | "kilobytes" => Unit::Bytes(1e3),
        "mb" | "megabyte" | "megabytes" => Unit::Bytes(1e6),
        "gb" | "gigabyte" | "gigabytes" => Unit::Bytes(1e9),
        "kib" => Unit::Bytes(1024.0),
        "mib" => Unit::Bytes(1_048_576.0),
        "gib" => Unit::Bytes(1_073_741_824.0),
        _ => return None,
    })
}

/// A text in small letters in which amounts of time, of size and of trials are written in figures, number and unit apart.
/// Other words stay as they are.
pub fn figured(text: &str) -> String {
    let small = small(text);
    let words: Vec<&str> = small.split_whitespace().collect();
    let mut made: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let amount = amount(&words[at..]);
        at += amount.as_ref().map_or(1, |amount| amount.words);
        made.push(amount.map_or_else(|| (*word).to_owned(), |amount| amount.figures));
    }
    made.join(" ")
}

/// Whether what follows "and", or a comma, goes on with the time that ends before it: "1 hour and 30 minutes", "an hour and a
/// half", "two and a half hours". `before` is the word before the joint.
pub fn is_one_time(before: &str, after: &[&str]) -> bool {
    let before = small(before);
    let ends = last_unit(bare(&before));
    let after: Vec<String> = after.iter().take(8).map(|word| small(word)).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    if let ["a", half, ..] = after.as_slice()
        && bare(half) == "half"
    {
        return ends.is_some_and(Unit::is_of_work) || counted(&[before.as_str()]).is_some();
    }
    let (Some(ends), Some(amount)) = (ends, amount(&after)) else { return false };
    let is_of_each = after.get(amount.words).is_some_and(|word| matches!(*word, "per" | "each" | "for"));
    amount.unit.is_some_and(|unit| unit.divides(ends)) && !is_of_each
}

fn small(text: &str) -> String {
    text.to_lowercase().replace(['’', '‘'], "'")
}

/// A word without the marks behind it.
fn bare(word: &str) -> &str {
    word.trim_end_matches(|c: char| !c.is_alphanumeric())
}

/// An amount that a text begins with.
struct Amount {
    /// In figures, with the marks behind it.
    figures: String,
    /// Its unit; `None` for trials.
    unit: Option<Unit>,
    /// How many words it takes.
    words: usize,
}

/// The amount that words begin with.
fn amount(words: &[&str]) -> Option<Amount> {
    let first = words.first()?;
    if let Some((figures, unit)) = glued(first) {
        return Some(Amount { figures, unit: Some(unit), words: 1 });
    }
    if let ["another", counted, ..] = words
        && AFTER_ARTICLE.contains(&bare(counted))
    {
        return Some(Amount { figures: format!("another 1 {counted}"), unit: unit(bare(counted)), words: 2 });
    }
    let (mut number, mut at) = number(words)?;
    let step = words.get(at).filter(|word| STEPS.contains(word));
    at += usize::from(step.is_some());
    let counted = words.get(at)?;
    let name = bare(counted);
    if !is_counted(words, at) {
        return None;
    }
    let mut marks = &counted[name.len()..];
    at += 1;
    if let Some(["and", "a", half]) = words.get(at..at + 3)
        && bare(half) == "half"
        && marks.is_empty()
    {
        number += 0.5;
        marks = &half["half".len()..];
        at += 3;
    }
    let step = step.map(|step| format!(" {step}")).unwrap_or_default();
    Some(Amount { figures: format!("{number}{step} {name}{marks}"), unit: unit(name), words: at })
}

/// Whether the word at `at` is a unit that the words before it count.
fn is_counted(words: &[&str], at: usize) -> bool {
    let (first, name) = (words[0], bare(words[at]));
    let is_article = at == 1 && matches!(first, "a" | "an");
    if is_article && matches!(name, "second" | "sec") {
        let ends = name.len() < words[at].len();
        return ends || words.get(at + 1).is_none_or(|next| AFTER_SECOND.contains(next));
    }
    if is_article {
        return AFTER_ARTICLE.contains(&name);
    }
    let is_figure = first.starts_with(|c: char| c.is_ascii_digit());
    let is_unit = unit(name).is_some() && (is_figure || name.len() > 1);
    is_unit || matches!(name, "trial" | "trials")
}

/// The number that words begin with, and how many of them it takes; an article is one.
fn number(words: &[&str]) -> Option<(f64, usize)> {
    /// Whole numbers up to here are exact, and written without an exponent.
    const NUMBER_MAX: f64 = 1e12;
    let share = SHARES.iter().find(|(phrase, _)| words.starts_with(phrase));
    let article = || matches!(*words.first()?, "a" | "an").then_some((1.0, 1));
    let (number, taken) =
        share.map(|(phrase, share)| (*share, phrase.len())).or_else(|| counted(words)).or_else(article)?;
    let is_halved = matches!(words.get(taken..taken + 3), Some(["and", "a", "half"]));
    let (number, taken) = if is_halved { (number + 0.5, taken + 3) } else { (number, taken) };
    (number.is_finite() && number < NUMBER_MAX).then_some((number, taken))
}

/// A number in digits or in words.
fn counted(words: &[&str]) -> Option<(f64, usize)> {
    let first = words.first()?;
    if let Some(number) = digits(first) {
        return Some((number, 1));
    }
    let is_factor =
        |at: usize| words.get(at).is_some_and(|word| FACTORS.iter().any(|(name, _)| name == word));
    let (mut number, mut taken) =
        if *first == "a" && is_factor(1) { (1.0, 1) } else { below_hundred(words)? };
    for (name, factor) in FACTORS {
        if words.get(taken) == Some(name) {
            number *= factor;
            taken += 1;
        }
    }
    Some((number, taken))
}

/// A number in digits, its thousands apart or not.
fn digits(word: &str) -> Option<f64> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (whole, share) = word.split_once('.').unwrap_or((word, ""));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = groups.clone().next().is_some();
    if is_grouped && (first.len() > 3 || groups.any(|group| group.len() != 3) || share.contains(',')) {
        return None;
    }
    word.replace(',', "").parse().ok()
}

fn below_hundred(words: &[&str]) -> Option<(f64, usize)> {
    let one = |word: &str| ONES.iter().position(|name| *name == word);
    let ten = |word: &str| TENS.iter().position(|name| *name == word).map(|at| 10 * (at + 2));
    let first = *words.first()?;
    if let Some((tens, ones)) = first.split_once('-') {
        return Some(((ten(tens)? + one(ones).filter(|ones| (1..10).contains(ones))?) as f64, 1));
    }
    if let Some(number) = one(first) {
        return Some((number as f64, 1));
    }
    let tens = ten(first)?;
    let ones = words.get(1).copied().and_then(one).filter(|ones| (1..10).contains(ones));
    Some(((tens + ones.unwrap_or(0)) as f64, 1 + usize::from(ones.is_some())))
}

/// Numbers and units in one word, put apart: "90s", "10-minute", "1h30m"; with the last unit.
fn glued(word: &str) -> Option<(String, Unit)> {
    let whole = bare(word);
    let mut rest = whole;
    let mut pieces: Vec<String> = Vec::new();
    let mut last = None;
    if let Some((number, name)) = whole.split_once('-')
        && let Some((number, _)) = below_hundred(&[number])
        && let Some(unit) = unit(name).filter(|_| name.len() > 2)
    {
        return Some((format!("{number} {name}{}", &word[whole.len()..]), unit));
    }
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
        let number = digits(&rest[..rest.len() - after.len()])?;
        let after = after.strip_prefix('-').unwrap_or(after);
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let name = match (&after[..letters], last) {
            // Half an hour behind hours: "1h30".
            ("", Some(Unit::Hours)) => "m",
            (name, _) => name,
        };
        last = Some(unit(name)?);
        pieces.push(format!("{number} {name}"));
        rest = &after[letters..];
    }
    Some((format!("{}{}", pieces.join(" "), &word[whole.len()..]), last?))
}

/// The unit that a word is or ends with.
fn last_unit(word: &str) -> Option<Unit> {
    unit(word).or_else(|| glued(word).map(|(_, unit)| unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(figured(text), expected, "{text}");
    }

    #[test]
    fn amounts_become_figures() {
        check("Five minutes, AUC", "5 minutes, auc");
        check("twenty-five minutes or forty five seconds", "25 minutes or 45 seconds");
        check("take half an hour", "take 0.5 hour");
        check("a quarter of an hour; three quarters of an hour", "0.25 hour; 0.75 hour");
        check("an hour and a half.", "1.5 hour.");
        check("two and a half hours", "2.5 hours");
        check("2 hrs, 30min, 90s, 1h30m, 1h30", "2 hrs, 30 min, 90 s, 1 h 30 m, 1 h 30 m");
        check("a ten-minute run, a 10-minute run", "a 10 minute run, a 10 minute run");
        check("1,000 trials; two hundred trials; a thousand trials", "1000 trials; 200 trials; 1000 trials");
        check("give it ten more minutes and another hour", "give it 10 more minutes and another 1 hour");
        check("a couple of minutes or a few hours", "2 minutes or 3 hours");
        check("under five megabytes", "under 5 megabytes");
    }

    #[test]
    fn other_words_stay() {
        for text in [
            "the one with two columns",
            "whether a second visit follows",
            "predict f1 and column_2m",
            "a model of a m and s",
            "1e999 minutes, 1,00 minutes",
            "half of it",
        ] {
            check(text, text);
        }
        check("under a second", "under 1 second");
        check("a second per row", "1 second per row");
        check("Don’t", "don't");
    }

    #[test]
    fn a_time_in_two_parts_is_one() {
        let joins = |before: &str, after: &str| {
            let after: Vec<&str> = after.split_whitespace().collect();
            is_one_time(before, &after)
        };
        assert!(
            joins("hour", "30 minutes, AUC") && joins("minutes", "thirty seconds") && joins("1h", "30min")
        );
        assert!(joins("Hour", "a half") && joins("two", "a half hours"));
        assert!(
            !joins("minutes", "30 trials") && !joins("seconds", "5 minutes") && !joins("price", "a half")
        );
        assert!(!joins("minutes", "1 second per row") && !joins("minutes", "5 ms"));
    }
}
