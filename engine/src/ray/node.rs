//! The other side: what this program does on a node, as the command of a Ray job.
//!
//! It makes the worker's environment if need be, starts the same cell as everywhere, runs the trials of the batch in it and
//! says in the job's log what came of them. It decides nothing and scores nothing.

use super::wire::{BATCH_FILE, BatchFile, MODEL, TrialEnd, WIRE};
use crate::cells;
use crate::environment;
use crate::error::{RunError, RunErrorKind};
use crate::gpu::GpuWorkers;
use crate::options::GpuAsk;
use crate::worker::Worker;
use ansatz_core::event::FailureKind;
use ansatz_sandbox::ray::{Frame, Share, Writer, alive_every};
use ansatz_sandbox::{Launcher, LauncherOptions, Level};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest model that goes into the log; a larger one is trained again when it is needed.
const MODEL_LOG_BYTES_MAX: usize = 8 << 20;

/// What runs trials on this node.
struct Hands {
    worker: Worker,
    gpus: GpuWorkers,
}

/// What a node was started with.
struct Call {
    token: String,
    skip: BTreeSet<usize>,
    folders: Vec<PathBuf>,
}

/// Runs the batch in the current folder. `arguments` are the folders of the packages (joined by colons), the attempt's
/// token, and the numbers of trials to leave out (joined by commas); `home` is where the worker's environment lies on
/// this node. What came of it is in the log; the returned text is for a person who looks there.
///
/// # Errors
/// One line for a person, when nothing could be said at all.
pub fn serve(arguments: &[String], home: &Path) -> Result<(), String> {
    let call = read_call(arguments)?;
    let log = std::os::fd::AsFd::as_fd(&std::io::stdout())
        .try_clone_to_owned()
        .map_err(|error| format!("standard output: {error}"))?;
    let file = std::fs::read(BATCH_FILE).map_err(|error| format!("{BATCH_FILE}: {error}"))?;
    let batch: BatchFile = serde_json::from_slice(&file).map_err(|error| format!("{BATCH_FILE}: {error}"))?;
    let share = batch.share.as_deref().map(|root| Share::new(root, &call.token));
    let writer = Writer::new(File::from(log), &call.token, batch.log_bytes_max, share);
    let stage = Mutex::new("beginning".to_owned());
    let (ended, end) = channel::<()>();
    let outcome = std::thread::scope(|scope| {
        let (writer, stage) = (&writer, &stage);
        scope.spawn(move || {
            loop {
                let now = stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if writer.say(&Frame::Alive { stage: now }).is_err() {
                    break;
                }
                if end.recv_timeout(alive_every()) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        let outcome = work(&call, &batch, home, writer, stage);
        drop(ended);
        outcome
    });
    if let Err(error) = outcome {
        let kind = match error.kind {
            RunErrorKind::Sandbox => "sandbox",
            RunErrorKind::Usage => "batch",
            _ => "environment",
        };
        let refused = Frame::Refused { kind: kind.into(), message: error.message, hint: error.hint };
        writer.say(&refused).map_err(|error| format!("the log: {error}"))?;
    }
    Ok(())
}

fn read_call(arguments: &[String]) -> Result<Call, String> {
    let [folders, token, rest @ ..] = arguments else {
        return Err("this command is for jobs that this program submits to Ray".into());
    };
    let skip = rest.first().map_or("", String::as_str).split(',').filter(|number| !number.is_empty());
    let skip =
        skip.map(str::parse).collect::<Result<_, _>>().map_err(|error| format!("trials to skip: {error}"))?;
    let folders = folders.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    Ok(Call { token: token.clone(), skip, folders })
}

fn work(
    call: &Call,
    batch: &BatchFile,
    home: &Path,
    writer: &Writer<File>,
    stage: &Mutex<String>,
) -> Result<(), RunError> {
    let at = |what: &str| what.clone_into(&mut stage.lock().unwrap_or_else(PoisonError::into_inner));
    if batch.wire != WIRE {
        return Err(RunError::usage(format!(
            "the batch speaks version {} of the wire, not {WIRE}",
            batch.wire
        )));
    }
    let data = data_folder(call, batch)?;
    at("environment");
    let begun = std::time::Instant::now();
    let environment = environment::ensure(home, &mut |line| at(&format!("environment: {line}")))?;
    let setup_s = begun.elapsed().as_secs_f64();
    at("cell");
    let level_min = if batch.strict { Level::L3 } else { Level::L1 };
    let asked = LauncherOptions { level_min, ..LauncherOptions::default() };
    let launcher = Launcher::with_options(cells::helper()?, &asked)
        .map_err(|error| refused(&cells::sandbox_error(&error)))?;
    let effective = launcher.effective().clone();
    let models = tempfile_folder("models")?;
    // Ray counts GPUs; which of them is settled by leases of our own, which all our batches on a node respect.
    let ask = if batch.gpus == 0 { GpuAsk::None } else { GpuAsk::Count(batch.gpus as u16) };
    let mut gpus = GpuWorkers::lease(ask).map_err(|error| refused(&error))?;
    let launcher = Arc::new(launcher);
    gpus.start_with(&launcher, &environment, &data, &models);
    let worker = Worker::launch(&launcher, &environment, &data, &models)?.load(batch.slots)?;
    let hands = Hands { worker, gpus };
    let ready = Frame::Ready { node: name(), effective, versions: hands.worker.versions.clone(), setup_s };
    writer.say(&ready).map_err(|error| log_error(&error))?;
    at("trials");
    let results = trials(call, batch, &hands, writer)?;
    drop(hands);
    writer.say(&Frame::Done { results }).map_err(|error| log_error(&error))
}

/// An error of this node, with its name.
fn refused(error: &RunError) -> RunError {
    let message = format!("{} (on the node {})", error.message, name());
    RunError { message, ..error.clone() }
}

fn log_error(error: &std::io::Error) -> RunError {
    RunError::failed(format!("the job's log cannot be written: {error}"))
}

/// A folder of this batch that cells may see; the working folder goes with the job.
fn tempfile_folder(name: &str) -> Result<PathBuf, RunError> {
    let here =
        std::env::current_dir().map_err(|error| RunError::failed(format!("the working folder: {error}")))?;
    let folder = here.join(name);
    std::fs::create_dir_all(&folder).map_err(|error| RunError::io("creating", &folder, &error))?;
    Ok(folder)
}

fn data_folder(call: &Call, batch: &BatchFile) -> Result<PathBuf, RunError> {
    if let Some(data) = &batch.data {
        return if data.join("complete").is_file() {
            Ok(data.clone())
        } else {
            Err(RunError::usage(format!("the node {} does not see {}", name(), data.display()))
                .hint("--ray-share must be a folder that this machine and all nodes see under the same path"))
        };
    }
    let found = call.folders.iter().find(|folder| folder.join("table.json").is_file());
    found.cloned().ok_or_else(|| RunError::usage("the package of the data did not come"))
}

/// The node's name, as far as it has one.
fn name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "without a name".into() } else { name.chars().take(64).collect() }
}

/// Runs the trials, as many at once as the batch says; gives their number.
fn trials(call: &Call, batch: &BatchFile, hands: &Hands, writer: &Writer<File>) -> Result<usize, RunError> {
    let due: Vec<usize> = (0..batch.trials.len()).filter(|index| !call.skip.contains(index)).collect();
    let next = AtomicUsize::new(0);
    let never = AtomicBool::new(false);
    let trouble: Mutex<Option<RunError>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..batch.slots.clamp(1, due.len().max(1)) {
            scope.spawn(|| {
                while let Some(&index) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = trial(batch, index, hands, writer, &never) {
                        trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        break;
                    }
                }
            });
        }
    });
    match trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(due.len()),
    }
}

fn trial(
    batch: &BatchFile,
    index: usize,
    hands: &Hands,
    writer: &Writer<File>,
    never: &AtomicBool,
) -> Result<(), RunError> {
    let trial = &batch.trials[index];
    let read =
        |name: &String| std::fs::read(name).map_err(|error| RunError::usage(format!("{name}: {error}")));
    let sealed = trial.sealed.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let blobs: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
    let on_gpu = hands.gpus.run(&trial.order, &blobs, never);
    let result = on_gpu.unwrap_or_else(|| hands.worker.run(&trial.order, &blobs, never));
    if let Err(failure) = &result
        && failure.worker_lost
    {
        return Err(RunError::failed(format!("the worker was lost: {}", failure.message)));
    }
    let (mut end, payload) = TrialEnd::of(result);
    let mut arrays = Vec::new();
    for (name, bytes) in payload {
        let is_model = name == MODEL;
        if is_model && bytes.len() > MODEL_LOG_BYTES_MAX && batch.share.is_none() {
            continue;
        }
        // Models can be trained again; predictions cannot do without their place.
        let spare = if is_model { batch.log_bytes_max / 3 * 2 } else { 0 };
        match writer.array(name, &bytes, spare).map_err(|error| log_error(&error))? {
            Some(array) => arrays.push(array),
            None if is_model => {}
            None => {
                let message = format!(
                    "its predictions have {} MiB, more than the log of the job takes; name a folder that all nodes see: --ray-share DIR",
                    bytes.len() >> 20
                );
                let cpu_s = if let TrialEnd::Done { cpu_s, .. } = end { cpu_s } else { 0.0 };
                end = TrialEnd::Failed { kind: FailureKind::Predictions, message, cpu_s };
                arrays.clear();
                break;
            }
        }
    }
    let body = serde_json::to_value(&end).map_err(|error| RunError::failed(format!("a result: {error}")))?;
    writer.say(&Frame::Result { index, body, arrays }).map_err(|error| log_error(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &[&str]) -> Result<Call, String> {
        read_call(&arguments.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_names_packages_token_and_what_is_done() {
        let read = call(&["/a/b::/c", "t0", "3,0"]).unwrap();
        assert_eq!((read.token.as_str(), read.folders.len()), ("t0", 2));
        assert_eq!(read.skip, BTreeSet::from([0, 3]));
        assert!(call(&["", "t0"]).unwrap().skip.is_empty());
        assert!(call(&[]).is_err() && call(&["", "t", "x"]).is_err());
    }
}
