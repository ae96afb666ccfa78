//! The host's side of a batch: packs it, has it carried through, and turns what comes back into results of trials.

use super::line::{Checked, Line, check, refused};
use super::options::RayOptions;
use super::ship::{self, Data, PROGRAM, Program, Sealed};
use super::wire::{BatchFile, TrialEnd};
use crate::cells::ARRAYS_BYTES_MAX;
use crate::error::{RunError, RunErrorKind};
use crate::protocol::Order;
use crate::worker::{TrialFailure, TrialOutput};
use ansatz_core::event::FailureKind;
use ansatz_core::outcome::{ClusterSummary, NodeSummary, SandboxSummary};
use ansatz_core::secret::Secret;
use ansatz_sandbox::Effective;
use ansatz_sandbox::ray::{
    self as cluster, Ask, Batch, BatchEnd, Jobs, Leftover, News, Package, Surroundings, Told, put_away, sweep,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of arrays that the log of one batch may carry.
const LOG_BYTES_MAX: u64 = 48 << 20;
/// Longest answer that is read: a log with its arrays, as JSON.
const REPLY_BYTES_MAX: u64 = 128 << 20;
/// Time that the end of a run gives to putting its last jobs away.
const PUT_AWAY_MAX: Duration = Duration::from_secs(8);
/// Time for a job that has said its last word to end by itself.
const END_MAX: Duration = Duration::from_secs(5);
/// The hidden subcommand that runs a batch on a node.
pub const SUBCOMMAND: &str = "__ray-batch";

/// A trial on its way to Ray.
pub struct Trial<K> {
    /// What it is.
    pub key: K,
    /// What is to be done.
    pub order: Order,
    /// What only the child may see.
    pub sealed: Vec<Vec<u8>>,
}

/// What is known of a batch while its node speaks.
struct Hearing<'a> {
    orders: &'a [Sealed],
    begun: Instant,
    /// Seconds until the node's cell stood.
    start_s: f64,
    nodes: BTreeSet<String>,
}

/// A node that ran trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What its cells enforce.
    pub effective: Effective,
    /// Versions of its worker's libraries.
    pub versions: BTreeMap<String, String>,
    /// Batches that it took.
    pub batches: u32,
    /// Trials whose results came from it.
    pub trials: u32,
}

/// Something that ends the use of the cluster in this run.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The head is gone.
    Gone(RunError),
    /// A node refused, and others would, too.
    Refused(RunError),
}

/// What has been seen of the cluster so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Nodes by Ray's id.
    pub nodes: BTreeMap<String, Node>,
    /// Batches that were carried through.
    pub batches: u32,
    /// Batches that needed a second attempt.
    pub again: u32,
    /// Bytes of packages that were sent.
    pub sent_bytes: u64,
    /// Packages that were sent.
    pub sent: u32,
    /// Bytes of logs that were read.
    pub read_bytes: u64,
    /// What the user should know; taken by whoever tells it.
    pub warnings: Vec<String>,
    /// What ended the use of the cluster.
    pub trouble: Option<Trouble>,
}

struct Inner {
    line: Line,
    options: RayOptions,
    run: String,
    version: String,
    strict: bool,
    data_folder: PathBuf,
    /// Made when the first batch goes out: the data are written by then.
    cargo: OnceLock<Result<(Program, Data), RunError>>,
    tally: Mutex<Tally>,
    leaving: Mutex<Vec<JoinHandle<()>>>,
    begun: Instant,
}

/// The use of a Ray cluster by one run. Cheap to clone.
#[derive(Clone)]
pub struct Ray(Arc<Inner>);

impl Ray {
    /// Takes up the use of a cluster.
    ///
    /// # Errors
    /// Of kind `Sandbox` when there is no usable head; see [`check`].
    pub fn connect(
        options: &RayOptions,
        token: Option<&Secret>,
        run: &str,
        strict: bool,
        data_folder: &Path,
    ) -> Result<(Self, Checked), RunError> {
        let checked = check(options, token)?;
        let line = Line::new(options, token, REPLY_BYTES_MAX)?;
        let inner = Inner {
            line,
            options: options.clone(),
            run: cluster::hash(run.as_bytes())[..12].to_owned(),
            version: checked.version.clone(),
            strict,
            data_folder: data_folder.to_path_buf(),
            cargo: OnceLock::new(),
            tally: Mutex::default(),
            leaving: Mutex::default(),
            begun: Instant::now(),
        };
        Ok((Self(Arc::new(inner)), checked))
    }

    /// Ends what an earlier life of this run left at Ray.
    ///
    /// # Errors
    /// The head does not answer.
    pub fn sweep(&self) -> Result<usize, RunError> {
        sweep(Jobs::new(&self.0.line), &self.0.run).map_err(|error| refused(&self.0.options.address, &error))
    }

    /// Trials that one batch runs at once.
    pub fn cores(&self) -> usize {
        self.0.options.cpus.max(1) as usize
    }

    /// Warnings that nobody has taken yet.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.0.tally().warnings)
    }

    /// What ended the use of the cluster, if anything did.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.tally().trouble.clone()
    }

    /// Runs trials as one batch; `deliver` hears of each end as it becomes known, exactly once per trial.
    pub fn run<K>(
        &self,
        trials: Vec<Trial<K>>,
        stop: &AtomicBool,
        deliver: &mut dyn FnMut(K, Result<TrialOutput, TrialFailure>),
    ) {
        let (keys, orders): (Vec<K>, Vec<Sealed>) =
            trials.into_iter().map(|trial| (trial.key, (trial.order, trial.sealed))).unzip();
        let mut open: BTreeMap<usize, K> = keys.into_iter().enumerate().collect();
        let failure = self.0.carry(&orders, stop, &mut |index, result| {
            if let Some(key) = open.remove(&index) {
                deliver(key, result);
            }
        });
        let failure = failure.unwrap_or_else(|| lost(FailureKind::Error, "no result came".into()));
        for (_, key) in open {
            deliver(key, Err(failure.clone()));
        }
    }

    /// What the result says of the sandbox; `local` is what this machine enforces.
    pub fn summary(&self, local: &Effective) -> SandboxSummary {
        summary(&self.0.tally(), &self.0.version, local)
    }

    /// Waits until the jobs that were stopped are put away; not longer than a few seconds.
    pub fn leave(&self) {
        let deadline = Instant::now() + PUT_AWAY_MAX;
        let leaving = std::mem::take(&mut *self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in leaving {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn lost(kind: FailureKind, message: String) -> TrialFailure {
    TrialFailure { kind, message, cpu_s: 0.0, worker_lost: false }
}

struct Watch<'a> {
    begun: Instant,
    stop: &'a AtomicBool,
}

impl Surroundings for Watch<'_> {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cargo(&self) -> Result<&(Program, Data), RunError> {
        let made = self.cargo.get_or_init(|| {
            Ok((Program::this()?, Data::of(&self.data_folder, self.options.share.as_deref())?))
        });
        made.as_ref().map_err(RunError::clone)
    }

    /// Carries a batch through. Gives what is to be said of trials without a result.
    fn carry(
        self: &Arc<Self>,
        orders: &[Sealed],
        stop: &AtomicBool,
        deliver: &mut dyn FnMut(usize, Result<TrialOutput, TrialFailure>),
    ) -> Option<TrialFailure> {
        if let Some(Trouble::Gone(error) | Trouble::Refused(error)) = self.tally().trouble.clone() {
            return Some(lost(FailureKind::Cancelled, error.message));
        }
        match self.try_carry(orders, stop, deliver) {
            Ok((end, leftover)) => {
                let grace = if end == BatchEnd::Complete { END_MAX } else { Duration::ZERO };
                self.put_away_later(leftover, grace);
                self.conclude(end)
            }
            Err(error) => {
                let failure = lost(FailureKind::Error, error.message.clone());
                self.tally().trouble.get_or_insert(Trouble::Refused(error));
                Some(failure)
            }
        }
    }

    fn try_carry(
        self: &Arc<Self>,
        orders: &[Sealed],
        stop: &AtomicBool,
        deliver: &mut dyn FnMut(usize, Result<TrialOutput, TrialFailure>),
    ) -> Result<(BatchEnd, Leftover), RunError> {
        let (program, data) = self.cargo()?;
        let file = BatchFile {
            wire: 0,
            slots: self.options.cpus.max(1) as usize,
            gpus: self.options.gpus,
            log_bytes_max: LOG_BYTES_MAX,
            share: self.options.share.clone(),
            data: if let Data::Share(place) = data { Some(place.clone()) } else { None },
            strict: self.strict,
            trials: Vec::new(),
        };
        let packed = ship::orders(orders, file)?;
        let make_orders = || Ok(packed.package.clone());
        let make_program = || Ok(program.pack());
        let make_data = || ship::pack(&self.data_folder).map_err(|error| error.message);
        let mut beside = vec![Package { name: program.package.clone(), make: &make_program }];
        if let Data::Package(name) = data {
            beside.push(Package { name: name.clone(), make: &make_data });
        }
        let batch = Batch {
            run: self.run.clone(),
            orders: Package { name: format!("ansatz-orders-{}.zip", &packed.key[..32]), make: &make_orders },
            key: packed.key.clone(),
            beside,
            command: command(),
            count: orders.len(),
            ask: Ask {
                cpus: f64::from(self.options.cpus.max(1)),
                gpus: f64::from(self.options.gpus),
                memory_bytes: self.options.memory_bytes,
            },
            log_bytes_max: LOG_BYTES_MAX,
            array_bytes_max: ARRAYS_BYTES_MAX,
            share: self.options.share.clone(),
        };
        let watch = Watch { begun: self.begun, stop };
        let mut hearing = Hearing { orders, begun: Instant::now(), start_s: 0.0, nodes: BTreeSet::new() };
        Ok(cluster::run(Jobs::new(&self.line), &batch, &watch, &mut |told| match told {
            Told::News(node, news) => self.hear(node, news, &mut hearing, deliver),
            Told::Sent(bytes) => {
                let mut tally = self.tally();
                tally.sent_bytes += bytes;
                tally.sent += 1;
            }
            Told::Read(bytes) => self.tally().read_bytes += bytes,
            Told::Again(why) => {
                let mut tally = self.tally();
                tally.again += 1;
                tally
                    .warnings
                    .push(format!("a batch of {} trials was given to Ray again: {why}", batch.count));
            }
        }))
    }

    fn hear(
        &self,
        id: &str,
        news: News,
        hearing: &mut Hearing<'_>,
        deliver: &mut dyn FnMut(usize, Result<TrialOutput, TrialFailure>),
    ) {
        match news {
            News::Ready { node, effective, versions, .. } => {
                hearing.start_s = hearing.begun.elapsed().as_secs_f64();
                let mut tally = self.tally();
                let new =
                    || Node { name: node, effective: effective.clone(), versions, batches: 0, trials: 0 };
                let known = tally.nodes.entry(id.to_owned()).or_insert_with(new);
                known.effective.clone_from(&effective);
                known.batches += u32::from(hearing.nodes.insert(id.to_owned()));
            }
            News::Result { index, body, arrays } => {
                let Some((order, _)) = hearing.orders.get(index) else { return };
                let result = match serde_json::from_value::<TrialEnd>(body) {
                    Ok(end) => end.result(order, arrays, hearing.start_s),
                    Err(error) => {
                        Err(lost(FailureKind::Error, format!("a result that is not ours: {error}")))
                    }
                };
                if let Some(node) = self.tally().nodes.get_mut(id) {
                    node.trials += 1;
                }
                deliver(index, result);
            }
            News::Alive(_) | News::Refused { .. } | News::Done => {}
        }
    }

    fn conclude(self: &Arc<Self>, end: BatchEnd) -> Option<TrialFailure> {
        match end {
            BatchEnd::Complete => {
                self.tally().batches += 1;
                None
            }
            BatchEnd::Stopped => Some(lost(FailureKind::Cancelled, "the run was stopped".into())),
            BatchEnd::Lost { reason, hint, head } => {
                let message = format!("Ray lost the batch: {reason}");
                if head {
                    let mut error = RunError::new(RunErrorKind::Sandbox, message.clone());
                    error.hint = hint;
                    self.tally().trouble.get_or_insert(Trouble::Gone(error));
                    return Some(lost(FailureKind::Cancelled, message));
                }
                self.tally().warnings.push(message.clone());
                Some(lost(FailureKind::Error, message))
            }
            BatchEnd::Refused { kind, message, hint } => {
                let kind = if kind == "sandbox" { RunErrorKind::Sandbox } else { RunErrorKind::Failed };
                let mut error = RunError::new(kind, format!("a Ray node refuses: {message}"));
                error.hint = hint;
                let failure = lost(FailureKind::Cancelled, error.message.clone());
                self.tally().trouble.get_or_insert(Trouble::Refused(error));
                Some(failure)
            }
        }
    }

    /// Ends and removes jobs in the background: the run has better things to do, at its end above all.
    fn put_away_later(self: &Arc<Self>, leftover: Leftover, grace: Duration) {
        let inner = Arc::clone(self);
        let thread = std::thread::spawn(move || {
            let never = AtomicBool::new(false);
            let watch = Watch { begun: inner.begun, stop: &never };
            put_away(Jobs::new(&inner.line), &leftover, &watch, grace);
        });
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }
}

/// The job's command: finds the program among the packages and becomes it. Ray gives it to a shell.
fn command() -> String {
    format!(
        "IFS=:; for folder in $PYTHONPATH; do if [ -f \"$folder/{PROGRAM}\" ]; then \
         exec \"$folder/{PROGRAM}\" {SUBCOMMAND} \"$PYTHONPATH\" {{}}; fi; done; \
         echo 'the package of the program did not come' >&2; exit 72"
    )
}

/// What the result says of the sandbox: the lowest level, barriers that hold everywhere, what is missing anywhere.
fn summary(tally: &Tally, version: &str, local: &Effective) -> SandboxSummary {
    let mut summary = SandboxSummary {
        backend: "ray".into(),
        level: String::new(),
        enforced: local.enforced.clone(),
        missing: local.missing.iter().map(|what| format!("here: {what}")).collect(),
        cluster: None,
    };
    let mut level = local.level;
    for node in tally.nodes.values() {
        level = level.min(node.effective.level);
        summary.enforced.retain(|barrier| node.effective.enforced.contains(barrier));
        summary.missing.extend(node.effective.missing.iter().map(|what| format!("{}: {what}", node.name)));
    }
    summary.level = level.to_string();
    let nodes = tally.nodes.iter().map(|(id, node)| NodeSummary {
        id: id.clone(),
        name: node.name.clone(),
        backend: node.effective.backend.clone(),
        level: node.effective.level.to_string(),
        batches: node.batches,
        trials: node.trials,
    });
    summary.cluster = Some(ClusterSummary {
        software: format!("Ray {version}"),
        nodes: nodes.collect(),
        here: format!(
            "{}, {}: reading the data, questions to solutions, predicting with kept models, the proof of the delivered model",
            local.backend, local.level
        ),
        batches: tally.batches,
        batches_again: tally.again,
        packages: tally.sent,
        sent_bytes: tally.sent_bytes,
        read_bytes: tally.read_bytes,
    });
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_sandbox::Level;

    fn effective(level: Level, enforced: &[&str], missing: &[&str]) -> Effective {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Effective { backend: "native".into(), level, enforced: words(enforced), missing: words(missing) }
    }

    #[test]
    fn the_weakest_node_decides_what_is_claimed() {
        let node = |name: &str, effective| Node {
            name: name.into(),
            effective,
            versions: BTreeMap::new(),
            batches: 2,
            trials: 9,
        };
        let weak = effective(Level::L2, &["network"], &["memory group: not delegated"]);
        let strong = effective(Level::L3, &["network", "memory group"], &[]);
        let nodes =
            BTreeMap::from([("a".into(), node("n1", strong.clone())), ("b".into(), node("n2", weak))]);
        let summary = summary(&Tally { nodes, ..Tally::default() }, "2.60.0", &strong);
        assert_eq!((summary.backend.as_str(), summary.level.as_str()), ("ray", "L2"));
        assert_eq!(summary.enforced, ["network"]);
        assert_eq!(summary.missing, ["n2: memory group: not delegated"]);
        let cluster = summary.cluster.unwrap();
        assert_eq!(cluster.nodes.iter().map(|node| node.level.as_str()).collect::<Vec<_>>(), ["L3", "L2"]);
        assert!(cluster.here.starts_with("native, L3"));
    }

    #[test]
    fn the_command_finds_the_program_among_the_packages() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["one", "two words"].map(|name| folder.path().join(name));
        for place in &places {
            std::fs::create_dir(place).unwrap();
        }
        let run = |path: &str| {
            let command = command().replace("{}", "t0ken 1,2");
            let output =
                std::process::Command::new("sh").arg("-c").arg(command).env("PYTHONPATH", path).output();
            let output = output.unwrap();
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let path = places.clone().map(|place| place.display().to_string()).join(":");
        assert_eq!(run(&path).0, Some(72));
        let program = places[1].join(PROGRAM);
        std::fs::write(&program, "#!/bin/sh\necho \"$#|$1|$2|$3|$4\"\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        assert_eq!(run(&path), (Some(0), format!("4|{SUBCOMMAND}|{path}|t0ken|1,2\n")));
    }
}
