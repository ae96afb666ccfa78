//! Configuration: flags over environment over project file over user file over defaults, each value with its origin.
//!
//! A project's `ansatz.toml` is untrusted: it may have come with the data. It sets plain defaults only; it cannot choose folders,
//! and it can tighten the sandbox but never loosen it.

mod keys;

pub use keys::{KEYS, Value, distance};

use crate::exit::Failure;
use crate::surroundings::Surroundings;
use ansatz_core::bill::PriceTable;
use ansatz_report::text;
use keys::{Key, find, nearest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Name of a project's file, in the current folder.
const PROJECT_FILE: &str = "ansatz.toml";

/// Name of the user's file, in the configuration folder.
const USER_FILE: &str = "config.toml";

/// Largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Seconds of silence before a language model's first word: reading a long prompt and thinking take time.
const LLM_WAIT_S: f64 = 60.0;

/// Keys that together say how long a run may take: the highest layer that names one of them decides alone.
const BUDGET_KEYS: [&str; 3] = ["minutes", "seconds", "trials"];

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The user's file.
    User(PathBuf),
    /// The project's file.
    Project(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User(path) | Self::Project(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Values with their origins, flags not among them: a command puts its flags on top.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

/// The values that one source gives.
struct Layer {
    origin: fn(&Path, &str) -> Origin,
    path: PathBuf,
    values: BTreeMap<&'static str, Value>,
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// A file that is not TOML, an unknown key, a value of the wrong kind, a key that a project may not set.
    pub fn read(surroundings: &Surroundings) -> Result<Self, Failure> {
        let user = surroundings.config_folder().map(|folder| folder.join(USER_FILE));
        let project = surroundings.folder.join(PROJECT_FILE);
        let mut config = Self::defaults(surroundings);
        if let Some(path) = user {
            config.put(Layer {
                origin: |path, _| Origin::User(path.into()),
                values: file(&path, true)?,
                path,
            });
        }
        let values = file(&project, false)?;
        config.put(Layer { origin: |path, _| Origin::Project(path.into()), values, path: project });
        config.put(Layer {
            origin: |_, name| Origin::Environment(variable(name)),
            values: environment(surroundings)?,
            path: PathBuf::new(),
        });
        Ok(config)
    }

    /// What there is without any file: defaults, and of the environment what is understood.
    pub fn without_files(surroundings: &Surroundings) -> Self {
        let mut config = Self::defaults(surroundings);
        if let Some(home) = surroundings.path("ANSATZ_HOME") {
            config.values.insert("home", (Value::Folder(home), Origin::Environment(variable("home"))));
        }
        config
    }

    fn defaults(surroundings: &Surroundings) -> Self {
        let mut values = BTreeMap::from([
            ("runs", Value::Folder("runs".into())),
            ("jobs", Value::Whole(surroundings.cores as u64)),
            ("seed", Value::Whole(0)),
            ("strict", Value::Truth(false)),
            ("memory", Value::Truth(true)),
            ("llm_wait", Value::Number(LLM_WAIT_S)),
            ("require_llm", Value::Truth(false)),
        ]);
        if let Some(home) = surroundings.data_folder() {
            values.insert("home", Value::Folder(home));
        }
        Self { values: values.into_iter().map(|(name, value)| (name, (value, Origin::Default))).collect() }
    }

    fn put(&mut self, layer: Layer) {
        if BUDGET_KEYS.iter().any(|key| layer.values.contains_key(key)) {
            self.values.retain(|name, _| !BUDGET_KEYS.contains(name));
        }
        for (name, value) in layer.values {
            let origin = (layer.origin)(&layer.path, name);
            let loosens = matches!(origin, Origin::Project(_)) && self.loosened_by(name, &value);
            if !loosens {
                self.values.insert(name, (value, origin));
            }
        }
    }

    /// Whether a value would lift what the layers below hold: a project may tighten, never loosen.
    fn loosened_by(&self, name: &str, value: &Value) -> bool {
        match (name, value) {
            ("strict" | "require_llm", Value::Truth(truth)) => !truth,
            ("max_tokens" | "max_usd", _) => {
                let number = |value: &Value| match value {
                    Value::Number(number) => Some(*number),
                    Value::Whole(number) => Some(*number as f64),
                    _ => None,
                };
                let known = self.values.get(name).and_then(|(known, _)| number(known));
                known.zip(number(value)).is_some_and(|(known, new)| new > known)
            }
            _ => false,
        }
    }

    /// A value and where it comes from.
    pub fn get(&self, name: &str) -> Option<&(Value, Origin)> {
        self.values.get(name)
    }

    /// A number, whole or not.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.values.get(name)?.0 {
            Value::Number(number) => Some(number),
            Value::Whole(number) => Some(number as f64),
            _ => None,
        }
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<u64> {
        if let Value::Whole(number) = self.values.get(name)?.0 { Some(number) } else { None }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let (Value::Text(text), _) = self.values.get(name)? { Some(text) } else { None }
    }

    /// Prices of language models.
    pub fn prices(&self) -> PriceTable {
        match self.values.get("prices") {
            Some((Value::Prices(table), _)) => table.clone(),
            _ => PriceTable::default(),
        }
    }

    /// Whether something is switched on.
    pub fn truth(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some((Value::Truth(true), _)))
    }

    /// A folder.
    pub fn folder(&self, name: &str) -> Option<&Path> {
        if let (Value::Folder(path), _) = self.values.get(name)? { Some(path) } else { None }
    }
}

fn variable(name: &str) -> String {
    format!("ANSATZ_{}", name.to_uppercase())
}

fn environment(surroundings: &Surroundings) -> Result<BTreeMap<&'static str, Value>, Failure> {
    let mut values = BTreeMap::new();
    for Key { name, holds, .. } in KEYS {
        let variable = variable(name);
        let Some(found) = surroundings.text(&variable) else { continue };
        let value = holds.read_text(&found).ok_or_else(|| {
            Failure::usage(format!("{variable} is {}, not {}", text::name(&found), holds.words()))
                .hint(format!("set {variable} to {}, or unset it", holds.words()))
        })?;
        values.insert(name, value);
    }
    Ok(values)
}

/// The values of a file; none when there is no file.
fn file(path: &Path, is_users: bool) -> Result<BTreeMap<&'static str, Value>, Failure> {
    match path.metadata() {
        Err(_) => return Ok(BTreeMap::new()),
        Ok(found) if !found.is_file() || found.len() > FILE_MAX => {
            return Err(Failure::usage(format!("{} is no configuration file", path.display()))
                .hint("it must be a TOML file below 1 MiB; remove it or move it away"));
        }
        Ok(_) => {}
    }
    let content = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("reading {}: {error}", path.display())))?;
    values(&content, is_users)
        .map_err(|failure| Failure { message: format!("{}: {}", path.display(), failure.message), ..failure })
}

fn values(content: &str, is_users: bool) -> Result<BTreeMap<&'static str, Value>, Failure> {
    let table: toml::Table = content.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| content[..span.start].matches('\n').count() + 1);
        Failure::usage(format!("line {line}: {}", error.message()))
            .hint("the file holds lines such as `minutes = 10`")
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in &table {
        if name.contains("api_key") {
            return Err(Failure::usage(format!("{} is not taken from a file", text::name(name)))
                .hint("files are copied and shown: set ANSATZ_LLM_API_KEY, or the provider's own variable"));
        }
        let key = find(name).ok_or_else(|| {
            let meant = nearest(name).map_or_else(String::new, |known| format!("did you mean `{known}`? "));
            Failure::usage(format!("unknown key {}", text::name(name)))
                .hint(format!("{meant}`ansatz config show` lists all keys"))
        })?;
        if !is_users && !key.in_project {
            return Err(Failure::usage(format!("`{}` is not taken from a project's file", key.name)).hint(
                "such a file may come with data from elsewhere; set it in your own configuration or by flag",
            ));
        }
        let value = key.holds.read_toml(value).ok_or_else(|| {
            Failure::usage(format!("`{}` must be {}", key.name, key.holds.words())).hint(key.about)
        })?;
        values.insert(key.name, value);
    }
    if values.contains_key("minutes") && values.contains_key("seconds") {
        return Err(
            Failure::usage("`minutes` and `seconds` say the same thing twice").hint("keep one of them")
        );
    }
    Ok(values)
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// A folder with these files and the configuration that is read there.
    fn read(user: &str, project: &str, variables: &[(&str, &str)]) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("config/ansatz")).unwrap();
        std::fs::write(folder.path().join("config/ansatz/config.toml"), user).unwrap();
        std::fs::write(folder.path().join("ansatz.toml"), project).unwrap();
        let config_home = folder.path().join("config");
        let mut all = vec![("XDG_CONFIG_HOME", config_home.to_str().unwrap()), ("HOME", "/home/me")];
        all.extend(variables);
        Config::read(&Surroundings::made_up(folder.path(), &all)).map_err(|failure| {
            let place = folder.path().display().to_string();
            Failure { message: failure.message.replace(&place, "HERE"), ..failure }
        })
    }

    fn number(user: &str, project: &str, variables: &[(&str, &str)], key: &str) -> Option<f64> {
        read(user, project, variables).unwrap().number(key)
    }

    fn refused(user: &str, project: &str, variables: &[(&str, &str)], expected: &Expect) {
        let failure = read(user, project, variables).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        expected.assert_eq(&format!("{}\n{}", failure.message, failure.hint.unwrap_or_default()));
    }

    #[test]
    fn later_sources_win() {
        assert_eq!(number("", "", &[], "jobs"), Some(2.0));
        assert_eq!(number("jobs = 3", "", &[], "jobs"), Some(3.0));
        assert_eq!(number("jobs = 3", "jobs = 4", &[], "jobs"), Some(4.0));
        assert_eq!(number("jobs = 3", "jobs = 4", &[("ANSATZ_JOBS", "5")], "jobs"), Some(5.0));
    }

    #[test]
    fn the_highest_source_that_names_a_limit_sets_all_limits() {
        assert_eq!(number("minutes = 3", "trials = 4", &[], "minutes"), None);
        assert_eq!(number("minutes = 3", "jobs = 4", &[], "minutes"), Some(3.0));
        assert_eq!(number("trials = 3", "", &[("ANSATZ_SECONDS", "1.5")], "trials"), None);
    }

    #[test]
    fn a_project_tightens_but_never_loosens() {
        assert!(read("", "strict = true", &[]).unwrap().truth("strict"));
        assert!(read("strict = true", "strict = false", &[]).unwrap().truth("strict"));
        assert!(!read("strict = true", "", &[("ANSATZ_STRICT", "0")]).unwrap().truth("strict"));
    }

    #[test]
    fn a_project_chooses_no_folders() {
        refused(
            "",
            "home = '/tmp'",
            &[],
            &expect![[r#"
            HERE/ansatz.toml: `home` is not taken from a project's file
            such a file may come with data from elsewhere; set it in your own configuration or by flag"#]],
        );
    }

    #[test]
    fn a_project_chooses_no_language_model_and_lifts_no_cap() {
        for line in
            ["llm_base_url = 'http://evil'", "llm_model = 'm'", "prompts = 'p'", "[prices]\nas_of = 'x'"]
        {
            assert!(
                read("", line, &[]).unwrap_err().message.contains("is not taken from a project's file"),
                "{line}"
            );
        }
        assert_eq!(number("max_tokens = 10", "max_tokens = 99", &[], "max_tokens"), Some(10.0));
        assert_eq!(number("max_usd = 1", "max_usd = 0.5", &[], "max_usd"), Some(0.5));
        assert_eq!(number("max_usd = 1", "", &[("ANSATZ_MAX_USD", "0")], "max_usd"), Some(0.0));
    }

    #[test]
    fn keys_are_not_taken_from_files() {
        let failure = read("llm_api_key = 'sk-secret-1'", "", &[]).unwrap_err();
        assert!(failure.message.ends_with("`llm_api_key` is not taken from a file"), "{}", failure.message);
        assert!(
            !failure.message.contains("sk-")
                && failure.hint.is_some_and(|hint| hint.contains("ANSATZ_LLM_API_KEY"))
        );
    }

    #[test]
    fn prices_come_as_a_table() {
        let table = "[prices]\nas_of = '2026-03-01'\n[prices.models.'big']\ninput = 2\noutput = 8.0\n";
        let prices = read(table, "", &[]).unwrap().prices();
        assert_eq!(
            (prices.as_of.as_deref(), prices.price("big").map(|price| price.output)),
            (Some("2026-03-01"), Some(8.0))
        );
        for bad in ["prices = 3", "[prices.models.m]\ninput = -1\noutput = 1", "[prices.models.m]\ninput = 1"]
        {
            assert!(read(bad, "", &[]).unwrap_err().message.contains("`prices` must be a table"), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_errors_with_a_suggestion() {
        refused(
            "minute = 3",
            "",
            &[],
            &expect![[r#"
            HERE/config/ansatz/config.toml: unknown key `minute`
            did you mean `minutes`? `ansatz config show` lists all keys"#]],
        );
    }

    #[test]
    fn values_of_the_wrong_kind_are_named() {
        refused(
            "jobs = 0",
            "",
            &[],
            &expect![[r#"
            HERE/config/ansatz/config.toml: `jobs` must be a whole number from 1
            trials at once"#]],
        );
        refused(
            "",
            "",
            &[("ANSATZ_MINUTES", "soon")],
            &expect![[r#"
            ANSATZ_MINUTES is `soon`, not a number above 0
            set ANSATZ_MINUTES to a number above 0, or unset it"#]],
        );
    }

    #[test]
    fn broken_files_are_named_with_the_line() {
        refused(
            "",
            "jobs = 2\nminutes = = 3",
            &[],
            &expect![[r#"
                HERE/ansatz.toml: line 2: extra `=`, expected nothing
                the file holds lines such as `minutes = 10`"#]],
        );
    }

    #[test]
    fn every_value_knows_its_origin() {
        let config = read("", "jobs = 4", &[("ANSATZ_HOME", "/state")]).unwrap();
        assert_eq!(config.folder("home"), Some(Path::new("/state")));
        let origin = |name: &str| config.get(name).unwrap().1.to_string();
        assert_eq!(origin("home"), "environment variable ANSATZ_HOME");
        assert!(origin("jobs").ends_with("/ansatz.toml"));
        assert_eq!(origin("seed"), "default");
    }
}
