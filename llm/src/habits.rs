//! What an endpoint and model have been seen to accept: remembered for the life of the process, so that a refusal is paid once.

use crate::error::LlmErrorKind;
use crate::model::Rung;
use std::collections::BTreeSet;

/// Parameters that can be left out or renamed.
const OPTIONAL: [&str; 2] = ["temperature", "stream_options"];

/// What is sent, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habits {
    /// How structure is asked for.
    pub rung: Rung,
    /// Whether answers come in pieces.
    pub streams: bool,
    /// Whether the limit of the answer goes by its newer name.
    pub new_tokens_name: bool,
    dropped: BTreeSet<&'static str>,
}

impl Habits {
    /// Those to start with.
    pub fn new(rung: Rung) -> Self {
        Self { rung, streams: true, new_tokens_name: false, dropped: BTreeSet::new() }
    }

    /// Whether a parameter is left out.
    pub fn drops(&self, name: &str) -> bool {
        self.dropped.contains(name)
    }

    /// Name of the limit of the answer's length.
    pub fn tokens_name(&self) -> &'static str {
        if self.new_tokens_name { "max_completion_tokens" } else { "max_tokens" }
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
        for name in OPTIONAL {
            if names(name) && self.dropped.insert(name) {
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
