//! `ansatz tune SPACE.toml -- COMMAND`: searches the parameters of a command that prints a number.

use super::Session;
use crate::console::{self, Style};
use crate::engine::{self, StudyMind};
use crate::exit::{Exit, Failure};
use crate::llm::{self, LlmFlags};
use crate::table::Table;
use ansatz_core::bill::Bill;
use ansatz_core::candidate::Params;
use ansatz_core::seed::Seed;
use ansatz_engine::LlmOptions;
use ansatz_engine::tune::{
    Best, Goal, OracleSettings, TuneEnd, TuneNews, TuneOptions, TuneResult, TuneTrial, written,
};
use ansatz_report::number;
use ansatz_report::text::visible;
use ansatz_tuner::space::Space;
use ansatz_tuner::trial::Direction;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest space file, in bytes.
const SPACE_BYTES_MAX: u64 = 4 << 20;
/// Trials in the table of the best.
const SHOWN: usize = 5;
/// Trials of a front that are shown.
const FRONT_SHOWN: usize = 10;
/// Letters of a configuration on one line.
const PARAMS_WIDTH: usize = 90;
/// Longest time that a study or one run can be given: a year.
const SECONDS_MAX: f64 = 365.0 * 86_400.0;

#[derive(Debug, Clone, PartialEq, Args)]
#[command(
    after_help = "In the command, {name} stands for a parameter; the environment has it as ANSATZ_PARAM_<NAME>, beside ANSATZ_TRIAL, \
ANSATZ_SLOT (for ports and folders of runs at the same time) and ANSATZ_SEED. The last number on standard output is the result, or the field \
`value` of a JSON line (other fields with --goal), which outranks plain numbers. JSON lines with `step` and `value` are values on the way: runs \
that are clearly behind by them are stopped (--pruner), and the last one is the result where there is no other. A run that fails is a trial that \
failed."
)]
pub struct TuneArgs {
    /// What can be set: [[parameter]] tables with name, type, low, high, log, values, default, when
    space: PathBuf,
    /// Trials to make [default: 50, unless a time is given]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Time to use, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Where all randomness comes from [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How to search: auto, gp, tpe, sobol, random, mcts, nsga2, ehvi, or llambo, which asks a language model
    #[arg(long, value_name = "NAME", default_value = "auto")]
    sampler: String,
    /// Which numbers are better
    #[arg(long, value_enum, default_value_t = Way::Minimize)]
    direction: Way,
    /// A field of the command's JSON result, and which values of it are better: `loss:min`; with several the search looks for the
    /// front between them
    #[arg(long, value_name = "NAME:min|max", value_parser = goal, conflicts_with = "direction")]
    goal: Vec<Goal>,
    /// Who stops runs that are clearly behind by the values that they report on the way: asha, hyperband, wilcoxon (steps are
    /// folds), none
    #[arg(long, value_name = "NAME", default_value = "asha")]
    pruner: String,
    /// How many values a run reports on the way, about [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: Option<u64>,
    /// Who ranks a language model's proposals: statistics, or the model itself, predicted or classified [default: statistics]
    #[arg(long, value_name = "NAME")]
    ranking: Option<String>,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    parallel: u16,
    /// What is tuned, in words: for the report, and for a language model's first ideas
    #[arg(long, value_name = "TEXT|@FILE")]
    describe: Option<String>,
    /// Measurements of each configuration that is not clearly behind; their median counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,
    /// Longest time of one run, in seconds [default: an hour until three have ended, then ten times what they take, and a minute]
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<f64>,
    /// Pairs of runs after the search, default and best by turns, for a fair ratio with an interval
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1000))]
    confirm: u16,
    /// A configuration to begin with, as name=value,…; can be given several times
    #[arg(long, value_name = "NAME=VALUE,…")]
    start: Vec<String>,
    /// An earlier study of the same parameters to learn from, say on other data or another machine; can be given several times
    #[arg(long, value_name = "DIR")]
    past: Vec<PathBuf>,
    /// Learn nothing from earlier studies of these parameters, leave nothing for later ones
    #[arg(long, conflicts_with = "memory")]
    no_memory: bool,
    /// Where earlier studies left what they learnt
    #[arg(long, value_name = "DIR")]
    memory: Option<PathBuf>,
    /// Where the study is kept [default: a new folder below runs/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    llm: LlmFlags,
    /// The command, after two dashes
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Which numbers are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// Smaller ones
    Minimize,
    /// Larger ones
    Maximize,
}

fn goal(text: &str) -> Result<Goal, String> {
    let (name, way) = text.rsplit_once(':').ok_or("write it as NAME:min or NAME:max")?;
    let direction = match way {
        "min" | "minimize" => Direction::Minimize,
        "max" | "maximize" => Direction::Maximize,
        _ => return Err(format!("`{way}` is neither min nor max")),
    };
    if name.trim().is_empty() {
        return Err("the name of a field is missing".into());
    }
    Ok(Goal { name: name.trim().to_owned(), direction })
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 && number <= SECONDS_MAX => Ok(number),
        Ok(_) => Err("it must be above 0 and below a year".into()),
        Err(_) => Err("it must be a number".into()),
    }
}

/// Carries out `tune`.
///
/// # Errors
/// What was typed makes no sense, or the command gives no number.
pub fn execute(args: &TuneArgs, session: &Session) -> Result<Exit, Failure> {
    let options = resolve(args, session)?;
    let defaults = declared(&options.space);
    session.console.note(&format!("studying in {}", session.shown(&options.out).display()));
    let mind = options.llm.clone().map(|llm| mind(llm, &options, None, session));
    let result = engine::tune(options, mind, session.clock, &mut |news| tell(&news, &defaults, session))?;
    show(&result, &defaults, session)
}

fn mind(llm: LlmOptions, options: &TuneOptions, before: Option<Bill>, session: &Session) -> StudyMind {
    let settings = OracleSettings {
        description: options.description.clone(),
        seed: options.seed,
        tokens_max: options.tokens_max,
        usd_max: options.usd_max,
        before,
        wall: options.wall,
    };
    StudyMind { keys: llm::keys(Some(&llm), &session.surroundings), llm, settings }
}

/// The language model of a study that is taken up again, with what it has cost already; none for a study that is over, which asks
/// nothing.
///
/// # Errors
/// The study cannot be read.
pub fn mind_of(folder: &Path, session: &Session) -> Result<Option<StudyMind>, Failure> {
    let options = ansatz_engine::tune::options_of(folder)?;
    let Some(llm) = options.llm.clone().filter(|_| !ansatz_engine::tune::is_over(folder)) else {
        return Ok(None);
    };
    let before = ansatz_engine::tune::spent(folder)?.unwrap_or_default();
    Ok(Some(mind(llm, &options, Some(before), session)))
}

/// What a study's parameters are without tuning.
///
/// # Errors
/// The study cannot be read.
pub fn defaults_of(folder: &Path) -> Result<Params, Failure> {
    Ok(declared(&ansatz_engine::tune::options_of(folder)?.space))
}

/// Values that the space declares to be in force without tuning.
fn declared(space: &Space) -> Params {
    let start = space.params(&space.start_point());
    let is_declared = |name: &String| {
        space.parameters().iter().any(|parameter| parameter.name == *name && parameter.default.is_some())
    };
    start.into_iter().filter(|(name, _)| is_declared(name)).collect()
}

/// The sampler, and the language model where it is to be asked: by name, or by saying where one is.
fn method(args: &TuneArgs, session: &Session) -> Result<(String, Option<LlmOptions>), Failure> {
    let is_named = args.llm != LlmFlags::default();
    if args.sampler != "llambo" && !(is_named && args.sampler == "auto") {
        return Ok((args.sampler.clone(), None));
    }
    let llm = llm::resolve(&args.llm, &session.surroundings, &session.config)?;
    if llm.is_none() {
        return Err(Failure::usage("the sampler llambo asks a language model, but none is configured").hint(
            "give --llm BASE_URL and --model NAME, or set ANSATZ_LLM_BASE_URL and ANSATZ_LLM_MODEL; or choose another sampler",
        ));
    }
    Ok(("llambo".into(), llm))
}

/// What was typed, with defaults, as the engine takes it.
///
/// # Errors
/// What was typed makes no sense.
pub fn resolve(args: &TuneArgs, session: &Session) -> Result<TuneOptions, Failure> {
    let space = read_space(args, session)?;
    let starts = args.start.iter().map(|text| start(text, &space)).collect::<Result<Vec<_>, _>>()?;
    let run = super::run::run_id(&args.space, session);
    let (sampler, llm) = method(args, session)?;
    let earlier =
        |folder: &PathBuf| Ok(ansatz_engine::tune::past_of(&session.surroundings.absolute(folder))?);
    let pasts = args.past.iter().map(earlier).collect::<Result<Vec<_>, Failure>>()?;
    Ok(TuneOptions {
        pasts,
        memory: memory(args, session),
        starts,
        command: args.command.clone(),
        folder: session.surroundings.folder.clone(),
        out: args.out.as_ref().map_or_else(
            || session.runs_folder().join(run.as_str()),
            |out| session.surroundings.absolute(out),
        ),
        direction: match args.direction {
            Way::Minimize => Direction::Minimize,
            Way::Maximize => Direction::Maximize,
        },
        goals: args.goal.clone(),
        pruner: Some(args.pruner.clone()),
        steps: args.steps,
        ranking: args.ranking.clone(),
        tokens_max: llm.as_ref().and_then(|_| llm::max_tokens(&args.llm, &session.config)),
        usd_max: llm.as_ref().and_then(|_| llm::max_usd(&args.llm, &session.config)),
        trials: args.trials,
        wall: args.seconds.map(Duration::from_secs_f64),
        seed: Seed(args.seed.or_else(|| session.config.whole("seed")).unwrap_or(0)),
        sampler,
        llm,
        parallel: usize::from(args.parallel),
        repeats: u32::from(args.repeats),
        timeout: args.timeout.map(Duration::from_secs_f64),
        confirm: u32::from(args.confirm),
        description: args.describe.as_deref().map(|text| super::run::request(text, session)).transpose()?,
        space,
    })
}

/// The folder of the memory to use; without a home there is none, and a study needs none.
fn memory(args: &TuneArgs, session: &Session) -> Option<PathBuf> {
    let given = args.memory.as_ref().map(|folder| session.surroundings.absolute(folder));
    let usual = || Some(session.home().ok()?.join("memory")).filter(|_| session.config.truth("memory"));
    given.or_else(usual).filter(|_| !args.no_memory)
}

fn read_space(args: &TuneArgs, session: &Session) -> Result<Space, Failure> {
    let path = session.surroundings.absolute(&args.space);
    let size = path.metadata().map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()))
            .hint("give a TOML file with [[parameter]] tables; `ansatz tune --help` shows their fields")
    })?;
    if size.len() > SPACE_BYTES_MAX {
        return Err(Failure::usage(format!("{} is larger than 4 MiB", path.display())));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io("reading", &path, &error))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let space = if is_json { Space::from_json(&text) } else { Space::from_toml(&text) };
    space.map_err(|error| {
        let hint = error.hint();
        let failure = Failure::usage(format!("{}: {}", path.display(), crate::exit::chain(&error)));
        hint.into_iter().fold(failure, Failure::hint)
    })
}

/// A configuration typed as `name=value,…`: values as in JSON, or texts without quotes. What is not named keeps its default.
fn start(text: &str, space: &Space) -> Result<Params, Failure> {
    let refused = |why: String| {
        Failure::usage(format!("--start {text}: {why}")).hint("write it as name=value,name=value")
    };
    let mut params = space.params(&space.start_point());
    let mut named = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| refused(format!("`{part}` has no =")))?;
        let value = serde_json::from_str(value.trim())
            .unwrap_or_else(|_| serde_json::Value::String(value.trim().to_owned()));
        if space.place(name.trim()).is_none() {
            return Err(refused(format!("the space has no parameter `{}`", name.trim())));
        }
        named.push(name.trim().to_owned());
        params.insert(name.trim().to_owned(), value);
    }
    let repaired = space.repair(&params).map_err(|error| refused(error.to_string()))?;
    for name in &named {
        let (given, taken) = (&params[name], repaired.params.get(name));
        let Some(taken) = taken else {
            return Err(refused(format!("`{name}` does not count beside the other values")));
        };
        let is_near =
            given.as_f64().zip(taken.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0));
        if !is_near && given != taken {
            return Err(refused(format!(
                "`{name}` cannot be {}; the nearest is {}",
                written(given),
                written(taken)
            )));
        }
    }
    Ok(repaired.params)
}

/// Prints a result.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn show(result: &TuneResult, defaults: &Params, session: &Session) -> Result<Exit, Failure> {
    if session.is_json {
        console::json(result)?;
    } else {
        console::result(&summary(result, defaults, session));
    }
    Ok(if result.end == TuneEnd::Interrupted { Exit::Interrupted } else { Exit::Ok })
}

/// Shows what happens, on standard error.
pub fn tell(news: &TuneNews, defaults: &Params, session: &Session) {
    let line = match news {
        TuneNews::Ended { trial, best, is_best } => {
            let best = match best {
                _ if *is_best && trial.values.is_empty() => "best so far".to_owned(),
                _ if !trial.values.is_empty() => if *is_best { "on the front" } else { "" }.to_owned(),
                Some(best) => format!("best {}", number::score(*best)),
                None => String::new(),
            };
            let value = match trial.value {
                Some(_) if !trial.values.is_empty() => in_words(&trial.values),
                Some(value) => number::score(value),
                None => trial.note.clone().unwrap_or_else(|| trial.state.clone()),
            };
            format!(
                "trial {}  {value}  {best}  {}  {}",
                trial.number,
                trial.origin,
                params(&trial.params, defaults)
            )
        }
        TuneNews::Resumed { done } => {
            format!("going on after {}", number::counted(*done as u64, "trial", "trials"))
        }
        TuneNews::Asking => "asking the language model".into(),
        TuneNews::Comparing => "comparing default and best, by turns".into(),
        TuneNews::Warning(text) => format!("warning: {text}"),
    };
    session.console.note(&line);
}

/// A configuration in a line: what differs from the defaults, since many parameters do not fit.
fn params(params: &Params, defaults: &Params) -> String {
    let changed = params.iter().filter(|(name, value)| defaults.get(*name) != Some(value));
    let told: Vec<String> = changed.map(|(name, value)| format!("{name}={}", written(value))).collect();
    if told.is_empty() { "as by default".into() } else { visible(&told.join(" "), PARAMS_WIDTH) }
}

fn summary(result: &TuneResult, defaults: &Params, session: &Session) -> String {
    let paint = session.console.out;
    let mut lines = Vec::new();
    lines.extend(front(result, defaults));
    if let Some(best) = result.best.as_ref().filter(|_| result.front.is_empty()) {
        lines.push(
            paint.text(Style::Bold, &format!("best {}  (trial {})", number::score(best.value), best.number)),
        );
        lines.extend(best.params.iter().map(|(name, value)| {
            let was = defaults.get(name).filter(|default| *default != value);
            let was = was.map(|default| format!("  (default {})", written(default))).unwrap_or_default();
            format!("  {} = {}", visible(name, PARAMS_WIDTH), visible(&(written(value) + &was), PARAMS_WIDTH))
        }));
    }
    let best = result.best.as_ref().filter(|_| result.front.is_empty());
    if let Some((value, default)) = best.zip(default_of(result)) {
        lines.push(format!(
            "  default gave {}, the best {}",
            number::score(default),
            number::score(value.value)
        ));
    }
    if let Some(comparison) = &result.comparison {
        lines.push(match (comparison.ratio, comparison.low, comparison.high) {
            (Some(ratio), Some(low), Some(high)) => format!(
                "  side by side, {}: {ratio:.3} times as good as the default [{low:.3}, {high:.3}]",
                number::counted(comparison.best.len() as u64, "pair", "pairs")
            ),
            _ => "  side by side: too few pairs or values not above zero, no ratio".into(),
        });
    }
    let ended = result.trials.iter().filter(|trial| trial.state != "running").count();
    lines.push(format!(
        "{}: {} ({} failed) in {}, by {}",
        end(result),
        number::counted(ended as u64, "trial", "trials"),
        result.trials.iter().filter(|trial| trial.state == "failed").count(),
        number::seconds(result.seconds),
        visible(&result.sampler, 200)
    ));
    if let Some(found) = &result.calibration {
        lines.push(format!(
            "scores that the language model expected were off by {} on average ({})",
            number::score(found.error),
            number::counted(found.trials as u64, "trial", "trials")
        ));
    }
    if let Some(bill) = result.llm.as_ref().filter(|bill| bill.total.calls > 0) {
        let usd = bill.total.usd.map_or_else(|| "USD n/a".to_owned(), |usd| format!("{usd:.4} USD"));
        let calls = number::counted(u64::from(bill.total.calls), "call", "calls");
        lines.push(format!("language model: {calls}, {} tokens, {usd}", bill.total.tokens()));
    }
    if !result.importances.is_empty() {
        let mut shares: Vec<(&String, &f64)> = result.importances.iter().collect();
        shares.sort_by(|a, b| b.1.total_cmp(a.1));
        let told = shares.iter().take(SHOWN).map(|(name, share)| format!("{name} {:.0} %", 100.0 * *share));
        lines.push(format!(
            "what mattered: {}",
            visible(&told.collect::<Vec<_>>().join(", "), 2 * PARAMS_WIDTH)
        ));
    }
    lines.extend(
        result.warnings.iter().map(|warning| format!("warning: {}", visible(warning, 4 * PARAMS_WIDTH))),
    );
    lines.push(String::new());
    let mut table = Table::new(
        &["trial", "value", "whose idea", if defaults.is_empty() { "parameters" } else { "changed" }],
        30,
    );
    for trial in best_trials(result) {
        let value = trial.value.map_or_else(String::new, number::score);
        table.row([trial.number.to_string(), value, trial.origin.clone(), params(&trial.params, defaults)]);
    }
    lines.push(table.lines(paint, session.console.width));
    if result.end == TuneEnd::Interrupted {
        lines.push(format!("go on: ansatz resume {}", session.shown(&result.out).display()));
    }
    lines.push(format!("report: {}", session.shown(&result.out).join("report.html").display()));
    lines.join("\n") + "\n"
}

fn in_words(values: &[f64]) -> String {
    values.iter().map(|value| number::score(*value)).collect::<Vec<_>>().join(" / ")
}

/// The front of several goals, the best of the first one first.
fn front(result: &TuneResult, defaults: &Params) -> Vec<String> {
    let mut front: Vec<&Best> = result.front.iter().collect();
    if front.is_empty() {
        return Vec::new();
    }
    front.sort_by(|a, b| result.direction.loss(a.value).total_cmp(&result.direction.loss(b.value)));
    let names: Vec<&str> = result.goals.iter().map(|goal| goal.name.as_str()).collect();
    let head = format!(
        "the front: {} that no other beats in {}",
        number::counted(front.len() as u64, "trial", "trials"),
        visible(&names.join(" and "), PARAMS_WIDTH)
    );
    let shown = front.iter().take(FRONT_SHOWN).map(|best| {
        format!("  {}  (trial {})  {}", in_words(&best.values), best.number, params(&best.params, defaults))
    });
    let more = front.len().checked_sub(FRONT_SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| format!("  and {more} more, in the report"));
    std::iter::once(head).chain(shown).chain(more).collect()
}

fn default_of(result: &TuneResult) -> Option<f64> {
    result.trials.iter().find(|trial| trial.origin == "default").and_then(|trial| trial.value)
}

fn best_trials(result: &TuneResult) -> Vec<&TuneTrial> {
    let mut trials: Vec<&TuneTrial> = result.trials.iter().filter(|trial| trial.value.is_some()).collect();
    let loss = |trial: &TuneTrial| result.direction.loss(trial.value.unwrap_or(f64::NAN));
    trials.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    trials.truncate(SHOWN);
    trials
}

fn end(result: &TuneResult) -> &str {
    match result.end {
        TuneEnd::Trials => "done",
        TuneEnd::Time => "the time is used up",
        TuneEnd::Exhausted => result.exhausted.as_deref().unwrap_or("nothing new to try"),
        TuneEnd::Interrupted => "interrupted",
    }
}
