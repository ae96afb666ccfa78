//! The graph behind a plan: order and cycles, by petgraph. Sees positions of steps, not their meaning.

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeSet;

/// Steps by position; an edge goes from an input to the step that waits for it.
pub(crate) struct StepGraph(DiGraph<(), ()>);

impl StepGraph {
    /// A graph of `inputs.len()` steps; `inputs[i]` holds the positions that step `i` waits for.
    pub(crate) fn new(inputs: &[Vec<usize>]) -> Self {
        let mut graph = DiGraph::with_capacity(inputs.len(), inputs.iter().map(Vec::len).sum());
        for _ in inputs {
            graph.add_node(());
        }
        for (step, waits_for) in inputs.iter().enumerate() {
            for &input in waits_for {
                graph.add_edge(NodeIndex::new(input), NodeIndex::new(step), ());
            }
        }
        Self(graph)
    }

    /// Positions in an order in which every step follows its inputs. Of the steps that could come next the one with
    /// the lowest position does, so an order that is already right stays as it is.
    ///
    /// # Errors
    /// The positions on one cycle, each the input of the next.
    pub(crate) fn order(&self) -> Result<Vec<usize>, Vec<usize>> {
        let mut waiting: Vec<usize> = self
            .0
            .node_indices()
            .map(|node| self.0.neighbors_directed(node, Direction::Incoming).count())
            .collect();
        let mut ready: BTreeSet<usize> = (0..waiting.len()).filter(|&step| waiting[step] == 0).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for next in self.0.neighbors(NodeIndex::new(step)) {
                waiting[next.index()] -= 1;
                if waiting[next.index()] == 0 {
                    ready.insert(next.index());
                }
            }
        }
        if order.len() == waiting.len() { Ok(order) } else { Err(self.cycle()) }
    }

    /// One cycle, found by walking inside a strongly connected component until a step comes again.
    fn cycle(&self) -> Vec<usize> {
        let knots = tarjan_scc(&self.0);
        let Some(knot) = knots
            .iter()
            .filter(|knot| knot.len() > 1 || knot.iter().any(|&node| self.0.contains_edge(node, node)))
            .min_by_key(|knot| knot.iter().min())
        else {
            return Vec::new();
        };
        let members: BTreeSet<NodeIndex> = knot.iter().copied().collect();
        let mut walk: Vec<NodeIndex> = Vec::new();
        let mut here = members.first().copied();
        while let Some(node) = here {
            if let Some(start) = walk.iter().position(|&seen| seen == node) {
                walk.drain(..start);
                break;
            }
            walk.push(node);
            here = self.0.neighbors(node).filter(|next| members.contains(next)).min();
        }
        walk.into_iter().map(NodeIndex::index).collect()
    }
}
