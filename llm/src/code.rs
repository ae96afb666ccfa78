//! Code out of words: fenced blocks with file names.
//!
//! Code is asked for in fenced blocks because inside JSON strings models write it worse and break the JSON more often.

use crate::wrapping::after_thinking;

/// Files that one answer may hold.
const FILES_MAX: usize = 16;

/// Bytes of one file.
const FILE_BYTES_MAX: usize = 256 << 10;

/// Letters of a file name.
const NAME_MAX: usize = 64;

/// A file that a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFile {
    /// Its name: letters, digits, `_`, `-`, `.`; no folder.
    pub name: String,
    /// The language that its block names, in small letters; empty when it names none.
    pub language: String,
    /// Its content, ending with a line end.
    pub content: String,
}

/// Why no code could be taken from an answer. The words are fit to be sent back to the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeProblem {
    /// There is no block.
    #[error("there is no fenced code block in the answer")]
    NoBlock,
    /// A block without a name beside others.
    #[error("a code block has no file name: write it behind the language, as in ```python solution.py")]
    NoName,
    /// A name that could reach elsewhere.
    #[error("{0:?} is not allowed as a file name: use letters, digits, _, - and . without folders")]
    BadName(String),
    /// Two different blocks of one name.
    #[error("the file {0} comes twice with different content")]
    Twice(String),
    /// A block that is too large.
    #[error("the file {0} is larger than 256 KiB")]
    TooLarge(String),
    /// Too many blocks.
    #[error("there are more than 16 files")]
    TooMany,
}

/// The files in an answer. A single block without a name gets `default_name`; blocks of shells and plain output are skipped
/// unless they have a name.
///
/// # Errors
/// [`CodeProblem`].
pub fn code_files(text: &str, default_name: &str) -> Result<Vec<CodeFile>, CodeProblem> {
    let text = after_thinking(text.trim_start_matches(['\u{feff}', '\u{200b}']));
    let blocks: Vec<Block> =
        blocks(text).into_iter().filter(|block| block.name.is_some() || !is_talk(&block.language)).collect();
    if blocks.is_empty() {
        // Some models answer with the bare file.
        return if looks_like_python(text) {
            Ok(vec![CodeFile {
                name: default_name.into(),
                language: "python".into(),
                content: ended(text.trim_end()),
            }])
        } else {
            Err(CodeProblem::NoBlock)
        };
    }
    let is_only = blocks.len() == 1;
    let mut files: Vec<CodeFile> = Vec::new();
    for block in blocks {
        let name = match block.name {
            Some(name) => name,
            None if is_only => default_name.to_owned(),
            None => return Err(CodeProblem::NoName),
        };
        if !is_plain_name(&name) {
            return Err(CodeProblem::BadName(name.chars().take(NAME_MAX).collect()));
        }
        if block.content.len() > FILE_BYTES_MAX {
            return Err(CodeProblem::TooLarge(name));
        }
        let file = CodeFile { name, language: block.language, content: ended(&block.content) };
        match files.iter().find(|known| known.name == file.name) {
            Some(known) if known.content == file.content => {}
            Some(_) => return Err(CodeProblem::Twice(file.name)),
            None => files.push(file),
        }
        if files.len() > FILES_MAX {
            return Err(CodeProblem::TooMany);
        }
    }
    Ok(files)
}

struct Block {
    language: String,
    name: Option<String>,
    content: String,
}

/// All fenced blocks; the last may lack its end.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((fence, length, info)) = opening(line) else {
            if !line.trim().is_empty() {
                above = line;
            }
            continue;
        };
        let mut content = Vec::new();
        for line in lines.by_ref() {
            if closes(line, fence, length) {
                break;
            }
            content.push(line);
        }
        let (language, named) = read_info(info);
        let name = named
            .or_else(|| name_in(above))
            .or_else(|| content.first().and_then(|first| name_in_comment(first)));
        blocks.push(Block { language, name, content: content.join("\n") });
        above = "";
    }
    blocks
}

/// The fence that a line opens: its character, its length, what follows it.
fn opening(line: &str) -> Option<(char, usize, &str)> {
    let line = line.trim_start();
    let fence = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == fence).count();
    let info = line[length..].trim();
    (length >= 3 && !info.contains('`')).then_some((fence, length, info))
}

fn closes(line: &str, fence: char, length: usize) -> bool {
    let line = line.trim();
    line.chars().count() >= length && line.chars().all(|c| c == fence)
}

/// Language and file name behind a fence: `python solution.py`, `python:solution.py`, `py title="solution.py"`, `solution.py`.
fn read_info(info: &str) -> (String, Option<String>) {
    let clean = |word: &str| {
        word.trim_matches(|c: char| matches!(c, '"' | '\'' | '{' | '}' | '(' | ')' | ',' | ';')).to_owned()
    };
    let mut words = info.split([' ', '\t', ':', '=']).map(clean).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    if looks_like_file(&first) {
        let language = if first.to_ascii_lowercase().ends_with(".py") { "python" } else { "" };
        return (language.into(), Some(first));
    }
    (first.to_lowercase(), words.find(|word| looks_like_file(word)))
}

/// A file name in a line above a block: a heading, a word in bold or backticks.
fn name_in(line: &str) -> Option<String> {
    let line = line.trim();
    let is_title = line.starts_with(['#', '*', '`']) || line.ends_with(':') || !line.contains(' ');
    let mut names = line
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '*' | '"' | '\'' | '(' | ')' | ',' | ':'))
        .filter(|word| looks_like_file(word));
    let name = names.next().filter(|_| is_title)?.to_owned();
    names.next().is_none().then_some(name)
}

/// A file name in a comment that opens a block: `# solution.py`, `# file: solution.py`.
fn name_in_comment(line: &str) -> Option<String> {
    let comment = line.trim().strip_prefix('#')?.trim();
    let name =
        comment.strip_prefix("file:").or_else(|| comment.strip_prefix("File:")).unwrap_or(comment).trim();
    looks_like_file(name).then(|| name.to_owned())
}

/// Whether a word may be a file name, good or bad; bad ones are refused later, not overlooked.
fn looks_like_file(word: &str) -> bool {
    let known = [".py", ".toml", ".json", ".csv", ".txt", ".md", ".yaml", ".yml"];
    known.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending))
        && !word.contains(char::is_whitespace)
}

fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.len() <= NAME_MAX
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && !name.contains("..")
}

/// Languages of blocks that are not files.
fn is_talk(language: &str) -> bool {
    matches!(
        language,
        "bash" | "sh" | "shell" | "console" | "text" | "txt" | "output" | "json" | "diff" | "markdown" | "md"
    )
}

fn looks_like_python(text: &str) -> bool {
    let start = text.trim_start();
    ["import ", "from ", "def ", "\"\"\"", "# "].iter().any(|word| start.starts_with(word))
        && text.contains("\ndef ")
}

fn ended(content: &str) -> String {
    let mut content = content.to_owned();
    if !content.ends_with('\n') {
        content.push('\n');
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Result<Vec<(String, String)>, CodeProblem> {
        Ok(code_files(text, "solution.py")?.into_iter().map(|file| (file.name, file.content)).collect())
    }

    fn check(text: &str) {
        assert_eq!(names(text), Ok(vec![("features.py".into(), "x = 1\n".into())]), "{text}");
    }

    #[test]
    fn names_are_found_wherever_models_put_them() {
        check("Here:\n```python features.py\nx = 1\n```\nDone.");
        check("```python:features.py\nx = 1\n```");
        check("```py title=\"features.py\"\nx = 1\n```");
        check("```features.py\nx = 1\n```");
        check("**`features.py`**\n\n```python\nx = 1\n```");
        check("### features.py\n```python\nx = 1\n```");
        check("File `features.py`:\n```\nx = 1\n```");
        check("~~~python features.py\nx = 1\n~~~");
        check("  ```python features.py\nx = 1\n  ```");
        check("```python features.py\nx = 1");
    }

    #[test]
    fn a_comment_names_a_file_and_stays_in_it() {
        assert_eq!(names("```python\n# features.py\nx = 1\n```").unwrap()[0].0, "features.py");
        assert_eq!(names("```python\n# file: features.py\nx = 1\n```").unwrap()[0].0, "features.py");
    }

    #[test]
    fn a_single_block_needs_no_name() {
        assert_eq!(names("```python\nx = 1\n```"), Ok(vec![("solution.py".into(), "x = 1\n".into())]));
        assert_eq!(names("```bash\nls\n```\n```python\nx = 1\n```").unwrap().len(), 1);
        assert_eq!(
            names("import os\n\ndef fit():\n    pass").unwrap()[0].1,
            "import os\n\ndef fit():\n    pass\n"
        );
    }

    #[test]
    fn fences_inside_longer_fences_stay() {
        let text = "````python solution.py\n\"\"\"\n```\nexample\n```\n\"\"\"\n````";
        assert_eq!(names(text).unwrap()[0].1, "\"\"\"\n```\nexample\n```\n\"\"\"\n");
    }

    #[test]
    fn several_files_need_names() {
        assert_eq!(names("```python\na\n```\n```python\nb\n```"), Err(CodeProblem::NoName));
        assert_eq!(names("```python a.py\na\n```\n```python b.py\nb\n```").unwrap().len(), 2);
        assert_eq!(
            names("```python a.py\na\n```\n```python a.py\nb\n```"),
            Err(CodeProblem::Twice("a.py".into()))
        );
        assert_eq!(names("```python a.py\na\n```\n```python a.py\na\n```").unwrap().len(), 1);
    }

    #[test]
    fn names_that_reach_elsewhere_are_refused() {
        for bad in ["../a.py", "/etc/a.py", "a/b.py", "..a.py", ".hidden.py", "C:\\a.py"] {
            let found = names(&format!("```python {bad}\nx\n```"));
            assert!(
                !matches!(&found, Ok(files) if files.iter().any(|(name, _)| name.contains(['/', '\\']) || name.starts_with('.'))),
                "{bad}: {found:?}"
            );
        }
        assert_eq!(names("```python ../a.py\nx\n```"), Err(CodeProblem::BadName("../a.py".into())));
    }

    #[test]
    fn words_are_no_code() {
        for text in ["", "I cannot do that.", "Use `fit` and ``predict``.", "```json\n{}\n```"] {
            assert_eq!(names(text), Err(CodeProblem::NoBlock), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[`~#*a-z./: \\n\"é]{0,120}") {
            let _ = code_files(&text, "solution.py");
        }
    }
}
