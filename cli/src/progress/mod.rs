//! Watching a run: a block on a terminal, plain lines elsewhere, events as JSON for programs.

mod block;
mod lines;

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests;

use crate::console::{Paint, Style, write_error, write_out};
use crate::surroundings::Surroundings;
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_engine::{Note, Observer};
use ansatz_report::Live;
use ansatz_report::text::{MESSAGE_WIDTH, visible};
use block::{Block, Figures};
use lines::{Detail, Line, lines};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A line of the set-up's commands worth showing outside a run; `None` for noise.
pub fn set_up_line(line: &str) -> Option<String> {
    lines::set_up(line, Detail::Story)
}

/// How much the user wants to see on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What means something.
    Normal,
    /// Also every step, trial and check.
    Verbose,
}

/// Takes a finished line of text.
type Sink = Box<dyn FnMut(&str) + Send>;

/// Takes a line of the event stream; false when nobody reads it any more.
type Stream = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// Writes a line for the user from any thread.
pub type Announce = Box<dyn Fn(&str) + Send>;

enum Display {
    Nothing,
    Lines(Sink),
    Block(Block),
}

/// The run's own time: what it said last, and the time since then.
#[derive(Clone)]
struct RunTime {
    clock: Arc<dyn Clock>,
    said_s: f64,
    said_at: Duration,
}

impl RunTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let said_at = clock.monotonic();
        Self { clock, said_s: 0.0, said_at }
    }

    fn say(&mut self, seconds: f64) {
        (self.said_s, self.said_at) = (seconds, self.clock.monotonic());
    }

    fn now_s(&self) -> f64 {
        self.said_s + self.clock.monotonic().saturating_sub(self.said_at).as_secs_f64()
    }
}

/// Shows a run while it goes on.
pub struct Watcher {
    live: Live,
    time: RunTime,
    detail: Detail,
    paint: Paint,
    display: Display,
    stream: Option<Stream>,
    phase: String,
    is_setting_up: bool,
}

impl Watcher {
    /// A watcher for these surroundings; `is_stream` writes every event to standard output as a line of JSON.
    pub fn new(
        surroundings: &Surroundings,
        verbosity: Verbosity,
        is_stream: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let paint = Paint(surroundings.colour(surroundings.error_is_terminal));
        let has_block = surroundings.error_is_terminal && !surroundings.is_dumb();
        let time = RunTime::new(clock);
        let display = match verbosity {
            Verbosity::Quiet => Display::Nothing,
            _ if has_block => Display::Block(Block::show(time.clone(), surroundings.width, paint)),
            _ => Display::Lines(Box::new(|line| write_error(&format!("{line}\n")))),
        };
        let detail = match (&display, verbosity) {
            (_, Verbosity::Verbose) => Detail::Everything,
            (Display::Block(_), _) => Detail::BesideBlock,
            _ => Detail::Story,
        };
        let stream: Option<Stream> = if is_stream { Some(Box::new(write_out)) } else { None };
        let (live, phase) = (Live::default(), String::new());
        Self { live, time, detail, paint, display, stream, phase, is_setting_up: false }
    }

    /// The same watcher, knowing what an earlier life of the run did.
    #[must_use]
    pub fn knowing(mut self, live: Live) -> Self {
        self.time.say(live.spent.wall_s);
        self.live = live;
        self
    }

    /// A hand that writes lines from another thread without tearing the block.
    pub fn announcer(&self) -> Announce {
        match &self.display {
            Display::Nothing => Box::new(|_| {}),
            Display::Lines(_) => Box::new(|line| write_error(&format!("{line}\n"))),
            Display::Block(block) => Box::new(block.printer()),
        }
    }

    fn say(&mut self, line: &Line) {
        let text = line.shown(self.paint, self.time.now_s());
        match &mut self.display {
            Display::Nothing => {}
            Display::Lines(sink) => sink(&text),
            Display::Block(block) => block.print(&text),
        }
    }

    /// Brings the block up to date.
    fn update_block(&self, change: impl FnOnce(&mut Figures)) {
        if let Display::Block(block) = &self.display {
            block.update(|figures| {
                figures.time = self.time.clone();
                change(figures);
            });
        }
    }

    fn enter(&mut self, phase: &str) {
        if phase == self.phase {
            return;
        }
        phase.clone_into(&mut self.phase);
        if matches!(self.display, Display::Block(_)) {
            self.update_block(|figures| phase.clone_into(&mut figures.phase));
        } else {
            self.say(&Line::new(Style::Dim, phase));
        }
    }

    fn set_up(&mut self, line: &str) {
        self.is_setting_up = true;
        let Some(line) = lines::set_up(line, self.detail) else { return };
        if matches!(self.display, Display::Block(_)) {
            self.update_block(|figures| {
                "setting up, once".clone_into(&mut figures.phase);
                figures.counts.clone_from(&line);
            });
        }
        if self.detail > Detail::BesideBlock {
            self.say(&Line::plain(format!("set-up: {line}")));
        }
    }

    /// Set-up is not part of the run's time.
    fn end_set_up(&mut self) {
        if self.is_setting_up {
            self.is_setting_up = false;
            self.time.say(0.0);
            self.update_block(|figures| figures.counts.clear());
        }
    }

    fn send(&mut self, sequence: u64, event: &Event) {
        let Some(stream) = &mut self.stream else { return };
        // An event that is in the journal can be written as JSON; a reader that went away is not told any more.
        let Ok(mut bytes) = serde_json::to_vec(&Streamed { seq: sequence, event }) else { return };
        bytes.push(b'\n');
        if !stream(&bytes) {
            self.stream = None;
        }
    }
}

/// One line of the event stream.
#[derive(Serialize)]
struct Streamed<'a> {
    seq: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Observer for Watcher {
    fn event(&mut self, sequence: u64, event: &Event) {
        self.end_set_up();
        self.send(sequence, event);
        if let Event::Ticked { spent } = event {
            self.time.say(spent.wall_s);
        }
        for line in lines(event, &self.live, self.detail) {
            self.say(&line);
        }
        self.live.take(event);
        self.update_block(|figures| figures.take(&self.live, None));
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::Setup(line) => self.set_up(line),
            Note::Fetching(line) => self.say(&Line::plain(visible(line, MESSAGE_WIDTH))),
            Note::Phase(phase) => {
                self.end_set_up();
                self.enter(phase);
            }
            Note::Load { running, elapsed_s, total_s } => {
                self.time.say(*elapsed_s);
                self.update_block(|figures| {
                    figures.total_s = *total_s;
                    figures.take(&self.live, Some(*running));
                });
            }
        }
    }
}
