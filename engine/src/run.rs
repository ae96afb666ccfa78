//! A run from end to end: set-up, plan, search, finalise, result.

use crate::board::{Board, Rows};
use crate::cells;
use crate::closing::{finish, refuse_steering, with_complaints};
use crate::control::Control;
use crate::environment::{self, Environment};
use crate::error::{RunError, RunErrorKind};
use crate::fetched;
use crate::finalise::Finalise;
use crate::folder::Folder;
use crate::functions::{Check, Functions, LoadedFunctions};
use crate::gpu::GpuWorkers;
use crate::hearing::{self, Hearing};
use crate::limits;
use crate::minds::{self, Cases, Council};
use crate::observer::{Note, Observer};
use crate::options::{GpuAsk, Keys, Options};
use crate::pace::{Measured, Pace};
use crate::pool::{self, Pool};
use crate::ray::Ray;
use crate::record::Record;
use crate::remember;
use crate::restore::restore;
use crate::result::{self, Ending};
use crate::scoring::Scoring;
use crate::search::{self, Ideas, Job, Known, Progress, Search, SearchEnd, Searched};
use crate::setup::{self, Prepared};
use crate::submission;
use crate::worker::Worker;
use ansatz_agents::playbook;
use ansatz_core::bill::Quote;
use ansatz_core::budget::Spent;
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_core::matrix::Matrix;
use ansatz_core::outcome::RunResult;
use ansatz_core::status::Status;
use ansatz_core::steer::Steer;
use ansatz_core::task::Task;
use ansatz_core::verdict::Stage;
use ansatz_journal::{Blobs, Journal};
use ansatz_planner::Plan;
use ansatz_referee::split::{FoldPlan, folds};
use ansatz_sandbox::Launcher;
use ansatz_sources::Acquired;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Seconds that correcting a cross-validated score by bootstrap takes, where no rows were sealed.
const CORRECTING_S: f64 = 1.5;
/// Folds of the cross-validation.
const FOLDS: usize = 5;
/// Folds when there are many rows: each is then large enough.
const FOLDS_MANY_ROWS: usize = 3;
/// Rows from which there are many.
const MANY_ROWS: usize = 100_000;
/// Repeats that are prepared; whether they are used is decided while searching.
const REPEATS: u32 = 4;
/// What a cell needs beside its imports: its own start, reading a file, loading models.
const CELL_OVERHEAD_S: f64 = 0.8;
/// What the start of a cell is taken to last at most, whatever else went on while it was measured.
const CELL_START_MAX_S: f64 = 8.0;
/// Seconds that timing single predictions takes, of the candidates and of what is delivered.
const TIMING_S: f64 = 8.0;
/// Training rows that a trial uses at most.
const TRIAL_ROWS_MAX: usize = 250_000;

/// Carries out a run.
///
/// # Errors
/// [`RunError`] when nothing usable can come out; its kind decides the exit code.
pub fn run(
    mut options: Options,
    keys: Keys,
    clock: Arc<dyn Clock>,
    observer: Box<dyn Observer>,
    stop: Arc<Control>,
) -> Result<RunResult, RunError> {
    // Before there is a folder: a file that cannot be used leaves nothing behind.
    let functions = Functions::read(&mut options)?;
    let folder = Folder::create(&options.out)?;
    let journal = Journal::create(&folder.root, Arc::clone(&clock)).map_err(|error| broken(&error))?;
    let blobs = Blobs::new(&folder.root);
    let mut record = Record::new(journal, blobs, observer, Status::New, Spent::default());
    record.write(Event::RunStarted {
        run: options.run.clone(),
        options: serde_json::to_value(&options).map_err(|error| RunError::failed(error.to_string()))?,
        budget: options.budget.clone(),
        seed: options.seed,
        versions: program_versions(),
        at: clock.unix_seconds(),
    })?;
    functions.keep(&folder, &mut record)?;
    let earlier = take_given(&options, &mut record)?;
    let history = Vec::new();
    Life { options, keys, folder, record, stop, history, clock, functions, ray: None, earlier }.live(None)
}

/// Takes up a run that was interrupted. A run that is over gives its result again.
///
/// # Errors
/// As [`run`]; also when the folder holds no run, or another process is working on it.
pub fn resume(
    root: &Path,
    home: &Path,
    keys: Keys,
    clock: Arc<dyn Clock>,
    observer: Box<dyn Observer>,
    stop: Arc<Control>,
) -> Result<RunResult, RunError> {
    let folder = Folder::open(root)?;
    let (journal, replay) =
        Journal::open(&folder.root, Arc::clone(&clock)).map_err(|error| broken(&error))?;
    let events: Vec<Event> = replay.records.iter().map(|record| record.event.clone()).collect();
    if let Some(Event::Finished { result }) = events.last() {
        return Ok(result.as_ref().clone());
    }
    let Some(Event::RunStarted { options, .. }) = events.first() else {
        return Err(RunError::failed("the journal does not begin with a run").hint("start the run anew"));
    };
    let mut options: Options = serde_json::from_value(options.clone())
        .map_err(|error| RunError::failed(format!("options: {error}")))?;
    options.out.clone_from(&folder.root);
    options.home = home.to_path_buf();
    let functions = Functions::reopen(&options, &folder)?;
    let spent = events.iter().rev().find_map(|event| match event {
        Event::Ticked { spent } => Some(spent.clone()),
        _ => None,
    });
    let blobs = Blobs::new(&folder.root);
    let mut record = Record::new(journal, blobs, observer, replay.status, spent.unwrap_or_default());
    for event in &events {
        match event {
            Event::Checked { verdict } => record.verdicts.push(verdict.clone()),
            Event::Warned { message } => record.warnings.push(message.clone()),
            Event::Fetched { .. } => record.live.take(event),
            _ => {}
        }
    }
    record.write(Event::Resumed { at: clock.unix_seconds(), torn_bytes: replay.torn_bytes })?;
    let adopted = events.iter().any(|event| matches!(event, Event::PlanAdopted { .. }));
    let (past, earlier) = if adopted { (Some(events), Vec::new()) } else { (None, events) };
    let history = Vec::new();
    Life { options, keys, folder, record, stop, history, clock, functions, ray: None, earlier }.live(past)
}

/// What a run or its resumption works with.
struct Life {
    options: Options,
    keys: Keys,
    folder: Folder,
    record: Record,
    stop: Arc<Control>,
    history: Vec<(f64, f64)>,
    clock: Arc<dyn Clock>,
    functions: Functions,
    ray: Option<Ray>,
    /// What a language model answered before there was a plan: in an earlier life, or before the run.
    earlier: Vec<Event>,
}

/// Takes the answers that were got before the run into its journal.
fn take_given(options: &Options, record: &mut Record) -> Result<Vec<Event>, RunError> {
    let mut taken = Vec::new();
    for given in &options.given {
        let Event::ModelAnswered { call, usage, usd, .. } = &given.event else { continue };
        record.write(Event::ModelAsked { call: call.clone() })?;
        record.blob(given.answer.as_bytes())?;
        record.count_call(usage, *usd);
        record.write(given.event.clone())?;
        taken.push(given.event.clone());
    }
    Ok(taken)
}

fn broken(error: &ansatz_journal::JournalError) -> RunError {
    let wrapped = RunError::failed(error.to_string());
    match error.hint() {
        Some(hint) => wrapped.hint(hint),
        None => wrapped,
    }
}

fn program_versions() -> BTreeMap<String, String> {
    BTreeMap::from([("ansatz".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
}

impl Life {
    fn live(mut self, past: Option<Vec<Event>>) -> Result<RunResult, RunError> {
        let is_new = past.is_none();
        let outcome = self.work(past);
        // What an earlier life did, and what was done before a model was lost, is kept: it can be gone on with.
        if let Err(error) = &outcome
            && is_new
            && matches!(error.kind, RunErrorKind::Usage | RunErrorKind::Data | RunErrorKind::Sandbox)
        {
            // Refused: nothing stays but the journal, which says why.
            let result = result::refused(&self.options, &self.record, error);
            let _ = self.record.write(Event::Finished { result: Box::new(result) });
            self.folder.clear();
        }
        outcome
    }

    fn work(&mut self, past: Option<Vec<Event>>) -> Result<RunResult, RunError> {
        let setup_started = Instant::now();
        let (record, options) = (&mut self.record, &self.options);
        // Before anything takes long: a GPU that is asked for and not there ends the run.
        // On a cluster the GPUs are those of the nodes.
        let ask = if options.ray.is_some() { GpuAsk::None } else { options.gpus };
        let mut gpus = GpuWorkers::lease(ask)?;
        let environment = environment::ensure(&options.home, &mut |line| record.note(&Note::Setup(line)))?;
        let functions = self.functions.load(&options.home, &mut |line| record.note(&Note::Setup(line)))?;
        // Like the set-up, what comes over a network is no part of the run's time.
        let acquired = match past {
            Some(_) => None,
            None => fetched::acquire(options, &self.keys, &self.stop, record)?,
        };
        let setup_s = setup_started.elapsed().as_secs_f64();
        let launcher = Launcher::with_options(cells::helper()?, &options.launcher())
            .map_err(|error| cells::sandbox_error(&error))?;
        let launcher = Arc::new(launcher);
        if let Some(warning) = cells::sandbox_warning(launcher.effective()) {
            self.record.warn(warning)?;
        }
        gpus.start_with(&launcher, &environment, &self.folder.data(), &self.folder.models());
        self.connect(past.is_some())?;
        self.record.restart_clock();
        let batches = self.ray.as_ref().map_or(0, |ray| pool::batches(self.options.jobs, ray));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(self.options.jobs + batches + 4)
            .build()
            .map_err(|error| RunError::failed(format!("starting the runtime: {error}")))?;
        let result = runtime.block_on(self.carry_out(
            &launcher,
            &environment,
            &functions,
            past,
            acquired.as_ref(),
            setup_s,
            Arc::new(gpus),
        ));
        // Threads that look up a name may hang for minutes; nothing is waited for that nobody needs any more.
        runtime.shutdown_background();
        result
    }

    /// Takes up the use of a cluster, if one is wanted.
    fn connect(&mut self, is_resumed: bool) -> Result<(), RunError> {
        let Some(options) = &self.options.ray else { return Ok(()) };
        let (run, data) = (self.options.run.as_str(), self.folder.data());
        let (ray, checked) = Ray::connect(options, self.keys.ray.as_ref(), run, self.options.strict, &data)?;
        self.record.note(&Note::Setup(format!("Ray {} at {}", checked.version, options.address)));
        for warning in checked.warnings {
            self.record.warn(warning)?;
        }
        if is_resumed {
            ray.sweep()?;
        }
        self.ray = Some(ray);
        Ok(())
    }

    /// Ends the use of a cluster, and passes on what there was to warn about.
    fn leave_cluster<K: Send + 'static>(&mut self, pool: &mut Pool<K>) -> Result<(), RunError> {
        for warning in pool.take_warnings() {
            self.record.warn(warning)?;
        }
        if let Some(ray) = &self.ray {
            ray.leave();
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_lines,
        clippy::too_many_arguments,
        reason = "one line per phase: the run from end to end, with what the set-up made"
    )]
    async fn carry_out(
        &mut self,
        launcher: &Launcher,
        environment: &Environment,
        functions: &LoadedFunctions,
        past: Option<Vec<Event>>,
        acquired: Option<&Acquired>,
        setup_s: f64,
        gpus: Arc<GpuWorkers>,
    ) -> Result<RunResult, RunError> {
        let starting = Worker::launch(launcher, environment, &self.folder.data(), &self.folder.models())?;
        let memory = remember::Remembered::open(&self.options, &self.clock);
        let mut council = None;
        let mut prepared = if past.is_some() {
            setup::reload(&self.folder)?
        } else {
            let looks = |hash: &str| memory.looks(hash);
            let (options, folder, record) = (&self.options, &self.folder, &mut self.record);
            let (keys, clock, earlier) = (&self.keys, &self.clock, self.earlier.as_slice());
            let hearing = Hearing { keys, clock, earlier, acquired, council: &mut council };
            setup::prepare(options, folder, record, launcher, environment, functions, looks, hearing).await?
        };
        for warning in memory.warnings() {
            self.record.warn(warning.clone())?;
        }
        self.set_budget(&prepared, past.is_some())?;
        if past.is_none() {
            self.look_at_wishes(&prepared)?;
        }
        let task = prepared.setup.task().clone();
        let mut board = Board::new(self.rows(&prepared), prepared.truth.clone());
        let scoring = self.scoring(&task, functions)?;
        let judging_s = match scoring.try_out(board.open_truth(), task.outputs(), self.options.budget.wall) {
            // What was good enough in the run's first life is not refused in a later one.
            Err(error) if past.is_none() => return Err(error),
            tried => tried.unwrap_or(0.0),
        };
        if past.is_none() {
            self.prior_submission(&prepared, &board, &scoring, &functions.checks)?;
        }
        let warm = memory.advice(&prepared);
        // Only a language model is shown rows, so only for one are they read.
        let cases = self.options.llm.is_some().then(|| minds::cases(&self.options, &prepared, &self.folder));
        let quote = self.quote(&prepared, cases.as_ref())?;
        let plan = self.plan(&prepared)?;
        // A run that was interrupted while it was finalising keeps the plan that it had.
        if self.record.status() != Status::Finalising {
            let blob = self.record.blob(plan.to_json().as_bytes())?;
            self.record.write(Event::PlanAdopted { plan: blob, steps: plan.order() })?;
        }
        if self.options.dry_run {
            return self.show_plan(&prepared, &plan, launcher, setup_s, quote);
        }
        let past_or_earlier = past.as_deref().unwrap_or(&self.earlier);
        let ideas = self.ideas(&prepared, cases, &memory, past_or_earlier, council)?;
        let mut progress = Progress::default();
        for steer in &self.options.steer {
            search::restore_steering(steer, &mut board, &mut progress.steered);
        }
        if let Some(past) = past.as_deref() {
            restore(past, &mut board, &self.record, &scoring, &mut progress);
        }
        prepared.take_away(&progress.steered.columns);

        self.record.note(&Note::Phase("starting the worker"));
        let jobs = self.options.jobs.max(1);
        let worker = Arc::new(starting.load(jobs)?);
        let worker_versions = worker.versions.clone();
        let cell_start_s = (worker.import_s + CELL_OVERHEAD_S).min(CELL_START_MAX_S);
        let timing_s = if limits::is_timed(&task.constraints) { TIMING_S } else { 0.0 };
        let correcting_s = if prepared.setup.holdout.sealed().is_empty() { CORRECTING_S } else { 0.0 };
        let judging_s = judging_s + timing_s + correcting_s;
        let measured = Measured { cell_start_s, judging_s, ..Measured::default() };
        let pace = Pace::new(self.options.budget.wall, jobs);
        let mut pool = Pool::new(worker, Arc::clone(&gpus), jobs);
        if let Some(ray) = &self.ray {
            pool = pool.with_cluster(ray.clone());
        }
        let judged_before = self.record.status() == Status::Finalising;

        self.record.note(&Note::Phase("searching"));
        let (searched, measured) = self
            .search(
                &prepared,
                &plan,
                &mut board,
                &scoring,
                &mut pool,
                progress,
                (pace, measured),
                warm,
                ideas,
                judged_before,
                launcher,
                environment,
            )
            .await?;
        let plan = searched.plan.clone();
        prepared.take_away(&searched.steered.columns);
        let pace =
            Pace { wall_s: pace.wall_s.map(|wall| (wall + searched.steered.seconds).max(1.0)), ..pace };
        self.history.clone_from(&searched.history);
        self.record.note(&Note::Phase("finalising"));
        pool.resume();
        let mut finalise = Finalise {
            task: &task,
            board: &mut board,
            record: &mut self.record,
            scoring: &scoring,
            pool: &mut pool,
            pace,
            counts_trials: self.options.deterministic(),
            measured,
            seed: self.options.seed,
            drop: prepared.setup.leaks.clone(),
            models: self.folder.models(),
            test_rows: test_rows(&prepared),
            stop: &self.stop,
            orders: 0,
            checks: &functions.checks,
        };
        let finished = finish(
            &mut finalise,
            &prepared,
            &plan,
            &self.folder,
            launcher,
            environment,
            &memory,
            &self.options,
            searched.steered.is_single,
        )
        .await?;
        let finished = with_complaints(finished, &mut finalise, &self.folder)?;
        self.leave_cluster(&mut pool)?;
        let ending = Ending {
            searched: &searched,
            finished: &finished,
            prepared: &prepared,
            scoring: &scoring,
            board: &board,
            launcher,
            ray: self.ray.as_ref(),
            worker_versions,
            setup_s,
            stopped: self.stop.asked(),
        };
        for warning in gpus.take_warnings() {
            self.record.warn(warning)?;
        }
        refuse_steering(
            &mut self.record,
            &self.stop,
            "the seal was opened, and nothing that chooses may follow",
        )?;
        let mut result = result::compose(&self.options, &self.folder, &self.record, &ending);
        result.llm = minds::summary(&ending, &plan, &quote, self.record.elapsed_s());
        for call in searched.ideas.iter().flat_map(|ideas| ideas.council.unplayed()) {
            self.record.warn(format!("the recording holds a call that was not asked for: {call}"))?;
        }
        result.gpus = gpus.summaries();
        let at = self.clock.unix_seconds();
        memory.store(&self.options, &prepared, &board, &scoring, at, &mut self.record)?;
        result::deliver(&self.folder, &mut self.record, &plan, result)
    }

    /// Keeps of what is wanted from the start what can be done, and says what cannot.
    fn look_at_wishes(&mut self, prepared: &Prepared) -> Result<(), RunError> {
        let is_there = |column: &String| prepared.table.columns.iter().any(|known| known.name == *column);
        let (kept, odd): (Vec<Steer>, Vec<Steer>) =
            std::mem::take(&mut self.options.steer).into_iter().partition(|steer| match steer {
                Steer::DropColumn { column } => is_there(column),
                _ => true,
            });
        self.options.steer = kept;
        odd.iter().try_for_each(|steer| {
            self.record.warn(format!("cannot {steer}: there is no usable column of that name"))
        })
    }

    /// What the run will probably take.
    fn quote(&self, prepared: &Prepared, cases: Option<&Cases>) -> Result<Quote, RunError> {
        let prompts = self.options.llm.as_ref().map(|llm| minds::wordings(Some(llm))).transpose()?;
        Ok(minds::quote(&self.options, prepared, cases.zip(prompts.as_ref())))
    }

    /// The language model, if one is configured, with what it is told.
    fn ideas(
        &self,
        prepared: &Prepared,
        cases: Option<Cases>,
        memory: &remember::Remembered,
        past: &[Event],
        council: Option<Council>,
    ) -> Result<Option<Ideas>, RunError> {
        let (Some(llm), Some(cases)) = (&self.options.llm, cases) else { return Ok(None) };
        let subject = minds::Subject {
            data_hash: prepared.setup.profile.data_hash.clone(),
            seed: self.options.seed,
            trials: self.options.budget.trials,
        };
        let (budget, blobs) = (&self.options.budget, &self.record.blobs);
        let council = match council {
            Some(council) => council,
            None => Council::connect(llm, budget, &self.keys.llm, &subject, &self.clock, past, blobs)?,
        };
        let known = Known {
            evidence: prepared.setup.evidence.clone(),
            cards: remember::cards(prepared),
            sources: memory.sources(prepared),
            demands: demands(prepared.setup.task()),
        };
        Ok(Some(Ideas::new(council, cases, known)))
    }

    /// What the flags did not say, the words or the default say.
    fn set_budget(&mut self, prepared: &Prepared, is_resumed: bool) -> Result<(), RunError> {
        let budget = hearing::with_time(&self.options.budget, &prepared.setup.understood.said);
        if budget != self.options.budget && !is_resumed {
            self.record.write(Event::Budgeted { budget: budget.clone() })?;
        }
        self.options.budget = budget;
        Ok(())
    }

    fn rows(&self, prepared: &Prepared) -> Rows {
        let holdout = &prepared.setup.holdout;
        let open = holdout.train().to_vec();
        let input = prepared.split_input();
        let count = if open.len() > MANY_ROWS { FOLDS_MANY_ROWS } else { FOLDS };
        let (scheme, seed) = (holdout.scheme(), holdout.folds_seed(self.options.seed));
        let plan = FoldPlan { folds: count, scheme, seed };
        let folds = (0..REPEATS).map(|repeat| folds(&plan, &input, &open, repeat)).collect();
        Rows::new(prepared.truth.len(), holdout.sealed().to_vec(), open, folds)
    }

    /// The best constant answer, so that there is a valid submission from the first second on.
    fn prior_submission(
        &mut self,
        prepared: &Prepared,
        board: &Board,
        scoring: &Scoring,
        checks: &[Check],
    ) -> Result<(), RunError> {
        let task = prepared.setup.task();
        if !checks.is_empty() && task.submission.is_none() {
            self.record.warn("there is no test file, hence no submission for --check to look at")?;
        }
        let Some(prior) = scoring.prior(board.open_truth(), task.outputs()) else { return Ok(()) };
        let constant = prior.predict(prepared.table.test_rows);
        let composed = submission::compose(task, &prepared.ids, &constant, &prior.decision)?;
        let Some((csv, _)) = composed else { return Ok(()) };
        checks.iter().try_for_each(|check| check.try_out(&csv))?;
        self.folder.write(submission::FILE, csv.as_bytes()).map(drop)
    }

    /// The metric of the task: of the catalogue, or the user's own.
    fn scoring(&self, task: &Task, functions: &LoadedFunctions) -> Result<Scoring, RunError> {
        let seed = self.options.seed;
        if let Some(loaded) = &functions.metric {
            return Ok(Scoring::custom(task, loaded.of(task), seed));
        }
        Scoring::of(task, seed)
            .ok_or_else(|| RunError::usage(format!("metric {} is unknown", task.metric.name)))
    }

    fn plan(&mut self, prepared: &Prepared) -> Result<Plan, RunError> {
        let refused = |error: &ansatz_planner::PlanError| {
            RunError::usage(format!("the plan cannot be carried out: {error}")).hint(error.hint())
        };
        let existing = self.folder.path("plan.json");
        let source = if existing.is_file() { Some(existing) } else { self.options.plan.clone() };
        if let Some(path) = source {
            let text =
                std::fs::read_to_string(&path).map_err(|error| RunError::io("reading", &path, &error))?;
            let (plan, notices) = Plan::from_edited_json(&text).map_err(|error| refused(&error))?;
            for notice in notices {
                self.record.warn(notice)?;
            }
            self.folder.write("plan.json", plan.to_json().as_bytes())?;
            return Ok(plan);
        }
        let (task, profile) = (prepared.setup.task(), &prepared.setup.profile);
        let plans = playbook::plans(task, profile, self.options.jobs, self.options.budget.seconds())
            .map_err(|error| refused(&error))?;
        let plan = ansatz_planner::merge(&plans).map_err(|error| refused(&error))?;
        self.record.check(
            Stage::Plan,
            "plan",
            true,
            format!("{} plans merged into one graph of {} steps", plans.len(), plan.steps().len()),
        )?;
        self.folder.write("plan.json", plan.to_json().as_bytes())?;
        Ok(plan)
    }

    fn show_plan(
        &mut self,
        prepared: &Prepared,
        plan: &Plan,
        launcher: &Launcher,
        setup_s: f64,
        quote: Quote,
    ) -> Result<RunResult, RunError> {
        let mut result = result::dry(&self.options, &self.folder, &self.record, prepared, launcher, setup_s);
        result.quote = Some(quote);
        result::deliver(&self.folder, &mut self.record, plan, result)
    }

    #[expect(clippy::too_many_arguments, reason = "everything the search needs is made here, once")]
    async fn search(
        &mut self,
        prepared: &Prepared,
        plan: &Plan,
        board: &mut Board,
        scoring: &Scoring,
        pool: &mut Pool<Job>,
        progress: Progress,
        (pace, measured): (Pace, Measured),
        warm: remember::Advice,
        ideas: Option<Ideas>,
        judged_before: bool,
        launcher: &Launcher,
        environment: &Environment,
    ) -> Result<(Searched, Measured), RunError> {
        let task = prepared.setup.task();
        let (folder, stop, jobs) = (&self.folder, &self.stop, self.options.jobs);
        let mut early = |board: &Board, record: &mut Record| {
            early_submission(folder, task, prepared, board, scoring).and_then(|written| {
                if written {
                    record.check(Stage::Submission, "early submission", true, "from the baseline")
                } else {
                    Ok(())
                }
            })
        };
        let mut new_worker = || {
            Worker::launch(launcher, environment, &folder.data(), &folder.models())?.load(jobs).map(Arc::new)
        };
        let mut adopt = |plan: &Plan, record: &mut Record| {
            let text = plan.to_json();
            folder.write("plan.json", text.as_bytes())?;
            let blob = record.blob(text.as_bytes())?;
            record.write(Event::PlanAdopted { plan: blob, steps: plan.order() })
        };
        let open = board.rows.open.len();
        let permille = if open > TRIAL_ROWS_MAX { (TRIAL_ROWS_MAX * 1000 / open) as u32 } else { 1000 };
        let mut search = Search {
            task,
            profile: &prepared.setup.profile,
            plan: plan.clone(),
            board,
            record: &mut self.record,
            scoring,
            pace: Pace { wall_s: pace.wall_s.map(|wall| (wall + progress.steered.seconds).max(1.0)), ..pace },
            trials_max: self.options.budget.trials,
            seconds: self.options.budget.seconds(),
            seed: self.options.seed,
            drop: prepared.setup.leaks.clone(),
            columns: prepared.table.columns.iter().map(|column| column.name.clone()).collect(),
            has_joins: prepared
                .table
                .columns
                .iter()
                .any(|column| column.joined && !prepared.setup.leaks.contains(&column.name)),
            steered: progress.steered.clone(),
            rows_permille: permille,
            test_rows: test_rows(prepared),
            warm: warm.starts,
            pasts: warm.pasts,
            method: self.options.search,
            measured,
            stop,
            early: &mut early,
            adopt: &mut adopt,
            ideas,
            new_worker: &mut new_worker,
        };
        if judged_before {
            // The seal was opened in an earlier life: nothing may be searched any more.
            let end = SearchEnd::BudgetUsed;
            let (lost, history) = (BTreeMap::new(), Vec::new());
            let steered = progress.steered;
            return Ok((Searched { lost, end, history, plan: plan.clone(), steered, ideas: None }, measured));
        }
        let searched = search::search(&mut search, pool, progress).await?;
        let measured = search.measured;
        Ok((searched, measured))
    }
}

/// What the user demands beyond a good score, in words.
fn demands(task: &Task) -> Vec<String> {
    let wishes = &task.constraints;
    let latency = wishes.latency_ms_max.map(|limit| format!("at most {limit} ms for one prediction"));
    let size = wishes.model_bytes_max.map(|limit| format!("a model of at most {limit} bytes"));
    let readable = wishes.interpretable.then(|| "a model that a person can read".to_owned());
    let score = wishes.score.map(|score| format!("{} of {score}, or better", task.metric.name));
    latency.into_iter().chain(size).chain(readable).chain(score).collect()
}

fn test_rows(prepared: &Prepared) -> Vec<usize> {
    let first = prepared.table.train_rows;
    (first..first + prepared.table.test_rows).collect()
}

/// Writes a submission from the baseline's fold models; false when there is nothing to write.
fn early_submission(
    folder: &Folder,
    task: &ansatz_core::task::Task,
    prepared: &Prepared,
    board: &Board,
    scoring: &Scoring,
) -> Result<bool, RunError> {
    let Some(entry) = board.baseline() else { return Ok(false) };
    let (Some(scored), Some(oof)) = (entry.score(), entry.oof.as_ref()) else { return Ok(false) };
    let tests: Vec<(&Matrix, f64)> = entry
        .held
        .values()
        .filter_map(|held| held.test.get(scored.stage))
        .map(|test| (test, 1.0 / entry.held.len() as f64))
        .collect();
    if tests.len() < entry.held.len() {
        return Ok(false);
    }
    let Some(mean) = crate::finalise::blend(&tests) else { return Ok(false) };
    let decision = scoring.decision(board.open_truth(), oof);
    Ok(submission::write(folder, task, &prepared.ids, &mean, &decision)?.is_some())
}
