//! Which host folders a Python environment needs. Reads links and the environment's own description; starts nothing.

use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::policy::Mount;
use std::path::{Path, PathBuf};

/// System folders that dynamically linked programs need; what a host does not have is left out.
const SYSTEM: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"];

/// The mounts that let a cell run the interpreter `venv_python`: system libraries, the environment at its own path, and the
/// installation that it was made from.
///
/// `venv_python` is the `bin/python` of a virtual environment, or an installed interpreter. Paths inside the cell equal
/// those on the host, because an environment has them written into its files.
pub fn python_mounts(venv_python: &Path) -> Result<Vec<Mount>, SandboxError> {
    let doing = || format!("finding the parts of {}", venv_python.display());
    let real = venv_python.canonicalize().doing(doing)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    let environment = venv_python.parent().and_then(Path::parent);
    if let Some(environment) = environment.filter(|folder| folder.join("pyvenv.cfg").is_file()) {
        folders.push(environment.to_owned());
        folders.extend(home_of(environment));
        folders.extend(stations(venv_python));
    }
    let prefix = real.parent().and_then(Path::parent).ok_or_else(|| {
        SandboxError::new(
            doing(),
            SandboxErrorKind::Policy("an interpreter lies two folders deep at least".into()),
        )
    })?;
    folders.push(prefix.to_owned());
    let system = SYSTEM.iter().map(PathBuf::from).filter(|path| path.exists());
    Ok(without_nested(system.chain(folders)))
}

/// The installation that an environment names as its home.
fn home_of(environment: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("home")?.trim_start().strip_prefix('='))?;
    let home = Path::new(line.trim());
    home.parent().filter(|prefix| prefix.is_dir() && prefix.components().count() > 1).map(Path::to_owned)
}

/// The installations that a chain of links passes through: the interpreter looks for its library beside each of them.
fn stations(python: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut here = python.to_owned();
    // More links than this is a loop.
    for _ in 0..16 {
        let Ok(next) = std::fs::read_link(&here) else { break };
        here = here.parent().map_or_else(|| next.clone(), |folder| folder.join(&next));
        if here.components().all(|part| part != std::path::Component::ParentDir) {
            found.extend(
                here.parent()
                    .and_then(Path::parent)
                    .filter(|path| path.components().count() > 1)
                    .map(Path::to_owned),
            );
        }
    }
    found
}

/// Mounts of folders at their own paths, each once and none inside another.
fn without_nested(folders: impl Iterator<Item = PathBuf>) -> Vec<Mount> {
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    folders.dedup();
    let outer =
        folders.iter().filter(|path| !folders.iter().any(|other| *path != other && path.starts_with(other)));
    outer.map(|path| Mount::new(path, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_environment_brings_itself_and_the_installation_behind_its_links() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("versions/3.11.7/bin")).unwrap();
        std::fs::create_dir_all(root.join("venv/bin")).unwrap();
        std::fs::write(root.join("versions/3.11.7/bin/python3.11"), "").unwrap();
        std::fs::write(
            root.join("venv/pyvenv.cfg"),
            format!("home = {}/versions/3.11.7/bin\n", root.display()),
        )
        .unwrap();
        symlink(root.join("versions/3.11.7/bin/python3.11"), root.join("venv/bin/python")).unwrap();
        let mounts = python_mounts(&root.join("venv/bin/python")).unwrap();
        let own: Vec<_> = mounts.iter().filter(|mount| mount.target.starts_with(&root)).collect();
        assert_eq!(own.len(), 2, "{mounts:?}");
        assert!(own.iter().any(|mount| mount.target == root.join("venv")));
        assert!(own.iter().any(|mount| mount.target == root.join("versions/3.11.7")));
        assert!(mounts.iter().any(|mount| mount.target == Path::new("/usr")));
    }

    #[test]
    fn folders_inside_others_are_not_mounted_twice() {
        let folders = ["/usr", "/usr/local/python", "/opt/a"].map(PathBuf::from);
        let targets: Vec<_> =
            without_nested(folders.into_iter()).into_iter().map(|mount| mount.target).collect();
        assert_eq!(targets, ["/opt/a", "/usr"].map(PathBuf::from));
    }

    #[test]
    fn a_missing_interpreter_is_named() {
        let error = python_mounts(Path::new("/nowhere/bin/python")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/bin/python"));
    }
}
