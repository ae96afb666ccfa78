//! Tasks over HTTP: submit, watch, steer, cancel, fetch. Each task is a [`Session`](ansatz_session::Session), the same
//! object that the chat drives.
//!
//! Layers inside: `door` lets in (key, host), `board` has the tasks and starts them when there is room, `task` is one of them,
//! `kept` what of it is on disk, `routes` answers, `events`, `files` and `uploads` stream. The one thread that answers never
//! waits for a disk or a task.
//!
//! Invariant: what a caller sends never becomes a path outside uploads and the allowed data folder; a task's files are served
//! from its own folder alone; every error is `application/problem+json`; a server that starts anew knows its tasks.

mod board;
mod door;
mod events;
mod files;
mod kept;
mod openapi;
mod problem;
mod routes;
mod task;
#[cfg(test)]
mod testing;
mod uploads;

pub use board::{Asked, TaskMaker};
pub use door::Door;

use board::{Board, FINISH_MAX};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uploads::Uploads;

/// How long connections may outlast the time that runs are waited for.
const CONNECTIONS_MAX: Duration = Duration::from_secs(2);

/// How a server is set up.
pub struct Setup {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may come in.
    pub door: Door,
    /// Where runs lie; those that are there already are served as well.
    pub runs: PathBuf,
    /// Where uploads lie.
    pub uploads: PathBuf,
    /// Tasks at once; others wait.
    pub tasks_max: usize,
    /// Bytes of one upload.
    pub upload_max: u64,
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("{address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something of the machine broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Serves until `stop` resolves; runs that go on are then asked to finish with what they have, and waited for, but not for
/// ever. `ready` hears the address.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    setup: Setup,
    maker: Arc<dyn TaskMaker>,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = setup.address;
    let listener =
        TcpListener::bind(address).await.map_err(|error| ServeError::Address { address, error })?;
    std::fs::create_dir_all(&setup.runs)?;
    std::fs::create_dir_all(&setup.uploads)?;
    let door = Arc::new(setup.door);
    let uploads = Uploads::open(setup.uploads, setup.upload_max);
    let board = Arc::new(Board::open(setup.runs, uploads, setup.tasks_max, maker));
    let starter = tokio::spawn(Arc::clone(&board).keep_starting());
    let app = routes::app(Arc::clone(&board), door);
    ready(listener.local_addr()?);
    let (closing, closed) = (Arc::clone(&board), Arc::new(Notify::new()));
    let said = Arc::clone(&closed);
    let told = async move {
        stop.await;
        // A task may be busy; whoever asks meanwhile is still answered.
        let _ = tokio::task::spawn_blocking(move || closing.close()).await;
        said.notify_one();
    };
    let late = async {
        closed.notified().await;
        tokio::time::sleep(FINISH_MAX + CONNECTIONS_MAX).await;
    };
    let served = axum::serve(listener, app).with_graceful_shutdown(told).into_future();
    tokio::select! {
        served = served => served?,
        // Whoever is still connected has heard all that there is to hear.
        () = late => {}
    }
    starter.abort();
    tokio::task::spawn_blocking(move || board.finish()).await.map_err(std::io::Error::other)?;
    Ok(())
}
