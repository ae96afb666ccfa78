//! Every call of the engine, so that its interface is used in one place.

use crate::clock::SystemClock;
use crate::console;
use crate::exit::Failure;
use crate::progress::Watcher;
use crate::signals;
use ansatz_core::clock::Clock;
use ansatz_core::secret::Secret;
use ansatz_engine::tune::{
    ModelOracle, Nobody, Oracle, OracleSettings, Surroundings, TuneNews, TuneOptions, TuneResult,
};
use ansatz_engine::{Control, Keys, LlmOptions, Options, Prediction, RunError, RunResult};
use std::path::Path;
use std::sync::Arc;

/// Carries out a run; Ctrl-C stops it.
///
/// # Errors
/// When nothing usable comes out.
pub fn run(options: Options, keys: Keys, clock: SystemClock, watcher: Watcher) -> Result<RunResult, Failure> {
    let stop = Arc::new(Control::default());
    signals::listen(Arc::clone(&stop), watcher.announcer())?;
    Ok(ansatz_engine::run(options, keys, shared(clock), Box::new(watcher), stop)?)
}

/// Takes up a run that was interrupted; Ctrl-C stops it.
///
/// # Errors
/// When nothing usable comes out.
pub fn resume(
    folder: &Path,
    home: &Path,
    keys: Keys,
    clock: SystemClock,
    watcher: Watcher,
) -> Result<RunResult, Failure> {
    let stop = Arc::new(Control::default());
    signals::listen(Arc::clone(&stop), watcher.announcer())?;
    Ok(ansatz_engine::resume(folder, home, keys, shared(clock), Box::new(watcher), stop)?)
}

/// Predicts the rows of a file with a run's delivered model. `progress` hears about first-run set-up.
///
/// # Errors
/// When the run has no model, or the file lacks a column that it uses.
pub fn predict(
    run: &Path,
    home: &Path,
    input: &Path,
    progress: &mut dyn FnMut(String),
) -> Result<Prediction, Failure> {
    Ok(ansatz_engine::predict(run, home, input, progress)?)
}

/// Searches the parameters of a command; Ctrl-C stops the search.
///
/// # Errors
/// When the request makes no sense or the command gives no number.
pub fn tune(
    options: TuneOptions,
    mind: Option<StudyMind>,
    clock: SystemClock,
    news: &mut dyn FnMut(TuneNews),
) -> Result<TuneResult, Failure> {
    with_stop(clock, mind, news, |surroundings| ansatz_engine::tune::tune(options, surroundings))
}

/// Goes on with an interrupted study; Ctrl-C stops it.
///
/// # Errors
/// As [`tune`].
pub fn resume_study(
    folder: &Path,
    mind: Option<StudyMind>,
    clock: SystemClock,
    news: &mut dyn FnMut(TuneNews),
) -> Result<TuneResult, Failure> {
    with_stop(clock, mind, news, |surroundings| ansatz_engine::tune::resume(folder, surroundings))
}

fn with_stop(
    clock: SystemClock,
    mind: Option<StudyMind>,
    news: &mut dyn FnMut(TuneNews),
    work: impl FnOnce(Surroundings<'_>) -> Result<TuneResult, RunError>,
) -> Result<TuneResult, Failure> {
    let stop = Arc::new(Control::default());
    signals::listen(Arc::clone(&stop), Box::new(|text| console::write_error(&format!("{text}\n"))))?;
    let oracle: Box<dyn Oracle> = match mind {
        Some(mind) => Box::new(ModelOracle::connect(&mind.llm, &mind.keys, mind.settings, &shared(clock))?),
        None => Box::new(Nobody),
    };
    Ok(work(Surroundings { clock: shared(clock), stop: &stop, news, oracle })?)
}

/// The language model of a study.
pub struct StudyMind {
    /// Which one.
    pub llm: LlmOptions,
    /// Keys of its endpoints.
    pub keys: Vec<Option<Secret>>,
    /// What it may use and is told.
    pub settings: OracleSettings,
}

fn shared(clock: SystemClock) -> Arc<dyn Clock> {
    Arc::new(clock)
}
