//! Attacks on cells, each with a positive control: what must fail fails, and what must work works.
//!
//! `rows.rs` is the table: which attack is tried where; a test holds it complete. Every payload is harmless where a barrier is
//! missing: files are opened and closed, connections go to canaries, marks are looked for and not acted on.
//!
//! The suite runs in one *world*: root's own cells, unless `ANSATZ_TEST_WORLD` names another. `worlds.rs` runs it again in
//! every other world, and compares two implementations of the same policy outcome by outcome. A case that cannot run fails,
//! unless `ANSATZ_ALLOW_SKIP` names it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod canary;
mod case;
mod files;
mod honest;
mod kernel;
mod levels;
mod network;
mod processes;
mod record;
mod resources;
mod results;
mod rows;
#[path = "../podman/service.rs"]
mod service;
mod world;
mod worlds;
mod zygote;
