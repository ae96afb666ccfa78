//! Servers that cut a long prompt without a word, as Ollama does: noticed by the tokens that they count.

use crate::error::LlmErrorKind;
use ansatz_core::bill::Usage;

/// Share of the estimated tokens below which a server has probably cut the prompt.
const SHARE: f64 = 0.55;

/// Estimated tokens from which such a cut is believed: short prompts are estimated too badly.
const ESTIMATE_MIN: u64 = 3000;

/// Fewest tokens that a context holds. A lower count is what a cache has left to be read.
const CONTEXT_MIN: u64 = 1000;

/// What is said of such a server.
const SAID: &str = "probably cuts long prompts in silence";

/// Whether so few counted tokens mean that the prompt was cut.
pub fn is_likely(estimate: u64, counted: u64) -> bool {
    estimate > ESTIMATE_MIN && (counted as f64) < SHARE * estimate as f64
}

/// Whether the count is that of a whole context, so that the answer is one to another question.
pub fn is_believed(estimate: u64, usage: &Usage) -> bool {
    // Some servers count only what their cache does not hold.
    let is_whole = usage.cached.unwrap_or(0) == 0 && usage.input >= CONTEXT_MIN;
    is_whole && !usage.estimated && is_likely(estimate, usage.input)
}

/// What the user should know of a server; the same words for each of its answers.
pub fn words(name: &str) -> String {
    format!("{name} {SAID}: it counts far fewer tokens than are sent; start it with a larger context")
}

/// Whether a failure is such a cut.
pub fn is_silent(kind: &LlmErrorKind) -> bool {
    matches!(kind, LlmErrorKind::ContextOverflow(why) if why.contains(SAID))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: Option<u64>) -> Usage {
        Usage { input, cached, ..Usage::default() }
    }

    #[test]
    fn a_count_far_below_the_estimate_is_a_cut() {
        assert!(is_likely(12_000, 4096) && !is_likely(12_000, 9000) && !is_likely(2000, 100));
        assert!(is_believed(12_000, &usage(4096, None)) && is_believed(12_000, &usage(4096, Some(0))));
        assert!(!is_believed(12_000, &usage(4096, Some(7000))), "the rest may have come from the cache");
        assert!(!is_believed(12_000, &usage(40, None)), "no context is as short as that");
        assert!(is_silent(&LlmErrorKind::ContextOverflow(words("m at host"))));
        assert!(!is_silent(&LlmErrorKind::ContextOverflow("maximum context length".into())));
    }
}
