//! `ansatz run DATA`: what was typed, what it means, and the result.

use super::Session;
use super::ray::{self, RayArgs};
use crate::console;
use crate::engine;
use crate::exit::{Exit, Failure};
use crate::llm::{self, LlmFlags};
use crate::sources;
use crate::summary;
use ansatz_core::budget::Budget;
use ansatz_core::clock::Clock as _;
use ansatz_core::ids::RunId;
use ansatz_core::seed::Seed;
use ansatz_engine::{FunctionFile, GpuAsk, Keys, Options, RunResult, SearchMethod};
use ansatz_planner::Plan;
use ansatz_report::number::date;
use ansatz_sandbox::BackendChoice;
use clap::{Args, ValueEnum};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest task text that is read from a file, in bytes.
const TASK_TEXT_MAX: u64 = 1 << 20;

/// Letters of the data's name in a run's id.
const NAME_MAX: usize = 24;

/// Longest time that a run can be given: a year.
const SECONDS_MAX: f64 = 365.0 * 86_400.0;

#[derive(Debug, Clone, PartialEq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that can be typed")]
pub struct RunArgs {
    /// A CSV, TSV or Parquet file, a folder or zip archive with train.csv and perhaps test.csv, `sample_submission.csv`, task.md; or an
    /// http(s) address of a file, openml:NUMBER, hf:OWNER/NAME, or the address of such a data set's page
    data: PathBuf,
    /// What is wanted, in plain words; @FILE reads them from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    task: Option<String>,
    /// Column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Column that names the rows
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// How predictions are scored: scikit-learn's names without neg_, and rmsle, smape, …; or a function of your own
    #[arg(long, value_name = "NAME|FILE.py|FILE.wasm")]
    metric: Option<String>,
    /// A function of your own that looks over the submission before it is written; can be given several times
    #[arg(long, value_name = "FILE.py|FILE.wasm")]
    check: Vec<PathBuf>,
    /// Rows to predict
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// A submission to imitate
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Where everything goes [default: a new folder below runs/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Time to use, in minutes [default: 5, or what the task says]
    #[arg(long, value_name = "M", value_parser = minutes, conflicts_with = "seconds")]
    minutes: Option<f64>,
    /// Time to use, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Trials to run; without a time limit the result is the same every time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    trials: Option<u32>,
    /// Trials at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// GPUs to use: a number (no run without them), `auto` (free ones, for large tables), `none` [default: none]
    #[arg(long, value_name = "N|auto|none", value_parser = gpus, default_value = "none", hide_default_value = true)]
    gpus: GpuAsk,
    /// Where all randomness comes from [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How solution code is locked in
    #[arg(long, value_enum, default_value_t = SandboxChoice::Auto, value_name = "KIND")]
    sandbox: SandboxChoice,
    #[command(flatten)]
    ray: RayArgs,
    /// Refuse anything below sandbox level L3
    #[arg(long)]
    strict: bool,
    /// Learn nothing from earlier runs, leave nothing for later ones
    #[arg(long, conflicts_with = "memory")]
    no_memory: bool,
    /// Where earlier runs left what they learnt
    #[arg(long, value_name = "DIR")]
    memory: Option<PathBuf>,
    /// Show the plan and stop
    #[arg(long)]
    dry_run: bool,
    /// Carry out this plan instead of one of our own
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Ask nothing; for scripts
    #[arg(short, long)]
    yes: bool,
    /// Print every event as a line of JSON while running
    #[arg(long, conflicts_with = "json")]
    json_stream: bool,
    /// Where configurations come from; for comparing methods
    #[arg(long, value_enum, default_value_t = SearchChoice::Tuner, hide = true)]
    searcher: SearchChoice,
    #[command(flatten)]
    llm: LlmFlags,
}

/// Where configurations come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SearchChoice {
    /// The tuner
    Tuner,
    /// Chance, raced over the folds
    Halving,
}

impl From<SearchChoice> for SearchMethod {
    fn from(choice: SearchChoice) -> Self {
        match choice {
            SearchChoice::Tuner => Self::Tuner,
            SearchChoice::Halving => Self::Halving,
        }
    }
}

/// Kinds of sandbox that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SandboxChoice {
    /// The best that this machine gives
    Auto,
    /// Cells made by this program
    Native,
    /// Cells made by bubblewrap
    Bwrap,
    /// Containers of Docker or Podman
    Engine,
    /// Cells of this program on the nodes of a Ray cluster
    Ray,
    /// None: solution code runs with your rights
    Off,
}

impl From<SandboxChoice> for BackendChoice {
    fn from(choice: SandboxChoice) -> Self {
        match choice {
            // A cluster's nodes and this machine choose for themselves.
            SandboxChoice::Auto | SandboxChoice::Ray => Self::Auto,
            SandboxChoice::Native => Self::Native,
            SandboxChoice::Bwrap => Self::Bwrap,
            SandboxChoice::Engine => Self::Engine,
            SandboxChoice::Off => Self::Off,
        }
    }
}

/// Most GPUs that can be asked for: more than any machine has.
const GPUS_MAX: u16 = 64;

fn gpus(text: &str) -> Result<GpuAsk, String> {
    match text {
        "none" | "0" => Ok(GpuAsk::None),
        "auto" => Ok(GpuAsk::Auto),
        number => match number.parse() {
            Ok(count) if count <= GPUS_MAX => Ok(GpuAsk::Count(count)),
            _ => Err(format!("it must be a number up to {GPUS_MAX}, `auto` or `none`")),
        },
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    time(text, 60.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    time(text, 1.0)
}

/// A time in units of so many seconds.
fn time(text: &str, unit_s: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it must be a number".to_owned())?;
    if number.is_finite() && number > 0.0 && number * unit_s <= SECONDS_MAX {
        Ok(number)
    } else {
        Err("it must be above 0 and below a year".into())
    }
}

/// Carries out `run`.
///
/// # Errors
/// What was typed makes no sense, or nothing usable came out.
pub fn execute(args: &RunArgs, session: &Session) -> Result<Exit, Failure> {
    let options = resolve(args, session)?;
    look_at_inputs(&options)?;
    let (out, wall, is_dry) = (options.out.clone(), options.budget.wall, options.dry_run);
    let mut keys = match &options.ray {
        Some(_) => ray::keys(&args.ray.token, session)?,
        None => Keys::default(),
    };
    keys.llm = llm::keys(options.llm.as_ref(), &session.surroundings);
    keys.hf = sources::token(&session.surroundings);
    let result = engine::run(options, keys, session.clock, session.watcher(args.json_stream))?;
    show(&result, &out, args.json_stream, session)?;
    if is_dry && !session.is_json && !args.json_stream {
        show_plan(&out, wall, session)?;
    }
    Ok(result.status.into())
}

/// Prints a result as the user wants it.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn show(result: &RunResult, folder: &Path, is_stream: bool, session: &Session) -> Result<(), Failure> {
    if is_stream {
        return Ok(());
    }
    if session.is_json {
        return console::json(result);
    }
    console::result(&summary::of(result, session.shown(folder), session.console.out));
    Ok(())
}

fn show_plan(folder: &Path, wall: Option<Duration>, session: &Session) -> Result<(), Failure> {
    let path = folder.join("plan.json");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("reading", &path, &error))?;
    let plan =
        Plan::from_json(&text).map_err(|error| Failure::new(Exit::Failed, format!("the plan: {error}")))?;
    let table =
        summary::plan(&plan, wall.map(|wall| wall.as_secs_f64()), session.console.out, session.console.width);
    console::result(&format!("\n{table}"));
    Ok(())
}

/// Looks whether what was named is there at all, before anything is set up for it.
///
/// # Errors
/// Something is not there, or empty.
pub fn look_at_inputs(options: &Options) -> Result<(), Failure> {
    let advice = "give a CSV, TSV or Parquet file, or a folder with train.csv";
    match options.data.metadata() {
        // What is fetched is looked at when it is there.
        _ if options.source.is_some() => {}
        Err(error) => return Err(missing(&options.data, &error).hint(advice)),
        Ok(found) if found.is_file() && found.len() == 0 => {
            return Err(Failure::new(Exit::Data, format!("{} is empty", options.data.display())).hint(advice));
        }
        Ok(_) => {}
    }
    for path in [&options.test, &options.sample, &options.plan].into_iter().flatten() {
        path.metadata().map_err(|error| missing(path, &error).hint("look at the path for a misspelling"))?;
    }
    Ok(())
}

fn missing(path: &Path, error: &std::io::Error) -> Failure {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(Exit::Data, format!("{}: {why}", path.display()))
}

/// What was typed, with configuration and defaults, as the engine takes it.
///
/// # Errors
/// What was typed makes no sense.
pub fn resolve(args: &RunArgs, session: &Session) -> Result<Options, Failure> {
    if args.sandbox == SandboxChoice::Off && (args.strict || session.config.truth("strict")) {
        return Err(Failure::usage("--strict and --sandbox off contradict each other")
            .hint("leave one of them out; `strict` may also stand in the configuration"));
    }
    let config = &session.config;
    let absolute = |path: &PathBuf| session.surroundings.absolute(path);
    let run = run_id(&args.data, session);
    let source = sources::resolve(&args.data.to_string_lossy(), config)?;
    let home = session.home()?;
    let has_memory = config.truth("memory") || args.memory.is_some();
    let memory = args.memory.as_ref().map_or_else(|| home.join("memory"), absolute);
    let cores = session.surroundings.cores as u64;
    Ok(Options {
        data: if source.is_some() { args.data.clone() } else { absolute(&args.data) },
        source,
        request: args.task.as_deref().map(|task| request(task, session)).transpose()?,
        target: args.target.clone(),
        id: args.id.clone(),
        metric: args.metric.clone().filter(|name| FunctionFile::named(name).is_none()),
        metric_file: args
            .metric
            .as_deref()
            .and_then(FunctionFile::named)
            .map(|path| FunctionFile::new(session.surroundings.absolute(path))),
        checks: args.check.iter().map(|path| FunctionFile::new(absolute(path))).collect(),
        test: args.test.as_ref().map(absolute),
        sample: args.sample.as_ref().map(absolute),
        out: args.out.as_ref().map_or_else(|| session.runs_folder().join(run.as_str()), absolute),
        run,
        budget: budget(args, session),
        jobs: args.jobs.map_or_else(|| config.whole("jobs").unwrap_or(cores), u64::from) as usize,
        seed: Seed(args.seed.or_else(|| config.whole("seed")).unwrap_or(0)),
        sandbox: args.sandbox.into(),
        strict: args.strict || config.truth("strict"),
        memory: (has_memory && !args.no_memory).then_some(memory),
        home,
        plan: args.plan.as_ref().map(absolute),
        dry_run: args.dry_run,
        gpus: args.gpus,
        ray: args.ray.resolve(args.sandbox == SandboxChoice::Ray, args.gpus, session)?,
        steer: Vec::new(),
        llm: llm::resolve(&args.llm, &session.surroundings, config)?,
        asks_back: false,
        given: Vec::new(),
        search: args.searcher.into(),
    })
}

/// The limits. One of them given by flag replaces all that the configuration has; without any, the engine's default holds.
fn budget(args: &RunArgs, session: &Session) -> Budget {
    let config = &session.config;
    let is_flagged = args.minutes.is_some() || args.seconds.is_some() || args.trials.is_some();
    let (minutes, seconds, trials) = if is_flagged {
        (args.minutes, args.seconds, args.trials)
    } else {
        let trials = config.whole("trials").map(|trials| u32::try_from(trials).unwrap_or(u32::MAX));
        (config.number("minutes"), config.number("seconds"), trials)
    };
    let wall_s = seconds.or(minutes.map(|minutes| minutes * 60.0)).map(|seconds| seconds.min(SECONDS_MAX));
    let (tokens, usd) = (llm::max_tokens(&args.llm, config), llm::max_usd(&args.llm, config));
    Budget { wall: wall_s.map(Duration::from_secs_f64), trials, tokens, usd }
}

/// The user's words, or those in the file that `@` points to.
pub fn request(task: &str, session: &Session) -> Result<String, Failure> {
    let Some(file) = task.strip_prefix('@') else { return Ok(task.to_owned()) };
    let path = session.surroundings.absolute(Path::new(file));
    let refused = |why: String| {
        Failure::usage(format!("the task text {}: {why}", path.display()))
            .hint("give a text file after @, or the words themselves")
    };
    let size = path.metadata().map_err(|error| refused(error.to_string()))?.len();
    if size > TASK_TEXT_MAX {
        return Err(refused("it is larger than 1 MiB".into()));
    }
    let bytes = std::fs::read(&path).map_err(|error| refused(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The id of a new run or study: sortable by time, unlike any other, and telling what it is about.
pub fn run_id(about: &Path, session: &Session) -> RunId {
    named(about, session.clock.unix_seconds(), RandomState::new().build_hasher().finish())
}

fn named(data: &Path, unix_seconds: u64, chance: u64) -> RunId {
    let (year, month, day) = date(unix_seconds / 86_400);
    let second = unix_seconds % 86_400;
    let time = format!("{:02}{:02}{:02}", second / 3600, second % 3600 / 60, second % 60);
    let name = data.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let name: String = name.chars().take(NAME_MAX).map(plain).collect();
    let name = name.trim_matches('-');
    let name = if name.is_empty() { "data" } else { name };
    RunId(format!("{year:04}{month:02}{day:02}-{time}-{:04x}-{name}", chance & 0xffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_name_the_data() {
        let id = |data: &str| named(Path::new(data), 1_772_719_320, 0xf_00ab).0;
        assert_eq!(id("/x/My Churn data.csv"), "20260305-140200-00ab-my-churn-data");
        assert_eq!(id("/x/<b>"), "20260305-140200-00ab-b");
        assert_eq!(id("/"), "20260305-140200-00ab-data");
        assert_eq!(id(&"x".repeat(500)).len(), 21 + NAME_MAX);
    }

    #[test]
    fn gpus_are_a_number_or_a_word() {
        assert_eq!(gpus("0"), Ok(GpuAsk::None));
        assert_eq!(gpus("none"), Ok(GpuAsk::None));
        assert_eq!(gpus("auto"), Ok(GpuAsk::Auto));
        assert_eq!(gpus("2"), Ok(GpuAsk::Count(2)));
        for bad in ["-1", "65", "all", "1.5", ""] {
            assert!(gpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_checked() {
        assert_eq!(seconds("1.5"), Ok(1.5));
        for bad in ["0", "-1", "nan", "inf", "1e300", "soon", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }
}
