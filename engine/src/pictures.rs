//! Image files of a folder: found by their names, copied with their paths, and listed by class where folders are classes.
//!
//! Invariant: no image is opened; that is done by the reader, in a cell.

use crate::error::RunError;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Endings of image files.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];
/// Endings of tables whose beginning can be looked at, and how much of it is.
const PLAIN: [&str; 3] = [".csv", ".tsv", ".txt"];
const HEAD: u64 = 1 << 18;
/// Files that are taken.
const FILES_MAX: usize = 100_000;
/// Bytes that are taken.
const BYTES_MAX: u64 = 16 << 30;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 5;
/// The column of paths in tables that are written here.
pub const PATH: &str = "image";
/// Names of folders that hold training images, and images to predict.
const TRAIN: [&str; 3] = ["train", "training", "images"];
const TEST: [&str; 2] = ["test", "testing"];

fn is_image(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// All images below a folder in order of their paths; links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, 0, &mut found);
    found
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<_> =
        entries.filter_map(|entry| Some((entry.path(), entry.file_type().ok()?))).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        if found.len() >= FILES_MAX || is_hidden(&path) {
            continue;
        }
        if kind.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, found);
        } else if kind.is_file() && is_image(&path) {
            found.push(path);
        }
    }
}

/// Whether a table seems to name images below a folder, so that they are worth copying. In a packed table, which cannot be
/// looked into here, it may.
pub fn are_named(folder: &Path, table: &Path) -> bool {
    let stems: BTreeSet<String> = below(folder).iter().filter_map(|path| stem(path)).collect();
    if stems.is_empty() {
        return false;
    }
    let name = table.to_string_lossy().to_lowercase();
    if !PLAIN.iter().any(|ending| name.ends_with(ending)) {
        return true;
    }
    let mut head = Vec::new();
    let read = File::open(table).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    let text = String::from_utf8_lossy(&head);
    let mut cells = text.split([',', ';', '\t', '|', '\n', '\r', '"', '\'', '/', '\\']);
    read.is_ok() && cells.any(|cell| stem(Path::new(cell.trim())).is_some_and(|stem| stems.contains(&stem)))
}

fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let is_image = is_image(path);
    Some(if is_image { path.file_stem()?.to_string_lossy().into_owned() } else { name.into_owned() })
}

/// Copies the images of a folder, with their paths from it.
///
/// # Errors
/// They are too many bytes, or the disk is full.
pub fn copy(from: &Path, to: &Path) -> Result<PathBuf, RunError> {
    let mut left = BYTES_MAX;
    for path in below(from) {
        let Ok(name) = path.strip_prefix(from) else { continue };
        let bytes = path.metadata().map_or(0, |found| found.len());
        left = left.checked_sub(bytes).ok_or_else(|| {
            RunError::data(format!("the images of {} are more than {} GiB", from.display(), BYTES_MAX >> 30))
                .hint("make them smaller, or give fewer of them")
        })?;
        let target = to.join(name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| RunError::io("creating", parent, &error))?;
        }
        std::fs::copy(&path, &target).map_err(|error| RunError::io("copying", &path, &error))?;
    }
    Ok(to.to_path_buf())
}

/// Images whose folders are classes.
#[derive(Debug, PartialEq, Eq)]
pub struct Classes {
    /// Path from the folder, and class.
    train: Vec<(String, String)>,
    /// Paths of images without a class.
    test: Vec<String>,
}

/// The images of a folder by class: `CLASS/…`, or `train/CLASS/…` beside `test/…`; `None` when it is not laid out so.
pub fn by_class(folder: &Path) -> Option<Classes> {
    let mut classes = Classes { train: Vec::new(), test: Vec::new() };
    let mut paths = Vec::new();
    for path in below(folder) {
        let name = path.strip_prefix(folder).ok()?;
        paths.push(name.iter().map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>());
    }
    let is_named = |part: &str, names: &[&str]| names.contains(&part.to_lowercase().as_str());
    let has_train = paths.iter().any(|parts| parts.len() > 2 && is_named(&parts[0], &TRAIN));
    for parts in &paths {
        let whole = parts.join("/");
        match parts.as_slice() {
            [first, ..] if is_named(first, &TEST) => classes.test.push(whole),
            [first, class, _, ..] if has_train && is_named(first, &TRAIN) => {
                classes.train.push((whole, class.clone()));
            }
            [class, _, ..] if !has_train => classes.train.push((whole, class.clone())),
            _ => {}
        }
    }
    let first = &classes.train.first()?.1;
    classes.train.iter().any(|(_, class)| class != first).then_some(classes)
}

impl Classes {
    /// Writes a training table of path and class, and a test table where there are images without one.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn write(&self, into: &Path) -> Result<(PathBuf, Option<PathBuf>), RunError> {
        std::fs::create_dir_all(into).map_err(|error| RunError::io("creating", into, &error))?;
        let put = |name: &str, text: String| -> Result<PathBuf, RunError> {
            let path = into.join(name);
            std::fs::write(&path, text).map_err(|error| RunError::io("writing", &path, &error))?;
            Ok(path)
        };
        let mut train = format!("{PATH},class\n");
        for (path, class) in &self.train {
            let _ = writeln!(train, "{},{}", quoted(path), quoted(class));
        }
        let mut test = format!("{PATH}\n");
        for path in &self.test {
            let _ = writeln!(test, "{}", quoted(path));
        }
        let test = (!self.test.is_empty()).then(|| put("test.csv", test)).transpose()?;
        Ok((put("train.csv", train)?, test))
    }
}

/// A cell of a CSV file.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\"").replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> Option<Classes> {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        by_class(folder.path())
    }

    #[test]
    fn folders_are_classes() {
        let classes = found(&["cat/1.png", "dog/2.JPG", "dog/old/3.png", "readme.txt"]).unwrap();
        let pairs: Vec<(&str, &str)> = classes.train.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
        assert_eq!(pairs, [("cat/1.png", "cat"), ("dog/2.JPG", "dog"), ("dog/old/3.png", "dog")]);
        let classes =
            found(&["train/cat/1.png", "train/dog/1.png", "test/7.png", "valid/cat/1.png"]).unwrap();
        assert_eq!((classes.train.len(), classes.test.as_slice()), (2, &["test/7.png".to_owned()][..]));
    }

    #[test]
    fn images_that_no_cell_names_are_left_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (path, table) = (folder.path(), folder.path().join("train.csv"));
        std::fs::create_dir(path.join("holiday")).unwrap();
        std::fs::write(path.join("holiday/beach 7.JPG"), "x").unwrap();
        let is_named = |text: &str| {
            std::fs::write(&table, text).unwrap();
            are_named(path, &table)
        };
        assert!(!is_named("a,b\n1,beach\n2,7\n"));
        assert!(is_named("a,b\n1,holiday/beach 7.JPG\n"));
        assert!(is_named("a;b\n1;\"beach 7\"\n"), "without its ending");
        assert!(are_named(path, Path::new("train.parquet")), "what cannot be looked into may name them");
        assert!(!are_named(&path.join("nowhere"), Path::new("train.parquet")));
    }

    #[test]
    fn other_folders_are_not() {
        assert_eq!(found(&["1.png", "2.png"]), None);
        assert_eq!(found(&["cat/1.png", "cat/2.png"]), None);
        assert_eq!(found(&["cat/1.txt", "dog/2.csv"]), None);
    }
}
