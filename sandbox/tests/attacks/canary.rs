//! Things of the host that no cell may reach: a file, servers, a secret in the environment. Looked after behind every case.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Name of the secret in the environment of this process.
pub const SECRET: &str = "ANSATZ_TEST_SECRET";

/// The canaries of this process; they live as long as it does.
pub struct Canaries {
    folder: tempfile::TempDir,
    content: String,
    tcp: TcpListener,
    abstract_name: String,
    abstract_server: UnixListener,
    path_server: UnixListener,
    /// Who looks after them; two at once would take each other's callers for cells.
    watch: Mutex<()>,
}

impl Canaries {
    /// The canaries, set out when first asked for.
    pub fn get() -> &'static Self {
        static CANARIES: OnceLock<Canaries> = OnceLock::new();
        CANARIES.get_or_init(Self::set_out)
    }

    fn set_out() -> Self {
        // Anybody could read and change them: only the cell keeps its program away.
        let folder = tempfile::Builder::new().prefix("ansatz-canary-").tempdir().unwrap();
        let open_to_all = |path: PathBuf, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let content = format!("canary {}", folder.path().display());
        fs::write(folder.path().join("file"), &content).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let abstract_name = format!("ansatz-canary-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let abstract_server = UnixListener::bind_addr(&address).unwrap();
        let path_server = UnixListener::bind(folder.path().join("socket")).unwrap();
        tcp.set_nonblocking(true).unwrap();
        abstract_server.set_nonblocking(true).unwrap();
        path_server.set_nonblocking(true).unwrap();
        open_to_all(folder.path().into(), 0o777);
        open_to_all(folder.path().join("file"), 0o666);
        open_to_all(folder.path().join("socket"), 0o777);
        Self { folder, content, tcp, abstract_name, abstract_server, path_server, watch: Mutex::default() }
    }

    /// A file that any user of the host may read and write.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    /// A socket that any user of the host may connect to.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Port of a server on the host's loopback.
    pub fn port(&self) -> u16 {
        self.tcp.local_addr().unwrap().port()
    }

    /// Name of a server in the host's abstract name space.
    pub fn abstract_name(&self) -> &str {
        &self.abstract_name
    }

    fn watch(&self) -> MutexGuard<'_, ()> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing was reached: the file is as it was, nobody has called, the text does not hold what the host keeps.
    pub fn assert_intact(&self, text: &str) {
        let _watch = self.watch();
        assert_eq!(fs::read_to_string(self.file()).unwrap(), self.content, "the canary file was changed");
        let names = fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(names, 2, "something was left beside the canary file");
        assert!(self.tcp.accept().is_err(), "a cell has reached a port of the host");
        assert!(self.abstract_server.accept().is_err(), "a cell has reached an abstract socket");
        assert!(self.path_server.accept().is_err(), "a cell has reached a socket of the host");
        assert!(!text.contains(&self.content), "a cell has read the canary file:\n{text}");
        if let Ok(secret) = std::env::var(SECRET) {
            assert!(!text.contains(&secret), "a cell has read the host's environment:\n{text}");
        }
    }

    /// The canaries do answer those who can reach them.
    pub fn assert_alive(&self) {
        let _watch = self.watch();
        assert!(std::net::TcpStream::connect(("127.0.0.1", self.port())).is_ok());
        let address = SocketAddr::from_abstract_name(&self.abstract_name).unwrap();
        assert!(UnixStream::connect_addr(&address).is_ok());
        assert!(UnixStream::connect(self.socket()).is_ok());
        let heard = [self.tcp.accept().is_ok(), self.abstract_server.accept().is_ok()];
        assert_eq!((heard, self.path_server.accept().is_ok()), ([true, true], true));
    }
}
