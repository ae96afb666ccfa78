//! Data sets of OpenML: the description says where the table lies, as Parquet or as ARFF, and which column is the target.

use crate::cache::{Cache, Kept, Progress, Wanted};
use crate::error::{SourceError, of_fetch};
use crate::named::OpenMl;
use crate::settings::Settings;
use crate::{Acquired, Named, Tables, foreign, shown};
use ansatz_core::source::Provenance;
use ansatz_fetch::{Client, FetchError};
use serde_json::Value;

/// Status with which OpenML says that there is no such thing.
const UNKNOWN: u16 = 412;

/// What a description says that is of use here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Description {
    id: String,
    name: String,
    version: Option<String>,
    licence: Option<String>,
    arff: Option<String>,
    parquet: Option<String>,
    md5: Option<String>,
    targets: Vec<String>,
    row_id: Option<String>,
    ignored: Vec<String>,
    is_active: bool,
}

/// Fetches a data set.
pub(crate) async fn acquire(
    asked: &OpenMl,
    settings: &Settings,
    cache: &Cache,
    progress: Progress<'_>,
) -> Result<Acquired, SourceError> {
    let client = settings.openml()?;
    let mut warnings = Vec::new();
    let id = match asked {
        OpenMl::Id(id) => id.to_string(),
        OpenMl::Name(name, version) => find(&client, cache, name, *version, &mut warnings).await?,
    };
    let what = format!("OpenML data set {id}");
    let path = format!("{}/data/{id}", api(&client));
    let (reply, warning) = cache.json(&client, &path, &what).await.map_err(|error| refused(&error, &what))?;
    warnings.extend(warning);
    let described = describe(&reply, &id);
    if !described.is_active {
        warnings.push(format!("OpenML no longer recommends {what} (it is not active)"));
    }
    let (kept, address) = table(&client, cache, &described, settings, &mut warnings, progress).await?;
    warnings.extend(kept.warning.clone());
    if described.targets.len() > 1 {
        let all = described.targets.join(", ");
        warnings.push(format!(
            "OpenML names several targets ({all}); the first is taken, --target names another"
        ));
    }
    let provenance = Provenance {
        source: format!("openml:{id}"),
        address: shown(&address),
        role: "train".into(),
        title: Some(described.name.clone()),
        version: described.version,
        licence: described.licence,
        bytes: kept.record.bytes,
        sha256: kept.record.sha256,
        checked: kept.record.md5.then(|| "md5".into()),
        was_cached: kept.was_cached,
    };
    Ok(Acquired {
        name: described.name,
        tables: Tables::Files { train: vec![kept.path], test: Vec::new() },
        target: described
            .targets
            .into_iter()
            .next()
            .map(|column| Named::new(column, "it is OpenML's default target")),
        id: described.row_id.map(|column| Named::new(column, "OpenML names it as the id of the rows")),
        ignored: described.ignored,
        provenance: vec![provenance],
        warnings,
    })
}

/// Where the API lies below the base: a base that leads into the API itself is taken as it is.
fn api(client: &Client) -> &'static str {
    let base = client.base().trim_end_matches('/');
    if base.ends_with("/api/v1/json") {
        ""
    } else if base.ends_with("/api/v1") {
        "json"
    } else {
        "api/v1/json"
    }
}

fn refused(error: &FetchError, what: &str) -> SourceError {
    if matches!(error.status(), Some(UNKNOWN | 404)) {
        return SourceError::data(format!("there is no {what}"))
            .hint("the number stands in the address of the data set's page, such as www.openml.org/d/31");
    }
    of_fetch(error, what)
}

/// The number of a data set that is known by name.
async fn find(
    client: &Client,
    cache: &Cache,
    name: &str,
    version: Option<u32>,
    warnings: &mut Vec<String>,
) -> Result<String, SourceError> {
    let what = match version {
        Some(version) => format!("OpenML data set {name}, version {version}"),
        None => format!("OpenML data set {name}"),
    };
    let filter = version.map_or("status/active".to_owned(), |version| format!("data_version/{version}"));
    let path = format!("{}/data/list/data_name/{name}/limit/100/{filter}", api(client));
    let (reply, warning) = cache.json(client, &path, &what).await.map_err(|error| refused(&error, &what))?;
    warnings.extend(warning);
    let mut found: Vec<(u64, u64)> = reply["data"]["dataset"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|set| Some((number(&set["version"])?, number(&set["did"])?)))
        .collect();
    found.sort_unstable();
    let Some((taken, id)) = found.first() else {
        return Err(SourceError::data(format!("there is no {what}"))
            .hint("look for it on www.openml.org, and give its number, such as openml:31"));
    };
    if found.len() > 1 {
        warnings.push(format!(
            "OpenML has {} data sets named {name}; version {taken} is taken, openml:{name}/VERSION names another",
            found.len()
        ));
    }
    Ok(id.to_string())
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A text, or a number as text; OpenML writes an empty list where there is none.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => foreign(text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Names in a list, or divided by commas.
fn names(value: &Value) -> Vec<String> {
    if let Value::Array(values) = value {
        return values.iter().filter_map(text).collect();
    }
    let all = text(value).unwrap_or_default();
    let names = all.split(',').map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// An address that may be called at all; whether its host may be is for `fetch` to say.
fn address(value: &Value) -> Option<String> {
    text(value).filter(|url| url.starts_with("http://") || url.starts_with("https://"))
}

fn describe(reply: &Value, id: &str) -> Description {
    let set = &reply["data_set_description"];
    let parquet = address(&set["parquet_url"]).or_else(|| {
        let is_parquet = |url: &String| [".pq", ".parquet"].iter().any(|ending| url.ends_with(ending));
        address(&set["minio_url"]).filter(is_parquet)
    });
    Description {
        id: id.to_owned(),
        name: text(&set["name"]).unwrap_or_else(|| format!("openml-{id}")),
        version: text(&set["version"]),
        licence: text(&set["licence"]),
        arff: address(&set["url"]),
        parquet,
        md5: text(&set["md5_checksum"]).filter(|sum| sum.len() == 32),
        targets: names(&set["default_target_attribute"]),
        row_id: text(&set["row_id_attribute"]),
        ignored: names(&set["ignore_attribute"]),
        is_active: set["status"].as_str().is_none_or(|status| status == "active"),
    }
}

/// The table: as Parquet where there is one, else as ARFF.
async fn table(
    client: &Client,
    cache: &Cache,
    described: &Description,
    settings: &Settings,
    warnings: &mut Vec<String>,
    progress: Progress<'_>,
) -> Result<(Kept, String), SourceError> {
    // A data set never changes under its number; its checksum changes if it does all the same.
    let version = format!(
        "{}/{}",
        described.version.as_deref().unwrap_or("1"),
        described.md5.as_deref().unwrap_or("-")
    );
    let mut wanted = Wanted {
        address: "",
        what: &described.name,
        ending: ".parquet",
        version: Some(&version),
        md5: None,
        bytes_max: settings.bytes_max(),
    };
    let mut trouble = None;
    if let Some(parquet) = &described.parquet {
        wanted.address = parquet;
        match cache.file(client, wanted, &mut *progress).await {
            Ok(kept) => return Ok((kept, parquet.clone())),
            Err(error) => trouble = Some(error),
        }
    }
    match (&described.arff, trouble) {
        (Some(arff), trouble) => {
            (wanted.address, wanted.ending) = (arff, ".arff");
            wanted.md5 = described.md5.as_deref();
            let kept = cache.file(client, wanted, progress).await;
            match (kept, trouble) {
                (Ok(kept), trouble) => {
                    warnings.extend(
                        trouble.map(|error| format!("no Parquet file ({error}); ARFF is read instead")),
                    );
                    Ok((kept, arff.clone()))
                }
                (Err(_), Some(error)) | (Err(error), None) => Err(error),
            }
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(SourceError::data(format!("OpenML data set {} has no file", described.id))
            .hint("look at its page on www.openml.org; another version may have one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_description_is_read_in_all_its_shapes() {
        let reply = json!({"data_set_description": {
            "id": "31", "name": "credit-g", "version": "1", "licence": "Public", "status": "active",
            "url": "https://api.openml.org/data/v1/download/31/credit-g.arff",
            "parquet_url": "https://data.openml.org/datasets/0000/0031/dataset_31.pq",
            "md5_checksum": "9a475053fed0c26ee95cd4525e50074c",
            "default_target_attribute": "class", "ignore_attribute": ["a", "b"], "row_id_attribute": [],
        }});
        let described = describe(&reply, "31");
        assert_eq!(
            (described.name.as_str(), described.targets.as_slice()),
            ("credit-g", &["class".to_owned()][..])
        );
        assert_eq!(described.ignored, ["a", "b"]);
        assert!(described.row_id.is_none() && described.is_active && described.parquet.is_some());
        let reply = json!({"data_set_description": {"default_target_attribute": "a, 'b'", "version": 2, "status": "deactivated"}});
        let described = describe(&reply, "7");
        assert_eq!(
            (described.targets.len(), described.version.as_deref(), described.is_active),
            (2, Some("2"), false)
        );
        assert_eq!(describe(&json!([]), "7").name, "openml-7");
    }
}
