//! What can be said about a Ray cluster: where it is, its token, what each batch asks of it; and the hidden command that
//! runs a batch on a node.

use super::Session;
use super::doctor::finding::Finding;
use crate::exit::{Exit, Failure};
use ansatz_core::secret::Secret;
use ansatz_engine::{GpuAsk, Keys, RayOptions};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where a head that was started without further words listens.
pub const ADDRESS_DEFAULT: &str = "http://127.0.0.1:8265";

/// Largest file that is taken for a token.
const TOKEN_FILE_MAX: u64 = 64 << 10;

/// Flags about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct RayArgs {
    /// With --sandbox ray: the dashboard of the cluster's head [default: `RAY_API_SERVER_ADDRESS`, or port 8265 here]
    #[arg(long, value_name = "URL")]
    ray_address: Option<String>,
    #[command(flatten)]
    pub token: TokenArgs,
    /// Cores for each batch of trials; as many run at once on its node [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    ray_cpus: Option<u16>,
    /// Memory for each batch, in GiB
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u16).range(1..=16_384))]
    ray_memory: Option<u16>,
    /// Folder that this machine and all nodes see under the same path; for large data and predictions
    #[arg(long, value_name = "DIR")]
    ray_share: Option<PathBuf>,
}

/// The flag about its token; the token itself is never an argument, since everybody can read those.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct TokenArgs {
    /// File with the token of the Ray cluster [default: `RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH`, `~/.ray/auth_token`]
    #[arg(long, value_name = "FILE")]
    ray_token_file: Option<PathBuf>,
}

impl RayArgs {
    /// What it means for a run; `is_wanted` is whether the cluster is to be used at all.
    ///
    /// # Errors
    /// Flags about a cluster that is not used.
    pub fn resolve(
        &self,
        is_wanted: bool,
        gpus: GpuAsk,
        session: &Session,
    ) -> Result<Option<RayOptions>, Failure> {
        if !is_wanted {
            return if *self == Self::default() {
                Ok(None)
            } else {
                Err(Failure::usage("flags about Ray mean nothing without --sandbox ray")
                    .hint("add --sandbox ray, or leave --ray-… out"))
            };
        }
        Ok(Some(RayOptions {
            address: self.ray_address.clone().unwrap_or_else(|| address(session)),
            share: self.ray_share.as_ref().map(|share| session.surroundings.absolute(share)),
            cpus: self.ray_cpus.map_or(1, u32::from),
            gpus: if let GpuAsk::Count(count) = gpus { count.into() } else { 0 },
            memory_bytes: self.ray_memory.map_or(0, |gib| u64::from(gib) << 30),
        }))
    }
}

/// The address that the environment names, or the usual one.
pub fn address(session: &Session) -> String {
    let named = ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"]
        .into_iter()
        .filter_map(|name| session.surroundings.text(name));
    // RAY_ADDRESS may name the cluster's own store instead, which does not speak http.
    let mut dashboards = named.filter(|address| address.starts_with("http"));
    dashboards.next().unwrap_or_else(|| ADDRESS_DEFAULT.into())
}

/// Whether the environment names a cluster.
pub fn is_named(session: &Session) -> bool {
    address(session) != ADDRESS_DEFAULT
}

/// The secrets of a run, from where Ray's own tools look for them.
///
/// # Errors
/// A file that was named cannot be read.
pub fn keys(args: &TokenArgs, session: &Session) -> Result<Keys, Failure> {
    let surroundings = &session.surroundings;
    if let Some(file) = &args.ray_token_file {
        return Ok(Keys { ray: Some(read(&surroundings.absolute(file))?), ..Keys::default() });
    }
    if let Some(token) = surroundings.text("RAY_AUTH_TOKEN").and_then(|token| Secret::new(&token)) {
        return Ok(Keys { ray: Some(token), ..Keys::default() });
    }
    if let Some(file) = surroundings.path("RAY_AUTH_TOKEN_PATH") {
        return Ok(Keys { ray: Some(read(&file)?), ..Keys::default() });
    }
    let usual = surroundings.path("HOME").map(|home| home.join(".ray/auth_token"));
    let ray = usual.filter(|file| file.is_file()).and_then(|file| read(&file).ok());
    Ok(Keys { ray, ..Keys::default() })
}

fn read(file: &Path) -> Result<Secret, Failure> {
    let refused = |why: &str| {
        Failure::usage(format!("the token in {}: {why}", file.display()))
            .hint("the file must hold the token and nothing else")
    };
    let size = file.metadata().map_err(|error| refused(&error.to_string()))?.len();
    if size > TOKEN_FILE_MAX {
        return Err(refused("it is too large to be one"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| refused(&error.to_string()))?;
    Secret::new(&text).ok_or_else(|| refused("it is empty"))
}

/// What `doctor` says about the cluster that the environment names, or about the usual place. Without one nothing is
/// wrong.
pub fn finding(session: &Session) -> Finding {
    let address = address(session);
    let tried = format!("ask {address} with and without its token");
    let options = RayOptions { address: address.clone(), share: None, cpus: 1, gpus: 0, memory_bytes: 0 };
    let checked = keys(&TokenArgs::default(), session)
        .and_then(|keys| Ok(ansatz_engine::ray::check(&options, keys.ray.as_ref())?));
    match checked {
        Ok(checked) if checked.warnings.is_empty() => {
            Finding::ok("Ray", tried, format!("version {}, demands a token and takes ours", checked.version))
        }
        Ok(checked) => Finding::warning("Ray", tried, format!("version {}, can be used", checked.version))
            .advice(checked.warnings.join("; ")),
        Err(_) if !is_named(session) => {
            Finding::missing("Ray", tried, "no usable head there; only --sandbox ray needs one")
        }
        Err(failure) => {
            Finding::broken("Ray", tried, failure.message).advice(failure.hint.unwrap_or_default())
        }
    }
}

/// Runs a batch on a node, as the command of a job.
pub fn serve(arguments: &[String], home: &Path) -> Exit {
    match ansatz_engine::ray::serve(arguments, home) {
        Ok(()) => Exit::Ok,
        Err(message) => {
            crate::console::complain(&Failure::new(Exit::Failed, message));
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::finding::Standing;
    use crate::command::tests::session;

    fn token(args: &TokenArgs, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        keys(args, &session(variables))
            .map(|keys| keys.ray.map(|secret| secret.expose().to_owned()))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn a_token_is_found_where_rays_own_tools_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, " from-file\n").unwrap();
        let path = file.to_str().unwrap();
        let flag = TokenArgs { ray_token_file: Some(file.clone()) };
        let none = TokenArgs::default();
        assert_eq!(token(&none, &[]), Ok(None));
        assert_eq!(token(&none, &[("RAY_AUTH_TOKEN", "word")]), Ok(Some("word".into())));
        assert_eq!(token(&none, &[("RAY_AUTH_TOKEN_PATH", path)]), Ok(Some("from-file".into())));
        assert_eq!(token(&flag, &[("RAY_AUTH_TOKEN", "word")]), Ok(Some("from-file".into())));
        assert!(
            token(&none, &[("RAY_AUTH_TOKEN_PATH", "/nowhere/at/all")])
                .unwrap_err()
                .contains("/nowhere/at/all")
        );
        std::fs::write(&file, "\n").unwrap();
        assert!(token(&flag, &[]).unwrap_err().contains("it is empty"));
    }

    #[test]
    fn a_cluster_that_nobody_named_is_not_missed() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let named = format!("http://127.0.0.1:{free}");
        let found = finding(&session(&[("RAY_API_SERVER_ADDRESS", &named)]));
        assert_eq!(found.standing, Standing::Broken);
        assert!(
            found.seen.contains("does not answer") && found.advice.contains("ray start --head"),
            "{found:?}"
        );
    }

    #[test]
    fn the_address_is_that_of_a_dashboard() {
        let of = |variables: &[(&str, &str)]| address(&session(variables));
        assert_eq!(of(&[]), ADDRESS_DEFAULT);
        assert_eq!(of(&[("RAY_ADDRESS", "10.0.0.1:6379")]), ADDRESS_DEFAULT);
        assert_eq!(
            of(&[("RAY_ADDRESS", "http://h:1"), ("RAY_API_SERVER_ADDRESS", "https://r")]),
            "https://r"
        );
    }
}
