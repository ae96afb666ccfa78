//! Generated source as text: its parts, and one part put in the place of another.

use std::ops::Range;

/// How groups of features are named in generated modules, and how their switches are.
const GROUP: &str = "group_";
const SWITCH: &str = "use_";

/// First line of a source that is a script (`worker/SOLUTIONS.md`) and keeps no contract of functions.
const SCRIPT: &str = "# ansatz: script";

/// Whether a source is a script.
pub fn is_script(source: &str) -> bool {
    source.trim_start().starts_with(SCRIPT)
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

/// The function that makes what a switch switches, when the module has it.
pub fn block_of<'a>(switch: &str, parts: &'a [Part]) -> Option<&'a Part> {
    let name = format!("{GROUP}{}", switch.strip_prefix(SWITCH)?);
    parts.iter().find(|part| part.name == name)
}

/// The module with another text in the place of a part.
pub fn replaced(source: &str, part: &Part, with: &str) -> String {
    let (before, after) = (source.get(..part.span.start), source.get(part.span.end..));
    let (Some(before), Some(after)) = (before, after) else { return source.to_owned() };
    format!("{}\n\n\n{}\n\n\n{}", before.trim_end(), with.trim(), after.trim_start())
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
