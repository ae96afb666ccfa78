//! The interface against answers that a real head (Ray 2.60) gave, and whole batches against a small head made of them.

use super::api::JobStatus;
use super::drive::{Batch, BatchEnd, Leftover, Package, Surroundings, Told, put_away, run, sweep};
use super::frame::{Frame, News, Writer};
use super::http::{Body, Http, HttpError, HttpErrorKind, Method, Request};
use super::life::Ask;
use super::{Door, Jobs, RayErrorKind, Submission, door};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const ASK: Ask = Ask { cpus: 1.0, gpus: 0.0, memory_bytes: 0 };

/// What a line to a head makes of an answer.
fn recorded(name: &str) -> Result<Vec<u8>, HttpError> {
    let all: Value = serde_json::from_str(include_str!("../../testdata/ray.json")).unwrap();
    let (status, body) =
        (all[name]["status"].as_u64().expect(name) as u16, all[name]["body"].as_str().unwrap());
    if status != 200 {
        return Err(HttpError::new(
            HttpErrorKind::Status(status),
            body.chars().take(200).collect::<String>(),
        ));
    }
    if body.starts_with("<!doctype html>") {
        return Err(HttpError::new(HttpErrorKind::WebPage, "a web page came instead of data"));
    }
    Ok(body.as_bytes().to_vec())
}

/// Gives the same answer to everything.
struct Always(&'static str);

impl Http for Always {
    fn call(&self, _: Request) -> Result<Vec<u8>, HttpError> {
        if self.0 == "nobody" {
            return Err(HttpError::new(HttpErrorKind::Unreachable, "connection refused"));
        }
        recorded(self.0)
    }
}

#[test]
fn a_door_is_looked_at_with_and_without_the_token() {
    let closed = door(&Always("version"), &Always("token_missing")).unwrap();
    assert_eq!(closed, Door { version: "2.60.0".into(), is_open: false });
    assert!(door(&Always("version"), &Always("no_jobs")).unwrap().is_open);
}

#[test]
fn every_kind_of_wrong_door_has_its_words_and_its_hint() {
    let said = |answer| {
        let error = door(&Always(answer), &Always("token_missing")).unwrap_err();
        format!("{error} / {}", error.hint())
    };
    assert!(
        said("nobody").contains("does not answer (connection refused) / start a head"),
        "{}",
        said("nobody")
    );
    assert!(said("token_missing").contains("demands a token / put the cluster's token into RAY_AUTH_TOKEN"));
    assert!(said("token_wrong").contains("refuses the token"));
    for not_ray in ["page", "unknown_path", "no_jobs", "submitted"] {
        assert!(said(not_ray).contains("not Ray's job interface"), "{}", said(not_ray));
    }
}

#[test]
fn jobs_are_read_as_ray_writes_them() {
    let job = |name| Jobs::new(&Always(name)).job("ansatz-t1").unwrap();
    for (name, status) in [
        ("pending", JobStatus::Pending),
        ("running", JobStatus::Running),
        ("succeeded", JobStatus::Succeeded),
        ("stopped", JobStatus::Stopped),
        ("failed_command", JobStatus::Failed),
    ] {
        assert_eq!(job(name).status, status, "{name}");
    }
    assert!(job("running").driver_node_id.unwrap().starts_with("779b4754"));
    let lost = job("failed_node");
    assert_eq!(lost.error_type.as_deref(), Some("JOB_SUPERVISOR_ACTOR_DIED"));
    assert!(
        lost.words().starts_with("Job supervisor actor died: The actor died unexpectedly"),
        "{}",
        lost.words()
    );
    assert!(!lost.words().contains('\n'));
    assert_eq!(*Jobs::new(&Always("job_unknown")).job("x").unwrap_err().kind(), RayErrorKind::NotFound);
    assert!(Jobs::new(&Always("log")).log("x", 1000).unwrap().contains("begun"));
    assert!(Jobs::new(&Always("log_of_lost_node")).log("x", 1000).is_err());
}

#[test]
fn packages_are_looked_for_and_their_size_is_known() {
    assert!(Jobs::new(&Always("package_there")).has_package("x.zip").unwrap());
    assert!(!Jobs::new(&Always("package_unknown")).has_package("x.zip").unwrap());
    let too_large = Jobs::new(&Always("package_too_large")).put_package("x.zip", vec![0]).unwrap_err();
    assert!(matches!(too_large.kind(), RayErrorKind::TooLarge(_)) && too_large.hint().contains("100 MiB"));
}

/// What comes of an attempt: its log, and how the job stands (a recorded answer).
type Script = Box<dyn Fn(usize, &str, &BTreeSet<usize>) -> (String, &'static str) + Send>;

/// A head with a node behind it that follows a script.
struct Head(Mutex<State>);

struct State {
    script: Script,
    packages: BTreeSet<String>,
    jobs: BTreeMap<String, Started>,
    calls: Vec<String>,
    attempts: usize,
    /// The next answer to a submission is lost on its way back.
    loses_answer: bool,
}

struct Started {
    metadata: Value,
    log: String,
    status: &'static str,
    looks: usize,
    comes_back: bool,
}

impl Head {
    fn new(
        script: impl Fn(usize, &str, &BTreeSet<usize>) -> (String, &'static str) + Send + 'static,
    ) -> Self {
        Self(Mutex::new(State {
            script: Box::new(script),
            packages: BTreeSet::new(),
            jobs: BTreeMap::new(),
            calls: Vec::new(),
            attempts: 0,
            loses_answer: false,
        }))
    }

    fn calls(&self, of: &str) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|call| call.starts_with(of)).count()
    }
}

impl Http for Head {
    fn call(&self, request: Request) -> Result<Vec<u8>, HttpError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(format!("{:?} {}", request.method, request.path));
        let parts: Vec<&str> = request.path.split('/').collect();
        match (request.method, parts.as_slice(), request.body) {
            (Method::Get, ["api", "packages", "gcs", name], _) => {
                recorded(if state.packages.contains(*name) { "package_there" } else { "package_unknown" })
            }
            (Method::Put, ["api", "packages", "gcs", name], Body::Bytes(_)) => {
                state.packages.insert((*name).to_owned());
                recorded("package_stored")
            }
            (Method::Post, ["api", "jobs", ""], Body::Json(text)) => state.submit(&text),
            (Method::Get, ["api", "jobs", ""], _) => {
                let jobs: Vec<Value> = state.jobs.iter().map(|(id, job)| job.answer(id)).collect();
                Ok(json!(jobs).to_string().into_bytes())
            }
            (Method::Get, ["api", "jobs", id], _) => match state.jobs.get_mut(*id) {
                None => recorded("job_unknown"),
                Some(job) => {
                    job.looks += 1;
                    Ok(job.answer(id).to_string().into_bytes())
                }
            },
            (Method::Get, ["api", "jobs", id, "logs"], _) => match state.jobs.get(*id) {
                Some(job) if job.status == "failed_node" => recorded("log_of_lost_node"),
                Some(job) => Ok(json!({"logs": job.log}).to_string().into_bytes()),
                None => recorded("job_unknown"),
            },
            (Method::Post, ["api", "jobs", id, "stop"], _) => {
                if let Some(job) = state.jobs.get_mut(*id) {
                    job.status = "stopped";
                }
                recorded("stop")
            }
            (Method::Delete, ["api", "jobs", id], _) => {
                if state.jobs.get(*id).is_some_and(|job| job.status == "running") {
                    return recorded("delete_of_living");
                }
                // Ray's watch over a job writes it down once more when it was removed too early.
                if let Some(job) = state.jobs.remove(*id)
                    && job.comes_back
                {
                    let ghost = Started { status: "failed_node", comes_back: false, ..job };
                    state.jobs.insert((*id).to_owned(), ghost);
                }
                recorded("deleted")
            }
            other => panic!("{other:?}"),
        }
    }
}

impl State {
    fn submit(&mut self, text: &str) -> Result<Vec<u8>, HttpError> {
        let body: Value = serde_json::from_str(text).unwrap();
        let id = body["submission_id"].as_str().unwrap().to_owned();
        let environment = &body["runtime_env"];
        let wanted =
            environment["py_modules"].as_array().unwrap().iter().chain([&environment["working_dir"]]);
        for package in wanted.map(|package| package.as_str().unwrap().strip_prefix("gcs://").unwrap()) {
            assert!(self.packages.contains(package), "{package} was not sent");
        }
        if self.jobs.contains_key(&id) {
            return recorded("submitted_twice");
        }
        let mut words = body["entrypoint"].as_str().unwrap().split(' ').skip(1);
        let token = words.next().unwrap();
        let skip =
            words.next().unwrap_or_default().split(',').filter_map(|number| number.parse().ok()).collect();
        self.attempts += 1;
        let (log, status) = (self.script)(self.attempts, token, &skip);
        let metadata = body["metadata"].clone();
        self.jobs.insert(
            id.clone(),
            Started { metadata, log, status, looks: 0, comes_back: status == "succeeded" },
        );
        if std::mem::take(&mut self.loses_answer) {
            return Err(HttpError::new(HttpErrorKind::Unreachable, "the connection broke"));
        }
        Ok(json!({"job_id": id, "submission_id": id}).to_string().into_bytes())
    }
}

impl Started {
    fn answer(&self, id: &str) -> Value {
        let name = if self.looks < 2 { "pending" } else { self.status };
        let mut job: Value = serde_json::from_slice(&recorded(name).unwrap()).unwrap();
        job["submission_id"] = json!(id);
        job["metadata"] = self.metadata.clone();
        job
    }
}

/// A clock that moves only when somebody waits.
struct Clock {
    now: Cell<Duration>,
    stop_at: Duration,
}

impl Surroundings for Clock {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn pause(&self, time: Duration) {
        self.now.set(self.now.get() + time);
    }

    fn stopped(&self) -> bool {
        self.now.get() >= self.stop_at
    }
}

/// The log of a node that ends these trials.
fn log_of(token: &str, trials: &[usize]) -> String {
    let mut out = Vec::new();
    let writer = Writer::new(&mut out, token, 1 << 20, None);
    for index in trials {
        let array =
            writer.array("predictions", format!("{index} of {token}").as_bytes(), 0).unwrap().unwrap();
        let body = json!({"trial": index});
        writer.say(&Frame::Result { index: *index, body, arrays: vec![array] }).unwrap();
    }
    drop(writer);
    String::from_utf8(out).unwrap()
}

struct Outcome {
    end: BatchEnd,
    leftover: Leftover,
    /// Results in the order of their arrival, with the bytes that came.
    results: Vec<(usize, String)>,
    again: Vec<String>,
    sent: u64,
    took: Duration,
}

/// Carries a batch of three trials through.
fn carry(head: &Head, stop_after: Duration) -> Outcome {
    let clock = Clock { now: Cell::new(Duration::ZERO), stop_at: stop_after };
    let make = |text: &'static str| move || Ok(text.as_bytes().to_vec());
    let (orders, program, data) = (make("orders"), make("program"), make("data"));
    let package = |name: &str, make| Package { name: name.into(), make };
    let batch = Batch {
        run: "r1".into(),
        key: "0123456789abcdef".into(),
        orders: package("orders.zip", &orders),
        beside: vec![package("program.zip", &program), package("data.zip", &data)],
        command: "node {}".into(),
        count: 3,
        ask: ASK,
        log_bytes_max: 1 << 20,
        array_bytes_max: 1 << 20,
        share: None,
    };
    let (mut results, mut again, mut sent) = (Vec::new(), Vec::new(), 0);
    let (end, leftover) = run(Jobs::new(head), &batch, &clock, &mut |told| match told {
        Told::News(_, News::Result { index, arrays, .. }) => {
            let text = arrays.map(|mut arrays| arrays.remove("predictions").unwrap()).unwrap();
            results.push((index, String::from_utf8(text).unwrap()));
        }
        Told::News(..) | Told::Read(_) => {}
        Told::Sent(bytes) => sent += bytes,
        Told::Again(why) => again.push(why.to_owned()),
    });
    Outcome { end, leftover, results, again, sent, took: clock.now() }
}

/// Puts away what a batch left; gives the number of jobs that the head still knows.
fn tidied(head: &Head, outcome: &Outcome) -> usize {
    let clock = Clock { now: Cell::new(Duration::ZERO), stop_at: FOREVER };
    put_away(Jobs::new(head), &outcome.leftover, &clock, Duration::ZERO);
    assert!(clock.now() < Duration::from_secs(20), "{:?}", clock.now());
    head.0.lock().unwrap().jobs.len()
}

const FOREVER: Duration = Duration::from_hours(100);

fn indices(outcome: &Outcome) -> Vec<usize> {
    outcome.results.iter().map(|(index, _)| *index).collect()
}

#[test]
fn a_batch_goes_out_comes_back_and_leaves_nothing() {
    let head = Head::new(|_, token, _| (log_of(token, &[1, 0, 2]), "succeeded"));
    let first = carry(&head, FOREVER);
    assert_eq!((first.end.clone(), indices(&first)), (BatchEnd::Complete, vec![1, 0, 2]));
    assert_eq!(first.sent, ("orders".len() + "program".len() + "data".len()) as u64);
    assert_eq!((head.calls("Put"), tidied(&head, &first)), (3, 0));
    assert!(first.took < Duration::from_secs(5), "{:?}", first.took);
    // What the head has is not sent again.
    assert_eq!(carry(&head, FOREVER).sent, 0);
}

#[test]
fn a_lost_node_costs_one_attempt_and_only_what_is_missing_is_done_again() {
    let head = Head::new(|attempt, token, skip| {
        let skip: Vec<usize> = skip.iter().copied().collect();
        if attempt == 1 {
            return (log_of(token, &[2]), "running");
        }
        assert_eq!(skip, [2]);
        (log_of(token, &[0, 1]), "succeeded")
    });
    let outcome = carry(&head, FOREVER);
    assert_eq!((outcome.end.clone(), indices(&outcome)), (BatchEnd::Complete, vec![2, 0, 1]));
    assert_eq!(outcome.again, ["its node has said nothing for 30 s"]);
    let head = Head::new(|attempt, token, _| match attempt {
        1 => (String::new(), "failed_node"),
        _ => (log_of(token, &[0, 1, 2]), "succeeded"),
    });
    let outcome = carry(&head, FOREVER);
    assert_eq!(outcome.end, BatchEnd::Complete);
    assert!(outcome.again[0].contains("The actor died because its node has died"), "{:?}", outcome.again);
    assert!(outcome.took < Duration::from_secs(10), "{:?}", outcome.took);
}

#[test]
fn results_of_an_older_attempt_do_not_count() {
    let stale = std::sync::Arc::new(Mutex::new(String::new()));
    let head = Head::new(move |attempt, token, _| {
        let mut stale = stale.lock().unwrap();
        if attempt == 1 {
            *stale = log_of(token, &[0, 1, 2]);
            return ("sh: out of luck\n".into(), "failed_command");
        }
        // The first attempt was not dead after all, and writes where the second one does.
        (stale.clone() + &log_of(token, &[0, 1, 2]), "succeeded")
    });
    let outcome = carry(&head, FOREVER);
    assert_eq!(outcome.end, BatchEnd::Complete);
    let tokens: BTreeSet<&str> =
        outcome.results.iter().map(|(_, text)| text.rsplit(' ').next().unwrap()).collect();
    assert_eq!((outcome.results.len(), tokens.len()), (3, 1), "{:?}", outcome.results);
}

#[test]
fn two_lost_attempts_end_a_batch_with_its_last_words() {
    let head = Head::new(|_, _, _| ("disk full\n".into(), "failed_command"));
    let outcome = carry(&head, FOREVER);
    let BatchEnd::Lost { reason, head: false, .. } = &outcome.end else { panic!("{:?}", outcome.end) };
    assert!(reason.contains("failed with exit code 3") && reason.contains("disk full"), "{reason}");
    assert_eq!((outcome.again.len(), head.0.lock().unwrap().attempts), (1, 2));
}

#[test]
fn a_node_that_may_not_run_the_batch_is_believed_at_once() {
    let refusal = |kind: &'static str| {
        Head::new(move |_, token, _| {
            let mut out = Vec::new();
            let (message, hint) = ("no user namespaces".to_owned(), Some("enable them".to_owned()));
            let frame = Frame::Refused { kind: kind.into(), message, hint };
            Writer::new(&mut out, token, 100, None).say(&frame).unwrap();
            (String::from_utf8(out).unwrap(), "succeeded")
        })
    };
    let outcome = carry(&refusal("sandbox"), FOREVER);
    assert!(matches!(&outcome.end, BatchEnd::Refused { kind, hint: Some(_), .. } if kind == "sandbox"));
    assert!(outcome.again.is_empty());
    // What another node may have is tried once more.
    assert_eq!(carry(&refusal("environment"), FOREVER).again, ["no user namespaces"]);
}

#[test]
fn a_lost_answer_does_not_start_a_second_job() {
    let head = Head::new(|_, token, _| (log_of(token, &[0, 1, 2]), "succeeded"));
    head.0.lock().unwrap().loses_answer = true;
    assert_eq!(carry(&head, FOREVER).end, BatchEnd::Complete);
    assert_eq!(head.0.lock().unwrap().attempts, 1);
}

#[test]
fn somebody_elses_job_of_the_same_name_is_not_ours() {
    let head = Head::new(|_, _, _| (String::new(), "running"));
    head.0.lock().unwrap().packages.insert("w.zip".into());
    let submission = |owner: &str| Submission {
        id: "x".into(),
        entrypoint: "node t".into(),
        folder: "w.zip".into(),
        beside: Vec::new(),
        metadata: BTreeMap::from([("ansatz_run".into(), owner.into())]),
        ask: ASK,
    };
    Jobs::new(&head).submit(&submission("me")).unwrap();
    Jobs::new(&head).submit(&submission("me")).unwrap();
    assert!(matches!(
        Jobs::new(&head).submit(&submission("you")).unwrap_err().kind(),
        RayErrorKind::Failing(_)
    ));
}

#[test]
fn a_stop_keeps_what_has_arrived_and_ends_the_job() {
    let head = Head::new(|_, token, _| (log_of(token, &[1]), "running"));
    let outcome = carry(&head, Duration::from_secs(8));
    assert_eq!((outcome.end.clone(), indices(&outcome)), (BatchEnd::Stopped, vec![1]));
    assert!(outcome.took < Duration::from_secs(9));
    assert_eq!(tidied(&head, &outcome), 0);
    assert_eq!(head.calls("Post api/jobs/ansatz-"), 1);
}

#[test]
fn what_an_earlier_life_left_is_swept_and_nothing_else() {
    let head = Head::new(|_, _, _| (String::new(), "running"));
    assert_eq!(carry(&head, Duration::from_secs(5)).end, BatchEnd::Stopped);
    assert_eq!(sweep(Jobs::new(&head), "another").unwrap(), 0);
    assert_eq!(sweep(Jobs::new(&head), "r1").unwrap(), 1);
    assert!(head.0.lock().unwrap().jobs.is_empty());
}

/// A head that is gone.
#[test]
fn a_head_that_is_gone_is_waited_for_as_long_as_a_lease() {
    let clock = Clock { now: Cell::new(Duration::ZERO), stop_at: FOREVER };
    let make = || Ok(Vec::new());
    let batch = Batch {
        run: "r".into(),
        key: "0123456789abcdef".into(),
        orders: Package { name: "o.zip".into(), make: &make },
        beside: Vec::new(),
        command: "node {}".into(),
        count: 1,
        ask: ASK,
        log_bytes_max: 1,
        array_bytes_max: 1,
        share: None,
    };
    let (end, _) = run(Jobs::new(&Always("nobody")), &batch, &clock, &mut |_| {});
    let BatchEnd::Lost { reason, hint: Some(hint), head: true } = end else { panic!("{end:?}") };
    assert!(reason.contains("does not answer") && hint.contains("ray start --head"), "{reason} {hint}");
    assert!((30..33).contains(&clock.now().as_secs()), "{:?}", clock.now());
}
