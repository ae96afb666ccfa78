//! The subcommands: parsing what was typed, and handing it to the file that knows.

mod chat;
mod compare;
mod completions;
mod config;
mod doctor;
mod maker;
mod memory;
mod predict;
mod prompts;
pub mod ray;
mod resume;
mod run;
mod runs;
mod serve;
mod tune;
mod verify;
mod why;

#[cfg(test)]
mod tests;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::console::{Console, write_error, write_out};
use crate::exit::{Exit, Failure};
use crate::folders::{self, Run};
use crate::progress::{Verbosity, Watcher};
use crate::surroundings::Surroundings;
use clap::{ArgAction, Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Data and a sentence in, a judged model out.
#[derive(Debug, Parser)]
#[command(name = "ansatz", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Start with `ansatz run DATA`. Results go to standard output, everything else to standard error."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
struct Global {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but the result and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: every step, trial and check
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train, judge and deliver a model for a table
    Run(Box<run::RunArgs>),
    /// Work on a task in conversation: plan, approve, watch, steer, ask why
    Chat(chat::ChatArgs),
    /// Take tasks over HTTP
    Serve(serve::ServeArgs),
    /// Take up a run or study that was interrupted
    Resume(resume::ResumeArgs),
    /// List the runs and studies that there are
    Runs(runs::RunsArgs),
    /// Predict new rows with a run's model
    Predict(predict::PredictArgs),
    /// Tell why a result, a step or a candidate is as it is
    Why(why::WhyArgs),
    /// Compare two runs
    Compare(compare::CompareArgs),
    /// Prove again that a run's model gives what was submitted
    Verify(verify::VerifyArgs),
    /// Look at what earlier runs taught
    #[command(subcommand)]
    Memory(memory::MemoryCommand),
    /// Find the best settings of any command that prints a number
    Tune(Box<tune::TuneArgs>),
    /// Find out what this machine can do, barrier by barrier
    Doctor(doctor::DoctorArgs),
    /// Show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Look at the wordings that language models are asked with, to change them
    #[command(subcommand)]
    Prompts(prompts::PromptsCommand),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// What a subcommand works with.
pub struct Session {
    surroundings: Surroundings,
    config: Config,
    console: Console,
    clock: SystemClock,
    is_json: bool,
    verbosity: Verbosity,
}

impl Session {
    fn new(global: Global, surroundings: Surroundings) -> Result<Self, Failure> {
        let config = Config::read(&surroundings)?;
        Ok(Self::with(global, surroundings, config))
    }

    /// A session for a command that must work whatever the configuration is like: what is wrong with it comes along.
    fn forgiving(global: Global, surroundings: Surroundings) -> (Self, Option<Failure>) {
        let (config, trouble) = match Config::read(&surroundings) {
            Ok(config) => (config, None),
            Err(failure) => (Config::without_files(&surroundings), Some(failure)),
        };
        (Self::with(global, surroundings, config), trouble)
    }

    fn with(global: Global, surroundings: Surroundings, config: Config) -> Self {
        let verbosity = match global {
            Global { quiet: true, .. } => Verbosity::Quiet,
            Global { verbose: true, .. } => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        Self {
            config,
            console: Console::new(&surroundings, global.quiet),
            clock: SystemClock::start(),
            is_json: global.json,
            verbosity,
            surroundings,
        }
    }

    /// Whether more is to be said.
    fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// The folder for the program's state.
    fn home(&self) -> Result<PathBuf, Failure> {
        let home = self.config.folder("home").ok_or_else(|| {
            Failure::usage("there is no place for the program's state")
                .hint("set ANSATZ_HOME to a folder, or set HOME")
        })?;
        Ok(self.surroundings.absolute(home))
    }

    /// The folder below which runs lie.
    fn runs_folder(&self) -> PathBuf {
        self.surroundings.absolute(self.config.folder("runs").unwrap_or(Path::new("runs")))
    }

    /// The folder of a run that the user named.
    fn find_run(&self, named: &str) -> Result<PathBuf, Failure> {
        folders::find(named, &self.runs_folder(), &self.surroundings.folder)
    }

    /// The run that the user named.
    fn read_run(&self, named: &str) -> Result<Run, Failure> {
        Ok(Run::read(&self.find_run(named)?)?)
    }

    /// A watcher for a run.
    fn watcher(&self, is_stream: bool) -> Watcher {
        Watcher::new(&self.surroundings, self.verbosity, is_stream, Arc::new(self.clock))
    }

    /// A watcher that writes lines, whatever the terminal can do: for those who type meanwhile.
    fn line_watcher(&self) -> Watcher {
        let mut surroundings = self.surroundings.clone();
        surroundings.error_is_terminal = false;
        Watcher::new(&surroundings, self.verbosity, false, Arc::new(self.clock))
    }

    /// Shows a line about first-run set-up.
    fn note_set_up(&self, line: &str) {
        if let Some(line) = crate::progress::set_up_line(line) {
            self.console.note(&format!("set-up: {line}"));
        }
    }

    /// A path as it is shown: relative where it lies below the current folder.
    fn shown<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.surroundings.folder).unwrap_or(path)
    }
}

/// Parses what was typed; help and usage errors are written here.
///
/// # Errors
/// The exit code, when there is nothing to carry out.
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let text = error.render().to_string();
        if error.use_stderr() {
            write_error(&text);
            Exit::Usage
        } else {
            write_out(text.as_bytes());
            Exit::Ok
        }
    })
}

/// Runs a batch of trials as a job on a node of a cluster; state lies where this node keeps it.
///
/// # Errors
/// There is no place for state.
pub fn serve_batch(arguments: &[OsString], surroundings: Surroundings) -> Result<Exit, Failure> {
    let session = Session::new(Global { json: false, quiet: true, verbose: false }, surroundings)?;
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(ray::serve(&words, &session.home()?))
}

/// Carries out what was typed.
///
/// # Errors
/// [`Failure`], to be shown to the user.
pub fn execute(cli: Cli, surroundings: Surroundings) -> Result<Exit, Failure> {
    if let Command::Doctor(args) = cli.command {
        let (session, trouble) = Session::forgiving(cli.global, surroundings);
        return doctor::execute(args, &session, trouble);
    }
    let session = Session::new(cli.global, surroundings)?;
    match cli.command {
        Command::Run(args) => run::execute(&args, &session),
        Command::Chat(args) => chat::execute(args, session),
        Command::Serve(args) => serve::execute(args, session),
        Command::Resume(args) => resume::execute(&args, &session),
        Command::Runs(args) => runs::execute(&args, &session),
        Command::Predict(args) => predict::execute(&args, &session),
        Command::Why(args) => why::execute(&args, &session),
        Command::Compare(args) => compare::execute(&args, &session),
        Command::Verify(args) => verify::execute(&args, &session),
        Command::Tune(args) => tune::execute(&args, &session),
        Command::Memory(command) => memory::execute(&command, &session),
        Command::Doctor(args) => doctor::execute(args, &session, None),
        Command::Config(command) => config::execute(&command, &session),
        Command::Prompts(command) => prompts::execute(&command, &session),
        Command::Completions(args) => Ok(completions::execute(&args)),
    }
}
