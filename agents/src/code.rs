//! Generated source as text: its parts, and one part put in the place of another.

use std::ops::Range;

/// How groups of features are named in generated modules, how what learns for them is, and how their switches are.
const GROUP: &str = "group_";
const LEARN: &str = "learn_";
const SWITCH: &str = "use_";

/// What a module imports that adds groups of columns to a built-in solution.
const GROUPS: &str = "ansatz_worker.featurekit.groups";

/// First line of a source that is a script (`worker/SOLUTIONS.md`) and keeps no contract of functions.
const SCRIPT: &str = "# ansatz: script";

/// Whether a source is a script.
pub fn is_script(source: &str) -> bool {
    source.trim_start().starts_with(SCRIPT)
}

/// Whether a source adds groups of columns to a built-in solution, rather than being a whole one.
pub fn is_groups(source: &str) -> bool {
    source.contains(GROUPS)
}

/// A source that was asked for as a script, with the line that says so.
pub fn as_script(source: String) -> String {
    if is_script(&source) { source } else { format!("{SCRIPT}\n{source}") }
}

/// A function at the top level of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Where it stands, decorators included, in bytes.
    pub span: Range<usize>,
}

/// Names of the switches of groups of features among parameters.
pub fn switches<'a>(parameters: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    parameters.into_iter().filter(|name| name.starts_with(SWITCH)).cloned().collect()
}

/// Name of the function that makes what a switch switches.
pub fn block_name(switch: &str) -> Option<String> {
    Some(format!("{GROUP}{}", switch.strip_prefix(SWITCH)?))
}

/// The function that makes what a switch switches, when the module has it.
pub fn block_of<'a>(switch: &str, parts: &'a [Part]) -> Option<&'a Part> {
    let name = block_name(switch)?;
    parts.iter().find(|part| part.name == name)
}

/// Name of the function that learns what a block reads; `None` when the source defines none.
pub fn learner_of(source: &str, block: &str) -> Option<String> {
    let name = format!("{LEARN}{}", block.strip_prefix(GROUP)?);
    let opening = format!("def {name}(");
    source.lines().any(|line| line.starts_with(&opening)).then_some(name)
}

/// The module with another text in the place of a part.
pub fn replaced(source: &str, part: &Part, with: &str) -> String {
    let (before, after) = (source.get(..part.span.start), source.get(part.span.end..));
    let (Some(before), Some(after)) = (before, after) else { return source.to_owned() };
    let pieces = [before.trim_end(), with.trim(), after.trim_start()];
    pieces.into_iter().filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join("\n\n\n")
}

/// The module with a revision in the place of the block of a switch; what learns for the block gives way as well where the
/// revision brings its own. `None` when either lacks the block. `parts` and `new` are the functions of both.
pub fn revised(source: &str, parts: &[Part], switch: &str, revision: &str, new: &[Part]) -> Option<String> {
    let (block, given) = (block_of(switch, parts)?, block_of(switch, new)?);
    let learner = learner_of(revision, &given.name);
    let old = learner.and_then(|learner| parts.iter().find(|part| part.name == learner));
    let mut changes: Vec<(&Part, &str)> = vec![(block, revision)];
    changes.extend(old.map(|part| (part, "")));
    // The last place first: those before it stay what they are.
    changes.sort_by_key(|(part, _)| std::cmp::Reverse(part.span.start));
    let change = |source: String, (part, with): (&Part, &str)| replaced(&source, part, with);
    Some(changes.into_iter().fold(source.to_owned(), change))
}

/// The docstring's lines at the head of a module, or nothing: what its author says that it bets on.
pub fn docstring(source: &str) -> String {
    let text = source.trim_start();
    let Some(rest) = text.strip_prefix("\"\"\"") else { return String::new() };
    rest.split("\"\"\"").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "\"\"\"Bets on\nfamilies.\"\"\"\nimport numpy as np\n\n\ndef group_family(rows, learned):\n    return {}\n\n\nX = 1\n";

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let start = MODULE.find("def ").unwrap();
        let part = Part { name: "group_family".into(), span: start..MODULE.find("\n\n\nX").unwrap() };
        let parts = vec![part];
        let block = block_of("use_family", &parts).unwrap();
        let new = replaced(MODULE, block, "def group_family(rows, learned):\n    return {\"a\": 1}\n");
        assert_eq!(new, MODULE.replace("    return {}\n", "    return {\"a\": 1}\n"));
        assert!(block_of("use_other", &parts).is_none() && block_of("depth", &parts).is_none());
        assert_eq!(
            replaced("é", &Part { name: String::new(), span: 1..2 }, "x"),
            "é",
            "no panic inside a letter"
        );
    }

    const LEARNS: &str = "def learn_size(train):\n    return 1\n\n\ndef group_size(rows, learned):\n    return {}\n\n\nGROUPS = Groups(size=(group_size, learn_size))\n";

    /// The functions of a text whose functions end where the next empty lines begin.
    fn parts(text: &str) -> Vec<Part> {
        let starts = text.match_indices("def ").map(|(start, _)| start);
        let part = |start: usize| {
            let body = &text[start..];
            let name = body[4..body.find('(').unwrap()].to_owned();
            Part { name, span: start..start + body.find("\n\n").unwrap_or(body.len()) }
        };
        starts.map(part).collect()
    }

    #[test]
    fn a_revision_takes_the_place_of_a_block_and_of_what_learns_for_it() {
        let revise = |revision: &str| revised(LEARNS, &parts(LEARNS), "use_size", revision, &parts(revision));
        let block = "def group_size(rows, learned):\n    return {\"a\": learned}";
        let alone = revise(block).unwrap();
        assert_eq!(alone, LEARNS.replace("def group_size(rows, learned):\n    return {}", block));
        let both = format!("import math\n\n\ndef learn_size(train):\n    return math.pi\n\n\n{block}");
        let whole = revise(&both).unwrap();
        assert_eq!(whole, format!("{both}\n\n\nGROUPS = Groups(size=(group_size, learn_size))\n"));
        assert_eq!(revise("def group_other(rows, learned):\n    return {}"), None);
        assert_eq!(revised(MODULE, &[], "use_size", &both, &parts(&both)), None);
    }

    #[test]
    fn what_learns_for_a_block_is_found_by_its_name() {
        assert_eq!(learner_of(LEARNS, "group_size").as_deref(), Some("learn_size"));
        assert_eq!(learner_of(LEARNS, "group_siz"), None);
        assert_eq!(learner_of(MODULE, "group_family"), None);
        assert_eq!(block_name("use_size").as_deref(), Some("group_size"));
        assert!(is_groups("from ansatz_worker.featurekit.groups import Groups\n") && !is_groups(MODULE));
    }

    #[test]
    fn a_script_says_so_in_its_first_line() {
        let marked = as_script("import json\n".into());
        assert!(is_script(&marked) && !is_script("import json\n") && as_script(marked.clone()) == marked);
    }

    #[test]
    fn docstrings_are_read_in_one_line() {
        assert_eq!(docstring(MODULE), "Bets on families.");
        assert_eq!(docstring("x = 1"), "");
    }
}
