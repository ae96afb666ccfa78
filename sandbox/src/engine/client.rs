//! Talking to a container engine. The only file that awaits: one thread runs every request, callers wait for answers.
//!
//! So the rest of the sandbox stays free of asynchronous code, and a caller may itself stand in an asynchronous runtime.

use super::container::OWNER_LABEL;
use super::socket::{self, Flavour, Identity};
use super::trouble;
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, ImageInspect, SystemInfo};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions,
    TagImageOptions,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::error::Error as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Longest time for one request. Engines start a container in less than a second; a busy one takes some.
const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);
/// Longest time until an engine says who it is.
const HELLO_TIME_MAX: Duration = Duration::from_secs(15);
/// Time for a container that is being removed by somebody else to be gone.
const REMOVAL_TIME_MAX: Duration = Duration::from_secs(10);
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);
/// What is read of a container's log when it fails to start.
const LOG_BYTES_MAX: usize = 4096;
/// How often a list is asked for again.
const LIST_TRIES: u32 = 5;
/// Containers of ours that one sweep looks at.
const SWEEP_MAX: i32 = 10_000;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection to an engine.
pub(super) struct Client {
    docker: Docker,
    jobs: UnboundedSender<Job>,
    path: PathBuf,
    identity: Identity,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.path)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// What an engine says about itself that matters for cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nature {
    /// Whether user ids inside are not those of the host, so that only low ones exist.
    pub(super) maps_users: bool,
    /// Whether it can limit processor time.
    pub(super) limits_cpu: bool,
    /// Who runs it, as its socket tells: 0 or an ordinary user.
    pub(super) owner: u32,
    /// That user's group.
    pub(super) owner_group: u32,
    /// For people: the runtime that starts containers, or empty.
    pub(super) runtime: String,
}

impl Client {
    /// Connects to the engine at one of the sockets: the first that exists must answer and fit.
    pub(super) fn connect(sockets: &[PathBuf]) -> Result<Self, SandboxError> {
        let path = sockets.iter().find(|path| path.exists()).ok_or_else(|| socket::absent(sockets))?;
        let name = path.to_str().ok_or_else(|| socket::refusing(path, "its path is not text"))?;
        let version = bollard::ClientVersion { major_version: 1, minor_version: 41 };
        let docker = Docker::connect_with_unix(name, REQUEST_TIME_MAX.as_secs(), &version)
            .map_err(|error| socket::refusing(path, &chain(&error)))?;
        let jobs = start_thread()?;
        let asked = docker.clone();
        let answer = wait(&jobs, HELLO_TIME_MAX, async move { asked.version().await })
            .map_err(|_| socket::refusing(path, "it does not answer"))?
            .map_err(|error| socket::refusing(path, &chain(&error)))?;
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let identity = socket::identify(&answer, path, &kernel)?;
        Ok(Self { docker, jobs, path: path.clone(), identity })
    }

    /// Whose dialect it speaks.
    pub(super) fn flavour(&self) -> Flavour {
        self.identity.flavour
    }

    /// For people.
    pub(super) fn name(&self) -> &str {
        &self.identity.name
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn ask<T: Send + 'static>(
        &self,
        what: impl Into<String>,
        request: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Result<T, Error>, SandboxError> {
        let what = what.into();
        wait(&self.jobs, REQUEST_TIME_MAX, request).map_err(|kind| SandboxError::new(what, kind))
    }

    /// What it says about itself.
    pub(super) fn nature(&self) -> Result<Nature, SandboxError> {
        let (docker, what) = (self.docker.clone(), "asking the container engine about itself");
        let info = self.ask(what, async move { docker.info().await })?;
        let info = info.map_err(|error| trouble::of(what, &chain(&error)))?;
        let doing = || format!("looking at {}", self.path.display());
        let socket = self.path.metadata().doing(doing)?;
        Ok(nature(&info, socket.uid(), socket.gid()))
    }

    /// An image by its name.
    pub(super) fn image(&self, name: &str) -> Result<Option<ImageInspect>, SandboxError> {
        let (docker, what, asked) =
            (self.docker.clone(), format!("looking for image {name}"), name.to_owned());
        match self.ask(what.clone(), async move { docker.inspect_image(&asked).await })? {
            Ok(found) => Ok(Some(found)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(trouble::of(&what, &chain(&error))),
        }
    }

    /// Makes an image from an archive and names it. Returns its id.
    pub(super) fn import(
        &self,
        archive: Vec<u8>,
        repository: &str,
        tag: &str,
    ) -> Result<String, SandboxError> {
        let what = "making the image of cells";
        let options = CreateImageOptions { from_src: Some("-".into()), ..CreateImageOptions::default() };
        let docker = self.docker.clone();
        let said = self.ask(what, async move {
            let body = bollard::body_full(Bytes::from(archive));
            let mut stream = std::pin::pin!(docker.create_image(Some(options), Some(body), None));
            let mut id = None;
            while let Some(line) = stream.next().await {
                let line = line?;
                id = line.id.or(line.status).filter(|text| text.starts_with("sha256:")).or(id);
            }
            Ok(id)
        })?;
        let id = said.map_err(|error| trouble::of(what, &chain(&error)))?.ok_or_else(|| {
            SandboxError::new(what, SandboxErrorKind::Protocol("the engine did not name the image".into()))
        })?;
        let options = TagImageOptions { repo: Some(repository.into()), tag: Some(tag.into()) };
        let (docker, image) = (self.docker.clone(), id.clone());
        self.ask(what, async move { docker.tag_image(&image, Some(options)).await })?
            .map_err(|error| trouble::of(what, &chain(&error)))?;
        Ok(id)
    }

    /// Makes a container. Returns its id.
    pub(super) fn create(&self, name: &str, body: ContainerCreateBody) -> Result<String, SandboxError> {
        let what = "making a container";
        let options = CreateContainerOptions { name: Some(name.into()), ..CreateContainerOptions::default() };
        let docker = self.docker.clone();
        self.ask(what, async move { docker.create_container(Some(options), body).await })?
            .map(|made| made.id)
            .map_err(|error| trouble::of(what, &chain(&error)))
    }

    /// Starts a container; returns when its first process runs.
    pub(super) fn start(&self, id: &str) -> Result<(), SandboxError> {
        let (docker, id, what) = (self.docker.clone(), id.to_owned(), "starting a container");
        self.ask(what, async move { docker.start_container(&id, None).await })?
            .map_err(|error| trouble::of(what, &chain(&error)))
    }

    /// How a container ended, if it has: what it printed is the best explanation there is.
    pub(super) fn ended(&self, id: &str) -> Option<String> {
        let (docker, asked) = (self.docker.clone(), id.to_owned());
        let found =
            self.ask("looking at a container", async move { docker.inspect_container(&asked, None).await });
        let state = found.ok()?.ok()?.state?;
        if state.status != Some(ContainerStateStatusEnum::EXITED) {
            return None;
        }
        let code = state.exit_code.unwrap_or(-1);
        Some(format!("it ended with exit code {code} and said {:?}", self.log(id).unwrap_or_default().trim()))
    }

    fn log(&self, id: &str) -> Option<String> {
        let (docker, id) = (self.docker.clone(), id.to_owned());
        let options = LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() };
        let text = self.ask("reading a container's log", async move {
            let mut stream = std::pin::pin!(docker.logs(&id, Some(options)));
            let mut text = Vec::new();
            while let Some(piece) = stream.next().await {
                text.extend_from_slice(&piece?.into_bytes());
                if text.len() > LOG_BYTES_MAX {
                    break;
                }
            }
            text.truncate(LOG_BYTES_MAX);
            Ok(text)
        });
        Some(String::from_utf8_lossy(&text.ok()?.ok()?).into_owned())
    }

    /// Has the engine kill a container, without waiting for the answer.
    pub(super) fn kill_soon(&self, id: &str) {
        let (docker, id) = (self.docker.clone(), id.to_owned());
        let job: Job = Box::pin(async move {
            let _ = tokio::time::timeout(REQUEST_TIME_MAX, docker.kill_container(&id, None)).await;
        });
        let _ = self.jobs.send(job);
    }

    /// Removes a container, killing what is left in it; returns when it is gone.
    pub(super) fn remove(&self, id: &str) -> Result<(), SandboxError> {
        let what = "removing a container";
        let deadline = Instant::now() + REMOVAL_TIME_MAX;
        loop {
            let (docker, asked) = (self.docker.clone(), id.to_owned());
            let options =
                RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
            let removed =
                self.ask(what, async move { docker.remove_container(&asked, Some(options)).await })?;
            match removed {
                Ok(()) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(()),
                // The engine clears it away at this moment by itself.
                Err(Error::DockerResponseServerError { status_code: 409 | 500, .. })
                    if Instant::now() < deadline =>
                {
                    std::thread::sleep(REMOVAL_PAUSE);
                }
                Err(error) => return Err(trouble::of(what, &chain(&error))),
            }
        }
    }

    /// All containers that carry an owner's mark: id and mark.
    pub(super) fn owned(&self) -> Result<Vec<(String, String)>, SandboxError> {
        let what = "looking for containers of the dead";
        let filters = HashMap::from([("label".to_owned(), vec![OWNER_LABEL.to_owned()])]);
        let options = ListContainersOptions {
            all: true,
            limit: Some(SWEEP_MAX),
            filters: Some(filters),
            ..ListContainersOptions::default()
        };
        let mut tries = LIST_TRIES;
        let found = loop {
            let (docker, options) = (self.docker.clone(), options.clone());
            match self.ask(what, async move { docker.list_containers(Some(options)).await })? {
                Ok(found) => break found,
                // A container that goes while it is listed makes some versions fail.
                Err(_) if tries > 0 => tries -= 1,
                Err(error) => return Err(trouble::of(what, &chain(&error))),
            }
        };
        let marked =
            found.into_iter().filter_map(|found| Some((found.id?, found.labels?.remove(OWNER_LABEL)?)));
        Ok(marked.collect())
    }
}

fn nature(info: &SystemInfo, owner: u32, owner_group: u32) -> Nature {
    let mut options = info.security_options.iter().flatten();
    Nature {
        // Not every version says so, but the engine of an ordinary user always has one.
        maps_users: owner != 0
            || options.any(|option| option.contains("rootless") || option.contains("userns")),
        limits_cpu: info.cpu_cfs_quota.unwrap_or(false),
        owner,
        owner_group,
        runtime: info.default_runtime.clone().unwrap_or_default(),
    }
}

/// An error with its causes on one line: the outer ones alone say nothing.
fn chain(error: &Error) -> String {
    let mut text = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

/// The thread that runs requests, until the last sender is gone.
fn start_thread() -> Result<UnboundedSender<Job>, SandboxError> {
    let doing = || "starting the thread that talks to the container engine".to_owned();
    let (jobs, inbox) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().doing(doing)?;
    let work = move || runtime.block_on(serve(inbox));
    std::thread::Builder::new().name("engine".into()).spawn(work).doing(doing)?;
    Ok(jobs)
}

async fn serve(mut inbox: UnboundedReceiver<Job>) {
    while let Some(job) = inbox.recv().await {
        tokio::spawn(job);
    }
}

/// Runs a request on the thread and waits for what comes of it.
fn wait<T: Send + 'static>(
    jobs: &UnboundedSender<Job>,
    limit: Duration,
    request: impl Future<Output = T> + Send + 'static,
) -> Result<T, SandboxErrorKind> {
    let (answer, answered) = mpsc::channel();
    let job: Job = Box::pin(async move {
        let _ = answer.send(tokio::time::timeout(limit, request).await);
    });
    jobs.send(job).map_err(|_| SandboxErrorKind::Closed)?;
    match answered.recv() {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(SandboxErrorKind::Timeout(limit)),
        Err(_) => Err(SandboxErrorKind::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_run_beside_each_other_and_have_a_time_limit() {
        let jobs = start_thread().unwrap();
        let other = jobs.clone();
        let slow = std::thread::spawn(move || {
            wait(&other, Duration::from_millis(200), async {
                tokio::time::sleep(Duration::from_mins(1)).await;
            })
        });
        assert_eq!(wait(&jobs, Duration::from_secs(5), async { 7 }).unwrap(), 7);
        assert!(matches!(slow.join().unwrap(), Err(SandboxErrorKind::Timeout(_))));
    }

    #[test]
    fn a_caller_may_stand_in_a_runtime_of_its_own() {
        let jobs = start_thread().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(async { wait(&jobs, Duration::from_secs(5), async { 7 }) });
        assert_eq!(got.unwrap(), 7);
    }

    #[test]
    fn an_engine_of_an_ordinary_user_has_low_ids_only() {
        let with = |options: &[&str]| SystemInfo {
            security_options: Some(options.iter().map(|option| (*option).to_owned()).collect()),
            ..SystemInfo::default()
        };
        assert!(nature(&with(&["name=seccomp,profile=default", "name=rootless"]), 0, 0).maps_users);
        assert!(nature(&with(&["name=userns"]), 0, 0).maps_users);
        assert!(!nature(&with(&["name=seccomp,profile=default"]), 0, 0).maps_users);
        assert!(nature(&with(&[]), 1000, 1000).maps_users);
    }
}
