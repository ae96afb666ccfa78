//! The graph itself: nodes by name and by artifact, edges from cause to effect. Grows only.

use crate::node::{Feedback, Node, NodeKind};
use ansatz_core::ids::ArtifactId;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// What came from what in one run.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: DiGraph<Node, ()>,
    /// The latest node of a name.
    by_name: BTreeMap<String, NodeIndex>,
    by_artifact: BTreeMap<ArtifactId, NodeIndex>,
}

impl Graph {
    /// All nodes, in the order in which they were made; every node follows its causes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.node_weights()
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.by_name.get(name).map(|&index| &self.nodes[index])
    }

    /// The node that holds that blob.
    pub fn holder(&self, artifact: &ArtifactId) -> Option<&Node> {
        self.by_artifact.get(artifact).map(|&index| &self.nodes[index])
    }

    /// What a node was made from, in the order in which it was said.
    pub fn causes(&self, name: &str) -> Vec<&Node> {
        let Some(&index) = self.by_name.get(name) else { return Vec::new() };
        self.causes_of(index).into_iter().map(|cause| &self.nodes[cause]).collect()
    }

    pub(crate) fn index(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn at(&self, index: NodeIndex) -> &Node {
        &self.nodes[index]
    }

    pub(crate) fn of_artifact(&self, artifact: &ArtifactId) -> Option<NodeIndex> {
        self.by_artifact.get(artifact).copied()
    }

    /// Adds a node made from `causes`, which are all there already. A name that is taken gets a number: the same
    /// thing was made again.
    pub(crate) fn add(&mut self, mut node: Node, causes: impl IntoIterator<Item = NodeIndex>) -> NodeIndex {
        let first = node.name.clone();
        if self.by_name.contains_key(&first) {
            let mut again = (2..=self.nodes.node_count() + 2).map(|number| format!("{first}#{number}"));
            node.name = again.find(|name| !self.by_name.contains_key(name)).unwrap_or(node.name);
        }
        let index = self.nodes.add_node(node);
        for artifact in &self.nodes[index].artifacts {
            self.by_artifact.entry(artifact.clone()).or_insert(index);
        }
        self.by_name.insert(self.nodes[index].name.clone(), index);
        // Whoever asks for the plain name wants the latest.
        self.by_name.insert(first, index);
        for cause in causes.into_iter().collect::<BTreeSet<_>>() {
            self.nodes.add_edge(cause, index, ());
        }
        index
    }

    pub(crate) fn say(&mut self, about: NodeIndex, good: bool, text: String) {
        let feedback = Feedback { good, text };
        if !self.nodes[about].feedback.contains(&feedback) {
            self.nodes[about].feedback.push(feedback);
        }
    }

    /// Direct causes, oldest first.
    pub(crate) fn causes_of(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let mut causes: Vec<NodeIndex> = self.nodes.neighbors_directed(index, Direction::Incoming).collect();
        causes.sort();
        causes
    }

    /// Direct effects, oldest first.
    pub(crate) fn effects_of(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let mut effects: Vec<NodeIndex> = self.nodes.neighbors_directed(index, Direction::Outgoing).collect();
        effects.sort();
        effects
    }

    /// Everything that `index` was made from, itself included.
    pub(crate) fn ancestors(&self, index: NodeIndex) -> BTreeSet<NodeIndex> {
        reach(index, |index| self.causes_of(index))
    }

    /// Everything that was made from `index`, itself included.
    pub(crate) fn descendants(&self, index: NodeIndex) -> BTreeSet<NodeIndex> {
        reach(index, |index| self.effects_of(index))
    }

    pub(crate) fn indices(&self) -> impl Iterator<Item = NodeIndex> {
        self.nodes.node_indices()
    }

    pub(crate) fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = NodeIndex> {
        self.nodes.node_indices().filter(move |&index| self.nodes[index].kind == kind)
    }
}

fn reach(from: NodeIndex, next: impl Fn(NodeIndex) -> Vec<NodeIndex>) -> BTreeSet<NodeIndex> {
    let mut reached = BTreeSet::from([from]);
    let mut waiting = vec![from];
    while let Some(index) = waiting.pop() {
        waiting.extend(next(index).into_iter().filter(|&index| reached.insert(index)));
    }
    reached
}
