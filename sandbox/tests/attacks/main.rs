//! Attacks on cells, each with a positive control: what must fail fails, and what must work works.
//!
//! Every payload is harmless where a barrier is missing: files are opened and closed, connections go to canaries, marks are
//! looked for and not acted on. The whole suite runs as the current user and, when that is root, once more as an ordinary
//! user without control groups. A case that cannot run fails, unless `ANSATZ_ALLOW_SKIP` names it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod files;
mod network;
mod processes;
mod resources;
mod results;
mod user;
mod world;
mod zygote;
