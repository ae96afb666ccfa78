//! What lies outside this machine or beside this program: a model endpoint, Kaggle. No secret is read further than needed to
//! know that it is there, and none is ever shown.

use super::finding::Finding;
use crate::surroundings::Surroundings;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Servers of language models that people run on their own machines, and where.
const LOCAL_SERVERS: [(&str, u16); 4] =
    [("Ollama", 11_434), ("LM Studio", 1234), ("vLLM", 8000), ("llama.cpp", 8080)];
/// Time for a local server to answer a knock.
const KNOCK_TIME_MAX: Duration = Duration::from_millis(150);
/// Time for a model endpoint to take a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// Variables that may hold the key of an endpoint.
const KEYS: [&str; 2] = ["ANSATZ_LLM_API_KEY", "OPENAI_API_KEY"];
/// Largest file of Kaggle credentials that is read.
const CREDENTIALS_MAX: u64 = 64 << 10;

/// Local servers that answer, to be offered: whether to use one is the user's choice.
fn local_servers() -> Vec<(&'static str, u16)> {
    let answers = |(_, port): &(&str, u16)| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        TcpStream::connect_timeout(&address, KNOCK_TIME_MAX).is_ok()
    };
    LOCAL_SERVERS.into_iter().filter(answers).collect()
}

/// The model endpoint: whether one is set, and whether it takes connections. It is asked nothing, so no key leaves here.
pub fn endpoint(surroundings: &Surroundings) -> Finding {
    const NAME: &str = "model endpoint";
    let Some(base) = surroundings.text("ANSATZ_LLM_BASE_URL") else {
        return no_endpoint(&local_servers());
    };
    let Some((host, port)) = place(&base) else {
        return Finding::broken(
            NAME,
            "",
            "ANSATZ_LLM_BASE_URL is not an address such as http://127.0.0.1:11434/v1",
        )
        .advice("give http:// or https://, a host, and the path that ends in /v1");
    };
    let key = if KEYS.iter().any(|name| surroundings.text(name).is_some()) {
        "with a key"
    } else {
        "without a key"
    };
    let connected =
        (host.as_str(), port).to_socket_addrs().map_err(|error| error.to_string()).and_then(|found| {
            let mut last = "the name leads nowhere".to_owned();
            for address in found {
                match TcpStream::connect_timeout(&address, CONNECT_TIME_MAX) {
                    Ok(_) => return Ok(()),
                    Err(error) => last = error.to_string(),
                }
            }
            Err(last)
        });
    match connected {
        Ok(()) => Finding::ok(NAME, "", format!("{host}:{port} takes connections; set {key}")),
        Err(why) => Finding::broken(NAME, format!("connect to {host}:{port}"), why).advice(
            "start the server, or mend ANSATZ_LLM_BASE_URL; until then runs use the built-in playbook",
        ),
    }
}

/// Host and port of a base URL. What else it holds, a password perhaps, is left behind.
fn place(base: &str) -> Option<(String, u16)> {
    let (usual, rest) = match base.split_once("://")? {
        ("http", rest) => (80, rest),
        ("https", rest) => (443, rest),
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority.rsplit('@').next()?;
    let (host, port) = match host_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => host_port.split_once(':').map_or((host_port, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// What is said where no endpoint is set.
fn no_endpoint(servers: &[(&str, u16)]) -> Finding {
    let finding = Finding::missing("model endpoint", "", "none set; the built-in playbook plans runs");
    match servers.first() {
        None => finding.advice("nothing to do; to let a language model take part, set ANSATZ_LLM_BASE_URL"),
        Some((name, port)) => finding.advice(format!(
            "something listens where {name} does; to use it: ANSATZ_LLM_BASE_URL=http://127.0.0.1:{port}/v1"
        )),
    }
}

#[derive(Debug, Deserialize)]
struct Credentials {
    #[serde(default)]
    username: String,
    #[serde(default)]
    key: String,
}

pub fn kaggle(surroundings: &Surroundings) -> Finding {
    const NAME: &str = "Kaggle credentials";
    let is_set = |name: &str| surroundings.text(name).is_some();
    if is_set("KAGGLE_API_TOKEN") {
        return Finding::ok(NAME, "", "present (KAGGLE_API_TOKEN)");
    }
    match (is_set("KAGGLE_USERNAME"), is_set("KAGGLE_KEY")) {
        (true, true) => return Finding::ok(NAME, "", "present (KAGGLE_USERNAME, KAGGLE_KEY)"),
        (true, false) | (false, true) => {
            return Finding::broken(NAME, "", "only one of KAGGLE_USERNAME and KAGGLE_KEY is set")
                .advice("set both, or neither");
        }
        (false, false) => {}
    }
    match places(surroundings).into_iter().find(|path| path.exists()) {
        None => Finding::missing(NAME, "", "none").advice(
            "nothing to do unless you use `ansatz kaggle`; make a token in your Kaggle settings and put it into \
             ~/.kaggle/kaggle.json, mode 600",
        ),
        Some(path) => file(NAME, &path),
    }
}

fn places(surroundings: &Surroundings) -> Vec<PathBuf> {
    let named = surroundings.path("KAGGLE_CONFIG_DIR").map(|folder| folder.join("kaggle.json"));
    let home = surroundings.path("HOME");
    let usual = [".kaggle/access_token", ".kaggle/kaggle.json", ".config/kaggle/kaggle.json"];
    named.into_iter().chain(home.iter().flat_map(|home| usual.iter().map(|each| home.join(each)))).collect()
}

fn file(name: &str, path: &Path) -> Finding {
    let place = path.display();
    let Ok(found) = path.metadata() else {
        return Finding::broken(name, "", format!("{place} cannot be read"))
            .advice("change its owner or mode");
    };
    let is_token = path.ends_with("access_token");
    let is_whole = found.len() <= CREDENTIALS_MAX
        && std::fs::read_to_string(path).is_ok_and(|text| {
            let both = |found: Credentials| !found.username.is_empty() && !found.key.is_empty();
            if is_token { !text.trim().is_empty() } else { serde_json::from_str(&text).is_ok_and(both) }
        });
    if !is_whole {
        let what = if is_token { "a token" } else { "a user name and a key" };
        return Finding::broken(name, "", format!("{place} does not hold {what}"))
            .advice("make a new token in your Kaggle settings and put the file there");
    }
    if found.mode() & 0o077 != 0 {
        return Finding::warning(name, "", format!("present ({place}), but other users may read it"))
            .advice(format!("chmod 600 {place}"));
    }
    Finding::ok(name, "", format!("present ({place})"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Standing;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn kaggle_in(home: &Path, variables: &[(&str, &str)]) -> Finding {
        let mut all = vec![("HOME", home.to_str().unwrap())];
        all.extend(variables);
        kaggle(&Surroundings::made_up(home, &all))
    }

    fn home(text: &str, mode: u32) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".kaggle")).unwrap();
        let path = home.path().join(".kaggle/kaggle.json");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        home
    }

    #[test]
    fn no_credentials_are_no_fault() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(kaggle_in(home.path(), &[]).standing, Standing::Missing);
    }

    #[test]
    fn secrets_are_seen_but_never_shown() {
        let secret = "0123456789abcdef";
        let text = format!(r#"{{"username":"somebody","key":"{secret}"}}"#);
        let home = home(&text, 0o600);
        let finding = kaggle_in(home.path(), &[]);
        assert_eq!(finding.standing, Standing::Ok);
        let variables =
            kaggle_in(home.path(), &[("KAGGLE_USERNAME", "somebody"), ("KAGGLE_KEY", secret), ("X", "y")]);
        assert_eq!(variables.standing, Standing::Ok);
        let token = kaggle_in(home.path(), &[("KAGGLE_API_TOKEN", secret)]);
        for shown in [finding, variables, token] {
            assert!(!format!("{shown:?}").contains(secret) && !format!("{shown:?}").contains("somebody"));
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_about() {
        let home = home(r#"{"username":"a","key":"b"}"#, 0o644);
        let finding = kaggle_in(home.path(), &[]);
        assert_eq!(finding.standing, Standing::Warning);
        assert!(finding.advice.starts_with("chmod 600 "), "{}", finding.advice);
    }

    #[test]
    fn half_of_the_credentials_is_a_fault() {
        let home = home(r#"{"username":"a"}"#, 0o600);
        assert_eq!(kaggle_in(home.path(), &[]).standing, Standing::Broken);
        assert_eq!(kaggle_in(home.path(), &[("KAGGLE_KEY", "b")]).standing, Standing::Broken);
    }

    #[test]
    fn only_host_and_port_of_an_endpoint_are_taken() {
        let taken = |base: &str| place(base);
        assert_eq!(taken("http://127.0.0.1:11434/v1"), Some(("127.0.0.1".into(), 11_434)));
        assert_eq!(
            taken("https://user:secret@models.example/v1?key=secret"),
            Some(("models.example".into(), 443))
        );
        assert_eq!(taken("http://[::1]:8000/v1"), Some(("::1".into(), 8000)));
        for bad in ["", "models.example", "ftp://x/", "http:///v1", "http://host:port/"] {
            assert_eq!(taken(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_knocked_at_and_its_key_is_never_shown() {
        let server = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = format!("http://{}/v1", server.local_addr().unwrap());
        let look = |base: &str| {
            let variables = [("ANSATZ_LLM_BASE_URL", base), ("ANSATZ_LLM_API_KEY", "sk-secret")];
            endpoint(&Surroundings::made_up(Path::new("/"), &variables))
        };
        let there = look(&base);
        assert_eq!(there.standing, Standing::Ok, "{there:?}");
        drop(server);
        let gone = look(&base);
        assert_eq!(gone.standing, Standing::Broken);
        assert!(!format!("{there:?}{gone:?}").contains("sk-secret") && there.seen.contains("with a key"));
    }

    #[test]
    fn a_local_server_is_offered_and_not_used() {
        assert!(no_endpoint(&[]).advice.contains("nothing to do"));
        let finding = no_endpoint(&[("Ollama", 11_434)]);
        assert_eq!(finding.standing, Standing::Missing);
        assert!(finding.advice.contains("ANSATZ_LLM_BASE_URL=http://127.0.0.1:11434/v1"));
    }
}
