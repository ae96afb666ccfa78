//! What the process was started in: environment, folder, terminal. Read once; nobody else asks the system.

use crate::exit::Failure;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Terminal columns when there is no terminal to ask.
const WIDTH_DEFAULT: usize = 100;

/// Environment variables, folder and terminal of this process.
#[derive(Debug, Clone)]
pub struct Surroundings {
    variables: BTreeMap<String, OsString>,
    /// The current folder.
    pub folder: PathBuf,
    /// Whether standard output is a terminal.
    pub out_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub error_is_terminal: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Processor cores that this process may use.
    pub cores: usize,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn of_process() -> Result<Self, Failure> {
        let folder = std::env::current_dir().map_err(|error| {
            Failure::usage(format!("the current folder cannot be read: {error}"))
                .hint("change to a folder that exists")
        })?;
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        let width =
            console::Term::stderr().size_checked().map_or(WIDTH_DEFAULT, |(_, columns)| usize::from(columns));
        Ok(Self {
            variables,
            folder,
            out_is_terminal: std::io::stdout().is_terminal(),
            error_is_terminal: std::io::stderr().is_terminal(),
            width: width.max(40),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Made-up surroundings: no terminal, two cores, these variables.
    #[cfg(test)]
    pub fn made_up(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
                .collect(),
            folder: folder.to_path_buf(),
            out_is_terminal: false,
            error_is_terminal: false,
            width: WIDTH_DEFAULT,
            cores: 2,
        }
    }

    /// A variable that is set to something.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A variable that is set to something, as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// A path as seen from the current folder.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        let mut absolute = PathBuf::new();
        for part in self.folder.join(path).components() {
            if part != std::path::Component::CurDir {
                absolute.push(part);
            }
        }
        absolute
    }

    /// Where the user's own configuration lies.
    pub fn config_folder(&self) -> Option<PathBuf> {
        let base = self.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        Some(base.or_else(|| Some(self.path("HOME")?.join(".config")))?.join("ansatz"))
    }

    /// Where state lies when nobody says otherwise.
    pub fn data_folder(&self) -> Option<PathBuf> {
        let base = self.path("XDG_DATA_HOME").filter(|path| path.is_absolute());
        Some(base.or_else(|| Some(self.path("HOME")?.join(".local/share")))?.join("ansatz"))
    }

    /// Whether a terminal is too plain for moving lines.
    pub fn is_dumb(&self) -> bool {
        self.text("TERM").is_some_and(|term| term == "dumb")
    }

    /// Whether text on a stream may be coloured.
    pub fn colour(&self, is_terminal: bool) -> bool {
        if self.text("NO_COLOR").is_some() {
            return false;
        }
        let forced = self.text("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        forced || (is_terminal && !self.is_dumb())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(variables: &[(&str, &str)], is_terminal: bool) -> bool {
        Surroundings::made_up(Path::new("/"), variables).colour(is_terminal)
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        assert!(colour(&[], true));
        assert!(!colour(&[], false));
        assert!(!colour(&[("NO_COLOR", "1")], true));
        assert!(colour(&[("NO_COLOR", "")], true));
        assert!(!colour(&[("TERM", "dumb")], true));
        assert!(colour(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!colour(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
    }

    #[test]
    fn state_lies_where_the_standard_says() {
        let of = |variables: &[(&str, &str)]| Surroundings::made_up(Path::new("/w"), variables).data_folder();
        assert_eq!(of(&[("HOME", "/h")]), Some(PathBuf::from("/h/.local/share/ansatz")));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]), Some(PathBuf::from("/d/ansatz")));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_DATA_HOME", "relative")]),
            Some(PathBuf::from("/h/.local/share/ansatz"))
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn paths_are_seen_from_the_current_folder() {
        let here = Surroundings::made_up(Path::new("/w"), &[]);
        assert_eq!(here.absolute(Path::new("./a/./b")), PathBuf::from("/w/a/b"));
        assert_eq!(here.absolute(Path::new("/x")), PathBuf::from("/x"));
    }
}
