//! What a person reads of a run: sentences for the terminal, and one page of HTML that needs nothing else.
//!
//! [`Live`] folds a run's events into what can be shown while it goes on; [`page()`] turns that, and the result once
//! there is one, into a self-contained page; [`Headline`] says the same in a few sentences, so that terminal and page
//! never disagree.
//!
//! Invariant: pure. No file is read or written, no clock, no randomness, no script in the page, nothing that the page
//! would have to load. Every text that came with the data is made harmless before it is shown ([`text::visible`]).

pub mod headline;
mod live;
pub mod number;
mod page;
mod study;
pub mod text;

pub use headline::Headline;
pub use live::{CandidateLine, Live, Phase, StepState};
pub use page::page;
pub use study::{StudyLine, StudySheet, study_page};

#[cfg(test)]
mod tests;
