//! The words of Ansatz as types, and nothing else.
//!
//! Everything above this crate speaks in these terms: a [`Task`](task::Task) is asked, a
//! [`Profile`](profile::Profile) describes its data, [`Candidate`](candidate::Candidate)s guess,
//! a [`Metric`](metric::Metric) scores, an [`Event`](event::Event) records.
//!
//! Invariant: no input or output, no clock reading, no randomness of its own, no global state.

pub mod bill;
pub mod budget;
pub mod candidate;
pub mod clock;
pub mod event;
pub mod evidence;
pub mod ids;
pub mod matrix;
pub mod metric;
pub mod npy;
pub mod outcome;
pub mod profile;
pub mod retry;
pub mod secret;
pub mod seed;
pub mod source;
pub mod status;
pub mod steer;
pub mod task;
pub mod verdict;
