//! The referee: metrics, splits, gates, intervals, leak decisions and the submission check.
//!
//! Pure: it reads no file, no clock and no environment, starts nothing, and every source of chance is a seed that the
//! caller gives. It judges predictions and evidence; it never sees solution code and never trusts a score from outside.

pub mod constraints;
pub mod decision;
pub mod ensemble;
pub mod gates;
pub mod interval;
pub mod leaks;
pub mod metrics;
pub mod prior;
pub mod resample;
pub mod split;
mod statistics;
pub mod submission;
