//! What is asked for: rules first, and a language model for what they leave open.
//!
//! This is the one place where a model is asked about a request, whoever made it: a command, a conversation, a caller. The
//! question and its answer are journalled like all others, so a resumed or replayed run understands the same; the wait is
//! bounded, since nothing is trained before a task is known.

use crate::error::{RunError, RunErrorKind};
use crate::fetched;
use crate::functions::{Loaded, LoadedFunctions};
use crate::intake;
use crate::minds::{self, Council, Subject, Unheard};
use crate::options::{Keys, LlmOptions, Options, WALL_DEFAULT};
use crate::record::Record;
use ansatz_agents::thought::{Conclusion, Grounds, Thought};
use ansatz_agents::understand::{self, Flags, Request, SaidBudget, UnderstandError, Understood};
use ansatz_core::budget::Budget;
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_core::profile::Profile;
use ansatz_core::task::Inference;
use ansatz_core::verdict::Stage;
use ansatz_prompts::{Case, Level, Machine, Sight};
use ansatz_sources::Acquired;
use std::sync::Arc;
use std::time::Duration;

/// Step under which the question is booked.
const STEP: &str = "understand";
/// How long an answer is waited for: where the rules have one of their own, where they have none, and where time is not
/// counted.
const WAIT: Duration = Duration::from_secs(10);
const WAIT_OPEN: Duration = Duration::from_secs(20);
const WAIT_COUNTED: Duration = Duration::from_mins(1);
/// Share of a run's time that the wait may take.
const WAIT_SHARE: u32 = 6;

/// Who is asked, and what is known of it already.
pub struct Hearing<'a> {
    /// Keys of the model's endpoints.
    pub keys: &'a Keys,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Events of an earlier life of the run, or answers that were got before it.
    pub earlier: &'a [Event],
    /// Data that were fetched for the run.
    pub acquired: Option<&'a Acquired>,
    /// The model, once it was asked: the run goes on with it.
    pub council: &'a mut Option<Council>,
}

/// Turns words, flags and the data card into a typed task.
///
/// # Errors
/// [`RunError`]: the request makes no sense for these data, or leaves open what cannot be guessed; a model that was
/// required cannot be had.
pub async fn understand(
    options: &Options,
    files: &intake::Files,
    functions: &LoadedFunctions,
    profile: Profile,
    record: &mut Record,
    hearing: Hearing<'_>,
) -> Result<Understood, RunError> {
    let stem = || options.data.file_stem().map(|name| name.to_string_lossy().into_owned());
    let acquired = hearing.acquired;
    let name = acquired.map(|acquired| acquired.name.clone()).or_else(stem).unwrap_or_else(|| "data".into());
    let mut proposed = acquired.map(fetched::proposed).unwrap_or_default();
    proposed.extend(files.id.as_ref().map(|column| Inference {
        field: "id".into(),
        value: column.clone(),
        because: "it names the images".into(),
    }));
    let request = Request {
        name,
        flags: Flags {
            target: options.target.clone(),
            id: options.id.clone(),
            metric: options.metric.clone(),
            own_metric: functions.metric.as_ref().map(Loaded::described),
        },
        said: options.request.clone().unwrap_or_default(),
        described: intake::description(files),
        proposed,
        profile,
        heard: None,
    };
    let outcome = understand::understand(&request);
    let doubts = understand::doubts(&request, &outcome);
    let Some(llm) = options.llm.as_ref().filter(|_| !doubts.is_empty()) else {
        tell_overlooked(&request, &outcome, record)?;
        return outcome.map_err(|error| refused(&error));
    };
    let is_open = outcome.as_ref().map_or(true, |understood| understood.guessed);
    let said = outcome.as_ref().map(|understood| understood.said).unwrap_or_default();
    let mut council = connect(options, llm, &request, &said, record, &hearing)?;
    let (full, short) = (case(options, &request, Level::Full), case(options, &request, Level::Short));
    let columns = request.profile.columns.iter().filter(|column| column.in_train);
    let columns = columns.map(|column| column.name.clone()).collect();
    council.stand_on(Grounds { short, solutions: Vec::new(), columns });
    let question = understand::question(&request, &outcome, doubts, full);
    let thought = Thought::Understand(Box::new(question));
    let heard = council.hear(thought, STEP, wait(options, is_open), record).await?;
    let settled = match heard {
        Ok(Conclusion::Understood(reading)) => {
            let settled = understand::settle(&request, outcome, &reading, options.asks_back);
            if let Ok(understood) = &settled {
                record.check(Stage::Request, "words", true, told(understood))?;
            }
            settled
        }
        Ok(_) => {
            tell_overlooked(&request, &outcome, record)?;
            outcome
        }
        Err(unheard) => {
            if let Unheard::Failed(error) = &unheard
                && let Some(end) = council.ends_run(error)
            {
                return Err(end);
            }
            record.warn(format!("the language model was of no help with the request: {}", unheard.told()))?;
            tell_overlooked(&request, &outcome, record)?;
            outcome
        }
    };
    *hearing.council = Some(council);
    settled.map_err(|error| refused(&error))
}

/// Says which of the user's words nothing was made of: nobody else reads them.
fn tell_overlooked(
    request: &Request,
    outcome: &Result<Understood, UnderstandError>,
    record: &mut Record,
) -> Result<(), RunError> {
    let Ok(understood) = outcome else { return Ok(()) };
    let parts = understand::overlooked(request, Some(understood));
    parts.iter().try_for_each(|part| record.warn(understand::nothing_made_of(part)))
}

/// What was taken from the model's reading, in a line.
fn told(understood: &Understood) -> String {
    let is_heard = |because: &str| because.starts_with(ansatz_core::task::BY_MODEL);
    let heard = understood.task.inferred.iter().filter(|inference| is_heard(&inference.because));
    let heard: Vec<String> = heard.map(|one| format!("{} = {}", one.field, one.value)).collect();
    let what = if heard.is_empty() { "nothing beyond the rules".to_owned() } else { heard.join(", ") };
    format!("{}: {what}", ansatz_core::task::BY_MODEL)
}

fn connect(
    options: &Options,
    llm: &LlmOptions,
    request: &Request,
    said: &SaidBudget,
    record: &Record,
    hearing: &Hearing<'_>,
) -> Result<Council, RunError> {
    let subject = Subject {
        data_hash: request.profile.data_hash.clone(),
        seed: options.seed,
        trials: options.budget.trials,
    };
    // A dry run is no run: what it asks is no recording of one.
    let record_to = llm.record.clone().filter(|_| !options.dry_run);
    let llm = LlmOptions { record: record_to, ..llm.clone() };
    let budget = with_time(&options.budget, said);
    let (keys, clock) = (&hearing.keys.llm, hearing.clock);
    Council::connect(&llm, &budget, keys, &subject, clock, hearing.earlier, &record.blobs)
}

/// The limits of a run: what the flags did not say, the words or the default say.
pub fn with_time(budget: &Budget, said: &SaidBudget) -> Budget {
    let mut budget = budget.clone();
    if budget.wall.is_none() && budget.trials.is_none() {
        let seconds = said.seconds.or(said.minutes.map(|minutes| minutes * 60.0));
        let said = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        budget.wall = Some(said.unwrap_or(WALL_DEFAULT));
    }
    budget
}

fn case(options: &Options, request: &Request, level: Level) -> Case {
    let machine = Machine { cores: options.jobs, gpus: 0 };
    let sight = Sight {
        nonce: minds::nonce(options),
        profile: &request.profile,
        rows: &[],
        machine: &machine,
        budget: &options.budget,
        level,
    };
    let words = [request.said.trim(), request.described.trim()];
    let words = words.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n");
    Case::unknown(&request.name, &words, &sight)
}

/// How long the answer is waited for.
fn wait(options: &Options, is_open: bool) -> Duration {
    let longest = if is_open { WAIT_OPEN } else { WAIT };
    match (options.budget.trials, options.budget.wall) {
        (Some(_), _) => WAIT_COUNTED,
        (None, Some(wall)) => longest.min(wall / WAIT_SHARE),
        (None, None) => longest,
    }
}

fn refused(error: &UnderstandError) -> RunError {
    let kind = if error.is_usage() { RunErrorKind::Usage } else { RunErrorKind::Data };
    let mut wrapped = RunError::new(kind, error.to_string());
    wrapped.question = error.question().map(str::to_owned);
    match error.hint() {
        Some(hint) => wrapped.hint(hint),
        None => wrapped,
    }
}
