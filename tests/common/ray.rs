//! A real Ray cluster for tests: made from its package, in a network of its own where that is possible, gone afterwards.

use super::{home, root, succeed};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What tells the cluster's processes from all others.
const MARK: &str = "ANSATZ_TEST_RAY";
/// The cluster's token.
pub const TOKEN: &str = "a-token-for-tests-0123456789";
/// Longest start of a node; on two busy cores it takes its time.
const START_MAX: Duration = Duration::from_mins(3);

/// A head with its nodes. Dropping it ends them all.
pub struct Cluster {
    folder: tempfile::TempDir,
    mark: String,
    network: Option<Child>,
    nodes: Vec<Child>,
    ports: [u16; 3],
}

/// Ray's own Python, made from the lock file on first need.
fn python() -> PathBuf {
    let folder = home().join("ray-for-tests");
    let python = folder.join("bin/python");
    let lock = root().join("tests/ray/requirements.lock");
    let wanted = std::fs::read_to_string(&lock).expect("a lock file");
    let stamp = folder.join("made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&folder);
    let base = ["python3.11", "python3"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
        .expect("Python 3.11 on PATH");
    succeed(Command::new(base).args(["-m", "venv"]).arg(&folder));
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    succeed(Command::new(&python).args(install).arg("-r").arg(&lock));
    // Without byte code every start of a node compiles everything anew.
    let _ =
        Command::new(&python).args(["-m", "compileall", "-q", "-j", "0"]).arg(folder.join("lib")).output();
    std::fs::write(&stamp, wanted).expect("written");
    python
}

/// A network name space with nothing but a loopback, kept by a process; `None` where only root could make one.
fn network() -> Option<Child> {
    let script = "ip link set lo up && echo up && exec sleep 100000";
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut holder = command.spawn().ok()?;
    let mut line = [0_u8; 2];
    let read = std::io::Read::read_exact(holder.stdout.as_mut().expect("a pipe"), &mut line);
    if read.is_ok() {
        return Some(holder);
    }
    let _ = holder.wait();
    None
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

impl Cluster {
    /// A head with `cpus` processors, which works as a node, too.
    pub fn start(cpus: usize) -> Self {
        let python = python();
        let folder = tempfile::Builder::new().prefix("ray").tempdir_in("/tmp").expect("a folder");
        let network = network();
        let ports = if network.is_some() { [6390, 8265, 52_365] } else { [0; 3].map(|_| free_port()) };
        let mark = folder.path().display().to_string();
        let mut cluster = Self { folder, mark, network, nodes: Vec::new(), ports };
        let [port, dashboard, agent] = cluster.ports;
        let temp = cluster.folder.path().join("s").display().to_string();
        cluster.node(
            &python,
            cpus,
            0,
            &[
                "--head",
                &format!("--port={port}"),
                "--dashboard-host=127.0.0.1",
                &format!("--dashboard-port={dashboard}"),
                &format!("--dashboard-agent-listen-port={agent}"),
                "--node-ip-address=127.0.0.1",
                &format!("--temp-dir={temp}"),
            ],
        );
        cluster
    }

    /// A further node with one processor.
    pub fn add_node(&mut self) {
        assert!(self.network.is_some(), "a second node needs a network of its own; run this test as root");
        let number = self.nodes.len();
        let address = format!("--address=127.0.0.1:{}", self.ports[0]);
        let agent = format!("--dashboard-agent-listen-port={}", usize::from(self.ports[2]) + number);
        let ip = format!("--node-ip-address=127.0.0.{}", number + 1);
        self.node(&python(), 1, number, &[&address, &agent, &ip]);
    }

    fn node(&mut self, python: &Path, cpus: usize, number: usize, arguments: &[&str]) {
        let log = self.folder.path().join(format!("node{number}.log"));
        let file = std::fs::File::create(&log).expect("a log");
        let ray = python.with_file_name("ray");
        let (low, high) = (20_000 + number * 60, 20_059 + number * 60);
        let mut command = self.inside(&ray.display().to_string());
        command
            .args(["start", "--block", "--disable-usage-stats", "--object-store-memory=80000000"])
            .args([format!("--num-cpus={cpus}"), format!("--min-worker-port={low}")])
            .arg(format!("--max-worker-port={high}"))
            .args(arguments)
            .env("RAY_AUTH_MODE", "token")
            .env("RAY_AUTH_TOKEN", TOKEN)
            .env("ANSATZ_HOME", home())
            .env(MARK, format!("{}#{number}", self.mark))
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file);
        self.nodes.push(command.spawn().expect("Ray starts"));
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("Ray runtime started") {
                return;
            }
            let ended = self.nodes[number].try_wait().expect("a process").is_some();
            assert!(!ended && begun.elapsed() < START_MAX, "Ray did not start:\n{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A command in the cluster's network.
    pub fn inside(&self, program: &str) -> Command {
        match &self.network {
            None => Command::new(program),
            Some(holder) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/proc/{}/ns/net", holder.id())).arg(program);
                command
            }
        }
    }

    /// The program in the cluster's network, with the cluster's token.
    pub fn ansatz(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside(env!("CARGO_BIN_EXE_ansatz"));
        command.args(arguments).env("ANSATZ_HOME", home()).env("XDG_CONFIG_HOME", "/nonexistent");
        command
            .env("RAY_AUTH_TOKEN", TOKEN)
            .env("RAY_API_SERVER_ADDRESS", self.address())
            .stdin(Stdio::null());
        command
    }

    /// Address of the dashboard.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Asks the job interface something from inside.
    pub fn ask(&self, path: &str) -> Output {
        let script = "import sys, urllib.request as u\n\
             r = u.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]})\n\
             sys.stdout.write(u.urlopen(r, timeout=20).read().decode())";
        let url = format!("{}/{path}", self.address());
        self.inside(&python().display().to_string())
            .args(["-c", script, &url, TOKEN])
            .output()
            .expect("an answer")
    }

    /// Jobs that the head knows.
    pub fn jobs(&self) -> Vec<serde_json::Value> {
        serde_json::from_slice(&self.ask("api/jobs/").stdout).unwrap_or_default()
    }

    /// Kills every process of a node at once.
    pub fn kill_node(&mut self, number: usize) {
        end(&format!("{}#{number}", self.mark));
        let _ = self.nodes[number].wait();
    }
}

/// Kills the processes that carry a mark in their environment, and what they started since.
fn end(mark: &str) {
    let wanted = format!("{MARK}={mark}");
    for _ in 0..3 {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_ours = environment.split(|byte| *byte == 0).any(|variable| {
                variable == wanted.as_bytes() || variable.starts_with(format!("{wanted}#").as_bytes())
            });
            if is_ours && pid != std::process::id() {
                let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        end(&self.mark);
        for node in &mut self.nodes {
            let _ = node.wait();
        }
        if let Some(mut holder) = self.network.take() {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
