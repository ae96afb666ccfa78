//! Carries a batch through: packages, submission, watching, a second attempt, and leaving nothing behind.

use super::api::{Job, Jobs, Submission};
use super::error::{RayError, RayErrorKind};
use super::frame::{Log, News, Share, hash};
use super::life::{ATTEMPTS_MAX, Ask, LEASE, Life, Next, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// Pause between two looks at a job.
const LOOK_EVERY: Duration = Duration::from_millis(700);
/// Slices of a pause, so that a wish to stop is heard.
const SLICE: Duration = Duration::from_millis(50);
/// A log is read again after this many times the time that reading it took.
const READ_PATIENCE: u32 = 8;
/// Longest log that is read, beside what arrays may take of it.
const LOG_SLACK: u64 = 16 << 20;
/// Time for a stopped job to end.
const STOP_MAX: Duration = Duration::from_secs(5);
/// How often a job is removed, and the time after which it must not be back.
const REMOVALS_MAX: u32 = 3;
const REMOVED_AFTER: Duration = Duration::from_millis(1200);
/// Attempts at sending something while the head is silent.
const SEND_AGAIN: Duration = Duration::from_secs(2);
/// Metadata under which our jobs are found again.
pub const RUN_KEY: &str = "ansatz_run";

/// Time and the user's patience, as the caller has them.
pub trait Surroundings {
    /// Time since some moment.
    fn now(&self) -> Duration;
    /// Waits.
    fn pause(&self, time: Duration);
    /// Whether the batch is not wanted any more.
    fn stopped(&self) -> bool;
}

/// A package, named by what it holds and made only when the head lacks it.
pub struct Package<'a> {
    /// Its name in the head's store, ending in `.zip`.
    pub name: String,
    /// Makes it.
    pub make: &'a (dyn Fn() -> Result<Vec<u8>, String> + Sync),
}

/// A batch of trials.
pub struct Batch<'a> {
    /// The run it belongs to.
    pub run: String,
    /// What it holds, as a hash; the same batch is the same job.
    pub key: String,
    /// Orders and labels; the job's working folder.
    pub orders: Package<'a>,
    /// The program and the data.
    pub beside: Vec<Package<'a>>,
    /// The command, for a shell; the attempt's token and the numbers of trials to be left out take the place of `{}`.
    pub command: String,
    /// Number of trials.
    pub count: usize,
    /// Resources.
    pub ask: Ask,
    /// Bytes of arrays that the log may carry.
    pub log_bytes_max: u64,
    /// Most bytes of one array.
    pub array_bytes_max: u64,
    /// A folder that all nodes and this machine see.
    pub share: Option<PathBuf>,
}

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchEnd {
    /// All results are in.
    Complete,
    /// It was not wanted any more; results that had arrived were handed on.
    Stopped,
    /// It was given up.
    Lost {
        /// Why, after the attempts that were made.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
        /// Whether the head itself is to blame.
        head: bool,
    },
    /// A node refused it.
    Refused {
        /// `sandbox`, `environment` or `batch`.
        kind: String,
        /// Why.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// What happens on the way, told to the caller.
#[derive(Debug)]
pub enum Told<'a> {
    /// Something new in the log, and the node that wrote it.
    News(&'a str, News),
    /// Bytes of a package were sent.
    Sent(u64),
    /// Bytes of a log were read.
    Read(u64),
    /// An attempt failed; a second one follows.
    Again(&'a str),
}

/// What a batch leaves at Ray: jobs that may still run, and what they put into a shared folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Each attempt's job, with its part of the shared folder.
    attempts: Vec<(String, Option<Share>)>,
}

impl Leftover {
    fn of(batch: &Batch<'_>, attempt: u32) -> Self {
        let share = |attempt| batch.share.as_deref().map(|root| Share::new(root, &token(batch, attempt)));
        Self { attempts: (1..=attempt).map(|attempt| (id(batch, attempt), share(attempt))).collect() }
    }
}

/// The id of an attempt's job: the same batch gets the same.
fn id(batch: &Batch<'_>, attempt: u32) -> String {
    format!("ansatz-{}-{}-{attempt}", batch.run, &batch.key[..12])
}

/// What an attempt's lines begin with.
fn token(batch: &Batch<'_>, attempt: u32) -> String {
    hash(format!("{} {}", id(batch, attempt), batch.key).as_bytes())[..24].to_owned()
}

/// Carries a batch to its end. What it leaves is to be [put away](put_away), which takes some seconds.
pub fn run(
    jobs: Jobs<'_>,
    batch: &Batch<'_>,
    surroundings: &dyn Surroundings,
    tell: &mut dyn FnMut(Told<'_>),
) -> (BatchEnd, Leftover) {
    let mut driver = Driver {
        jobs,
        batch,
        surroundings,
        tell,
        done: BTreeSet::new(),
        life: Life::new(batch.ask, surroundings.now()),
    };
    driver.drive()
}

struct Driver<'a, 'b> {
    jobs: Jobs<'a>,
    batch: &'a Batch<'a>,
    surroundings: &'a dyn Surroundings,
    tell: &'a mut (dyn FnMut(Told<'_>) + 'b),
    done: BTreeSet<usize>,
    life: Life,
}

enum Attempt {
    Ended(BatchEnd),
    Again(String),
}

impl Driver<'_, '_> {
    fn drive(&mut self) -> (BatchEnd, Leftover) {
        loop {
            let attempt = self.life.attempt();
            let (id, token) = (id(self.batch, attempt), token(self.batch, attempt));
            let ended = match self.send(&id, &token) {
                Ok(true) => self.watch(&id, &token),
                Ok(false) => Attempt::Ended(BatchEnd::Stopped),
                Err(error) => self.failed(&error),
            };
            match ended {
                Attempt::Ended(end) => return (end, Leftover::of(self.batch, attempt)),
                Attempt::Again(why) => {
                    (self.tell)(Told::Again(&why));
                    // The old attempt may live on a node that cannot be reached; nobody listens to it any more.
                    let _ = self.jobs.stop(&id);
                    self.life.submitted(self.surroundings.now());
                }
            }
        }
    }

    fn failed(&self, error: &RayError) -> Attempt {
        let head = matches!(error.kind(), RayErrorKind::Absent(_) | RayErrorKind::Failing(_));
        if self.life.attempt() < ATTEMPTS_MAX && !head {
            return Attempt::Again(error.to_string());
        }
        Attempt::Ended(BatchEnd::Lost {
            reason: error.to_string(),
            hint: Some(error.hint().to_owned()),
            head,
        })
    }

    /// Sends what the head lacks, then the job itself. False when it was stopped before.
    fn send(&mut self, id: &str, token: &str) -> Result<bool, RayError> {
        let begun = self.surroundings.now();
        loop {
            if self.surroundings.stopped() {
                return Ok(false);
            }
            match self.send_once(id, token) {
                Ok(()) => return Ok(true),
                // A head that is being started, or started anew, gets the time of a lease.
                Err(error)
                    if matches!(error.kind(), RayErrorKind::Absent(_) | RayErrorKind::Failing(_))
                        && self.surroundings.now().saturating_sub(begun) < LEASE =>
                {
                    self.pause(SEND_AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn send_once(&mut self, id: &str, token: &str) -> Result<(), RayError> {
        for package in self.batch.beside.iter().chain([&self.batch.orders]) {
            if self.jobs.has_package(&package.name)? {
                continue;
            }
            let bytes = (package.make)()
                .map_err(|why| RayError::new("making a package", RayErrorKind::Refused(why)))?;
            let size = bytes.len() as u64;
            self.jobs.put_package(&package.name, bytes)?;
            (self.tell)(Told::Sent(size));
        }
        let skip: Vec<String> = self.done.iter().map(usize::to_string).collect();
        let submission = Submission {
            id: id.to_owned(),
            entrypoint: self.batch.command.replace("{}", format!("{token} {}", skip.join(",")).trim_end()),
            folder: self.batch.orders.name.clone(),
            beside: self.batch.beside.iter().map(|package| package.name.clone()).collect(),
            metadata: BTreeMap::from([
                (RUN_KEY.to_owned(), self.batch.run.clone()),
                ("ansatz_batch".to_owned(), self.batch.key.clone()),
            ]),
            ask: self.batch.ask,
        };
        self.jobs.submit(&submission)?;
        // The same batch of an earlier life of this run may have been stopped or lost; then it is begun anew.
        let job = self.jobs.job(id)?;
        if job.status.is_terminal() && job.status != super::JobStatus::Succeeded {
            self.jobs.delete(id)?;
            self.jobs.submit(&submission)?;
        }
        Ok(())
    }

    fn watch(&mut self, id: &str, token: &str) -> Attempt {
        let share = self.batch.share.as_deref().map(|root| Share::new(root, token));
        let mut log = Log::new(token, self.batch.array_bytes_max, share);
        let mut next_read = Duration::ZERO;
        let mut refused = None;
        loop {
            let stopped = self.surroundings.stopped();
            let seen = self.jobs.job(id);
            let now = self.surroundings.now();
            let mut news = false;
            if let Ok(job) = &seen
                && job.status != super::JobStatus::Pending
                && (now >= next_read || job.status.is_terminal() || stopped)
            {
                let read = self.jobs.log(id, self.batch.log_bytes_max + LOG_SLACK);
                let took = self.surroundings.now().saturating_sub(now);
                next_read = self.surroundings.now() + took * READ_PATIENCE;
                match read {
                    Ok(text) => {
                        (self.tell)(Told::Read(text.len() as u64));
                        news = self.hand_on(job, log.take(&text), &mut refused);
                    }
                    Err(error) if matches!(error.kind(), RayErrorKind::TooLarge(_)) => {
                        let reason = format!("its log is larger than it may be: {error}");
                        return Attempt::Ended(BatchEnd::Lost { reason, hint: None, head: false });
                    }
                    // A node that is gone does not give its log; the lease decides.
                    Err(_) => {}
                }
            }
            match refused.take() {
                // Another node may have what this one lacks.
                Some(BatchEnd::Refused { kind, message, .. })
                    if kind == "environment" && self.life.attempt() < ATTEMPTS_MAX =>
                {
                    return Attempt::Again(message);
                }
                Some(end) => return Attempt::Ended(end),
                None => {}
            }
            let complete = self.done.len() == self.batch.count;
            if stopped && !complete {
                return Attempt::Ended(BatchEnd::Stopped);
            }
            let next = match &seen {
                Ok(job) => self.life.observe(now, Seen::Job { job, news, complete }),
                Err(error) if *error.kind() == RayErrorKind::NotFound => {
                    self.life.observe(now, Seen::Unknown)
                }
                Err(error) => self.life.observe(now, Seen::Silence(&error.to_string())),
            };
            match next {
                Next::Wait => self.pause(LOOK_EVERY),
                Next::Complete => return Attempt::Ended(BatchEnd::Complete),
                Next::Again(why) => return Attempt::Again(with_words(why, &log)),
                Next::Lost(why) => {
                    let head = seen.is_err();
                    let hint = seen.err().map(|error| error.hint().to_owned());
                    return Attempt::Ended(BatchEnd::Lost { reason: with_words(why, &log), hint, head });
                }
            }
        }
    }

    /// Hands news on; says whether there was any.
    fn hand_on(&mut self, job: &Job, news: Vec<News>, refused: &mut Option<BatchEnd>) -> bool {
        let node = job.driver_node_id.as_deref().unwrap_or_default();
        let any = !news.is_empty();
        for item in news {
            match &item {
                News::Refused { kind, message, hint } => {
                    let (kind, message, hint) = (kind.clone(), message.clone(), hint.clone());
                    *refused = Some(BatchEnd::Refused { kind, message, hint });
                }
                News::Result { index, .. } if *index >= self.batch.count || !self.done.insert(*index) => {
                    continue;
                }
                _ => {}
            }
            (self.tell)(Told::News(node, item));
        }
        any
    }

    fn pause(&self, time: Duration) {
        let mut left = time;
        while left > Duration::ZERO && !self.surroundings.stopped() {
            let slice = left.min(SLICE);
            self.surroundings.pause(slice);
            left -= slice;
        }
    }
}

fn with_words(why: String, log: &Log) -> String {
    match log.last_words() {
        Some(words) if !why.contains(words) => format!("{why} (its last words: {words})"),
        _ => why,
    }
}

/// Ends jobs of a batch that still live, after a `grace` in which they may end by themselves, and removes them from the
/// head's books.
pub fn put_away(jobs: Jobs<'_>, leftover: &Leftover, surroundings: &dyn Surroundings, grace: Duration) {
    for (id, share) in &leftover.attempts {
        let lives = |limit: Duration| {
            let begun = surroundings.now();
            loop {
                match jobs.job(id) {
                    Ok(job) if !job.status.is_terminal() => {}
                    _ => return false,
                }
                if surroundings.now().saturating_sub(begun) >= limit {
                    return true;
                }
                surroundings.pause(LOOK_EVERY);
            }
        };
        if lives(grace) {
            let _ = jobs.stop(id);
            lives(STOP_MAX);
        }
        // Refused while it lives; it is then forgotten when the head is. Ray's own watch over a job writes it down anew
        // when it was removed before that watch had seen its end.
        for _ in 0..REMOVALS_MAX {
            let _ = jobs.delete(id);
            surroundings.pause(REMOVED_AFTER);
            if !jobs.job(id).is_ok_and(|job| job.status.is_terminal()) {
                break;
            }
        }
        if let Some(share) = share {
            share.clear();
        }
    }
}

/// Ends what an earlier life of a run left behind. Gives how many jobs that were.
///
/// # Errors
/// The head does not answer.
pub fn sweep(jobs: Jobs<'_>, run: &str) -> Result<usize, RayError> {
    let mut swept = 0;
    for job in jobs.jobs()? {
        let ours =
            job.metadata.as_ref().and_then(|words| words.get(RUN_KEY)).is_some_and(|owner| owner == run);
        if let (true, Some(id)) = (ours, &job.submission_id) {
            if !job.status.is_terminal() {
                jobs.stop(id)?;
                swept += 1;
            }
            let _ = jobs.delete(id);
        }
    }
    Ok(swept)
}
