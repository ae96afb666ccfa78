//! What an endpoint and model have been seen to accept: remembered for the life of the process, so that a refusal is paid once.

use crate::error::LlmErrorKind;
use crate::model::Rung;
use std::collections::BTreeSet;

/// Parameters that can be left out, and what refusals call them.
const OPTIONAL: [(&str, &[&str]); 3] = [
    ("temperature", &["temperature"]),
    ("stream_options", &["stream_options"]),
    (
        "reasoning_effort",
        &["reasoning_effort", "reasoning effort", "does not support thinking", "think value"],
    ),
];

/// What a limit of an answer's length is called.
const LENGTH: [&str; 4] = ["max_tokens", "max_completion_tokens", "completion tokens", "output tokens"];

/// Words of refusals of a limit that is too high.
const TOO_HIGH: [&str; 6] =
    ["too large", "at most", "maximum", "less than or equal", "valid range", "exceed"];

/// Fewest tokens that are taken for a limit. A lower number in a refusal is about something else.
const LIMIT_MIN: u32 = 256;

/// What is sent, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habits {
    /// How structure is asked for.
    pub rung: Rung,
    /// Whether answers come in pieces.
    pub streams: bool,
    /// Whether the limit of the answer goes by its newer name.
    pub new_tokens_name: bool,
    /// The highest limit that is taken, when a higher one was refused.
    tokens_most: Option<u32>,
    dropped: BTreeSet<&'static str>,
}

impl Habits {
    /// Those to start with.
    pub fn new(rung: Rung) -> Self {
        Self { rung, streams: true, new_tokens_name: false, tokens_most: None, dropped: BTreeSet::new() }
    }

    /// Whether a parameter is left out.
    pub fn drops(&self, name: &str) -> bool {
        self.dropped.contains(name)
    }

    /// Name of the limit of the answer's length.
    pub fn tokens_name(&self) -> &'static str {
        if self.new_tokens_name { "max_completion_tokens" } else { "max_tokens" }
    }

    /// The limit of an answer that may have so many tokens.
    pub fn tokens_limit(&self, tokens_max: u32) -> u32 {
        self.tokens_most.map_or(tokens_max, |most| most.min(tokens_max))
    }

    /// Learns how long an answer may be, from a refusal of more that says so; false when it does not.
    pub fn lower(&mut self, refusal: &LlmErrorKind, tokens_max: u32) -> bool {
        let LlmErrorKind::Rejected { message, .. } = refusal else { return false };
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if !says(&LENGTH) || !says(&TOO_HIGH) {
            return false;
        }
        let sent = self.tokens_limit(tokens_max);
        // Whole words alone: the name of a model may hold a date.
        let words = message.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        let numbers = words.filter_map(|word| word.trim_matches('.').parse::<u32>().ok());
        let most = numbers.filter(|number| (LIMIT_MIN..sent).contains(number)).max();
        self.tokens_most = most.or(self.tokens_most);
        most.is_some()
    }

    /// Learns from a refusal; false when nothing could be changed.
    pub fn learn(&mut self, refusal: &LlmErrorKind, wants_json: bool) -> bool {
        let (message, param) = match refusal {
            LlmErrorKind::Rejected { message, param, .. } => {
                (message.to_lowercase(), param.clone().unwrap_or_default())
            }
            // Some servers fail where they should refuse: a grammar that they cannot build is an error 500.
            LlmErrorKind::Server { status: 500 | 501, message, .. } => {
                (message.to_lowercase(), String::new())
            }
            _ => return false,
        };
        let names = |word: &str| param.contains(word) || message.contains(word);
        if names("max_completion_tokens") != names("'max_tokens'") || param == "max_tokens" {
            let wants_new = param == "max_tokens"
                || message.contains("max_completion_tokens") && !message.contains("unknown");
            if wants_new != self.new_tokens_name {
                self.new_tokens_name = wants_new;
                return true;
            }
        }
        for (name, words) in OPTIONAL {
            if words.iter().any(|word| names(word)) && self.dropped.insert(name) {
                return true;
            }
        }
        let about_format =
            ["response_format", "json_schema", "json_object", "schema", "grammar", "structured"];
        if wants_json && about_format.iter().any(|word| names(word)) {
            let next = match self.rung {
                Rung::Bounded => Rung::Portable,
                Rung::Portable => Rung::Object,
                Rung::Object => Rung::Fenced,
                Rung::Fenced => return false,
            };
            self.rung = next;
            return true;
        }
        if names("stream") && self.streams {
            self.streams = false;
            return true;
        }
        // A refusal that names nothing: the form of the answer is the likeliest cause.
        if wants_json && matches!(refusal, LlmErrorKind::Rejected { .. }) && self.rung != Rung::Fenced {
            self.rung = Rung::Fenced;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(message: &str, param: Option<&str>) -> LlmErrorKind {
        LlmErrorKind::Rejected { status: 400, message: message.into(), param: param.map(Into::into) }
    }

    #[test]
    fn names_of_the_limit_are_exchanged_both_ways() {
        let mut habits = Habits::new(Rung::Bounded);
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        assert!(habits.learn(&rejected(message, Some("max_tokens")), false));
        assert_eq!(habits.tokens_name(), "max_completion_tokens");
        assert!(habits.learn(&rejected("unknown field max_completion_tokens", None), false));
        assert_eq!(habits.tokens_name(), "max_tokens");
    }

    #[test]
    fn optional_parameters_are_dropped_once() {
        let mut habits = Habits::new(Rung::Bounded);
        let refusal = rejected("Unsupported value: 'temperature' does not support 0.2", Some("temperature"));
        assert!(habits.learn(&refusal, false) && habits.drops("temperature"));
        assert!(!habits.learn(&refusal, false), "a second time it cannot be the cause");
    }

    #[test]
    fn a_reasoning_effort_is_dropped_whatever_it_is_called() {
        for message in [
            "Unrecognized request argument supplied: reasoning_effort",
            "\"llama3.2\" does not support thinking",
            "think value \"low\" is not supported for this model",
        ] {
            let mut habits = Habits::new(Rung::Bounded);
            assert!(habits.learn(&rejected(message, None), false), "{message}");
            assert!(habits.drops("reasoning_effort") && !habits.drops("temperature"), "{message}");
        }
    }

    #[test]
    fn a_limit_that_is_too_high_is_lowered_to_what_the_refusal_names() {
        for message in [
            "max_tokens is too large: 20000. This model supports at most 8192 completion tokens, whereas you provided 20000.",
            "max_tokens: 20000 > 8192, which is the maximum allowed number of output tokens for m-2025-02-19",
            "`max_tokens` must be less than or equal to `8192`",
            "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        ] {
            let mut habits = Habits::new(Rung::Bounded);
            assert!(habits.lower(&rejected(message, Some("max_tokens")), 20_000), "{message}");
            assert_eq!((habits.tokens_limit(20_000), habits.tokens_limit(100)), (8192, 100), "{message}");
            assert!(!habits.lower(&rejected(message, None), 20_000), "a second time it cannot be the cause");
        }
        let mut habits = Habits::new(Rung::Bounded);
        let renamed = "Unsupported parameter: 'max_tokens' is not supported with this model.";
        assert!(!habits.lower(&rejected(renamed, Some("max_tokens")), 20_000));
        assert!(!habits.lower(&rejected("temperature must be at most 2000", None), 20_000));
    }

    #[test]
    fn the_ladder_goes_down_to_words() {
        let mut habits = Habits::new(Rung::Bounded);
        let mut rungs = Vec::new();
        while habits.learn(&rejected("response_format is not supported", None), true) {
            rungs.push(habits.rung);
        }
        assert_eq!(rungs, [Rung::Portable, Rung::Object, Rung::Fenced]);
        let mut habits = Habits::new(Rung::Bounded);
        assert!(habits.learn(&rejected("bad request", None), true) && habits.rung == Rung::Fenced);
        assert!(!habits.learn(&rejected("bad request", None), true));
        assert!(!Habits::new(Rung::Bounded).learn(&rejected("bad request", None), false));
    }

    #[test]
    fn a_server_that_fails_at_a_grammar_is_asked_without() {
        let mut habits = Habits::new(Rung::Bounded);
        let failure =
            LlmErrorKind::Server { status: 500, message: "failed to parse grammar".into(), after: None };
        assert!(habits.learn(&failure, true));
        let failure = LlmErrorKind::Server { status: 500, message: "oops".into(), after: None };
        assert!(!habits.learn(&failure, true));
    }
}
