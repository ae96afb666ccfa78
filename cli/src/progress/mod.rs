//! Watching a run: a block on a terminal, plain lines elsewhere, events as JSON for programs.

mod block;
mod lines;

#[cfg(test)]
mod tests;

use crate::console::{Paint, Style, write_error, write_out};
use crate::surroundings::Surroundings;
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_engine::{Note, Observer};
use ansatz_report::Live;
use ansatz_report::text::{MESSAGE_WIDTH, visible};
use block::Block;
use lines::{Detail, Line, lines};
use serde::Serialize;
use std::sync::Arc;

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

/// What is done with a finished line of text.
type Sink = Box<dyn FnMut(&str) + Send>;

enum Display {
    Nothing,
    Lines(Sink),
    Block(Block),
}

/// Shows a run while it goes on.
pub struct Watcher {
    live: Live,
    elapsed_s: f64,
    detail: Detail,
    paint: Paint,
    display: Display,
    stream: Option<Box<dyn FnMut(&[u8]) -> bool + Send>>,
    phase: String,
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
        let display = match verbosity {
            Verbosity::Quiet => Display::Nothing,
            Verbosity::Normal if has_block => Display::Block(Block::show(clock, surroundings.width, paint)),
            Verbosity::Verbose if has_block => Display::Block(Block::show(clock, surroundings.width, paint)),
            _ => Display::Lines(Box::new(|line| write_error(&format!("{line}\n")))),
        };
        let detail = match (&display, verbosity) {
            (_, Verbosity::Verbose) => Detail::Everything,
            (Display::Block(_), _) => Detail::BesideBlock,
            _ => Detail::Story,
        };
        let stream = is_stream.then(|| Box::new(write_out) as Box<dyn FnMut(&[u8]) -> bool + Send>);
        Self { live: Live::default(), elapsed_s: 0.0, detail, paint, display, stream, phase: String::new() }
    }

    fn say(&mut self, line: &Line) {
        let text = line.shown(self.paint, self.elapsed_s);
        match &mut self.display {
            Display::Nothing => {}
            Display::Lines(sink) => sink(&text),
            Display::Block(block) => block.print(&text),
        }
    }

    fn enter(&mut self, phase: &str) {
        if phase == self.phase {
            return;
        }
        phase.clone_into(&mut self.phase);
        match &self.display {
            Display::Block(block) => block.update(|figures| phase.clone_into(&mut figures.phase)),
            _ => self.say(&Line::new(Style::Dim, phase)),
        }
    }

    fn send(&mut self, sequence: u64, event: &Event) {
        let Some(stream) = &mut self.stream else { return };
        // An event that is in the journal can be written as JSON; and a reader that went away is not told any more.
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
        self.send(sequence, event);
        for line in lines(event, &self.live, self.detail) {
            self.say(&line);
        }
        self.live.take(event);
        if let Event::Ticked { spent } = event {
            self.elapsed_s = spent.wall_s;
        }
        if let Display::Block(block) = &self.display {
            if matches!(event, Event::Ticked { .. }) {
                block.set_elapsed(self.elapsed_s);
            }
            block.update(|figures| figures.take(&self.live, None));
        }
    }

    fn note(&mut self, note: &Note) {
        match note {
            Note::Setup(line) => {
                let line = visible(line, MESSAGE_WIDTH);
                match &self.display {
                    Display::Block(block) => {
                        "setting up (once)".clone_into(&mut self.phase);
                        block.update(|figures| {
                            figures.phase.clone_from(&self.phase);
                            figures.counts = line;
                        });
                    }
                    _ => self.say(&Line::plain(format!("set-up: {line}"))),
                }
            }
            Note::Phase(phase) => self.enter(phase),
            Note::Load { running, elapsed_s, total_s } => {
                self.elapsed_s = *elapsed_s;
                if let Display::Block(block) = &self.display {
                    block.set_elapsed(*elapsed_s);
                    block.update(|figures| {
                        figures.total_s = *total_s;
                        figures.take(&self.live, Some(*running));
                    });
                }
            }
        }
    }
}
