//! `ansatz serve`: tasks over HTTP.

use super::Session;
use super::maker::RunMaker;
use crate::exit::{Exit, Failure};
use crate::signals;
use ansatz_core::secret::Secret;
use ansatz_server::{Door, Setup};
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Notify;

/// Variable that holds the key.
const KEY: &str = "ANSATZ_SERVER_KEY";

#[derive(Debug, Clone, PartialEq, Args)]
pub struct ServeArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 7878)]
    port: u16,
    /// File that holds the key which callers must send [default: the variable `ANSATZ_SERVER_KEY`]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Folder below which callers may name data by path
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Further names under which the server is spoken to, beside localhost
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Tasks at once; others wait
    #[arg(long, value_name = "N", default_value_t = 1)]
    tasks: usize,
    /// Largest upload in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    upload_max: u64,
    /// Flags of `ansatz run` that hold for all tasks
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// Carries out `serve`, until Ctrl-C or SIGTERM.
///
/// # Errors
/// An address or key that cannot be used, or flags that must not be served with.
pub fn execute(args: ServeArgs, session: Session) -> Result<Exit, Failure> {
    let key = key(&args, &session)?;
    if key.is_none() && !args.host.is_loopback() {
        return Err(Failure::usage(format!("a server at {} needs a key", args.host)).hint(format!(
            "set {KEY} or give --key-file FILE; without a key only this machine may be served"
        )));
    }
    if args.flags.iter().any(|flag| flag == "off" || flag == "--sandbox=off") {
        return Err(
            Failure::usage("a server does not run code without a sandbox").hint("leave out --sandbox off")
        );
    }
    if key.is_none() {
        session
            .console
            .note(&format!("no key is set: whoever is on this machine may submit tasks; {KEY} changes that"));
    }
    let names = args.name.iter().cloned().chain(name_of(args.host)).collect();
    let setup = Setup {
        address: SocketAddr::new(args.host, args.port),
        door: Door::new(key.as_ref(), names),
        runs: session.runs_folder(),
        uploads: session.home()?.join("uploads"),
        tasks_max: args.tasks,
        upload_max: args.upload_max << 20,
    };
    let data_root = args.data_root.as_ref().map(|root| session.surroundings.absolute(root));
    let console = session.console;
    let maker = RunMaker::for_server(session, args.flags, data_root);
    maker.check()?;
    let wish = Arc::new(Notify::new());
    let heard = Arc::clone(&wish);
    signals::hear(Box::new(move || heard.notify_one()))?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
    let ready = |address: SocketAddr| console.note(&format!("listening on http://{address}"));
    let stop = async move { wish.notified().await };
    let served = runtime.block_on(ansatz_server::serve(setup, Arc::new(maker), ready, stop));
    // Whatever is still looked at has nobody to answer to any more.
    runtime.shutdown_background();
    served.map_err(|error| {
        failed(&error).hint("is another server listening there? --port takes another port")
    })?;
    Ok(Exit::Ok)
}

/// The name that callers speak to an address by; an address that stands for all of a machine's has none.
fn name_of(host: IpAddr) -> Option<String> {
    match host {
        _ if host.is_unspecified() => None,
        IpAddr::V4(host) => Some(host.to_string()),
        IpAddr::V6(host) => Some(format!("[{host}]")),
    }
}

fn key(args: &ServeArgs, session: &Session) -> Result<Option<Secret>, Failure> {
    let Some(file) = &args.key_file else {
        return Ok(session.surroundings.text(KEY).and_then(|key| Secret::new(&key)));
    };
    let path = session.surroundings.absolute(file);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("reading", &path, &error))?;
    let key = Secret::new(&text).ok_or_else(|| Failure::usage(format!("{} is empty", path.display())))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_goes_by_its_own_address() {
        let name = |host: &str| name_of(host.parse().unwrap());
        assert_eq!(name("192.168.1.5").as_deref(), Some("192.168.1.5"));
        assert_eq!(name("fd00::5").as_deref(), Some("[fd00::5]"));
        assert_eq!((name("0.0.0.0"), name("::")), (None, None));
    }
}
