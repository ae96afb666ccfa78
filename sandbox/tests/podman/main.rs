//! Cells as containers of a real Podman, which the tests start themselves. What is the same in every cell is attacked in
//! `tests/attacks`; here is what only an engine has: finding it, its images, its containers, and what it leaves behind.
//! `DOCKER_HOST` names another engine to be used instead, Docker's or an ordinary user's Podman.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod cells;
mod finding;
mod service;
