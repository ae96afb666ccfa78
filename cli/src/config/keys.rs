//! The keys of the configuration: name, what it holds, who may set it.

use ansatz_core::bill::PriceTable;
use std::fmt;
use std::path::PathBuf;

/// A value of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A positive number.
    Number(f64),
    /// A whole number.
    Whole(u64),
    /// Yes or no.
    Truth(bool),
    /// A folder.
    Folder(PathBuf),
    /// A text on one line.
    Text(String),
    /// Prices of language models.
    Prices(PriceTable),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Text(text) => f.write_str(text),
            Self::Prices(table) => {
                let as_of = table.as_of.as_deref().unwrap_or("a day not given");
                write!(f, "{} models, as of {as_of}", table.models.len())
            }
        }
    }
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A number above 0.
    Number,
    /// A whole number from 1.
    Count,
    /// A whole number from 0.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A folder.
    Folder,
    /// A number from 0.
    Amount,
    /// A text on one line.
    Text,
    /// A word in small letters.
    Word,
    /// A table of prices.
    Prices,
}

impl Holds {
    /// In words, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Number => "a number above 0",
            Self::Count => "a whole number from 1",
            Self::Whole => "a whole number from 0",
            Self::Truth => "true or false",
            Self::Folder => "a folder in quotes",
            Self::Amount => "a number from 0",
            Self::Text => "a text in quotes",
            Self::Word => "a word in small letters and in quotes",
            Self::Prices => {
                "a table with as_of and, below models, input, output and perhaps cached for each model"
            }
        }
    }

    /// The value in a TOML file, if it is one.
    pub fn read_toml(self, value: &toml::Value) -> Option<Value> {
        match (self, value) {
            (Self::Number, toml::Value::Integer(number)) => positive(*number as f64),
            (Self::Number, toml::Value::Float(number)) => positive(*number),
            (Self::Count, toml::Value::Integer(number)) => {
                u64::try_from(*number).ok().filter(|number| *number > 0).map(Value::Whole)
            }
            (Self::Whole, toml::Value::Integer(number)) => u64::try_from(*number).ok().map(Value::Whole),
            (Self::Truth, toml::Value::Boolean(truth)) => Some(Value::Truth(*truth)),
            (Self::Folder, toml::Value::String(text)) if !text.is_empty() => Some(Value::Folder(text.into())),
            (Self::Amount, toml::Value::Integer(number)) => amount(*number as f64),
            (Self::Amount, toml::Value::Float(number)) => amount(*number),
            (Self::Text, toml::Value::String(text)) => line(text),
            (Self::Word, toml::Value::String(text)) => word(text),
            (Self::Prices, toml::Value::Table(table)) => prices(table.clone()),
            _ => None,
        }
    }

    /// The value in an environment variable, if it is one.
    pub fn read_text(self, text: &str) -> Option<Value> {
        match self {
            Self::Number => text.parse().ok().and_then(positive),
            Self::Count => text.parse().ok().filter(|number: &u64| *number > 0).map(Value::Whole),
            Self::Whole => text.parse().ok().map(Value::Whole),
            Self::Truth => match text {
                "true" | "1" | "yes" => Some(Value::Truth(true)),
                "false" | "0" | "no" => Some(Value::Truth(false)),
                _ => None,
            },
            Self::Folder => Some(Value::Folder(text.into())),
            Self::Amount => text.parse().ok().and_then(amount),
            Self::Text => line(text),
            Self::Word => word(text),
            // A table has no place in a variable.
            Self::Prices => None,
        }
    }
}

fn amount(number: f64) -> Option<Value> {
    (number.is_finite() && number >= 0.0).then_some(Value::Number(number))
}

fn line(text: &str) -> Option<Value> {
    let text = text.trim();
    (!text.is_empty() && !text.contains(char::is_control)).then(|| Value::Text(text.into()))
}

fn word(text: &str) -> Option<Value> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    is_word.then(|| Value::Text(text.into()))
}

fn prices(table: toml::Table) -> Option<Value> {
    let table: PriceTable = table.try_into().ok()?;
    let is_sound = |number: f64| number.is_finite() && number >= 0.0;
    let mut numbers =
        table.models.values().flat_map(|price| [Some(price.input), price.cached, Some(price.output)]);
    numbers.all(|number| number.is_none_or(is_sound)).then_some(Value::Prices(table))
}

fn positive(number: f64) -> Option<Value> {
    (number.is_finite() && number > 0.0).then_some(Value::Number(number))
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in files; in the environment `ANSATZ_` and the name in capitals.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether a project's file may set it. Such a file comes with data from elsewhere, so it decides nothing about folders.
    pub in_project: bool,
    /// What it is for.
    pub about: &'static str,
}

const fn key(name: &'static str, holds: Holds, in_project: bool, about: &'static str) -> Key {
    Key { name, holds, in_project, about }
}

/// All keys.
pub const KEYS: [Key; 23] = [
    key("home", Holds::Folder, false, "state of the program: worker environment, memory"),
    key("runs", Holds::Folder, false, "where runs go"),
    key("minutes", Holds::Number, true, "time of a run, in minutes"),
    key("seconds", Holds::Number, true, "time of a run, in seconds"),
    key("trials", Holds::Count, true, "trials of a run"),
    key("jobs", Holds::Count, true, "trials at once"),
    key("seed", Holds::Whole, true, "seed of a run"),
    key(
        "strict",
        Holds::Truth,
        true,
        "refuse anything below sandbox level L3; a project can only switch it on",
    ),
    key("memory", Holds::Truth, true, "learn from earlier runs and for later ones"),
    key("llm_base_url", Holds::Text, false, "language model: base URL, or several with commas to fail over"),
    key("llm_model", Holds::Text, false, "language model: its name, or one for each base URL"),
    key("llm_wait", Holds::Number, false, "language model: seconds of silence before its first word"),
    key(
        "llm_reasoning_effort",
        Holds::Word,
        false,
        "language model: how much it thinks before it answers, such as low; left out where it is refused",
    ),
    key(
        "search_url",
        Holds::Text,
        false,
        "language model: base URL of a search endpoint whose pages the planner reads",
    ),
    key("require_llm", Holds::Truth, true, "stop when the language model cannot be used"),
    key("max_tokens", Holds::Whole, true, "most tokens that a run may use, in both directions"),
    key("max_usd", Holds::Amount, true, "most USD that a run may spend on language models"),
    key(
        "prompts",
        Holds::Folder,
        false,
        "folder of your own wordings, as `ansatz prompts export` writes them",
    ),
    key("openml_base_url", Holds::Text, false, "base URL of OpenML's API"),
    key("hf_base_url", Holds::Text, false, "base URL of Hugging Face, or of a mirror"),
    key(
        "source_hosts",
        Holds::Text,
        false,
        "hosts, with commas, that addresses of data may lead to beside their own; for `serve` the only ones",
    ),
    key("source_max_mib", Holds::Count, false, "most MiB of data that are fetched"),
    key("prices", Holds::Prices, false, "USD per million tokens by model"),
];

/// The key of that name.
pub fn find(name: &str) -> Option<Key> {
    KEYS.into_iter().find(|key| key.name == name)
}

/// Changed letters up to which a name counts as misspelt.
const MISSPELT_MAX: usize = 2;

/// The known name that an unknown one is a misspelling of.
pub fn nearest(name: &str) -> Option<&'static str> {
    let known = KEYS.iter().map(|key| key.name).min_by_key(|known| distance(name, known))?;
    (distance(name, known) <= MISSPELT_MAX).then_some(known)
}

/// Edit distance: insertions, deletions and exchanges of one character.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word() {
        for text in ["low", "none", "xhigh"] {
            assert_eq!(Holds::Word.read_text(text), Some(Value::Text(text.into())));
            assert!(Holds::Word.read_toml(&toml::Value::String(text.into())).is_some());
        }
        for text in ["", "High", "very low", "3", "low,high"] {
            assert_eq!(Holds::Word.read_text(text), None, "{text}");
        }
        assert_eq!(Holds::Word.read_toml(&toml::Value::Integer(3)), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("jobs", "jobs"), 0);
        assert_eq!(nearest("job"), Some("jobs"));
        assert_eq!(nearest("minute"), Some("minutes"));
        assert_eq!(nearest("sandbox"), None);
    }
}
