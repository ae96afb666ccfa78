//! Chance: the yardstick of every other sampler, and what they fall back to.

use crate::sampler::{History, Move, Sampler};

/// Draws untried points uniformly, each parameter on its own scale.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Sampler for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        seen.draw(&mut seen.rng()).map_or(Move::Nothing, Move::from)
    }
}
