//! The pruners. Each keeps the contract of [`Pruner`](crate::pruner::Pruner).
