//! Task text cut into clauses that closed patterns can be looked for in.
//!
//! The text is untrusted: it is read for the patterns of this crate and for nothing else. Fenced code is left out,
//! because a sample of a file is no statement about the task.

use super::nearest::squash;
use super::numbers::is_one_time;
use std::collections::BTreeMap;

/// Bytes of task text that are read; more is a book and not a task.
const TEXT_BYTES_MAX: usize = 100_000;

/// A sentence, table row or list entry of the task text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clause {
    /// Whether the user said it in this very request, rather than the description beside the data.
    pub(crate) said: bool,
    /// The heading above it, in plain words.
    heading: String,
    /// As written, on one line.
    pub(crate) raw: String,
    /// In plain words: see [`plain`].
    pub(crate) plain: String,
}

impl Clause {
    /// Whether the phrase (lower case, single spaces) occurs as whole words.
    pub(crate) fn has(&self, phrase: &str) -> bool {
        self.plain.contains(&format!(" {phrase} "))
    }

    /// Whether any of the phrases occurs.
    pub(crate) fn has_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.has(phrase))
    }

    /// Whether a word begins with the stem.
    pub(crate) fn has_stem(&self, stem: &str) -> bool {
        self.plain.contains(&format!(" {stem}"))
    }

    /// Whether the heading above has a word that begins with one of the stems.
    pub(crate) fn under(&self, stems: &[&str]) -> bool {
        stems.iter().any(|stem| self.heading.contains(&format!(" {stem}")))
    }

    /// Byte position at which the column is named exactly as it is written, as a whole word.
    pub(crate) fn position_of(&self, column: &str) -> Option<usize> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        self.raw.match_indices(column).map(|(at, _)| at).find(|at| {
            let before = self.raw[..*at].chars().next_back();
            let after = self.raw[at + column.len()..].chars().next();
            !column.is_empty() && !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    }

    /// Whether the column is named exactly as it is written.
    pub(crate) fn names(&self, column: &str) -> bool {
        self.position_of(column).is_some()
    }
}

/// All task text of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// The user's own clauses first, then those of the description.
    pub(crate) clauses: Vec<Clause>,
    /// Which clauses hold a word, as it is written: thousands of columns are asked about, few are named.
    places: BTreeMap<String, Vec<usize>>,
}

impl Words {
    /// Cuts the user's own words and the description beside the data into clauses.
    pub(crate) fn read(said: &str, described: &str) -> Self {
        let mut clauses = cut(said, true);
        clauses.extend(cut(described, false));
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, clause) in clauses.iter().enumerate() {
            for word in written_words(&clause.raw) {
                places.entry(word.to_owned()).or_default().push(place);
            }
        }
        places.values_mut().for_each(Vec::dedup);
        Self { clauses, places }
    }

    /// Places of the clauses that name the column exactly as it is written.
    pub(crate) fn places_of(&self, column: &str) -> Vec<usize> {
        let held: Option<Vec<&Vec<usize>>> =
            written_words(column).map(|word| self.places.get(word)).collect();
        let rarest = held.and_then(|held| held.into_iter().min_by_key(|places| places.len()));
        let places = rarest.into_iter().flatten().copied();
        places.filter(|place| self.clauses[*place].names(column)).collect()
    }

    /// Parts of the user's own words that can be read by themselves.
    pub(crate) fn said_parts(&self) -> impl DoubleEndedIterator<Item = String> {
        self.clauses.iter().filter(|clause| clause.said).flat_map(|clause| parts(&clause.raw))
    }

    /// Clauses that name the column exactly as it is written.
    pub(crate) fn naming(&self, column: &str) -> Vec<&Clause> {
        self.places_of(column).into_iter().map(|place| &self.clauses[place]).collect()
    }
}

/// Words that join parts of a request which can be read by themselves.
const JOINTS: &[&[&str]] = &[
    &["and"],
    &["but"],
    &["so", "that"],
    &["such", "that"],
    &["because"],
    &["where"],
    &["while"],
    &["it", "should"],
    &["it", "must"],
    &["it", "has", "to"],
];

/// Words before a colon that say what follows it.
const LABELS: &[&str] = &["target", "label", "metric", "column", "budget", "time"];

/// Parts of a sentence that can be read by themselves: cut at marks and at words that join, but not within a time.
pub(crate) fn parts(said: &str) -> Vec<String> {
    let words: Vec<&str> = said.split_whitespace().collect();
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    let mut at = 0;
    while at < words.len() {
        let before = parts.last().and_then(|part| part.last()).copied().unwrap_or_default();
        if let Some(joint) = joint(&words[at..])
            && !is_one_time(before, &words[at + joint..])
        {
            parts.push(Vec::new());
            at += joint;
            continue;
        }
        let bare = words[at].trim_end_matches([',', ';', '.', '!', '?', ':']);
        let mark = &words[at][bare.len()..];
        at += 1;
        let is_label = mark == ":" && LABELS.contains(&bare.to_lowercase().as_str());
        let goes_on = mark == "," && is_one_time(bare, &words[at..]);
        if let Some(part) = parts.last_mut() {
            part.push(if is_label { words[at - 1] } else { bare });
        }
        if !mark.is_empty() && !is_label && !goes_on {
            parts.push(Vec::new());
        }
    }
    let parts = parts.into_iter().map(|part| part.join(" ").trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// How many words a joint takes that words begin with.
fn joint(words: &[&str]) -> Option<usize> {
    let begins = |joint: &&&[&str]| {
        words.len() >= joint.len() && joint.iter().zip(words).all(|(a, b)| b.eq_ignore_ascii_case(a))
    };
    JOINTS.iter().find(begins).map(|joint| joint.len())
}

/// Runs of letters, digits and underscores.
fn written_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Plain words: lower case, every run of other characters one space, a space at both ends, some spellings unified.
pub(crate) fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut words = String::from(" ");
    for (i, &c) in chars.iter().enumerate() {
        let digit_at = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(char::is_ascii_digit);
        match c {
            '²' => words.push('2'),
            'µ' | 'μ' => words.push('u'),
            '\'' | '’' | '^' | '*' | '`' => {}
            '.' if digit_at(i.checked_sub(1)) && digit_at(Some(i + 1)) => words.push('.'),
            c if c.is_alphanumeric() => {
                let unit_begins = c.is_alphabetic() && digit_at(i.checked_sub(1)) && number_before(&chars, i);
                if unit_begins && is_unit(&chars[i..]) {
                    words.push(' ');
                }
                words.extend(c.to_lowercase());
            }
            _ if words.ends_with(' ') => {}
            _ => words.push(' '),
        }
    }
    let unified: Vec<&str> = words.split_whitespace().flat_map(unify).collect();
    format!(" {} ", unified.join(" "))
}

/// Whether the digits that end before `i` are a number of their own, as in `50ms`, and not the end of a name.
fn number_before(chars: &[char], i: usize) -> bool {
    let before = chars[..i].iter().rev().find(|c| !(c.is_ascii_digit() || **c == '.'));
    before.is_none_or(|c| !(c.is_alphanumeric() || *c == '_'))
}

/// Whether a unit of time or size stands here, glued to its number.
fn is_unit(chars: &[char]) -> bool {
    let word: String =
        chars.iter().take_while(|c| c.is_alphabetic()).flat_map(|c| c.to_lowercase()).collect();
    matches!(
        word.as_str(),
        "ms" | "us"
            | "µs"
            | "μs"
            | "s"
            | "sec"
            | "min"
            | "mins"
            | "m"
            | "h"
            | "kb"
            | "mb"
            | "gb"
            | "kib"
            | "mib"
            | "gib"
    )
}

/// One spelling for words that are written in several ways.
fn unify(word: &str) -> Vec<&str> {
    match word {
        "square" => vec!["squared"],
        "errors" => vec!["error"],
        "logarithm" | "logarithms" | "logarithmic" | "logs" | "ln" | "log1p" | "log10" => vec!["log"],
        "logloss" => vec!["log", "loss"],
        "multiclass" => vec!["multi", "class"],
        "crossentropy" => vec!["cross", "entropy"],
        "rocauc" => vec!["roc", "auc"],
        "scores" => vec!["score"],
        "averaged" => vec!["average"],
        other => vec![other],
    }
}

/// Clauses of one text.
fn cut(text: &str, said: bool) -> Vec<Clause> {
    let mut cutter = Cutter { said, heading: " ".into(), paragraph: String::new(), clauses: Vec::new() };
    let mut fenced = false;
    for line in clip(text).lines().map(str::trim) {
        if line.starts_with("```") || line.starts_with("~~~") {
            cutter.end_paragraph();
            fenced = !fenced;
        } else if !fenced {
            cutter.line(line);
        }
    }
    cutter.end_paragraph();
    cutter.clauses
}

/// The part of a text that is read.
fn clip(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

struct Cutter {
    said: bool,
    heading: String,
    paragraph: String,
    clauses: Vec<Clause>,
}

impl Cutter {
    fn line(&mut self, line: &str) {
        let is_entry = line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ");
        if line.starts_with('#') {
            self.end_paragraph();
            self.heading = plain(line);
        } else if line.starts_with('|') {
            self.end_paragraph();
            self.push(line);
        } else if line.is_empty() || is_entry {
            self.end_paragraph();
        }
        if !line.starts_with('#') && !line.starts_with('|') && !line.is_empty() {
            if !self.paragraph.is_empty() {
                self.paragraph.push(' ');
            }
            self.paragraph.push_str(line);
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let mut start = 0;
        for (at, _) in paragraph.match_indices(['.', '!', '?', ';']) {
            let sentence_ends = paragraph[at + 1..].starts_with(char::is_whitespace);
            let abbreviates =
                ["e.g", "i.e", "etc", "vs", "approx"].iter().any(|a| paragraph[..at].ends_with(a));
            if sentence_ends && !abbreviates {
                self.push(&paragraph[start..at]);
                start = at + 1;
            }
        }
        self.push(&paragraph[start..]);
    }

    fn push(&mut self, raw: &str) {
        let raw = raw.trim();
        if !raw.is_empty() {
            let plain = plain(raw);
            self.clauses.push(Clause {
                said: self.said,
                heading: self.heading.clone(),
                raw: raw.into(),
                plain,
            });
        }
    }
}

/// Column names as people write them in a sentence, by their [`squash`]ed form.
pub(crate) type Spellings<'a> = BTreeMap<String, &'a str>;

/// The spellings of column names; of equal ones the first counts.
pub(crate) fn spellings<'a>(columns: &[&'a str]) -> Spellings<'a> {
    let mut found = BTreeMap::new();
    for column in columns {
        found.entry(squash(column)).or_insert(*column);
    }
    found
}

/// The first column that is written at or soon after byte `from` of the clause: exactly, or word by word with other
/// case and spacing (`rent price` for `RentPrice`).
pub(crate) fn column_after<'a>(clause: &Clause, from: usize, columns: &Spellings<'a>) -> Option<&'a str> {
    /// How many words may stand between the verb and the name.
    const WORDS_BETWEEN: usize = 6;
    /// Words that a column name may be written in.
    const NAME_WORDS: usize = 4;
    let words: Vec<&str> = written_words(&clause.raw[from..])
        .take_while(|word| !matches!(*word, "from" | "using" | "given" | "based" | "with" | "by"))
        .take(WORDS_BETWEEN + NAME_WORDS)
        .collect();
    (0..words.len().min(WORDS_BETWEEN)).find_map(|start| {
        (1..=NAME_WORDS.min(words.len() - start))
            .rev()
            .find_map(|length| columns.get(&squash(&words[start..start + length].concat())).copied())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let words = Words::read("", text);
        let plains: Vec<&str> = words.clauses.iter().map(|clause| clause.plain.trim()).collect();
        assert_eq!(plains, expected, "{text}");
    }

    #[test]
    fn text_is_cut_into_clauses() {
        check("One thing. Another thing!", &["one thing", "another thing"]);
        check("the **Root-Mean-Square\nerror**, i.e. this", &["the root mean squared error i e this"]);
        check("at most 50ms, 0.5 s", &["at most 50 ms 0.5 s"]);
        check("| a | b |\n| --- | --- |\n- x\n- y", &["a b", "", "x", "y"]);
        check("before\n```\nid,count\n```\nafter", &["before", "after"]);
        check("R² or R^2", &["r2 or r2"]);
        check("", &[]);
    }

    #[test]
    fn sentences_are_cut_into_parts_but_times_are_not() {
        let check = |said: &str, expected: &[&str]| assert_eq!(parts(said), expected, "{said}");
        check("predict y, AUC; and it should be fast.", &["predict y", "AUC", "be fast"]);
        check("take 1 hour and 30 minutes and RMSE", &["take 1 hour and 30 minutes", "RMSE"]);
        check("an hour and a half, then stop", &["an hour and a half", "then stop"]);
        check("1 hour, 30 minutes, AUC", &["1 hour 30 minutes", "AUC"]);
        check("10 minutes, 1 second per row", &["10 minutes", "1 second per row"]);
        check("target: y. note: odd", &["target: y", "note", "odd"]);
        check("and", &[]);
    }

    #[test]
    fn a_heading_holds_until_the_next() {
        let words = Words::read("", "# Evaluation\nfirst\n\nsecond\n## Files\nthird");
        let under: Vec<bool> = words.clauses.iter().map(|clause| clause.under(&["evaluat"])).collect();
        assert_eq!(under, [true, true, false]);
    }

    #[test]
    fn a_column_is_named_as_a_whole_word_only() {
        let words = Words::read("", "the `count` of ids and Discounts of ROLE_1");
        let clause = &words.clauses[0];
        assert!(clause.names("count") && clause.names("ROLE_1"));
        assert!(!clause.names("id") && !clause.names("counts") && !clause.names("ROLE") && !clause.names(""));
    }

    #[test]
    fn text_beyond_the_limit_is_cut_at_a_character() {
        let text = "ä".repeat(TEXT_BYTES_MAX);
        assert!(clip(&text).len() <= TEXT_BYTES_MAX);
    }
}
