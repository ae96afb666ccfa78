//! Makes the component that runs Python, once per version of the program, and keeps it precompiled below the program's home.
//!
//! `CPython` for WebAssembly comes with componentize-py, a package of the Python package index that is pinned by hash. It is
//! installed into an environment of its own, run once, and its output compiled to machine code, which later starts map.

use super::error::{WasmError, WasmErrorKind};
use super::python::Python;
use super::runtime::Runtime;
use crate::linux::mapped;
use crate::trusted::environment::{self, EnvironmentError, SetupLock};
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmtime::component::Component;

/// The packages that make the component.
const LOCK: &str = include_str!("../../guest/requirements.lock");
/// What runs inside it.
const GUEST: &str = include_str!("../../guest/guest.py");
/// Its interface.
const INTERFACE: &str = include_str!("../../wit/ansatz.wit");

/// What it is called in front of users.
const WHAT: &str = "the component for Python functions";
/// Longest time for making it, the installation not counted.
const MAKE_MAX: Duration = Duration::from_mins(5);
/// Largest component that is read back: twice of what it has today.
const BYTES_MAX: u64 = 64 << 20;

/// The interpreter, made when it is not there yet; `progress` hears about it line by line.
///
/// # Errors
/// When the package cannot be installed, or the component not be made.
pub fn python(runtime: &Runtime, home: &Path, progress: &mut dyn FnMut(String)) -> Result<Python, WasmError> {
    let place = Place::of(runtime, home);
    if let Ok(component) = place.mapped(runtime) {
        return Python::new(runtime, &component);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&place.folder).map_err(|error| setup(&error))?;
    let _lock = SetupLock::take(&place.folder, WHAT, progress).map_err(|error| failed(&error))?;
    if let Ok(component) = place.mapped(runtime) {
        return Python::new(runtime, &component);
    }
    place.make(runtime, progress)?;
    let component = place.mapped(runtime).map_err(|error| setup(&error))?;
    Python::new(runtime, &component)
}

/// Whether [`python`] has nothing to make.
pub fn is_ready(runtime: &Runtime, home: &Path) -> bool {
    Place::of(runtime, home).mapped(runtime).is_ok()
}

fn setup(error: &dyn std::error::Error) -> WasmError {
    WasmError::new("Python functions", WasmErrorKind::Setup(error.to_string()))
}

fn failed(error: &EnvironmentError) -> WasmError {
    let hint = error.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    WasmError::new("Python functions", WasmErrorKind::Setup(format!("{error}{hint}")))
}

/// Where everything of one version lies.
struct Place {
    folder: PathBuf,
    tools: PathBuf,
    code: PathBuf,
}

impl Place {
    fn of(runtime: &Runtime, home: &Path) -> Self {
        let folder = home.join("wasm");
        let source = hash_of(&[LOCK, GUEST, INTERFACE]);
        // Machine code fits one engine: its version, its settings, this processor.
        let mut engine = DefaultHasher::new();
        runtime.engine().precompile_compatibility_hash().hash(&mut engine);
        Self {
            tools: folder.join(format!("tools-{}", hash_of(&[LOCK]))),
            code: folder.join(format!("python-{source}-{:016x}.cwasm", engine.finish())),
            folder,
        }
    }

    fn digest_file(&self) -> PathBuf {
        self.code.with_extension("sha256")
    }

    fn mapped(&self, runtime: &Runtime) -> std::io::Result<Component> {
        let mut digest = [0; 32];
        File::open(self.digest_file())?.read_exact(&mut digest)?;
        mapped::component(runtime.engine(), &self.code, &digest)
    }

    fn make(&self, runtime: &Runtime, progress: &mut dyn FnMut(String)) -> Result<(), WasmError> {
        if !environment::is_complete(&self.tools) {
            environment::make(&self.tools, LOCK.as_bytes(), "the tool for Python functions", progress)
                .map_err(|error| failed(&error))?;
        }
        progress(format!("making {WHAT} (once, about half a minute)"));
        let component = self.componentize(progress)?;
        progress(format!("compiling {WHAT}"));
        let code = runtime
            .engine()
            .precompile_component(&component)
            .map_err(|error| WasmError::new(WHAT, WasmErrorKind::Setup(format!("{error:#}"))))?;
        // The digest comes first: code without its digest is never used.
        self.write(&self.digest_file(), &Sha256::digest(&code)).map_err(|error| setup(&error))?;
        self.write(&self.code, &code).map_err(|error| setup(&error))
    }

    /// Runs componentize-py in a folder of its own; gives the component.
    fn componentize(&self, progress: &mut dyn FnMut(String)) -> Result<Vec<u8>, WasmError> {
        let work = self.folder.join(format!("making-{}", std::process::id()));
        let made = self.componentize_in(&work, progress);
        let _ = std::fs::remove_dir_all(&work);
        made
    }

    fn componentize_in(&self, work: &Path, progress: &mut dyn FnMut(String)) -> Result<Vec<u8>, WasmError> {
        let written = std::fs::create_dir_all(work.join("wit"))
            .and_then(|()| std::fs::write(work.join("wit/ansatz.wit"), INTERFACE))
            .and_then(|()| std::fs::write(work.join("guest.py"), GUEST));
        written.map_err(|error| setup(&error))?;
        let text = |path: PathBuf| path.display().to_string();
        let out = work.join("python.wasm");
        let program = text(self.tools.join("bin/componentize-py"));
        let [wit, folder, target] = [work.join("wit"), work.to_path_buf(), out.clone()].map(text);
        let command = [
            &program,
            "-d",
            &wit,
            "-w",
            "python",
            "componentize",
            "--stub-wasi",
            "-p",
            &folder,
            "guest",
            "-o",
            &target,
        ];
        environment::execute(&command.map(str::to_owned), MAKE_MAX, progress)
            .map_err(|error| WasmError::new("Python functions", WasmErrorKind::Setup(error)))?;
        let mut bytes = Vec::new();
        let file = File::open(&out).map_err(|error| setup(&error))?;
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| setup(&error))?;
        Ok(bytes)
    }

    /// Writes a file that is complete or absent, for this user's eyes alone.
    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let temporary = self.folder.join(format!("part-{}", std::process::id()));
        let _ = std::fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    }
}

fn hash_of(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    ansatz_core::ids::hex(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything of a version but the code itself, at a place of its own.
    fn place(folder: &Path) -> Place {
        let folder = folder.to_path_buf();
        Place { tools: folder.join("tools"), code: folder.join("python.cwasm"), folder }
    }

    #[test]
    fn code_is_mapped_only_from_a_private_file_with_the_noted_content() {
        use std::os::unix::fs::PermissionsExt as _;
        let runtime = Runtime::new().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let place = place(scratch.path());
        let code = runtime.engine().precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        place.write(&place.digest_file(), &Sha256::digest(&code)).unwrap();
        place.write(&place.code, &code).unwrap();
        assert!(place.mapped(&runtime).is_ok(), "{:?}", place.mapped(&runtime).err());

        let why = || place.mapped(&runtime).err().map(|error| error.to_string()).unwrap_or_default();
        let readable = |mode| std::fs::set_permissions(&place.code, std::fs::Permissions::from_mode(mode));
        readable(0o644).unwrap();
        assert_eq!(why(), "it is not a private file of this user");
        readable(0o600).unwrap();
        std::fs::hard_link(&place.code, scratch.path().join("second")).unwrap();
        assert_eq!(why(), "it is not a private file of this user");
        std::fs::remove_file(scratch.path().join("second")).unwrap();
        std::fs::rename(&place.code, scratch.path().join("away")).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("away"), &place.code).unwrap();
        assert!(place.mapped(&runtime).is_err(), "a link is not followed");
        std::fs::remove_file(&place.code).unwrap();
        let mut changed = code.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        place.write(&place.code, &changed).unwrap();
        assert_eq!(why(), "its content changed since it was written");
    }
}
