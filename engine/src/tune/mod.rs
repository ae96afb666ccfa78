//! `tune`: searches the parameters of any command that prints a number.
//!
//! The study decides ([`ansatz_tuner`]), threads run the command, and one loop owns all state. What happens is on disk
//! (`study.jsonl`) before anything is built upon it, so an interrupted study goes on where it was: finished runs of the
//! command are not repeated.
//!
//! Invariant: only the user's own command is run, outside any cell, as the user would run it; no generated code.

mod asking;
mod command;
mod diary;
mod driver;
mod lessons;
mod noise;
mod oracle;
mod reading;
mod result;
mod telling;

pub use command::written;
pub use diary::FILE_NAME;
pub use oracle::{ModelOracle, OracleSettings};
pub use result::{Best, Calibration, Comparison, TuneEnd, TuneResult, TuneTrial};

use crate::control::Control;
use crate::error::RunError;
use crate::options::LlmOptions;
use ansatz_core::bill::Bill;
use ansatz_core::candidate::Params;
use ansatz_core::clock::Clock;
use ansatz_core::seed::Seed;
use ansatz_memory::Record;
use ansatz_tuner::pruner::Pruner;
use ansatz_tuner::pruners;
use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::samplers;
use ansatz_tuner::space::Space;
use ansatz_tuner::study::{GOALS_MAX, Study};
use ansatz_tuner::transfer::{Past, PastTrial};
use ansatz_tuner::trial::Direction;
use diary::Diary;
use driver::Driver;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Name of the file that keeps what was asked for.
const REQUEST: &str = "tune.json";
/// Name of the result.
const RESULT: &str = "result.json";
/// Trials of a study that is given neither trials nor time.
pub const TRIALS_DEFAULT: u32 = 50;

/// Steps that a pruner reckons with where nobody says how many values a run reports.
const STEPS_DEFAULT: u64 = 100;
/// Who stops hopeless runs where nobody says: nobody.
pub const NO_PRUNER: &str = "none";

/// Samplers that search for the front between several goals.
const FRONT_SAMPLERS: [&str; 4] = ["auto", "ehvi", "nsga2", "random"];

/// Something to be made small or large: a field of the command's JSON result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// The field.
    pub name: String,
    /// Which values of it are better.
    pub direction: Direction,
}

/// What a study is to do; kept beside it, so that going on needs nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneOptions {
    /// What can be set.
    pub space: Space,
    /// The command: program and arguments, `{name}` standing for a parameter.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Where the study is kept.
    pub out: PathBuf,
    /// Which values are better, where no goals are named.
    pub direction: Direction,
    /// Fields of the result; none: one number. With several the search looks for the front between them.
    #[serde(default)]
    pub goals: Vec<Goal>,
    /// Trials to make.
    pub trials: Option<u32>,
    /// Time to use.
    pub wall: Option<Duration>,
    /// The seed.
    pub seed: Seed,
    /// How to search: a name that [`ansatz_tuner::samplers::by_name`] knows.
    pub sampler: String,
    /// Who ranks a language model's proposals: a name that the sampler `llambo` knows.
    #[serde(default)]
    pub ranking: Option<String>,
    /// Who stops hopeless runs by the values that they report: a name that [`ansatz_tuner::pruners::by_name`] knows.
    #[serde(default)]
    pub pruner: Option<String>,
    /// How many values a run reports, about.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Runs of the command at the same time.
    pub parallel: usize,
    /// Measurements of a configuration; those that are clearly behind get fewer.
    pub repeats: u32,
    /// Longest time of one run; without it ten times what runs have taken so far, and a minute.
    pub timeout: Option<Duration>,
    /// Pairs of runs, default and best by turns, after the search.
    pub confirm: u32,
    /// Configurations to begin with.
    pub starts: Vec<Params>,
    /// What is tuned, in words: for people and language models.
    pub description: Option<String>,
    /// The language model that answers the search's questions, where one does.
    #[serde(default)]
    pub llm: Option<LlmOptions>,
    /// Most tokens of the language model, in both directions.
    #[serde(default)]
    pub tokens_max: Option<u64>,
    /// Most USD for the language model.
    #[serde(default)]
    pub usd_max: Option<f64>,
    /// Earlier studies of the same parameters, whose lessons the search begins with.
    #[serde(default)]
    pub pasts: Vec<Past>,
    /// The folder of the memory that earlier studies are looked up in and this one is left in; none: neither.
    #[serde(default)]
    pub memory: Option<PathBuf>,
}

impl TuneOptions {
    /// Which values are better, under the first goal.
    pub fn direction(&self) -> Direction {
        self.goals.first().map_or(self.direction, |goal| goal.direction)
    }

    fn directions(&self) -> Vec<Direction> {
        let named: Vec<Direction> = self.goals.iter().map(|goal| goal.direction).collect();
        if named.is_empty() { vec![self.direction] } else { named }
    }

    /// Fields of the command's result.
    fn fields(&self) -> Vec<String> {
        self.goals.iter().map(|goal| goal.name.clone()).collect()
    }

    /// Trials of the whole study, where they are limited.
    fn trials_in_all(&self) -> Option<u32> {
        self.trials.or(self.wall.is_none().then_some(TRIALS_DEFAULT))
    }

    /// Who searches.
    fn search(&self) -> Result<Box<dyn Sampler>, RunError> {
        let knowing =
            || -> Box<dyn Sampler> { Box::new(samplers::Transferred::new(self.pasts.clone(), Vec::new())) };
        if self.sampler == samplers::LLAMBO {
            let name = self.ranking.as_deref().unwrap_or(samplers::llambo::Ranking::NAMES[0]);
            let ranking = samplers::llambo::Ranking::by_name(name).ok_or_else(|| {
                RunError::usage(format!("there is no ranking `{name}`"))
                    .hint(format!("choose one of {}", samplers::llambo::Ranking::NAMES.join(", ")))
            })?;
            let settings = samplers::llambo::Settings { ranking, ..samplers::llambo::Settings::default() };
            let alone = samplers::Llambo::new(settings);
            return Ok(Box::new(if self.pasts.is_empty() { alone } else { alone.over(knowing()) }));
        }
        if !self.pasts.is_empty() {
            return Ok(knowing());
        }
        samplers::by_name(&self.sampler).ok_or_else(|| {
            RunError::usage(format!("there is no sampler `{}`", self.sampler))
                .hint(format!("choose one of {}", samplers::NAMES.join(", ")))
        })
    }

    /// Who stops hopeless runs; nobody with several goals, since one value on the way says nothing about the others.
    fn judge(&self) -> Result<Option<Box<dyn Pruner>>, RunError> {
        let Some(name) = self.pruner.as_deref().filter(|name| *name != NO_PRUNER) else { return Ok(None) };
        let pruner = pruners::by_name(name, self.steps.unwrap_or(STEPS_DEFAULT)).ok_or_else(|| {
            RunError::usage(format!("there is no pruner `{name}`"))
                .hint(format!("choose one of {}, {NO_PRUNER}", pruners::NAMES.join(", ")))
        })?;
        Ok(Some(pruner).filter(|_| self.goals.len() < 2))
    }
}

/// Something that is worth showing while a study goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneNews {
    /// A trial ended.
    Ended {
        /// What it came to.
        trial: Box<TuneTrial>,
        /// The best value so far.
        best: Option<f64>,
        /// Whether this trial is the best so far.
        is_best: bool,
    },
    /// The study goes on where an earlier life of it ended.
    Resumed {
        /// Trials that are done.
        done: usize,
    },
    /// A language model is asked; trials go on meanwhile as far as they are known.
    Asking,
    /// Default and best are compared.
    Comparing,
    /// Something should be known.
    Warning(String),
}

/// Gives the bill of the moment.
pub type Counter = Box<dyn Fn() -> Bill + Send>;

/// Who answers a sampler's questions to a language model.
pub trait Oracle: Send {
    /// The answer; [`Answer::Unavailable`] with the cause when there is none.
    fn answer(&mut self, query: &Query, study: &Study) -> Answer;

    /// Who counts what is spent, where somebody does: the bill of the moment, calls under way included.
    fn counter(&self) -> Option<Counter> {
        None
    }

    /// After an answer that did not come: why the study must not go on without.
    fn refusal(&self) -> Option<RunError> {
        None
    }
}

/// Answers nothing: for studies without a model.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Oracle for Nobody {
    fn answer(&mut self, _: &Query, _: &Study) -> Answer {
        Answer::Unavailable { cause: "no language model is configured".into() }
    }
}

/// What a study needs from outside.
pub struct Surroundings<'a> {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The user's wish to stop.
    pub stop: &'a Control,
    /// Hears what happens.
    pub news: &'a mut dyn FnMut(TuneNews),
    /// Answers questions.
    pub oracle: Box<dyn Oracle>,
}

/// Searches until trials, time, space or the user's patience end.
///
/// # Errors
/// When the request makes no sense, the command cannot be started or never gives a number, or the disk fails.
pub fn tune(mut options: TuneOptions, surroundings: Surroundings<'_>) -> Result<TuneResult, RunError> {
    check(&options)?;
    let carried = options.pasts.iter().map(|past| lessons::carried(&options.space, past));
    options.pasts = carried.collect::<Result<_, _>>().map_err(|problem: String| {
        RunError::usage(problem).hint("name studies of the same parameters by --past, or leave it away")
    })?;
    take_folder(&options.out)?;
    let mut warnings = Vec::new();
    // Whoever names a sampler or earlier studies wants these and no others.
    if options.pasts.is_empty()
        && learns(&options.sampler)
        && options.goals.len() < 2
        && let Some(memory) = lessons::memory(&options, &surroundings.clock)
    {
        (options.pasts, warnings) = lessons::pasts(&memory, &options);
    }
    let text = serde_json::to_vec_pretty(&options)
        .map_err(|error| RunError::failed(format!("writing JSON: {error}")))?;
    crate::cells::write_durably(&options.out.join(REQUEST), &text)?;
    let mut driver = Driver::begin(options, surroundings)?;
    for warning in warnings {
        driver.warn(warning);
    }
    driver.run()
}

/// Goes on with an interrupted study; a finished one gives its result again.
///
/// # Errors
/// As [`tune`]; when the folder holds no study.
pub fn resume(out: &Path, surroundings: Surroundings<'_>) -> Result<TuneResult, RunError> {
    let request = out.join(REQUEST);
    let damaged = |path: &Path, error: &dyn std::fmt::Display| {
        RunError::failed(format!("{} is damaged: {error}", path.display()))
            .hint("it was written by another version or damaged; start the study anew with --out")
    };
    let text = std::fs::read(&request).map_err(|error| {
        RunError::usage(format!("{}: {error}", request.display()))
            .hint("give the folder of a study that `ansatz tune` has written")
    })?;
    let mut options: TuneOptions =
        serde_json::from_slice(&text).map_err(|error| damaged(&request, &error))?;
    options.out = out.to_path_buf();
    let finished = out.join(RESULT);
    if let Ok(text) = std::fs::read(&finished) {
        let result: TuneResult = serde_json::from_slice(&text).map_err(|error| damaged(&finished, &error))?;
        if result.end != TuneEnd::Interrupted {
            return Ok(result);
        }
    }
    Driver::go_on(options, surroundings)?.run()
}

/// What a finished or interrupted study teaches others: its trials, on its own scale.
///
/// # Errors
/// The folder holds no result of a study, or one of another version.
pub fn past_of(out: &Path) -> Result<Past, RunError> {
    let result = result_of(out)?;
    let told = result.trials.into_iter().filter(|trial| trial.state == "complete" || trial.state == "failed");
    let trials = told
        .map(|trial| PastTrial {
            loss: trial.value.map(|value| result.direction.loss(value)),
            params: trial.params,
        })
        .collect();
    Ok(Past { name: out.display().to_string(), weight: 1.0, trials })
}

/// What the study in a folder found out, as memory keeps it; `None` when it has no value yet.
///
/// # Errors
/// The folder holds no result of a study, or one of another version.
pub fn remembered(out: &Path) -> Result<Option<Record>, RunError> {
    let result = result_of(out)?;
    let ended = std::fs::metadata(out.join(RESULT)).and_then(|metadata| metadata.modified());
    let at =
        ended.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs());
    let options = TuneOptions { out: out.to_path_buf(), ..options_of(out)? };
    Ok(lessons::study(&options, &result, at).map(|study| Record::Study(Box::new(study))))
}

fn result_of(out: &Path) -> Result<TuneResult, RunError> {
    let path = out.join(RESULT);
    let text = std::fs::read(&path).map_err(|error| {
        RunError::usage(format!("{}: {error}", path.display()))
            .hint("give the folder of a study that `ansatz tune` has brought to an end")
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        RunError::usage(format!("{}: {error}", path.display()))
            .hint("it is not the result of a study, or of another version: leave this study out")
    })
}

/// What a study was asked to do.
///
/// # Errors
/// The folder holds none, or one of another version.
pub fn options_of(out: &Path) -> Result<TuneOptions, RunError> {
    let path = out.join(REQUEST);
    let text = std::fs::read(&path).map_err(|error| RunError::io("reading", &path, &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        RunError::failed(format!("{} is damaged: {error}", path.display()))
            .hint("it was written by another version or damaged; start the study anew with --out")
    })
}

/// What a study's language model has cost so far.
///
/// # Errors
/// The folder holds no study, it is damaged, or another process is at work on it.
pub fn spent(out: &Path) -> Result<Option<Bill>, RunError> {
    Diary::spent(out)
}

/// Whether a study has come to its end: there is nothing to go on with.
pub fn is_over(out: &Path) -> bool {
    result_of(out).is_ok_and(|result| result.end != TuneEnd::Interrupted)
}

/// Whether a folder holds a study.
pub fn is_study(folder: &Path) -> bool {
    folder.join(FILE_NAME).is_file() && folder.join(REQUEST).is_file()
}

/// Whether a sampler learns from earlier studies.
fn learns(sampler: &str) -> bool {
    sampler == samplers::NAMES[0] || sampler == samplers::LLAMBO
}

fn check(options: &TuneOptions) -> Result<(), RunError> {
    if options.command.is_empty() {
        return Err(RunError::usage("there is no command to tune")
            .hint("give it after two dashes: ansatz tune space.toml -- ./bench.sh {name}"));
    }
    if !options.folder.is_dir() {
        return Err(RunError::usage(format!("{} is not a folder", options.folder.display())));
    }
    let names: Vec<String> = options.space.parameters().iter().map(|one| one.name.clone()).collect();
    if let Some((one, other, variable)) = command::colliding(&names) {
        return Err(RunError::usage(format!(
            "the parameters `{one}` and `{other}` would both be {variable}"
        ))
        .hint("rename one of them in the space"));
    }
    if options.space.is_satisfiable() == Some(false) {
        return Err(RunError::usage("no configuration of the space keeps its constraints")
            .hint("loosen the [[constraint]] tables, or widen the ranges"));
    }
    if options.ranking.is_some() && options.sampler != samplers::LLAMBO {
        return Err(RunError::usage("only a language model's proposals are ranked, and none is asked")
            .hint("name one by --llm and --model, or leave --ranking away"));
    }
    options.search()?;
    options.judge()?;
    check_goals(options)?;
    let may_learn = learns(&options.sampler) && options.goals.len() < 2;
    if !options.pasts.is_empty() && !may_learn {
        let what = if options.goals.len() > 1 {
            "a search for several goals".to_owned()
        } else {
            format!("the sampler {}", options.sampler)
        };
        return Err(RunError::usage(format!("{what} does not learn from earlier studies"))
            .hint("leave --sampler and further goals away, or --past"));
    }
    for params in &options.starts {
        options.space.point(params).map_err(|error| {
            RunError::usage(format!("a configuration to start with does not fit the space: {error}"))
                .hint("name every parameter that counts, each with a value of its range")
        })?;
    }
    Ok(())
}

fn check_goals(options: &TuneOptions) -> Result<(), RunError> {
    let names = options.fields();
    if let Some(twice) =
        names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name))
    {
        return Err(RunError::usage(format!("the goal `{twice}` is named twice")));
    }
    if names.len() > GOALS_MAX {
        return Err(RunError::usage(format!("{} goals are too many: at most {GOALS_MAX}", names.len())));
    }
    if names.len() > 1 && options.confirm > 0 {
        return Err(RunError::usage("with several goals there is no one best to compare with the default")
            .hint("leave --confirm away, or name one goal"));
    }
    if names.len() > 1 && !FRONT_SAMPLERS.contains(&options.sampler.as_str()) {
        return Err(RunError::usage(format!(
            "the sampler {} looks at one goal alone, and there are {}",
            options.sampler,
            names.len()
        ))
        .hint(format!("choose one of {}, or name one goal", FRONT_SAMPLERS.join(", "))));
    }
    Ok(())
}

fn take_folder(out: &Path) -> Result<(), RunError> {
    if is_study(out) {
        return Err(RunError::usage(format!("{} already holds a study", out.display()))
            .hint("go on with it by `ansatz resume`, or give another folder with --out"));
    }
    let occupied = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || out.is_file() {
        return Err(RunError::usage(format!("{} exists and is not a folder of ours", out.display()))
            .hint("give an empty or new folder with --out"));
    }
    std::fs::create_dir_all(out).map_err(|error| RunError::io("creating", out, &error))
}
