//! One thing that was made, or one value that may be revised.

use ansatz_core::ids::ArtifactId;
use serde::Serialize;

/// What kind of thing a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A file of the user.
    Data,
    /// The data card.
    Profile,
    /// What was asked.
    Task,
    /// The split into sealed rows and rows that trials see.
    Seal,
    /// A column that is not used.
    Dropped,
    /// The adopted plan.
    Plan,
    /// A step of the plan: a parameter.
    Step,
    /// Source text of a solution: a parameter.
    Code,
    /// Parameter values of a candidate: a parameter.
    Params,
    /// Code and parameters together.
    Candidate,
    /// What a trial predicted, and the model that it kept.
    Predictions,
    /// A trial that gave nothing.
    Failure,
    /// A candidate's score over all folds.
    Score,
    /// A weighted combination of candidates.
    Ensemble,
    /// The one look at the sealed rows.
    Judgement,
    /// What a language model said.
    Answer,
    /// How a step ended.
    Outcome,
    /// Anything else that an event names.
    Artifact,
    /// What the user got.
    Result,
}

impl NodeKind {
    /// Whether nodes of this kind may be revised in the light of feedback.
    pub fn is_parameter(self) -> bool {
        matches!(self, Self::Step | Self::Code | Self::Params)
    }
}

/// What was said about a node after it was made: a verdict, a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Whether it speaks for the node.
    pub good: bool,
    /// For a person to read.
    pub text: String,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Unique within the graph, and what [`crate::Graph::why`] is asked for: `task`, `c3`, `t17`, `score:c3`, ….
    pub name: String,
    /// What kind of thing it is.
    pub kind: NodeKind,
    /// What it is, for a person to read.
    pub text: String,
    /// What made it: `step tune`, `trial t17`, ….
    pub by: Option<String>,
    /// The value of a parameter as it was: source text, or JSON.
    pub value: Option<String>,
    /// Blobs that hold it.
    pub artifacts: Vec<ArtifactId>,
    /// What was said about it.
    pub feedback: Vec<Feedback>,
}

impl Node {
    pub(crate) fn new(name: impl Into<String>, kind: NodeKind, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            text: text.into(),
            by: None,
            value: None,
            artifacts: Vec::new(),
            feedback: Vec::new(),
        }
    }

    pub(crate) fn by(mut self, by: impl Into<String>) -> Self {
        self.by = Some(by.into());
        self
    }

    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(crate) fn artifacts<'a>(mut self, artifacts: impl IntoIterator<Item = &'a ArtifactId>) -> Self {
        self.artifacts = artifacts.into_iter().cloned().collect();
        self
    }
}
