//! Templates: loaded once, each checked, rendered into messages, named by the hash of their content.

use crate::check;
use crate::examples;
use ansatz_core::ids::hex;
use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The line between the part that never changes and the rest.
const DIVIDER: &str = "\n=== user ===\n";

/// Largest template that is read, in bytes.
const TEMPLATE_MAX: u64 = 256 << 10;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../templates/", $name, ".hbs")))),*]
    };
}

/// The templates of this program by name, shared parts among them.
const BUILT_IN: &[(&str, &str)] = built_in![
    "shared/house",
    "shared/task",
    "shared/standing",
    "shared/imports",
    "shared/contract",
    "shared/script",
    "shared/groups",
    "shared/branches",
    "planner/understand",
    "planner/insights",
    "planner/plans",
    "planner/replan",
    "data/assess",
    "data/features",
    "model/solution",
    "model/refine",
    "model/debug",
    "hpo/space",
    "hpo/warm_starts",
    "hpo/candidates",
    "hpo/surrogate",
    "hpo/classify",
    "verifier/evidence",
    "talk/answer",
];

/// What goes into one template.
pub trait Prompt: Serialize {
    /// Name of the template, `role/purpose`.
    const NAME: &'static str;

    /// Names of fields that hold measured numbers, at any depth: a recording is not matched by them.
    const MEASURED: &'static [&'static str] = &[];
}

/// A prompt ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Name of the template.
    pub template: &'static str,
    /// Hash of its content and of the shared parts that it uses: 16 hexadecimal digits.
    pub hash: String,
    /// What never changes.
    pub system: String,
    /// Task, data and what is asked.
    pub user: String,
    /// What went in, but for measured numbers, the nonce, machine and budget.
    pub fields: Value,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("prompt {name}{}: {kind}", file.as_ref().map(|file| format!(" ({})", file.display())).unwrap_or_default())]
pub struct PromptError {
    /// The template.
    pub name: String,
    /// The user's file, when it is one.
    pub file: Option<PathBuf>,
    /// What is wrong; part of the message, hence not its source.
    pub kind: PromptErrorKind,
}

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum PromptErrorKind {
    /// The file cannot be read.
    #[error("{0}")]
    Io(std::io::Error),
    /// There is no template of that name.
    #[error("there is no prompt of this name")]
    Unknown,
    /// The template is not handlebars.
    #[error("{0}")]
    Syntax(String),
    /// It names something that is not there.
    #[error("`{0}` is not among what this prompt is given")]
    Variable(String),
    /// It does not show something that the answer needs.
    #[error("`{0}` is not used, so the model would not know it")]
    Unused(String),
    /// The line that divides it is missing, or is there twice.
    #[error("it must have one line `=== user ===` between the part that never changes and the rest")]
    Divider,
    /// The part before the line changes from call to call.
    #[error("`{0}` stands before the line `=== user ===`, where nothing may change from call to call")]
    Unstable(String),
    /// Data are shown without escaping.
    #[error("`{0}` comes from outside and must be written as {{{{json {0}}}}}")]
    Unescaped(String),
    /// Data are shown outside of a block that marks them.
    #[error("`{0}` comes from outside and must stand between the lines that mark data")]
    Outside(String),
    /// It cannot be rendered.
    #[error("{0}")]
    Render(String),
}

impl PromptError {
    /// What to do about it, for a person to read.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            PromptErrorKind::Unknown => "`ansatz prompts export DIR` writes all prompts with their names",
            _ => "compare it with the original that `ansatz prompts export DIR` writes",
        }
    }
}

/// All templates, checked.
pub struct Prompts {
    engine: Handlebars<'static>,
    hashes: BTreeMap<String, String>,
}

impl Prompts {
    /// The templates of this program.
    ///
    /// # Errors
    /// None, as long as this crate's tests pass.
    pub fn built_in() -> Result<Self, PromptError> {
        Self::of(&BTreeMap::new())
    }

    /// The templates of this program with those that a folder overrides.
    ///
    /// # Errors
    /// [`PromptError`]: a file whose name no prompt has, or a template that fails the checks.
    pub fn with_overrides(folder: &Path) -> Result<Self, PromptError> {
        let mut files = BTreeMap::new();
        for role in read_folder(folder)? {
            if role.is_dir() {
                for file in read_folder(&role)? {
                    let (name, text) = read_template(folder, &file)?;
                    files.insert(name, (file, text));
                }
            }
        }
        Self::of(&files)
    }

    fn of(files: &BTreeMap<String, (PathBuf, String)>) -> Result<Self, PromptError> {
        let text_of = |name: &str| {
            let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
            files.get(name).map(|(_, text)| text.as_str()).or(built_in).unwrap_or_default()
        };
        let mut engine = Handlebars::new();
        engine.set_strict_mode(true);
        engine.register_escape_fn(handlebars::no_escape);
        engine.register_helper("json", Box::new(json));
        let mut hashes = BTreeMap::new();
        let error = |name: &str, kind| PromptError {
            name: name.into(),
            file: files.get(name).map(|(file, _)| file.clone()),
            kind,
        };
        for (name, _) in BUILT_IN {
            let text = text_of(name);
            // Shared parts go by their last name in templates.
            let registered = name.strip_prefix("shared/").unwrap_or(name);
            let result = if *name == registered {
                engine.register_template_string(registered, text)
            } else {
                // A tag on a line of its own takes the line end with it.
                engine.register_partial(registered, format!("{}\n", text.trim_end()))
            };
            result.map_err(|problem| error(name, PromptErrorKind::Syntax(problem.to_string())))?;
        }
        let shared: BTreeMap<String, String> = BUILT_IN
            .iter()
            .filter_map(|(name, _)| {
                Some((name.strip_prefix("shared/")?.to_owned(), text_of(name).trim_end().to_owned()))
            })
            .collect();
        for (name, example) in examples::all() {
            let whole = check::expand(text_of(name), &shared);
            check::template(&whole, DIVIDER, &example).map_err(|kind| error(name, kind))?;
            hashes.insert(name.to_owned(), hex(&Sha256::digest(whole.as_bytes()))[..16].to_owned());
        }
        let prompts = Self { engine, hashes };
        for (name, example) in examples::all() {
            prompts.text(name, &example).map_err(|kind| error(name, kind))?;
        }
        Ok(prompts)
    }

    /// Names of all prompts with the hashes of their contents.
    pub fn hashes(&self) -> &BTreeMap<String, String> {
        &self.hashes
    }

    /// Renders a prompt.
    ///
    /// # Errors
    /// [`PromptError`] when the template uses something in a way that only this case shows to be wrong.
    pub fn render<P: Prompt>(&self, prompt: &P) -> Result<Rendered, PromptError> {
        let error = |kind| PromptError { name: P::NAME.into(), file: None, kind };
        let value = serde_json::to_value(prompt)
            .map_err(|problem| error(PromptErrorKind::Render(problem.to_string())))?;
        let (system, user) = self.text(P::NAME, &value).map_err(error)?;
        let hash = self.hashes.get(P::NAME).cloned().unwrap_or_default();
        Ok(Rendered { template: P::NAME, hash, system, user, fields: unmeasured(value, P::MEASURED) })
    }

    /// What a template makes of any value, for tests of what it shows where.
    #[cfg(test)]
    pub(crate) fn raw(&self, name: &str, value: &Value) -> String {
        self.text(name, value).map_or_else(|kind| panic!("{name}: {kind}"), |(_, user)| user)
    }

    fn text(&self, name: &str, value: &Value) -> Result<(String, String), PromptErrorKind> {
        let text = self
            .engine
            .render(name, value)
            .map_err(|problem| PromptErrorKind::Render(problem.to_string()))?;
        let (system, user) = text.split_once(DIVIDER).ok_or(PromptErrorKind::Divider)?;
        Ok((system.trim().to_owned(), tidy(user)))
    }

    /// Writes the templates of this program below a folder; files that are there already are left alone. Gives the files
    /// written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn export(folder: &Path) -> Result<Vec<PathBuf>, PromptError> {
        let mut written = Vec::new();
        for (name, text) in BUILT_IN {
            let path = folder.join(format!("{name}.hbs"));
            let failed = |problem| PromptError {
                name: (*name).into(),
                file: Some(path.clone()),
                kind: PromptErrorKind::Io(problem),
            };
            std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
            if !path.exists() {
                std::fs::write(&path, text).map_err(failed)?;
                written.push(path);
            }
        }
        Ok(written)
    }
}

fn read_folder(folder: &Path) -> Result<Vec<PathBuf>, PromptError> {
    let failed = |problem| PromptError {
        name: "override".into(),
        file: Some(folder.into()),
        kind: PromptErrorKind::Io(problem),
    };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read_template(folder: &Path, file: &Path) -> Result<(String, String), PromptError> {
    let relative = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let name =
        relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    let error = |kind| PromptError { name: name.clone(), file: Some(file.into()), kind };
    let is_template = file.extension().is_some_and(|ending| ending == "hbs");
    if !is_template || !BUILT_IN.iter().any(|(known, _)| *known == name) {
        return Err(error(PromptErrorKind::Unknown));
    }
    let size = file.metadata().map_err(|problem| error(PromptErrorKind::Io(problem)))?.len();
    if size > TEMPLATE_MAX {
        return Err(error(PromptErrorKind::Syntax("it is larger than 256 KiB".into())));
    }
    let text = std::fs::read_to_string(file).map_err(|problem| error(PromptErrorKind::Io(problem)))?;
    Ok((name, text.replace("\r\n", "\n")))
}

/// `{{json value}}`: the value as JSON in which nothing acts.
fn json(
    helper: &Helper,
    _: &Handlebars,
    _: &Context,
    _: &mut RenderContext,
    out: &mut dyn Output,
) -> HelperResult {
    let value = helper.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("json", 0))?;
    if value.is_value_missing() {
        let name = value.relative_path().cloned();
        return Err(RenderErrorReason::MissingVariable(name).into());
    }
    let text = match value.value() {
        Value::String(text) => crate::text::escaped(text),
        other => other.to_string(),
    };
    out.write(&text)?;
    Ok(())
}

/// At most one empty line in a row, none at the ends.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines() {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty <= 1 {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

/// Fields of the case that differ from machine to machine or were measured: a recording plays on all machines.
const OF_THE_MACHINE: &[&str] = &["nonce", "budget", "standing", "alone", "shift"];

/// A value without the fields that hold measured numbers, and without what differs from machine to machine.
fn unmeasured(value: Value, measured: &[&str]) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| {
                let name = name.as_str();
                !OF_THE_MACHINE.contains(&name) && !measured.contains(&name)
            });
            Value::Object(kept.map(|(name, value)| (name, unmeasured(value, measured))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| unmeasured(item, measured)).collect(),
        other => other,
    }
}
