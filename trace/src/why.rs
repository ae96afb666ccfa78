//! The answer to "why?": a node with its causes, and theirs, as an indented tree.

use crate::graph::Graph;
use crate::node::NodeKind;
use petgraph::graph::NodeIndex;
use std::collections::BTreeSet;
use std::fmt;

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How many causes lie between this line and the question.
    pub depth: usize,
    /// Name of the node; the first one where several alike are one line.
    pub name: String,
    /// For a person to read.
    pub text: String,
    /// Whether this may be revised in the light of feedback.
    pub parameter: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.parameter { "* " } else { "" };
        write!(f, "{}{mark}{}", "  ".repeat(self.depth), self.text)
    }
}

/// There is nothing of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing in this run is called `{target}`")]
pub struct UnknownTarget {
    /// What was asked for.
    pub target: String,
    /// What can be asked for: a few examples.
    pub examples: Vec<String>,
}

impl UnknownTarget {
    /// What to do about it, for a person to read.
    pub fn hint(&self) -> String {
        format!("ask for a step, a candidate, a trial or a column, such as {}", self.examples.join(", "))
    }
}

impl Graph {
    /// Why `target` is as it is: itself, then its causes, each deeper by one. A cause that was explained before is
    /// named again but not explained again, one that another cause leads back to stands there only, and trials that
    /// were made from the same things are one line. `target` is `result`, `ensemble`, a step's id, a candidate (`c3`), a trial (`t17`), a dropped column,
    /// or the name of any node.
    ///
    /// # Errors
    /// [`UnknownTarget`].
    pub fn why(&self, target: &str) -> Result<Vec<Line>, UnknownTarget> {
        let index = self.find(target)?;
        let mut telling = Telling { graph: self, told: BTreeSet::new(), lines: Vec::new() };
        telling.tell(&[index], 0);
        Ok(telling.lines)
    }

    pub(crate) fn find(&self, target: &str) -> Result<NodeIndex, UnknownTarget> {
        self.resolve(target)
            .ok_or_else(|| UnknownTarget { target: target.to_string(), examples: self.examples() })
    }

    /// The node that a person means by `target`: of a step its outcome, of a candidate its score, when there is one.
    pub(crate) fn resolve(&self, target: &str) -> Option<NodeIndex> {
        ["outcome:", "score:", "", "step:", "dropped:"]
            .iter()
            .find_map(|prefix| self.index(&format!("{prefix}{target}")))
    }

    /// Direct causes without those that another of them leads back to.
    fn nearest_causes(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let causes = self.causes_of(index);
        let behind: BTreeSet<NodeIndex> = causes
            .iter()
            .flat_map(|&cause| self.ancestors(cause).into_iter().filter(move |&earlier| earlier != cause))
            .collect();
        causes.into_iter().filter(|cause| !behind.contains(cause)).collect()
    }

    fn examples(&self) -> Vec<String> {
        let kinds = [
            NodeKind::Result,
            NodeKind::Ensemble,
            NodeKind::Step,
            NodeKind::Candidate,
            NodeKind::Predictions,
        ];
        let first = |kind| self.of_kind(kind).next().map(|index| self.at(index).name.replace("step:", ""));
        kinds.into_iter().filter_map(first).collect()
    }
}

struct Telling<'a> {
    graph: &'a Graph,
    told: BTreeSet<NodeIndex>,
    lines: Vec<Line>,
}

impl Telling<'_> {
    /// One line for nodes with the same causes, then these causes.
    fn tell(&mut self, alike: &[NodeIndex], depth: usize) {
        let Some(&first) = alike.first() else { return };
        let node = self.graph.at(first);
        let by = node.by.as_ref().map_or_else(String::new, |by| format!(" [{by}]"));
        let text = match alike {
            [_] => format!("{}{by}", node.text),
            several => {
                let names: Vec<&str> =
                    several.iter().map(|&index| self.graph.at(index).name.as_str()).collect();
                format!("predictions of {} trials: {}", several.len(), names.join(", "))
            }
        };
        let causes = self.graph.nearest_causes(first);
        let again = !self.told.insert(first) && !causes.is_empty();
        self.told.extend(alike);
        let text = if again { format!("{text} (above)") } else { text };
        self.lines.push(Line { depth, name: node.name.clone(), text, parameter: node.kind.is_parameter() });
        if again {
            return;
        }
        for feedback in &node.feedback {
            let mark = if feedback.good { '+' } else { '-' };
            let text = format!("{mark} {}", feedback.text);
            self.lines.push(Line { depth: depth + 1, name: node.name.clone(), text, parameter: false });
        }
        for group in self.groups(causes) {
            self.tell(&group, depth + 1);
        }
    }

    /// Causes, latest first because what was chosen last matters most, trials with the same causes together.
    fn groups(&self, causes: Vec<NodeIndex>) -> Vec<Vec<NodeIndex>> {
        let mut groups: Vec<Vec<NodeIndex>> = Vec::new();
        for cause in causes {
            let is_trial = self.graph.at(cause).kind == NodeKind::Predictions;
            let alike = groups
                .iter_mut()
                .find(|group| is_trial && group.iter().any(|&other| self.are_alike(other, cause)));
            match alike {
                Some(group) => group.push(cause),
                None => groups.push(vec![cause]),
            }
        }
        groups.reverse();
        groups
    }

    fn are_alike(&self, a: NodeIndex, b: NodeIndex) -> bool {
        self.graph.at(a).kind == self.graph.at(b).kind && self.graph.causes_of(a) == self.graph.causes_of(b)
    }
}
