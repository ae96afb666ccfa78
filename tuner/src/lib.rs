//! Search for good configurations: spaces, studies, samplers, pruners.
//!
//! How the parts fit together:
//!
//! 1. A [`Space`](space::Space) says what can be set. It comes from TOML, JSON, code or a solution's declaration, and
//!    checks or repairs configurations from outside ([`Space::point`](space::Space::point),
//!    [`Space::repair`](space::Space::repair)).
//! 2. A [`Study`](study::Study) is one search in a space. [`ask`](study::Study::ask) gives a configuration or a
//!    question to a language model, [`tell`](study::Study::tell) takes what came out, and every change is an
//!    [`Operation`](operation::Operation) that the driver keeps and can replay.
//! 3. A [`Sampler`](sampler::Sampler) decides what to try, from the [`History`](sampler::History) alone. All of them
//!    are in [`samplers`].
//! 4. A [`Pruner`](pruner::Pruner) says on the way that a trial is not worth finishing. All of them are in
//!    [`pruners`].
//! 5. A [`Formula`](formula::Formula) proposes without any trial, where the space says how large a training is.
//!
//! ```
//! use ansatz_core::seed::Seed;
//! use ansatz_tuner::{samplers, space::Space, study::{Ask, Options, Study}, trial::Direction};
//!
//! let space = Space::from_toml("[[parameter]]\nname = 'x'\ntype = 'float'\nlow = -1\nhigh = 1\n")?;
//! let options = Options::new(Direction::Minimize, Seed(7));
//! let mut study = Study::new(space, options, Box::new(samplers::Random))?;
//! for _ in 0..20 {
//!     let Ask::Suggestion(suggestion) = study.ask() else { break };
//!     let x = suggestion.params["x"].as_f64().unwrap_or_default();
//!     study.tell(suggestion.number, x * x)?;
//! }
//! assert!(study.best().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: no call, no file, no clock, no chance but the seed's. Questions to a model go out as values and past
//! studies come in as values.

pub mod formula;
pub mod front;
pub mod importance;
mod numeric;
pub mod operation;
pub mod pruner;
pub mod pruners;
pub mod query;
pub mod sampler;
pub mod samplers;
pub mod space;
pub mod study;
pub mod transfer;
pub mod trial;
