//! The samplers. Each keeps the contract of [`Sampler`](crate::sampler::Sampler).

mod auto;
pub mod gp;
pub mod llambo;
mod mcts;
mod nsga;
mod random;
mod sobol;
pub mod tpe;

pub use auto::Auto;
pub use gp::{Ehvi, Gp, Transferred};
pub use llambo::Llambo;
pub use mcts::Mcts;
pub use nsga::Nsga;
pub use random::Random;
pub use sobol::Sobol;
pub use tpe::Tpe;

use crate::sampler::Sampler;
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The name of the sampler that asks a language model.
pub const LLAMBO: &str = "llambo";
/// The names that [`by_name`] knows; the first is the default.
pub const NAMES: &[&str] = &["auto", "random", "sobol", "tpe", "gp", "mcts", "nsga2", "ehvi", LLAMBO];

/// A sampler by its name, working as most studies want it; `None` for a name that is not in [`NAMES`].
pub fn by_name(name: &str) -> Option<Box<dyn Sampler>> {
    Some(match name {
        "random" => Box::new(Random),
        "sobol" => Box::new(Sobol),
        "auto" => Box::new(Auto::default()),
        "ehvi" => Box::new(Ehvi),
        LLAMBO => Box::new(Llambo::default()),
        "mcts" => Box::new(Mcts::default()),
        "nsga2" => Box::new(Nsga::default()),
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
