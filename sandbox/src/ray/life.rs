//! The life of a batch at Ray, as a function of what was seen: whether to wait, to try again, or to give up.
//!
//! A batch is submitted at most twice. An attempt is over when Ray says so, when its node has said nothing for the length
//! of its lease, or when the head itself has not answered for that long.

use super::api::{Job, JobStatus};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often a batch is submitted.
pub const ATTEMPTS_MAX: u32 = 2;
/// A node that said nothing for so long is given up.
pub const LEASE: Duration = Duration::from_secs(30);
/// Longest wait for resources. Ray itself gives up after 15 minutes.
pub const PENDING_MAX: Duration = Duration::from_mins(10);
/// Time between a job's end and the last of its log.
const LOG_REST_MAX: Duration = Duration::from_secs(5);
/// Time for a job to begin to speak: a program has to be copied and to start.
const FIRST_WORD_MAX: Duration = Duration::from_mins(2);

/// What a batch asks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Processor cores; as many trials run at once.
    pub cpus: f64,
    /// Graphics processors.
    pub gpus: f64,
    /// Memory in bytes; 0 asks for none in particular.
    pub memory_bytes: u64,
}

impl Ask {
    fn words(&self) -> String {
        let mut words = vec![format!("{} cores", self.cpus)];
        if self.gpus > 0.0 {
            words.push(format!("{} GPUs", self.gpus));
        }
        if self.memory_bytes > 0 {
            words.push(format!("{} MiB of memory", self.memory_bytes >> 20));
        }
        words.join(", ")
    }
}

/// What was seen when the head was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen<'a> {
    /// The job, and whether its log had something new of ours.
    Job {
        /// The job.
        job: &'a Job,
        /// Whether there was news.
        news: bool,
        /// Whether every trial has ended.
        complete: bool,
    },
    /// The head does not know the job.
    Unknown,
    /// The head did not answer.
    Silence(&'a str),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Look again in a while.
    Wait,
    /// Everything is here.
    Complete,
    /// Submit what is missing anew.
    Again(String),
    /// Give the batch up.
    Lost(String),
}

/// How a batch stands.
#[derive(Debug, Clone)]
pub struct Life {
    ask: Ask,
    attempt: u32,
    submitted: Duration,
    reached: Duration,
    heard: Option<Duration>,
    running: Option<Duration>,
    ended: Option<Duration>,
}

impl Life {
    /// A batch whose first attempt is submitted now.
    pub fn new(ask: Ask, now: Duration) -> Self {
        let mut life =
            Self { ask, attempt: 0, submitted: now, reached: now, heard: None, running: None, ended: None };
        life.submitted(now);
        life
    }

    /// Notes that a further attempt is submitted now.
    pub fn submitted(&mut self, now: Duration) {
        self.attempt += 1;
        (self.submitted, self.reached) = (now, now);
        (self.heard, self.running, self.ended) = (None, None, None);
    }

    /// The present attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What to do after something was seen.
    pub fn observe(&mut self, now: Duration, seen: Seen<'_>) -> Next {
        match seen {
            Seen::Silence(why) => {
                if now.saturating_sub(self.reached) >= LEASE {
                    return self.again(format!("the head has not answered for {} s: {why}", LEASE.as_secs()));
                }
                Next::Wait
            }
            Seen::Unknown => {
                self.reached = now;
                self.again("the head does not know the batch any more".into())
            }
            Seen::Job { complete: true, .. } => Next::Complete,
            Seen::Job { job, news, complete: false } => {
                self.reached = now;
                if news {
                    self.heard = Some(now);
                }
                self.judge(now, job)
            }
        }
    }

    fn judge(&mut self, now: Duration, job: &Job) -> Next {
        match job.status {
            JobStatus::Pending | JobStatus::Unknown => {
                if now.saturating_sub(self.submitted) < PENDING_MAX {
                    return Next::Wait;
                }
                let minutes = PENDING_MAX.as_secs() / 60;
                Next::Lost(format!(
                    "no node took it within {minutes} minutes; it asks for {}",
                    self.ask.words()
                ))
            }
            JobStatus::Running => {
                let since = *self.running.get_or_insert(now);
                let (heard, limit) = self.heard.map_or((since, FIRST_WORD_MAX), |heard| (heard, LEASE));
                if now.saturating_sub(heard) < limit {
                    return Next::Wait;
                }
                self.again(format!("its node has said nothing for {} s", limit.as_secs()))
            }
            JobStatus::Stopped => Next::Lost("somebody stopped it".into()),
            JobStatus::Succeeded | JobStatus::Failed => {
                // The last lines may still be on their way to the file.
                let ended = *self.ended.get_or_insert(now);
                if job.status == JobStatus::Succeeded && now.saturating_sub(ended) < LOG_REST_MAX {
                    return Next::Wait;
                }
                let words = match job.words() {
                    words if words.is_empty() || job.status == JobStatus::Succeeded => {
                        "it ended without all results".to_owned()
                    }
                    words => words,
                };
                match job.error_type.as_deref() {
                    Some("JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE" | "JOB_SUPERVISOR_ACTOR_START_TIMEOUT") => {
                        Next::Lost(format!("no node can take it; it asks for {}: {words}", self.ask.words()))
                    }
                    _ => self.again(words),
                }
            }
        }
    }

    fn again(&self, why: String) -> Next {
        if self.attempt < ATTEMPTS_MAX { Next::Again(why) } else { Next::Lost(why) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { cpus: 2.0, gpus: 1.0, memory_bytes: 1 << 30 };

    fn job(status: JobStatus, error_type: Option<&str>) -> Job {
        Job {
            submission_id: None,
            status,
            message: Some("Job supervisor actor died:\n  its node is gone".into()),
            error_type: error_type.map(str::to_owned),
            driver_node_id: None,
            metadata: None,
        }
    }

    /// What is decided at each of the given seconds.
    fn check(life: &mut Life, seen: &[(u64, JobStatus, bool)], expected: &Next) {
        let mut last = Next::Wait;
        for (index, (second, status, news)) in seen.iter().enumerate() {
            let job = job(*status, None);
            last = life
                .observe(Duration::from_secs(*second), Seen::Job { job: &job, news: *news, complete: false });
            assert!(index + 1 == seen.len() || last == Next::Wait, "{second}: {last:?}");
        }
        assert_eq!(last, *expected);
    }

    fn new() -> Life {
        Life::new(ASK, Duration::ZERO)
    }

    use JobStatus::{Failed, Pending, Running, Stopped, Succeeded};

    #[test]
    fn a_node_that_speaks_keeps_its_lease() {
        let seen = [(1, Pending, false), (90, Running, false), (150, Running, true), (179, Running, false)];
        check(&mut new(), &seen, &Next::Wait);
    }

    #[test]
    fn a_silent_node_is_given_up_once_and_then_for_good() {
        let mut life = new();
        let why = "its node has said nothing for 30 s".to_owned();
        check(
            &mut life,
            &[(1, Running, true), (30, Running, false), (31, Running, false)],
            &Next::Again(why.clone()),
        );
        life.submitted(Duration::from_secs(31));
        assert_eq!(life.attempt(), 2);
        check(&mut life, &[(40, Running, true), (70, Running, false)], &Next::Lost(why));
    }

    #[test]
    fn a_lost_node_costs_one_attempt() {
        let why = "Job supervisor actor died: its node is gone".to_owned();
        check(&mut new(), &[(1, Running, true), (9, Failed, false)], &Next::Again(why));
    }

    #[test]
    fn the_end_of_the_log_may_come_late() {
        let why = &Next::Again("it ended without all results".into());
        check(&mut new(), &[(1, Running, true), (2, Succeeded, true), (6, Succeeded, false)], &Next::Wait);
        check(&mut new(), &[(1, Running, true), (2, Succeeded, true), (7, Succeeded, false)], why);
    }

    #[test]
    fn what_nobody_can_take_is_not_asked_twice() {
        let why = "no node took it within 10 minutes; it asks for 2 cores, 1 GPUs, 1024 MiB of memory";
        check(&mut new(), &[(599, Pending, false), (600, Pending, false)], &Next::Lost(why.into()));
        let job = job(Failed, Some("JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE"));
        let next = new().observe(Duration::ZERO, Seen::Job { job: &job, news: false, complete: false });
        assert!(
            matches!(next, Next::Lost(why) if why.starts_with("no node can take it; it asks for 2 cores"))
        );
    }

    #[test]
    fn somebody_elses_stop_is_respected() {
        check(
            &mut new(),
            &[(1, Running, true), (2, Stopped, false)],
            &Next::Lost("somebody stopped it".into()),
        );
    }

    #[test]
    fn a_head_that_is_silent_for_a_moment_is_waited_for() {
        let mut life = new();
        assert_eq!(life.observe(Duration::from_secs(29), Seen::Silence("refused")), Next::Wait);
        check(&mut life, &[(29, Running, true)], &Next::Wait);
        assert_eq!(life.observe(Duration::from_secs(58), Seen::Silence("refused")), Next::Wait);
        let next = life.observe(Duration::from_secs(59), Seen::Silence("refused"));
        assert_eq!(next, Next::Again("the head has not answered for 30 s: refused".into()));
    }

    #[test]
    fn a_head_that_was_started_anew_gets_the_batch_again() {
        assert!(matches!(new().observe(Duration::from_secs(3), Seen::Unknown), Next::Again(_)));
    }

    #[test]
    fn complete_is_complete_however_the_job_ended() {
        let job = job(Failed, None);
        let seen = Seen::Job { job: &job, news: true, complete: true };
        assert_eq!(new().observe(Duration::from_secs(1), seen), Next::Complete);
    }
}
