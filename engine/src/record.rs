//! The run's record: journal, blobs, watcher and running totals in one hand.
//!
//! Invariant: an event is on disk before its effect happens, and every watcher sees exactly what the journal holds.

use crate::error::RunError;
use crate::observer::{Note, Observer};
use ansatz_core::bill::Usage;
use ansatz_core::budget::Spent;
use ansatz_core::event::Event;
use ansatz_core::ids::ArtifactId;
use ansatz_core::status::{Status, after};
use ansatz_core::verdict::{Stage, Verdict};
use ansatz_journal::{Blobs, Journal, JournalError};
use ansatz_report::Live;
use std::time::{Duration, Instant};

/// How often the live page is rewritten.
const PAGE_EVERY: Duration = Duration::from_secs(3);

/// Journal, blobs, watcher, totals.
pub struct Record {
    journal: Journal,
    /// Bytes by hash.
    pub blobs: Blobs,
    observer: Box<dyn Observer>,
    status: Status,
    started: Instant,
    page_written: Instant,
    /// Totals; wall time is brought up to date by [`Record::spent`].
    spent: Spent,
    wall_before_s: f64,
    /// The run as its events tell it; what the report shows.
    pub live: Live,
    /// Verdicts so far.
    pub verdicts: Vec<Verdict>,
    /// Warnings so far.
    pub warnings: Vec<String>,
}

fn journal_error(error: &JournalError) -> RunError {
    let wrapped = RunError::failed(format!("the journal cannot be written: {error}"));
    if error.is_disk_full() {
        return wrapped.hint("the disk is full: free some space, then `ansatz resume`");
    }
    wrapped
}

impl Record {
    /// A record over an open journal. `status` and `spent` come from what was replayed.
    pub fn new(
        journal: Journal,
        blobs: Blobs,
        observer: Box<dyn Observer>,
        status: Status,
        spent: Spent,
    ) -> Self {
        Self {
            journal,
            blobs,
            observer,
            status,
            started: Instant::now(),
            page_written: Instant::now(),
            wall_before_s: spent.wall_s,
            spent,
            live: Live::default(),
            verdicts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Starts the clock anew: what came before, such as first-run set-up, is not part of the budget.
    pub fn restart_clock(&mut self) {
        self.started = Instant::now();
    }

    /// Journals an event durably and shows it.
    ///
    /// # Errors
    /// When the disk is full or broken, or the event cannot follow (a bug of ours).
    pub fn write(&mut self, event: Event) -> Result<(), RunError> {
        self.keep(event, true)
    }

    fn keep(&mut self, event: Event, durable: bool) -> Result<(), RunError> {
        self.status = after(self.status, &event).map_err(|error| RunError::failed(error.to_string()))?;
        let written =
            if durable { self.journal.append(&event) } else { self.journal.append_unsynced(&event) };
        let sequence = written.map_err(|error| journal_error(&error))?;
        self.live.take(&event);
        self.observer.event(sequence, &event);
        match event {
            Event::Checked { verdict } => self.verdicts.push(verdict),
            Event::Warned { message } => self.warnings.push(message),
            _ => {}
        }
        Ok(())
    }

    /// Journals the totals without waiting for the disk.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn tick(&mut self) -> Result<(), RunError> {
        let spent = self.spent();
        self.keep(Event::Ticked { spent }, false)?;
        if self.page_written.elapsed() > PAGE_EVERY {
            self.page_written = Instant::now();
            self.write_page();
        }
        Ok(())
    }

    /// Rewrites the report as a live page. A page that cannot be written harms nothing: the next one is due soon.
    fn write_page(&self) {
        let path = self.journal.path().with_file_name("report.html");
        let temporary = path.with_extension("part");
        let page = ansatz_report::page(&self.live, None, None);
        if std::fs::write(&temporary, page).is_ok() {
            let _ = std::fs::rename(&temporary, &path);
        }
    }

    /// Journals a verdict.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn check(
        &mut self,
        stage: Stage,
        subject: impl Into<String>,
        passed: bool,
        evidence: impl Into<String>,
    ) -> Result<(), RunError> {
        self.write(Event::Checked { verdict: Verdict::new(stage, subject, passed, evidence) })
    }

    /// Journals a warning, once.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn warn(&mut self, message: impl Into<String>) -> Result<(), RunError> {
        let message = message.into();
        if self.warnings.contains(&message) {
            return Ok(());
        }
        self.write(Event::Warned { message })
    }

    /// Stores bytes.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn blob(&self, bytes: &[u8]) -> Result<ArtifactId, RunError> {
        self.blobs.put(bytes).map_err(|error| journal_error(&error))
    }

    /// Shows something that is not journalled.
    pub fn note(&mut self, note: &Note) {
        self.observer.note(note);
    }

    /// Wall seconds of this run, downtime not counted.
    pub fn elapsed_s(&self) -> f64 {
        self.wall_before_s + self.started.elapsed().as_secs_f64()
    }

    /// The totals as of now.
    pub fn spent(&self) -> Spent {
        Spent { wall_s: self.elapsed_s(), ..self.spent.clone() }
    }

    /// Counts a trial that starts.
    pub fn count_trial(&mut self) {
        self.spent.trials += 1;
    }

    /// Counts processor time of cells.
    pub fn count_cpu(&mut self, seconds: f64) {
        self.spent.worker_cpu_s += seconds;
    }

    /// Counts a call of a language model; one of unknown price makes the total unknown.
    pub fn count_call(&mut self, usage: &Usage, usd: Option<f64>) {
        let before = if self.spent.llm_calls == 0 { Some(0.0) } else { self.spent.usd };
        self.spent.llm_calls += 1;
        self.spent.tokens_in += usage.input;
        self.spent.tokens_out += usage.output;
        self.spent.usd = before.zip(usd).map(|(before, usd)| before + usd);
    }

    /// Where the run stands.
    pub fn status(&self) -> Status {
        self.status
    }
}
