//! What goes to the nodes: the program, the data, the orders of a batch; each once, named by what it holds.

use super::wire::{BATCH_FILE, BatchFile, BatchTrial, WIRE};
use crate::error::RunError;
use crate::protocol::Order;
use ansatz_sandbox::ray::{Entry, hash, slim, zip};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Name of the program in its package.
pub const PROGRAM: &str = "ansatz-node";
/// Files of the data folder that a worker maps.
const DATA: [&str; 4] = ["table.json", "numeric.npy", "codes.npy", "levels.json"];
/// Data that are larger than this, unpacked, are not tried as a package at all.
const DATA_BYTES_MAX: u64 = 1 << 30;
/// What a head takes as one package.
const PACKAGE_BYTES_MAX: usize = 100 << 20;

/// The program as nodes run it.
pub struct Program {
    /// Name of its package.
    pub package: String,
    bytes: Vec<u8>,
}

impl Program {
    /// This very program, without what running it does not need.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn this() -> Result<Self, RunError> {
        let path = crate::cells::helper()?;
        let whole = std::fs::read(&path).map_err(|error| RunError::io("reading", &path, &error))?;
        let bytes = slim(&whole).unwrap_or(whole);
        Ok(Self { package: format!("ansatz-program-{}.zip", &hash(&bytes)[..32]), bytes })
    }

    /// Its package.
    pub fn pack(&self) -> Vec<u8> {
        zip(&[Entry { name: PROGRAM, mode: 0o755, bytes: &self.bytes }])
    }
}

/// The arrays that solutions train on. Targets are not among them.
pub enum Data {
    /// As a package of this name.
    Package(String),
    /// In the shared folder.
    Share(PathBuf),
}

impl Data {
    /// The arrays of a data folder; put into the shared folder when they are too large for a package.
    ///
    /// # Errors
    /// When they are too large and there is no shared folder, or something cannot be read or written.
    pub fn of(folder: &Path, share: Option<&Path>) -> Result<Self, RunError> {
        let size: u64 =
            DATA.iter().filter_map(|name| folder.join(name).metadata().ok()).map(|found| found.len()).sum();
        let too_large = || {
            RunError::usage(format!(
                "the data have {} MiB as arrays, and a Ray head takes packages up to 100 MiB",
                size >> 20
            ))
            .hint("name a folder that this machine and all nodes see under the same path: --ray-share DIR")
        };
        if size > DATA_BYTES_MAX && share.is_none() {
            return Err(too_large());
        }
        let mut hashes = String::new();
        for (name, bytes) in files(folder)? {
            let _ = writeln!(hashes, "{name} {}", hash(&bytes));
        }
        let key = &hash(hashes.as_bytes())[..32];
        if size <= PACKAGE_BYTES_MAX as u64 * 9 / 10 {
            return Ok(Self::Package(format!("ansatz-data-{key}.zip")));
        }
        let Some(share) = share else {
            if pack(folder)?.len() <= PACKAGE_BYTES_MAX {
                return Ok(Self::Package(format!("ansatz-data-{key}.zip")));
            }
            return Err(too_large());
        };
        let place = share.join("ansatz").join(format!("data-{key}"));
        if !place.join("complete").is_file() {
            std::fs::create_dir_all(&place).map_err(|error| RunError::io("creating", &place, &error))?;
            for (name, bytes) in files(folder)? {
                let path = place.join(name);
                std::fs::write(&path, bytes).map_err(|error| RunError::io("writing", &path, &error))?;
            }
            let path = place.join("complete");
            std::fs::write(&path, b"").map_err(|error| RunError::io("writing", &path, &error))?;
        }
        Ok(Self::Share(place))
    }
}

/// The package of a data folder.
///
/// # Errors
/// When a file cannot be read.
pub fn pack(folder: &Path) -> Result<Vec<u8>, RunError> {
    let files = files(folder)?;
    let entries: Vec<Entry<'_>> =
        files.iter().map(|(name, bytes)| Entry { name, mode: 0o644, bytes }).collect();
    Ok(zip(&entries))
}

fn files(folder: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, RunError> {
    DATA.into_iter()
        .map(|name| (name, folder.join(name)))
        .filter(|(_, path)| path.is_file())
        .map(|(name, path)| {
            let bytes = std::fs::read(&path).map_err(|error| RunError::io("reading", &path, &error))?;
            Ok((name, bytes))
        })
        .collect()
}

/// An order with its sealed arrays.
pub type Sealed = (Order, Vec<Vec<u8>>);

/// Orders and their sealed arrays, ready to go.
pub struct Orders {
    /// What they hold, as a hash.
    pub key: String,
    /// The package.
    pub package: Vec<u8>,
}

/// Packs the trials of a batch. Arrays that several trials share, such as the rows of a fold, are packed once.
///
/// # Errors
/// When the batch cannot be written as JSON.
pub fn orders(trials: &[Sealed], mut file: BatchFile) -> Result<Orders, RunError> {
    let mut arrays: BTreeMap<String, &[u8]> = BTreeMap::new();
    file.wire = WIRE;
    file.trials = trials
        .iter()
        .map(|(order, sealed)| {
            let names = sealed.iter().map(|bytes| {
                let name = format!("sealed/{}.npy", &hash(bytes)[..32]);
                arrays.insert(name.clone(), bytes);
                name
            });
            BatchTrial { sealed: names.collect(), order: order.clone() }
        })
        .collect();
    let text = serde_json::to_vec(&file).map_err(|error| RunError::failed(format!("a batch: {error}")))?;
    // Labels of training rows are in here: nobody but the node's own user is to read them.
    let mut entries = vec![Entry { name: BATCH_FILE, mode: 0o600, bytes: &text }];
    entries.extend(arrays.iter().map(|(name, bytes)| Entry { name, mode: 0o600, bytes }));
    Ok(Orders { key: hash(&text), package: zip(&entries) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{OrderKind, TaskBrief};
    use ansatz_core::task::Problem;

    fn order(trial: u32) -> Order {
        Order {
            order: OrderKind::Fit,
            trial,
            solution: None,
            params: BTreeMap::new(),
            seed: 1,
            threads: 1,
            task: TaskBrief {
                problem: Problem::Regression,
                metric: "rmse".into(),
                outputs: 1,
                classes: 0,
                higher_is_better: false,
            },
            drop: Vec::new(),
            sealed: vec!["y".into()],
            deadline_s: 10.0,
            timed: false,
            keep_model: true,
            stage: None,
            model: None,
            out: format!("/out/t{trial}"),
        }
    }

    fn packed(trials: &[Sealed]) -> Orders {
        let file = BatchFile {
            wire: 0,
            slots: 1,
            gpus: 0,
            log_bytes_max: 1,
            share: None,
            data: None,
            strict: false,
            trials: Vec::new(),
        };
        orders(trials, file).unwrap()
    }

    #[test]
    fn labels_that_trials_share_are_packed_once_and_change_the_key() {
        let labels: Vec<u8> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        let one = packed(&[(order(1), vec![labels.clone()])]);
        let two = packed(&[(order(1), vec![labels.clone()]), (order(2), vec![labels.clone()])]);
        assert!(two.package.len() < one.package.len() + 1000);
        assert_eq!(one.key, packed(&[(order(1), vec![labels.clone()])]).key);
        let mut others = labels;
        others[0] ^= 1;
        assert_ne!(one.key, packed(&[(order(1), vec![others])]).key);
    }

    #[test]
    fn data_that_fit_are_a_package_and_others_need_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("table.json"), b"{}").unwrap();
        std::fs::write(folder.path().join("target.npy"), b"secret").unwrap();
        let Data::Package(name) = Data::of(folder.path(), None).unwrap() else { panic!("a package") };
        assert!(name.starts_with("ansatz-data-"));
        assert!(
            !pack(folder.path()).unwrap().windows(6).any(|bytes| bytes == b"secret"),
            "targets stay here"
        );
        let large = std::fs::File::create(folder.path().join("numeric.npy")).unwrap();
        large.set_len(DATA_BYTES_MAX + 1).unwrap();
        drop(large);
        let Err(error) = Data::of(folder.path(), None) else { panic!("refused") };
        assert!(error.message.contains("1024 MiB") && error.hint.unwrap().contains("--ray-share"));
    }

    #[test]
    fn the_shared_folder_takes_what_is_too_large() {
        let (folder, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = std::fs::File::create(folder.path().join("numeric.npy")).unwrap();
        file.set_len(95 << 20).unwrap();
        let Data::Share(place) = Data::of(folder.path(), Some(share.path())).unwrap() else {
            panic!("shared")
        };
        assert!(place.starts_with(share.path()) && place.join("complete").is_file());
        assert_eq!(place.join("numeric.npy").metadata().unwrap().len(), 95 << 20);
    }
}
