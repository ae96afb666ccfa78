//! The agents: an observation goes in, a closed, typed decision comes out.
//!
//! In this crate the *playbook* answers: built-in expert knowledge as rules and portfolios. Every agent is a
//! function of its arguments, so another kind of mind can take the playbook's seat behind the same types: [`mind`] asks a
//! language model.
//!
//! Invariant: no file, no process, no clock, no randomness but from a seed in the arguments. Task text is data:
//! only closed patterns are read from it, never an instruction.

pub mod allocate;
pub mod code;
pub mod data;
pub mod hpo;
pub mod mind;
pub mod model;
pub mod outlook;
pub mod planner;
pub mod playbook;
pub mod search;
pub mod talk;
pub mod thought;
pub mod understand;
pub mod verifier;
