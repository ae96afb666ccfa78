//! Whom feedback concerns: the minimal subgraph between parameters and a node.

use crate::graph::Graph;
use crate::node::Node;
use crate::why::UnknownTarget;
use petgraph::graph::NodeIndex;
use std::collections::BTreeSet;

/// The part of a graph through which parameters reach one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Subgraph<'a> {
    /// Parameters that the node was made from, directly or not, in topological order.
    pub parameters: Vec<&'a Node>,
    /// All nodes on the ways from these parameters to the node, both included, in topological order.
    pub nodes: Vec<&'a Node>,
    /// What the nodes on the ways were made from besides: the fixed inputs that feedback has to be read with.
    pub inputs: Vec<&'a Node>,
    /// Edges among `nodes` and from `inputs`, by name, cause first.
    pub edges: Vec<(&'a str, &'a str)>,
}

impl Graph {
    /// The minimal subgraph of feedback on `target`: a failed trial, a score, the result.
    ///
    /// # Errors
    /// [`UnknownTarget`].
    pub fn minimal_subgraph(&self, target: &str) -> Result<Subgraph<'_>, UnknownTarget> {
        let output = self.find(target)?;
        let causes = self.ancestors(output);
        let parameters: BTreeSet<NodeIndex> =
            causes.iter().copied().filter(|&index| self.at(index).kind.is_parameter()).collect();
        let mut ways: BTreeSet<NodeIndex> =
            parameters.iter().flat_map(|&index| self.descendants(index)).collect();
        ways.retain(|index| causes.contains(index));
        ways.insert(output);
        let edges: Vec<(NodeIndex, NodeIndex)> = ways
            .iter()
            .filter(|index| !parameters.contains(index))
            .flat_map(|&index| self.causes_of(index).into_iter().map(move |cause| (cause, index)))
            .collect();
        let inputs: BTreeSet<NodeIndex> =
            edges.iter().map(|(cause, _)| *cause).filter(|cause| !ways.contains(cause)).collect();
        // Nodes are numbered in the order of their making, which is a topological order.
        let nodes = |indices: &BTreeSet<NodeIndex>| indices.iter().map(|&index| self.at(index)).collect();
        Ok(Subgraph {
            parameters: nodes(&parameters),
            nodes: nodes(&ways),
            inputs: nodes(&inputs),
            edges: edges.iter().map(|&(a, b)| (self.at(a).name.as_str(), self.at(b).name.as_str())).collect(),
        })
    }
}
