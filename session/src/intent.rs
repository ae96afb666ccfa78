//! What a sentence can mean: a closed list.

use ansatz_core::steer::Steer;

/// One thing that is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// A model is wanted: the data, if they are named, and the words as they are.
    Request {
        /// A file or folder.
        data: Option<String>,
        /// The user's words.
        words: String,
    },
    /// Something about the task or the run is to be otherwise.
    Amend(Amend),
    /// Words about the task that go with another wish.
    Remark(String),
    /// Yes, begin.
    Approve,
    /// No, not this.
    Refuse,
    /// Something is asked.
    Ask(Question),
    /// The same once more, with another time if that is wished.
    Again(Option<Amend>),
    /// Finish with what there is.
    Submit,
    /// Go on with an interrupted run: the one that is named, or the latest.
    Resume(Option<String>),
    /// How does this work?
    Help,
    /// A word of courtesy.
    Courtesy,
    /// The end of the conversation.
    Quit,
}

/// What is to be otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Amend {
    /// Other data.
    Data(String),
    /// Another target.
    Target(String),
    /// Another metric, by its name in the catalogue.
    Metric(String),
    /// So much time in all, in seconds.
    Seconds(f64),
    /// So much more or less time, in seconds.
    MoreSeconds(f64),
    /// So many trials.
    Trials(u32),
    /// Anything that can also be changed while a run goes on.
    Steer(Steer),
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// What will be done?
    Plan,
    /// How far is it?
    Status,
    /// What is best so far?
    Best,
    /// How do all candidates stand?
    Leaderboard,
    /// What does it cost?
    Cost,
    /// Why is something as it is?
    Why(String),
    /// Where are the files?
    Files,
    /// What is not used?
    Dropped,
    /// Which columns matter?
    Columns,
    /// Is this column used, and what would become of it?
    Column(String),
    /// What is the model like: its kind, its size, who can read it?
    Model,
    /// How are other rows predicted: those of this file, if one is named?
    NewRows(Option<String>),
    /// How sure is the score?
    Sure,
    /// How much is gained over a default?
    Gain,
    /// Would more time help?
    Worth,
    /// What is odd about the data?
    Data,
    /// How long still?
    Left,
    /// What is predicted for the test file?
    Predictions,
    /// What is the task?
    Task,
}

/// What was read in a sentence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// What is meant, in order.
    pub intents: Vec<Intent>,
    /// Parts that nothing was read in.
    pub not_understood: Vec<String>,
}
