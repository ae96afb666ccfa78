//! What a user can call a source: an address, a data set of OpenML, a data set of Hugging Face.

use crate::error::SourceError;
use crate::settings::Settings;

/// Pages of OpenML.
const OPENML_HOSTS: [&str; 4] = ["www.openml.org", "openml.org", "new.openml.org", "api.openml.org"];
/// Pages of Hugging Face.
const HF_HOSTS: [&str; 2] = ["huggingface.co", "hf.co"];
/// Pages of Kaggle, whose files come through its own program alone.
const KAGGLE_HOSTS: [&str; 2] = ["www.kaggle.com", "kaggle.com"];
/// Longest text that names a source.
const NAME_MAX: usize = 4096;

/// A source as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file at an address.
    Address(String),
    /// A data set of OpenML.
    OpenMl(OpenMl),
    /// A data set of Hugging Face.
    HuggingFace(Repository),
}

/// A data set of OpenML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenMl {
    /// By its number.
    Id(u64),
    /// By its name, and perhaps its version.
    Name(String, Option<u32>),
}

/// A data set of Hugging Face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`, or the name alone for those without an owner.
    pub id: String,
    /// The subset; `None` takes the default one.
    pub config: Option<String>,
    /// A branch, tag or commit; `None` takes what is served by default.
    pub revision: Option<String>,
}

impl Source {
    /// Reads what was typed; `None` when it names a path of this machine.
    pub fn read(text: &str, settings: &Settings) -> Option<Result<Self, SourceError>> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let is_known = matches!(
            scheme.as_str(),
            "http" | "https" | "openml" | "hf" | "huggingface" | "ftp" | "s3" | "gs" | "file" | "kaggle"
        );
        if !is_known {
            return None;
        }
        if text.len() > NAME_MAX
            || text.contains(|letter: char| letter.is_control() || letter.is_whitespace())
        {
            return Some(Err(SourceError::usage("the address is too long, or holds spaces")
                .hint("write a space in an address as %20")));
        }
        Some(match scheme.as_str() {
            "openml" => openml(rest.trim_start_matches('/')),
            "hf" | "huggingface" => hugging_face(rest.trim_start_matches('/')),
            "http" | "https" => address(text, rest, settings),
            _ => Err(SourceError::usage(format!("{scheme}: is not a kind of source"))
                .hint("give a path, an http or https address, openml:NUMBER, or hf:OWNER/NAME")),
        })
    }
}

fn openml(rest: &str) -> Result<Source, SourceError> {
    let rest = rest.strip_prefix("d/").unwrap_or(rest);
    let (name, version) = rest.split_once('/').map_or((rest, None), |(name, version)| (name, Some(version)));
    let refused = || {
        SourceError::usage(format!("openml:{rest} names no data set")).hint(
            "give its number, such as openml:31, or its name and perhaps version, such as openml:credit-g/1",
        )
    };
    let version = version.map(|version| version.parse::<u32>().map_err(|_| refused())).transpose()?;
    if let (Ok(id), None) = (name.parse::<u64>(), version) {
        return Ok(Source::OpenMl(OpenMl::Id(id)));
    }
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.()+,".contains(letter);
    if name.trim_matches('.').is_empty() || !name.chars().all(is_plain) {
        return Err(refused());
    }
    Ok(Source::OpenMl(OpenMl::Name(name.to_owned(), version)))
}

/// `owner/name`, perhaps with `:config` or `@revision` behind it.
fn hugging_face(rest: &str) -> Result<Source, SourceError> {
    let rest = rest.strip_prefix("datasets/").unwrap_or(rest).trim_end_matches('/');
    let (rest, config) = rest.split_once(':').map_or((rest, None), |(rest, config)| (rest, Some(config)));
    let (id, revision) = rest.split_once('@').map_or((rest, None), |(id, revision)| (id, Some(revision)));
    repository(id, config, revision)
}

fn repository(id: &str, config: Option<&str>, revision: Option<&str>) -> Result<Source, SourceError> {
    let is_word = |word: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        !word.is_empty() && word != ".." && word != "." && word.chars().all(plain)
    };
    let is_free =
        |word: &str| !word.is_empty() && !word.contains(['?', '#', '%', '\\']) && !word.contains("..");
    let parts: Vec<&str> = id.split('/').collect();
    let is_sound = matches!(parts.len(), 1 | 2)
        && parts.iter().all(|part| is_word(part))
        && config.is_none_or(is_free)
        && revision.is_none_or(is_free);
    if !is_sound {
        return Err(SourceError::usage(format!("hf:{id} names no data set")).hint(
            "give owner and name, such as hf:owner/name, and perhaps a subset, such as hf:owner/name:subset",
        ));
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(Source::HuggingFace(Repository {
        id: id.to_owned(),
        config: owned(config),
        revision: owned(revision),
    }))
}

fn address(text: &str, rest: &str, settings: &Settings) -> Result<Source, SourceError> {
    let rest = rest.trim_start_matches('/');
    let (place, below) = rest.split_once('/').unwrap_or((rest, ""));
    if place.contains('@') {
        return Err(SourceError::usage("an address with a user or password in it is not called")
            .hint("addresses are kept in the journal and shown; fetch the file yourself and give its path"));
    }
    let place = place.to_ascii_lowercase();
    if KAGGLE_HOSTS.contains(&place.as_str()) {
        return Err(SourceError::usage("a page of Kaggle is no data").hint(
            "download the files with Kaggle's own program (kaggle competitions download -c NAME), and give the folder or the zip archive",
        ));
    }
    let is_at = |hosts: &[&str], base: &str| hosts.contains(&place.as_str()) || place == place_of(base);
    if is_at(&OPENML_HOSTS, &settings.openml_base)
        && let Some(found) = openml_page(below)
    {
        return found;
    }
    if is_at(&HF_HOSTS, &settings.hf_base)
        && let Some(found) = hugging_face_page(below, settings)
    {
        return found;
    }
    let plain = text.split('#').next().unwrap_or(text);
    Ok(Source::Address(plain.to_owned()))
}

/// Host and port of a base URL, in small letters.
pub(crate) fn place_of(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase()
}

/// The data set of a page such as `d/31` or `search?type=data&id=31`; `None` for files.
fn openml_page(below: &str) -> Option<Result<Source, SourceError>> {
    let below = below.split('#').next().unwrap_or(below);
    let (path, query) = below.split_once('?').unwrap_or((below, ""));
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let number = |text: &str| text.parse().ok().map(|id| Ok(Source::OpenMl(OpenMl::Id(id))));
    match parts.as_slice() {
        ["d" | "datasets", id] | ["api", "v1", "json" | "xml", "data", id] | ["api", "v1", "data", id] => {
            number(id)
        }
        ["search"] | [] => {
            let value =
                |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            let is_data = value("type").is_none_or(|kind| kind == "data");
            value("id").filter(|_| is_data).and_then(number)
        }
        ["t" | "tasks", id] => {
            Some(Err(SourceError::usage(format!("this is task {id} of OpenML, not a data set"))
                .hint("the task's page names its data set: give openml:NUMBER")))
        }
        _ => None,
    }
}

/// The data set of a page such as `datasets/owner/name/viewer/subset/train`; a file's page becomes the file's address.
fn hugging_face_page(below: &str, settings: &Settings) -> Option<Result<Source, SourceError>> {
    let below = below.split(['?', '#']).next().unwrap_or(below);
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    let ["datasets", parts @ ..] = parts.as_slice() else { return None };
    let words = ["viewer", "tree", "blob", "resolve", "raw", "discussions"];
    let split = parts.iter().position(|part| words.contains(part)).unwrap_or(parts.len());
    let id = parts[..split].join("/");
    Some(match &parts[split..] {
        ["viewer", config, ..] => repository(&id, Some(config), None),
        ["tree", revision, ..] => {
            repository(&id, None, Some(*revision).filter(|revision| *revision != "main"))
        }
        ["blob" | "resolve" | "raw", revision, file @ ..] if !file.is_empty() => {
            let base = settings.hf_base.trim_end_matches('/');
            Ok(Source::Address(format!("{base}/datasets/{id}/resolve/{revision}/{}", file.join("/"))))
        }
        _ => repository(&id, None, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let settings = Settings { hf_base: "http://127.0.0.1:8/hub/".into(), ..Settings::default() };
        match Source::read(text, &settings) {
            None => "a path".into(),
            Some(Err(error)) => format!("error: {error}"),
            Some(Ok(Source::Address(address))) => address,
            Some(Ok(Source::OpenMl(OpenMl::Id(id)))) => format!("openml {id}"),
            Some(Ok(Source::OpenMl(OpenMl::Name(name, version)))) => format!("openml {name} {version:?}"),
            Some(Ok(Source::HuggingFace(it))) => format!("hf {} {:?} {:?}", it.id, it.config, it.revision),
        }
    }

    #[test]
    fn the_usual_ways_to_name_a_data_set() {
        for (text, expected) in [
            ("openml:31", "openml 31"),
            ("openml:credit-g", "openml credit-g None"),
            ("openml:credit-g/2", "openml credit-g Some(2)"),
            ("https://www.openml.org/d/31", "openml 31"),
            ("https://www.openml.org/search?type=data&sort=runs&id=31&status=active", "openml 31"),
            ("https://www.openml.org/api/v1/json/data/31", "openml 31"),
            ("hf:owner/name", "hf owner/name None None"),
            ("hf:imdb", "hf imdb None None"),
            ("hf:owner/name:sub", "hf owner/name Some(\"sub\") None"),
            ("hf:owner/name@v1", "hf owner/name None Some(\"v1\")"),
            ("hf://datasets/owner/name", "hf owner/name None None"),
            ("https://huggingface.co/datasets/owner/name", "hf owner/name None None"),
            (
                "https://huggingface.co/datasets/owner/name/viewer/sub/train",
                "hf owner/name Some(\"sub\") None",
            ),
            ("https://huggingface.co/datasets/owner/name/tree/main/data", "hf owner/name None None"),
            ("http://127.0.0.1:8/datasets/owner/name", "hf owner/name None None"),
            (
                "https://huggingface.co/datasets/o/n/blob/main/a/b.csv",
                "http://127.0.0.1:8/hub/datasets/o/n/resolve/main/a/b.csv",
            ),
            ("https://example.org/a.csv?x=1#top", "https://example.org/a.csv?x=1"),
            ("HTTPS://example.org/a.csv", "HTTPS://example.org/a.csv"),
            ("data.csv", "a path"),
            ("./openml:31", "a path"),
            ("C:\\data.csv", "a path"),
            ("/data/x:y.csv", "a path"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_an_error() {
        for text in [
            "openml:",
            "openml:a b",
            "openml:../31",
            "openml:credit-g/x",
            "hf:",
            "hf:a/b/c",
            "hf:../..",
            "hf:a/b:../x",
            "s3://bucket/key",
            "ftp://h/x",
            "https://me:hunter2@h/x.csv",
            "https://www.openml.org/t/59",
            "https://h/a\nb",
        ] {
            assert!(read(text).starts_with("error: "), "{text}: {}", read(text));
        }
        assert!(!read("https://me:hunter2@h/x.csv").contains("hunter2"));
    }

    #[test]
    fn a_page_of_kaggle_is_told_from_data() {
        for page in ["https://www.kaggle.com/competitions/titanic", "https://kaggle.com/c/titanic/data"] {
            let told = read(page);
            assert!(told.contains("a page of Kaggle"), "{told}");
        }
    }
}
