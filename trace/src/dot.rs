//! The graph as a DOT graph, to be looked at.

use crate::graph::Graph;
use crate::node::NodeKind;
use std::fmt::Write as _;

impl Graph {
    /// The graph in the DOT language: parameters are ellipses, failures are dashed, edges are labelled with the step
    /// or trial that made their target.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph trace {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in self.nodes() {
            let look = match node.kind {
                kind if kind.is_parameter() => ", shape=ellipse",
                NodeKind::Failure => ", style=dashed",
                _ => "",
            };
            let _ = writeln!(dot, "  {} [label={}{look}];", quoted(&node.name), quoted(&node.text));
        }
        for index in self.indices() {
            let node = self.at(index);
            let label = node.by.as_ref().map_or_else(String::new, |by| format!(" [label={}]", quoted(by)));
            for cause in self.causes_of(index) {
                let cause = quoted(&self.at(cause).name);
                let _ = writeln!(dot, "  {cause} -> {}{label};", quoted(&node.name));
            }
        }
        dot + "}\n"
    }
}

/// `text` as a DOT string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
