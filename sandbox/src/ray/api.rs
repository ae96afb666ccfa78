//! Ray's Jobs REST interface: the calls that are used, and what their answers mean.

use super::error::{RayError, RayErrorKind};
use super::http::{Body, Http, HttpErrorKind, Method, Request};
use super::life::Ask;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Most bytes of an answer that is not a log.
const REPLY_MAX: u64 = 8 << 20;
/// Largest package that a head takes; measured, and written in its own answer to a larger one.
pub const PACKAGE_MAX: usize = 100 << 20;
/// Letters of a job's last words that are shown.
const MESSAGE_MAX: usize = 300;

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// It waits for resources.
    Pending,
    /// It runs.
    Running,
    /// Somebody stopped it.
    Stopped,
    /// Its command ended with code 0.
    Succeeded,
    /// Its command failed, or its node is gone.
    Failed,
    /// A word that this program does not know.
    Unknown,
}

impl<'de> Deserialize<'de> for JobStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "STOPPED" => Self::Stopped,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            _ => Self::Unknown,
        })
    }
}

impl JobStatus {
    /// Whether nothing more will happen to the job.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Stopped | Self::Succeeded | Self::Failed)
    }
}

/// What Ray knows about a job. Fields that other versions add are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// The id under which it was submitted; jobs that were started otherwise have none.
    #[serde(default)]
    pub submission_id: Option<String>,
    /// How it stands.
    pub status: JobStatus,
    /// In words.
    #[serde(default)]
    pub message: Option<String>,
    /// Ray's own kind of failure.
    #[serde(default)]
    pub error_type: Option<String>,
    /// The node that runs it.
    #[serde(default)]
    pub driver_node_id: Option<String>,
    /// What was attached to it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Job {
    /// Its message as one short line.
    pub fn words(&self) -> String {
        let text = self.message.as_deref().unwrap_or_default();
        let line: String =
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ").chars().take(MESSAGE_MAX).collect()
    }
}

/// What is submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Our own id: submitting it twice starts one job.
    pub id: String,
    /// The command, for a shell.
    pub entrypoint: String,
    /// Package that becomes the working folder.
    pub folder: String,
    /// Packages that lie beside it.
    pub beside: Vec<String>,
    /// Attached words.
    pub metadata: BTreeMap<String, String>,
    /// Resources.
    pub ask: Ask,
}

#[derive(Serialize)]
struct SubmitBody<'a> {
    submission_id: &'a str,
    entrypoint: &'a str,
    runtime_env: RuntimeEnv,
    metadata: &'a BTreeMap<String, String>,
    entrypoint_num_cpus: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint_num_gpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint_memory: Option<u64>,
}

#[derive(Serialize)]
struct RuntimeEnv {
    working_dir: String,
    py_modules: Vec<String>,
}

#[derive(Deserialize)]
struct Version {
    ray_version: String,
}

#[derive(Deserialize)]
struct Submitted {
    submission_id: String,
}

#[derive(Deserialize)]
struct Logs {
    #[serde(default)]
    logs: Option<String>,
}

/// Ray's job interface at one head.
#[derive(Clone, Copy)]
pub struct Jobs<'a> {
    http: &'a dyn Http,
}

impl<'a> Jobs<'a> {
    /// The interface behind a way to call it.
    pub fn new(http: &'a dyn Http) -> Self {
        Self { http }
    }

    fn call(
        &self,
        doing: &str,
        method: Method,
        path: String,
        body: Body,
        max: u64,
    ) -> Result<Vec<u8>, RayError> {
        let request = Request { method, path, body, reply_bytes_max: max };
        self.http.call(request).map_err(|error| RayError::of(doing, error))
    }

    /// Ray's version.
    ///
    /// # Errors
    /// Nobody answers, a token is missing, or it is not Ray that answers.
    pub fn version(&self) -> Result<String, RayError> {
        let doing = "asking for its version";
        let body = self.call(doing, Method::Get, "api/version".into(), Body::Empty, REPLY_MAX);
        let body = body.map_err(|error| match error.kind() {
            RayErrorKind::NotFound => {
                RayError::new(doing, RayErrorKind::NotRay("it knows no /api/version".into()))
            }
            _ => error,
        })?;
        Ok(read::<Version>(doing, &body)?.ray_version)
    }

    /// Whether a package is in the head's store. Asking keeps it there for some minutes more.
    ///
    /// # Errors
    /// The head does not answer as it should.
    pub fn has_package(&self, name: &str) -> Result<bool, RayError> {
        let path = format!("api/packages/gcs/{name}");
        match self.call("looking for a package", Method::Get, path, Body::Empty, REPLY_MAX) {
            Ok(_) => Ok(true),
            Err(error) if *error.kind() == RayErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a package.
    ///
    /// # Errors
    /// It is too large, or the head does not answer as it should.
    pub fn put_package(&self, name: &str, bytes: Vec<u8>) -> Result<(), RayError> {
        let doing = "sending a package";
        if bytes.len() > PACKAGE_MAX {
            let size = bytes.len().div_ceil(1 << 20);
            return Err(RayError::new(
                doing,
                RayErrorKind::TooLarge(format!("it has {size} MiB; a head takes 100")),
            ));
        }
        let path = format!("api/packages/gcs/{name}");
        self.call(doing, Method::Put, path, Body::Bytes(bytes), REPLY_MAX).map(drop)
    }

    /// Submits a job. When the answer is lost or the id is taken, the job itself tells whether it is this one.
    ///
    /// # Errors
    /// The head refuses it, or does not answer.
    pub fn submit(&self, submission: &Submission) -> Result<(), RayError> {
        let doing = "submitting a batch";
        let address = |name: &String| format!("gcs://{name}");
        let body = SubmitBody {
            submission_id: &submission.id,
            entrypoint: &submission.entrypoint,
            runtime_env: RuntimeEnv {
                working_dir: address(&submission.folder),
                py_modules: submission.beside.iter().map(address).collect(),
            },
            metadata: &submission.metadata,
            entrypoint_num_cpus: submission.ask.cpus,
            entrypoint_num_gpus: (submission.ask.gpus > 0.0).then_some(submission.ask.gpus),
            entrypoint_memory: (submission.ask.memory_bytes > 0).then_some(submission.ask.memory_bytes),
        };
        let text = serde_json::to_string(&body)
            .map_err(|error| RayError::new(doing, RayErrorKind::Refused(error.to_string())))?;
        let answer = self.call(doing, Method::Post, "api/jobs/".into(), Body::Json(text), REPLY_MAX);
        let refused = match answer {
            Ok(body) => {
                let submitted: Submitted = read(doing, &body)?;
                if submitted.submission_id == submission.id {
                    return Ok(());
                }
                let words = format!("it was given the id {}", submitted.submission_id);
                return Err(RayError::new(doing, RayErrorKind::Refused(words)));
            }
            Err(error) => error,
        };
        match self.job(&submission.id) {
            Ok(job) if job.metadata.as_ref() == Some(&submission.metadata) => Ok(()),
            _ => Err(refused),
        }
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// [`RayErrorKind::NotFound`] when the head does not know it.
    pub fn job(&self, id: &str) -> Result<Job, RayError> {
        let doing = "asking after a batch";
        let body = self.call(doing, Method::Get, format!("api/jobs/{id}"), Body::Empty, REPLY_MAX)?;
        read(doing, &body)
    }

    /// All jobs that the head knows.
    ///
    /// # Errors
    /// The head does not answer as it should.
    pub fn jobs(&self) -> Result<Vec<Job>, RayError> {
        let doing = "listing jobs";
        let body = self.call(doing, Method::Get, "api/jobs/".into(), Body::Empty, REPLY_MAX)?;
        read(doing, &body)
    }

    /// What a job has printed so far; all of it, since the interface knows no beginning.
    ///
    /// # Errors
    /// Its node does not answer, or it printed more than `bytes_max`.
    pub fn log(&self, id: &str, bytes_max: u64) -> Result<String, RayError> {
        let doing = "reading the log of a batch";
        let body = self.call(doing, Method::Get, format!("api/jobs/{id}/logs"), Body::Empty, bytes_max)?;
        Ok(read::<Logs>(doing, &body)?.logs.unwrap_or_default())
    }

    /// Asks a job to end; returns at once.
    ///
    /// # Errors
    /// The head does not answer as it should.
    pub fn stop(&self, id: &str) -> Result<(), RayError> {
        self.call("stopping a batch", Method::Post, format!("api/jobs/{id}/stop"), Body::Empty, REPLY_MAX)
            .map(drop)
    }

    /// Removes what the head remembers of a job that has ended.
    ///
    /// # Errors
    /// It has not ended, or the head does not answer as it should.
    pub fn delete(&self, id: &str) -> Result<(), RayError> {
        self.call("removing a batch", Method::Delete, format!("api/jobs/{id}"), Body::Empty, REPLY_MAX)
            .map(drop)
    }
}

fn read<T: for<'de> Deserialize<'de>>(doing: &str, body: &[u8]) -> Result<T, RayError> {
    serde_json::from_slice(body).map_err(|error| {
        let start: String = String::from_utf8_lossy(&body[..body.len().min(80)])
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        RayError::new(doing, RayErrorKind::NotRay(format!("{error}; the answer begins {start:?}")))
    })
}

/// What stands at the door of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Ray's version.
    pub version: String,
    /// Whether the job interface answers to anybody: who reaches it can run commands on every node.
    pub is_open: bool,
}

/// Looks at a head with our token and without one.
///
/// # Errors
/// Nobody answers, the token is missing or wrong, or it is not Ray that answers.
pub fn door(ours: &dyn Http, anonymous: &dyn Http) -> Result<Door, RayError> {
    let version = Jobs::new(ours).version()?;
    let request = Request {
        method: Method::Get,
        path: "api/jobs/".into(),
        body: Body::Empty,
        reply_bytes_max: REPLY_MAX,
    };
    let is_open = match anonymous.call(request) {
        Ok(_) => true,
        // More jobs than fit are an answer, too.
        Err(error) => error.kind == HttpErrorKind::TooLarge,
    };
    Ok(Door { version, is_open })
}
