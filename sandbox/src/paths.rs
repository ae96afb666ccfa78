//! Where the paths of a cell lie when it shares the host's files: what is mounted elsewhere is found at its source.

use crate::helper::order::{Places, Tree};
use std::path::{Path, PathBuf};

/// A translation from the paths of a policy to those that the program must use. Inside walls it changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    /// Targets and sources, longest target first.
    pairs: Vec<(PathBuf, PathBuf)>,
}

impl Paths {
    /// For a cell without a root of its own.
    pub(crate) fn bare(trees: &[Tree], places: &Places) -> Self {
        let own = [("/out", &places.out), ("/tmp", &places.tmp), ("/dev/shm", &places.tmp)];
        let mounts = trees.iter().map(|tree| (tree.target.clone(), tree.source.clone()));
        let mut pairs: Vec<(PathBuf, PathBuf)> =
            own.map(|(target, source)| (target.into(), source.clone())).into_iter().chain(mounts).collect();
        // Those that stay what they are count, too: one of them may lie below /tmp.
        pairs.sort_by_key(|(target, _)| std::cmp::Reverse(target.components().count()));
        Self { pairs }
    }

    /// The path that the program must use.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let found = self.pairs.iter().find_map(|(target, source)| {
            let rest = path.strip_prefix(target).ok()?;
            Some(if rest.as_os_str().is_empty() { source.clone() } else { source.join(rest) })
        });
        found.unwrap_or_else(|| path.to_owned())
    }

    /// A text that may be a path, or a list of paths with colons between them.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.pairs.is_empty() || !text.contains('/') {
            return text.to_owned();
        }
        let pieces: Vec<String> = text
            .split(':')
            .map(|piece| {
                if piece.starts_with('/') {
                    self.inside(Path::new(piece)).to_string_lossy().into_owned()
                } else {
                    piece.to_owned()
                }
            })
            .collect();
        pieces.join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::order::TreeKind;

    fn check(text: &str, expected: &str) {
        let tree = |source: &str, target: &str| Tree {
            source: source.into(),
            target: target.into(),
            kind: TreeKind::Folder,
        };
        let trees = [
            tree("/usr", "/usr"),
            tree("/tmp/venv", "/tmp/venv"),
            tree("/home/u/run", "/in"),
            tree("/home/u/deep", "/in/deep"),
        ];
        let places = Places { out: "/var/tmp/c/out".into(), tmp: "/var/tmp/c/tmp".into() };
        assert_eq!(Paths::bare(&trees, &places).text(text), expected);
    }

    #[test]
    fn the_longest_target_counts() {
        check("/in/deep/x.csv", "/home/u/deep/x.csv");
        check("/in/x.csv", "/home/u/run/x.csv");
        check("/input", "/input");
        check("/tmp/venv/bin/python", "/tmp/venv/bin/python");
        check("/tmp/x", "/var/tmp/c/tmp/x");
    }

    #[test]
    fn own_folders_and_lists_are_translated_and_other_words_are_not() {
        check("/out/t1", "/var/tmp/c/out/t1");
        check("/usr/bin:/in", "/usr/bin:/home/u/run");
        check("print('/out')", "print('/out')");
        check("-m", "-m");
    }
}
