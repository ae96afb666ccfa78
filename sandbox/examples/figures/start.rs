//! How long an empty cell takes, beside bubblewrap and Podman doing the same.

use crate::{Outcome, PATIENCE, cell, load, quantile, show};
use ansatz_sandbox::Launcher;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 200;
/// A container takes half a second.
const CONTAINERS: usize = 10;

pub fn measure(launcher: &Launcher) -> Outcome {
    let (mut starts, mut lives, mut kills, mut wraps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let has_wrap = bubblewrap().status().is_ok_and(|status| status.success());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let life = launcher.start(cell("empty", &["/bin/true"], |_| {}))?;
        life.wait(PATIENCE);
        lives.push(begun.elapsed());
        let begun = Instant::now();
        let killed = launcher.start(cell("empty", &["/bin/sleep", "60"], |_| {}))?;
        starts.push(begun.elapsed());
        let begun = Instant::now();
        drop(killed);
        kills.push(begun.elapsed());
        if has_wrap {
            wraps.push(timed(&mut bubblewrap())?);
        }
    }
    println!("start of an empty cell (load {})", load());
    show("until the program runs", &starts);
    show("`true`, from start to end", &lives);
    show("kill of a sleeping cell", &kills);
    if has_wrap {
        show("bwrap … true", &wraps);
        println!("  a whole cell takes {:.2} times bwrap", ratio(&lives, &wraps));
    } else {
        println!("  bwrap: not here");
    }
    containers(&lives)
}

fn containers(lives: &[Duration]) -> Outcome {
    let root = tempfile::tempdir()?;
    fill(root.path())?;
    let mut times = Vec::new();
    for _ in 0..CONTAINERS {
        match timed(&mut podman(root.path())) {
            Ok(time) => times.push(time),
            Err(error) => {
                println!("  podman: {error}");
                return Ok(());
            }
        }
    }
    show("podman run … true", &times);
    println!("  a whole cell takes {:.3} times podman", ratio(lives, &times));
    Ok(())
}

fn ratio(ours: &[Duration], theirs: &[Duration]) -> f64 {
    quantile(ours, 0.5).as_secs_f64() / quantile(theirs, 0.5).as_secs_f64()
}

fn timed(command: &mut Command) -> std::io::Result<Duration> {
    let begun = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(begun.elapsed()) } else { Err(std::io::Error::other(format!("{status}"))) }
}

/// The same walls as far as bubblewrap has them: no limits, no Landlock, no filter.
fn bubblewrap() -> Command {
    let mut command = Command::new("bwrap");
    command.args([
        "--ro-bind",
        "/usr",
        "/usr",
        "--symlink",
        "usr/bin",
        "/bin",
        "--symlink",
        "usr/lib",
        "/lib",
    ]);
    command.args(["--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
    command.args(["--tmpfs", "/out", "--unshare-all", "--uid", "1000", "--gid", "1000", "--new-session"]);
    command.args(["--die-with-parent", "--cap-drop", "ALL", "--clearenv", "--remount-ro", "/", "/bin/true"]);
    command
}

fn podman(root: &Path) -> Command {
    let mut command = Command::new("podman");
    command.args([
        "--runtime",
        "runc",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "none",
        "run",
        "--rm",
    ]);
    command.args([
        "--network",
        "none",
        "--cap-drop",
        "all",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
    ]);
    command.args(["--user", "65534:65534", "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096"]);
    command.arg("--rootfs").arg(root).arg("/true");
    command
}

/// A root folder with one program and its libraries: no image is needed.
fn fill(root: &Path) -> std::io::Result<()> {
    let list = Command::new("ldd").arg("/bin/true").output()?;
    std::fs::copy("/bin/true", root.join("true"))?;
    for word in String::from_utf8_lossy(&list.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        let target = root.join(word.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap_or(root))?;
        std::fs::copy(word, target)?;
    }
    Ok(())
}
