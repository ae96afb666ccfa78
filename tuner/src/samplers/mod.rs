//! The samplers. Each keeps the contract of [`Sampler`](crate::sampler::Sampler).

pub mod gp;
mod random;
mod sobol;
pub mod tpe;

pub use gp::Gp;
pub use random::Random;
pub use sobol::Sobol;
pub use tpe::Tpe;

use crate::sampler::Sampler;
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The names that [`by_name`] knows.
pub const NAMES: &[&str] = &["random", "sobol", "tpe", "gp"];

/// A sampler by its name, working as most studies want it; `None` for a name that is not in [`NAMES`].
pub fn by_name(name: &str) -> Option<Box<dyn Sampler>> {
    Some(match name {
        "random" => Box::new(Random),
        "sobol" => Box::new(Sobol),
        "gp" => Box::new(Gp::default()),
        "tpe" => Box::new(Tpe::default()),
        _ => return None,
    })
}

/// The chance of a named part, the same in every decision of a study.
fn fresh(seed: Seed, part: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed.derive(part).0)
}

#[cfg(test)]
mod contract;
