//! The pruners. Each keeps the contract of [`Pruner`](crate::pruner::Pruner).

mod asha;
mod hyperband;
mod wilcoxon;

pub use asha::Asha;
pub use hyperband::Hyperband;
pub use wilcoxon::Wilcoxon;

use crate::pruner::Pruner;

/// The names that [`by_name`] knows; the first is the default.
pub const NAMES: &[&str] = &["asha", "hyperband", "wilcoxon"];

/// A pruner by its name for trials that report up to `steps` times (1 if nobody knows how often: rungs then begin at the
/// first report); `None` for a name that is not in [`NAMES`].
pub fn by_name(name: &str, steps: u64) -> Option<Box<dyn Pruner>> {
    Some(match name {
        "asha" => Box::new(Asha::new(steps)),
        "hyperband" => Box::new(Hyperband::new(steps)),
        "wilcoxon" => Box::new(Wilcoxon::default()),
        _ => return None,
    })
}

#[cfg(test)]
mod contract;
