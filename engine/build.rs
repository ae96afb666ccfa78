//! Puts the Python worker's files into the program, so that one binary is all that a user installs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Another checkout that shares the folder of build results has a worker of its own.
    println!("cargo::rerun-if-env-changed=CARGO_MANIFEST_DIR");
    let worker = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../worker").canonicalize()?;
    println!("cargo::rerun-if-changed={}", worker.display());
    let mut files = Vec::new();
    files_below(&worker.join("ansatz_worker"), &mut files)?;
    files.push(worker.join("requirements.lock"));
    files.sort();
    let mut table = String::from(
        "/// Path below the worker folder, and content.\npub const FILES: &[(&str, &[u8])] = &[\n",
    );
    for file in files.iter().filter(|file| file.exists()) {
        let name = file.strip_prefix(&worker)?.display().to_string();
        writeln!(table, "    ({name:?}, include_bytes!({:?})),", file.display().to_string())?;
    }
    table.push_str("];\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("worker_files.rs"), table)?;
    Ok(())
}
