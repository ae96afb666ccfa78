//! Data sets of Hugging Face: the hub's own conversion to Parquet by subset and split, else the files of the repository.

use crate::cache::{Cache, Progress, Wanted};
use crate::error::{SourceError, SourceErrorKind, of_fetch};
use crate::named::Repository;
use crate::settings::Settings;
use crate::{Acquired, Tables, foreign};
use ansatz_core::secret::Secret;
use ansatz_core::source::Provenance;
use ansatz_fetch::{Client, FetchError};
use serde_json::Value;
use std::collections::BTreeMap;

/// Files of one split that are fetched.
const PARTS_MAX: usize = 500;
/// Endings of tables.
const ENDINGS: [&str; 5] = [".parquet", ".csv", ".tsv", ".csv.gz", ".arff"];
/// Names of splits that hold training rows, by preference, and those that hold rows to predict.
const TRAIN: [&str; 3] = ["train", "training", "data"];
const TEST: [&str; 3] = ["test", "testing", "eval"];

/// What the hub says about a data set.
#[derive(Debug, Default)]
struct Card {
    commit: Option<String>,
    licence: Option<String>,
    files: Vec<String>,
}

/// Paths below the base, by role.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chosen {
    train: Vec<String>,
    test: Vec<String>,
}

/// Fetches a data set.
pub(crate) async fn acquire(
    asked: &Repository,
    settings: &Settings,
    token: Option<&Secret>,
    cache: &Cache,
    progress: Progress<'_>,
) -> Result<Acquired, SourceError> {
    let client = settings.hugging_face(token)?;
    let id = &asked.id;
    let what = format!("Hugging Face data set {id}");
    let mut warnings = Vec::new();
    let revision =
        asked.revision.as_ref().map_or_else(String::new, |revision| format!("/revision/{revision}"));
    let (reply, warning) = cache
        .json(&client, &format!("api/datasets/{id}{revision}"), &what)
        .await
        .map_err(|error| refused(&error, &what, token.is_some()))?;
    warnings.extend(warning);
    let card = card(&reply);
    let chosen = choose(&client, cache, asked, &card, &what, &mut warnings).await?;
    let mut left = settings.bytes_max();
    let (mut train, mut test, mut provenance) = (Vec::new(), Vec::new(), Vec::new());
    let roles = [("train", &chosen.train), ("test", &chosen.test)];
    for (role, path) in roles.iter().flat_map(|(role, paths)| paths.iter().map(move |path| (*role, path))) {
        let address = format!("{}{path}", client.base());
        let ending = ENDINGS.iter().rev().find(|ending| path.to_lowercase().ends_with(**ending));
        let wanted = Wanted {
            address: &address,
            what: &what,
            ending: ending.unwrap_or(&".parquet"),
            version: card.commit.as_deref(),
            md5: None,
            bytes_max: left,
        };
        let kept = cache.file(&client, wanted, &mut *progress).await?;
        left = left.saturating_sub(kept.record.bytes);
        warnings.extend(kept.warning.clone());
        provenance.push(Provenance {
            source: format!("hf:{id}"),
            address,
            role: role.into(),
            title: Some(id.clone()),
            version: card.commit.clone(),
            licence: card.licence.clone(),
            bytes: kept.record.bytes,
            sha256: kept.record.sha256,
            checked: None,
            was_cached: kept.was_cached,
        });
        if role == "train" { train.push(kept.path) } else { test.push(kept.path) }
    }
    Ok(Acquired {
        name: id.rsplit('/').next().unwrap_or(id).to_owned(),
        tables: Tables::Files { train, test },
        target: None,
        id: None,
        ignored: Vec::new(),
        provenance,
        warnings,
    })
}

/// The hub answers 401 for what does not exist as for what is private.
fn refused(error: &FetchError, what: &str, has_token: bool) -> SourceError {
    match error.status() {
        Some(401 | 404) if has_token => {
            SourceError::data(format!("there is no {what}, or your token may not see it"))
                .hint("give owner and name as in the address of its page: hf:owner/name")
        }
        Some(401 | 404) => SourceError::data(format!("there is no {what}, or it is private")).hint(
            "give owner and name as in the address of its page: hf:owner/name; for private ones set HF_TOKEN",
        ),
        Some(403) => SourceError::new(SourceErrorKind::Auth, format!("{what} may not be read"))
            .hint("accept its terms on its web page, and set HF_TOKEN to your token"),
        _ => of_fetch(error, what),
    }
}

fn card(reply: &Value) -> Card {
    let licence = match &reply["cardData"]["license"] {
        Value::String(text) => Some(foreign(text)),
        Value::Array(all) => {
            Some(all.iter().filter_map(Value::as_str).map(foreign).collect::<Vec<_>>().join(", "))
        }
        _ => {
            let tags = reply["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            tags.filter_map(|tag| tag.strip_prefix("license:")).map(foreign).next()
        }
    };
    let files = reply["siblings"].as_array().into_iter().flatten();
    Card {
        commit: reply["sha"].as_str().map(foreign),
        licence: licence.filter(|licence| !licence.is_empty()),
        files: files
            .filter_map(|file| file["rfilename"].as_str())
            .filter(|name| is_safe(name))
            .map(str::to_owned)
            .collect(),
    }
}

/// Whether a name from outside may stand in an address below the base.
fn is_safe(name: &str) -> bool {
    let is_plain = !name.contains(['?', '#', '%', '\\']) && !name.contains(char::is_control);
    is_plain
        && !name.starts_with('/')
        && name.split('/').all(|part| !part.is_empty() && part != ".." && part != ".")
}

async fn choose(
    client: &Client,
    cache: &Cache,
    asked: &Repository,
    card: &Card,
    what: &str,
    warnings: &mut Vec<String>,
) -> Result<Chosen, SourceError> {
    // The conversion to Parquet is made of the main branch alone.
    if asked.revision.is_none() {
        match cache.json(client, &format!("api/datasets/{}/parquet", asked.id), what).await {
            Ok((reply, warning)) => {
                warnings.extend(warning);
                let configs = splits(&reply);
                if !configs.is_empty() {
                    return by_split(asked, &configs, what, warnings);
                }
            }
            // Without a conversion there are still the files.
            Err(error) if matches!(error.status(), Some(400..=499)) => {}
            Err(error) => return Err(of_fetch(&error, what)),
        }
    }
    by_file(asked, card, what)
}

/// Numbers of files by subset and split.
fn splits(reply: &Value) -> BTreeMap<String, BTreeMap<String, usize>> {
    let configs = reply.as_object().into_iter().flatten();
    configs
        .filter(|(config, _)| is_safe(config))
        .map(|(config, splits)| {
            let splits = splits.as_object().into_iter().flatten();
            let counted = splits
                .filter(|(split, _)| is_safe(split))
                .filter_map(|(split, files)| Some((split.clone(), files.as_array()?.len())));
            (config.clone(), counted.filter(|(_, files)| *files > 0).collect())
        })
        .filter(|(_, splits): &(String, BTreeMap<String, usize>)| !splits.is_empty())
        .collect()
}

fn by_split(
    asked: &Repository,
    configs: &BTreeMap<String, BTreeMap<String, usize>>,
    what: &str,
    warnings: &mut Vec<String>,
) -> Result<Chosen, SourceError> {
    let listed =
        |names: Vec<&String>| names.iter().take(10).map(|name| foreign(name)).collect::<Vec<_>>().join(", ");
    let all = listed(configs.keys().collect());
    let found = match &asked.config {
        Some(config) => configs.get_key_value(config),
        None => configs.get_key_value("default").or_else(|| configs.iter().next()),
    };
    let Some((config, splits)) = found else {
        return Err(
            SourceError::data(format!("{what} has no such subset")).hint(format!("its subsets are {all}"))
        );
    };
    if asked.config.is_none() && configs.len() > 1 {
        warnings.push(format!(
            "{what} has the subsets {all}; {config} is taken, hf:{}:SUBSET names another",
            asked.id
        ));
    }
    let named = |names: &[&str]| names.iter().find_map(|name| splits.get_key_value(*name));
    let only = || if splits.len() == 1 { splits.iter().next() } else { None };
    let Some((train, parts)) = named(&TRAIN).or_else(only) else {
        return Err(SourceError::data(format!("{what} has no split named train")).hint(format!(
            "its splits are {}; give the address of one of its files",
            listed(splits.keys().collect())
        )));
    };
    let test = named(&TEST).filter(|(name, _)| *name != train);
    let unused: Vec<&String> =
        splits.keys().filter(|name| *name != train && test.is_none_or(|(test, _)| *name != test)).collect();
    if !unused.is_empty() {
        warnings.push(format!("{what}: not used: the split {}", listed(unused)));
    }
    let paths = |split: &str, parts: usize| -> Result<Vec<String>, SourceError> {
        if parts > PARTS_MAX {
            return Err(SourceError::data(format!("{what}: its split {} has {parts} files", foreign(split)))
                .hint(format!("at most {PARTS_MAX} are fetched; give the address of one of them")));
        }
        let id = &asked.id;
        Ok((0..parts)
            .map(|part| format!("api/datasets/{id}/parquet/{config}/{split}/{part}.parquet"))
            .collect())
    };
    Ok(Chosen {
        train: paths(train, *parts)?,
        test: test.map(|(name, parts)| paths(name, *parts)).transpose()?.unwrap_or_default(),
    })
}

/// Files of the repository whose names say what they are.
fn by_file(asked: &Repository, card: &Card, what: &str) -> Result<Chosen, SourceError> {
    let revision = asked.revision.as_deref().unwrap_or("main");
    let is_table = |name: &&String| ENDINGS.iter().any(|ending| name.to_lowercase().ends_with(ending));
    let tables: Vec<&String> = card
        .files
        .iter()
        .filter(is_table)
        .filter(|name| {
            asked.config.as_deref().is_none_or(|config| name.split('/').any(|part| part == config))
        })
        .collect();
    let of = |names: &[&str]| -> Vec<&String> {
        let is_named = |name: &&&String| {
            let last = name.rsplit('/').next().unwrap_or(name).to_lowercase();
            names.iter().any(|word| last.starts_with(word))
        };
        tables.iter().filter(is_named).copied().collect()
    };
    let (mut train, mut test) = (of(&TRAIN), of(&TEST));
    if train.is_empty() && tables.len() == 1 {
        (train, test) = (tables.clone(), Vec::new());
    }
    if train.is_empty() || train.len() > PARTS_MAX {
        let some: Vec<String> = tables.iter().take(8).map(|name| foreign(name)).collect();
        let hint = if some.is_empty() {
            "it has neither a Parquet conversion nor CSV files; fetch and convert it yourself".to_owned()
        } else {
            format!("give the address of one of its files, such as {}", some.join(", "))
        };
        return Err(SourceError::data(format!("{what} has no table named train")).hint(hint));
    }
    // Files of one role are parts of one table only when they are of one kind.
    let ending = |name: &str| ENDINGS.iter().position(|ending| name.to_lowercase().ends_with(ending));
    for files in [&mut train, &mut test] {
        if let Some(first) = files.first().map(|name| ending(name)) {
            files.retain(|name| ending(name) == first);
        }
    }
    let address = |name: &&String| format!("datasets/{}/resolve/{revision}/{name}", asked.id);
    Ok(Chosen { train: train.iter().map(address).collect(), test: test.iter().map(address).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn repository(config: Option<&str>) -> Repository {
        Repository { id: "o/n".into(), config: config.map(str::to_owned), revision: None }
    }

    #[test]
    fn splits_become_files_by_role() {
        let reply = json!({"big": {"train": ["u", "v"], "test": ["w"], "validation": ["x"]}, "small": {"all": ["y"]}});
        let mut warnings = Vec::new();
        let chosen = by_split(&repository(None), &splits(&reply), "it", &mut warnings).unwrap();
        assert_eq!(
            chosen.train,
            ["api/datasets/o/n/parquet/big/train/0.parquet", "api/datasets/o/n/parquet/big/train/1.parquet"]
        );
        assert_eq!(chosen.test, ["api/datasets/o/n/parquet/big/test/0.parquet"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let small = by_split(&repository(Some("small")), &splits(&reply), "it", &mut warnings).unwrap();
        assert_eq!(small.train, ["api/datasets/o/n/parquet/small/all/0.parquet"]);
        assert!(by_split(&repository(Some("none")), &splits(&reply), "it", &mut warnings).is_err());
        // A name is no way out of the base.
        assert!(splits(&json!({"../x": {"train": ["u"]}, "a": {"..": ["u"]}})).is_empty());
    }

    #[test]
    fn without_a_conversion_files_are_found_by_their_names() {
        let files = |names: &[&str]| {
            card(
                &json!({"siblings": names.iter().map(|name| json!({"rfilename": name})).collect::<Vec<_>>()}),
            )
        };
        let chosen = |names: &[&str]| by_file(&repository(None), &files(names), "it");
        let found =
            chosen(&["README.md", "data/train-0.parquet", "data/test.csv", "data/train-1.parquet"]).unwrap();
        assert_eq!(
            (found.train.len(), found.test.as_slice()),
            (2, &["datasets/o/n/resolve/main/data/test.csv".to_owned()][..])
        );
        assert_eq!(chosen(&["iris.csv"]).unwrap().train, ["datasets/o/n/resolve/main/iris.csv"]);
        assert!(chosen(&["a.csv", "b.csv"]).unwrap_err().hint.is_some_and(|hint| hint.contains("a.csv")));
        assert!(chosen(&["../../x/train.csv", "/train.csv"]).is_err());
    }
}
