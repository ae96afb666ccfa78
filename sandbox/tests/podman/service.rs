//! A Podman service of the tests' own: its own socket, storage and settings, no systemd, and gone with the test program.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A service that does not answer by then will not.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Seconds without a request after which the service ends by itself, whatever became of the tests.
const IDLE: &str = "300";

/// Settings that work where control groups are of both versions and no limit may be raised: a build machine without systemd.
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"#;

/// A running service.
#[derive(Debug)]
pub struct Service {
    folder: PathBuf,
    child: Child,
}

impl Service {
    /// Starts one with storage of its own below `folder`.
    pub fn start(folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        fs::write(folder.join("containers.conf"), CONTAINERS_CONF).map_err(|error| error.to_string())?;
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\nrunroot = \"{0}/run\"\ngraphroot = \"{0}/graph\"\n",
            folder.display()
        );
        fs::write(folder.join("storage.conf"), storage).map_err(|error| error.to_string())?;
        let address = format!("unix://{}", folder.join("podman.sock").display());
        let log = fs::File::create(folder.join("service.log")).map_err(|error| error.to_string())?;
        // Killed with the thread that starts it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "podman", "system", "service", "--time", IDLE, &address])
            .env("CONTAINERS_CONF", folder.join("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", folder.join("storage.conf"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("podman cannot be started: {error}; run scripts/setup-tests"))?;
        let mut service = Self { folder: folder.to_owned(), child };
        let deadline = Instant::now() + ANSWER_TIME_MAX;
        while UnixStream::connect(service.socket()).is_err() {
            let ended = service.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(folder.join("service.log")).unwrap_or_default();
                return Err(format!("podman gives no service ({ended:?}): {said}; run scripts/setup-tests"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("podman.sock")
    }
}

fn remove_containers(folder: &Path) {
    let _ = Command::new("podman")
        .args(["rm", "--all", "--force", "--time", "0"])
        .env("CONTAINERS_CONF", folder.join("containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", folder.join("storage.conf"))
        .current_dir(folder)
        .output();
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The service that all tests of one program share; its storage is removed when the next program starts.
///
/// An engine that the surroundings name by `DOCKER_HOST` is taken as it is.
pub fn shared() -> Result<&'static str, String> {
    static ADDRESS: OnceLock<Result<String, String>> = OnceLock::new();
    let address = ADDRESS.get_or_init(|| match std::env::var("DOCKER_HOST") {
        Ok(address) if !address.is_empty() => Ok(address),
        _ => start_shared(),
    });
    address.as_deref().map_err(Clone::clone)
}

fn start_shared() -> Result<String, String> {
    remove_old();
    let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    let (tell, told) = std::sync::mpsc::channel();
    // A thread of its own: the service dies with the thread that started it, and tests come and go.
    std::thread::spawn(move || {
        let service = Service::start(&folder);
        let _ = tell.send(service.as_ref().map(Service::socket).map_err(Clone::clone));
        if let Ok(service) = service {
            let _kept = service;
            loop {
                std::thread::park();
            }
        }
    });
    let socket = told.recv().map_err(|error| error.to_string())??;
    Ok(format!("unix://{}", socket.display()))
}

const PREFIX: &str = "ansatz-podman-";

/// Removes the storage of test programs that are gone.
fn remove_old() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let folder = entry.path();
            remove_containers(&folder);
            // The storage driver keeps a mount of its own there.
            let _ = Command::new("umount").arg(folder.join("graph/overlay")).stderr(Stdio::null()).status();
            let _ = fs::remove_dir_all(&folder);
        }
    }
}
