//! Addresses: joining paths to a base, which hosts may be reached, what of an address may be shown.

use crate::error::FetchErrorKind;
use reqwest::Url;
use std::net::IpAddr;

/// Hosts that may be reached: `host`, `host:port`, or `*.domain` for everything below a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// These hosts.
    pub fn new(hosts: &[&str]) -> Self {
        Self(hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    pub(crate) fn add(&mut self, url: &Url) {
        self.0.push(place(url));
    }

    /// Whether an address may be called.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        let (host, place) = (url.host_str().unwrap_or_default(), place(url));
        let default_port = url.port().is_none();
        self.0.iter().any(|allowed| {
            allowed.strip_prefix("*.").map_or_else(
                || *allowed == place || (default_port && *allowed == host),
                |domain| default_port && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            )
        })
    }
}

/// Host and port.
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The address of a base: http or https, ending in a slash.
pub fn base(text: &str) -> Result<Url, FetchErrorKind> {
    let mut url = parse(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchErrorKind::Address("it holds a user or a password".into()));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// A path below a base, or a whole address.
pub fn join(base: &Url, path: &str) -> Result<Url, FetchErrorKind> {
    if path.starts_with("http://") || path.starts_with("https://") {
        return parse(path);
    }
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    let joined = format!("{}{}", base.path(), path.trim_start_matches('/'));
    if joined
        .split('/')
        .any(|part| matches!(part.to_ascii_lowercase().as_str(), ".." | "%2e%2e" | ".%2e" | "%2e."))
    {
        return Err(FetchErrorKind::Address("it climbs out of its base".into()));
    }
    url.set_path(&joined);
    url.set_query(query);
    Ok(url)
}

fn parse(text: &str) -> Result<Url, FetchErrorKind> {
    let url = Url::parse(text.trim()).map_err(|error| FetchErrorKind::Address(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchErrorKind::Address(format!("{} is neither http nor https", url.scheme())));
    }
    Ok(url)
}

/// An address as it may be shown: without user, password, query and fragment.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Whether what is sent there stays on this machine or is encrypted.
pub fn is_private(url: &Url) -> bool {
    if url.scheme() == "https" {
        return true;
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base_text: &str, path: &str) -> String {
        join(&base(base_text).unwrap(), path).map_or_else(|error| error.to_string(), String::from)
    }

    #[test]
    fn paths_join_to_their_base() {
        assert_eq!(joined("https://h/api/v1", "jobs/1"), "https://h/api/v1/jobs/1");
        assert_eq!(joined("https://h/api/v1/", "/jobs?x=1"), "https://h/api/v1/jobs?x=1");
        assert_eq!(joined("http://h:8265", ""), "http://h:8265/");
        assert_eq!(joined("http://h", "https://other/x?y"), "https://other/x?y");
        assert!(joined("https://h/api", "../admin").contains("climbs out"));
        assert!(joined("https://h/api", "a/%2E%2e/admin").contains("climbs out"));
    }

    #[test]
    fn bases_are_plain_http_addresses() {
        for bad in ["", "h", "ftp://h", "file:///etc/passwd", "https://me:word@h/"] {
            assert!(base(bad).is_err(), "{bad}");
        }
        assert_eq!(base(" https://h/a?q#f ").unwrap().as_str(), "https://h/a/");
    }

    #[test]
    fn only_listed_hosts_are_allowed() {
        let hosts = Hosts::new(&["a.org", "b.org:8080", "*.store.org"]);
        let allows = |text: &str| hosts.allow(&Url::parse(text).unwrap());
        assert!(allows("https://a.org/x") && allows("https://A.org") && allows("http://b.org:8080/"));
        assert!(allows("https://x.store.org") && allows("https://x.y.store.org"));
        for not in [
            "https://a.org:444",
            "https://a.org.evil.com",
            "https://evil-a.org",
            "https://b.org",
            "https://store.org",
            "https://evilstore.org",
            "https://a.org@evil.com",
        ] {
            assert!(!allows(not), "{not}");
        }
    }

    #[test]
    fn shown_addresses_hold_no_secret() {
        assert_eq!(shown(&Url::parse("https://me:word@h/p?token=1#x").unwrap()), "https://h/p");
    }

    #[test]
    fn plain_http_is_private_only_on_this_machine() {
        let private = |text: &str| is_private(&Url::parse(text).unwrap());
        assert!(
            private("https://h")
                && private("http://127.0.0.1:1")
                && private("http://[::1]:1")
                && private("http://localhost")
        );
        assert!(!private("http://h") && !private("http://10.0.0.1") && !private("http://localhost.evil.com"));
    }
}
