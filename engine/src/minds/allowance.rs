//! How much a language model may be asked in one run: more where there is more time and where there are more tokens.

use super::TOKENS_DEFAULT;
use ansatz_core::budget::Budget;

/// Questions of a default run, and of a shorter one.
const THOUGHTS: u32 = 20;
/// Seconds of a default run, and trials that are worth as much.
const SECONDS: f64 = 300.0;
const TRIALS: f64 = 300.0;
/// A run is taken for no more than so many default runs.
const TIMES_MAX: f64 = 12.0;
/// Second thoughts about the plan, and generated solutions that are taken apart, for each of them.
const ROUNDS: u32 = 2;
const WORKS: usize = 2;

/// What a budget leaves room for. The caps of tokens and money hold beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many default runs fit into the budget; at least one.
    times: u32,
}

impl Allowance {
    /// What fits into a budget. Time without tokens is no room for questions, nor are tokens without time.
    pub fn of(budget: &Budget) -> Self {
        let by_time = match (budget.trials, budget.wall) {
            (Some(trials), _) => f64::from(trials) / TRIALS,
            (None, Some(wall)) => wall.as_secs_f64() / SECONDS,
            (None, None) => 1.0,
        };
        let by_tokens = budget.tokens.unwrap_or(TOKENS_DEFAULT) as f64 / TOKENS_DEFAULT as f64;
        Self { times: by_time.min(by_tokens).clamp(1.0, TIMES_MAX) as u32 }
    }

    /// Questions.
    pub fn thoughts(self) -> u32 {
        THOUGHTS * self.times
    }

    /// How often the plan may be looked at again.
    pub fn rounds(self) -> u32 {
        if self.is_long() { ROUNDS * self.times } else { 1 }
    }

    /// Generated solutions that may be taken apart.
    pub fn works(self) -> usize {
        WORKS * self.times as usize
    }

    /// Whether there is room for more than a default run needs.
    pub fn is_long(self) -> bool {
        self.times > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn thoughts(seconds: Option<u64>, trials: Option<u32>, tokens: Option<u64>) -> u32 {
        let wall = seconds.map(Duration::from_secs);
        Allowance::of(&Budget { wall, trials, tokens, usd: None }).thoughts()
    }

    #[test]
    fn questions_grow_with_time_as_far_as_there_are_tokens() {
        assert_eq!(thoughts(Some(300), None, None), 20);
        assert_eq!(thoughts(Some(20), None, Some(100)), 20, "a short run is asked for no less");
        assert_eq!(thoughts(Some(3600), None, None), 20, "the default of tokens is enough for one run");
        assert_eq!(thoughts(Some(3600), None, Some(2_000_000)), 240);
        assert_eq!(thoughts(Some(36_000), None, Some(20_000_000)), 240, "there is an end");
        assert_eq!(thoughts(None, Some(90), Some(2_000_000)), 20);
        assert_eq!(thoughts(None, Some(900), Some(2_000_000)), 60);
        assert_eq!(thoughts(None, None, Some(2_000_000)), 20);
    }

    #[test]
    fn only_long_runs_think_again_and_again() {
        let of = |seconds| {
            let wall = Some(Duration::from_secs(seconds));
            Allowance::of(&Budget { wall, tokens: Some(1_000_000), ..Budget::default() })
        };
        assert_eq!((of(300).rounds(), of(300).works(), of(300).is_long()), (1, 2, false));
        assert_eq!((of(900).rounds(), of(900).works(), of(900).is_long()), (6, 6, true));
    }
}
