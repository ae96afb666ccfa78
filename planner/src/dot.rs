//! A plan as a DOT graph, to be looked at.

use crate::plan::Plan;
use std::fmt::Write as _;

impl Plan {
    /// The plan in the DOT language: one box per step (bold when mandatory), one arrow per input.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
        for step in self.steps() {
            let share =
                if step.share > 0.0 { format!("\n{:.0} %", step.share * 100.0) } else { String::new() };
            let style = if step.mandatory { ", style=bold" } else { "" };
            let label = quoted(&format!("{}\n{}{share}", step.id, step.kind));
            let _ = writeln!(dot, "  {} [label={label}{style}];", quoted(step.id.as_str()));
        }
        for step in self.steps() {
            for input in &step.inputs {
                let _ = writeln!(dot, "  {} -> {};", quoted(input.as_str()), quoted(step.id.as_str()));
            }
        }
        dot + "}\n"
    }
}

/// `text` as a DOT string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
