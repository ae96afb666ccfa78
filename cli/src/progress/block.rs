//! The block on a terminal: a few lines that stay in place while the run goes on.

use super::RunTime;
use crate::console::{Paint, Style};
use ansatz_report::Live;
use ansatz_report::number::{arrow, count, metric, score, seconds};
use ansatz_report::text::{visible, width};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the block is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(125);

/// Steps of the bar.
const BAR_LENGTH: usize = 36;

/// Pictures of the spinner.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What the block shows besides the time.
#[derive(Clone)]
pub struct Figures {
    /// Name of the task or of the run.
    pub title: String,
    /// What is going on.
    pub phase: String,
    /// The run's own time.
    pub time: RunTime,
    /// Seconds that it may use.
    pub total_s: Option<f64>,
    /// The line of counts and scores.
    pub counts: String,
}

impl Figures {
    /// Nothing but the time.
    pub fn new(time: RunTime) -> Self {
        let (title, phase, counts) = (String::new(), "starting".into(), String::new());
        Self { title, phase, time, total_s: None, counts }
    }

    /// Brings title and counts up to date. `running` is the number of trials under way, where the engine said so.
    pub fn take(&mut self, live: &Live, running: Option<usize>) {
        let name = live.task.as_ref().map(|task| task.name.as_str()).filter(|name| !name.is_empty());
        self.title = visible(name.unwrap_or(&live.run), 30);
        self.counts = counts(live, running);
    }

    /// The two lines above and below the bar, and the bar: nothing wider than `columns`.
    fn lines(&self, columns: usize, paint: Paint) -> String {
        let used = self.time.now_s();
        let mut first = if self.title.is_empty() {
            self.phase.clone()
        } else {
            format!("{} · {}", self.title, self.phase)
        };
        let time = match self.total_s {
            Some(total) => format!("{} · {} left", seconds(used), seconds((total - used).max(0.0))),
            None => seconds(used),
        };
        first = visible(&first, columns.saturating_sub(width(&time) + 6));
        let share = self.total_s.filter(|total| *total > 0.0).map(|total| (used / total).clamp(0.0, 1.0));
        let mut text = format!("{} {}", paint.text(Style::Bold, &first), paint.text(Style::Dim, &time));
        if let Some(share) = share {
            let _ = write!(text, "\n  {}", bar(share, BAR_LENGTH.min(columns.saturating_sub(4)), paint));
        }
        if !self.counts.is_empty() {
            let _ = write!(text, "\n  {}", visible(&self.counts, columns.saturating_sub(3)));
        }
        text
    }
}

fn bar(share: f64, length: usize, paint: Paint) -> String {
    let done = (share * length as f64).round() as usize;
    let rest = paint.text(Style::Dim, &"─".repeat(length - done.min(length)));
    format!("{}{rest}", paint.text(Style::Cyan, &"━".repeat(done.min(length))))
}

fn counts(live: &Live, running: Option<usize>) -> String {
    if live.trials_started == 0 {
        return String::new();
    }
    let mut parts = vec![format!("{} trials done", count(live.trials_finished.into()))];
    let running = running.map_or_else(|| live.trials_running().into(), |running| running as u64);
    if running > 0 {
        parts.push(format!("{running} running"));
    }
    if live.trials_failed > 0 {
        parts.push(format!("{} failed", live.trials_failed));
    }
    if let Some((candidate, value)) = live.incumbent {
        let name = live.task.as_ref().map_or_else(|| "score".into(), |task| metric(&task.metric.name));
        let leader =
            live.candidates.get(&candidate).map_or_else(String::new, |line| format!(" {}", line.name));
        parts.push(format!("best {name} {} {}{leader}", score(value), arrow(live.higher_is_better())));
    }
    if let Some(first) = live.first_valid_s {
        parts.push(format!("first result {}", seconds(first)));
    }
    parts.join(" · ")
}

/// The block itself.
pub struct Block {
    bar: ProgressBar,
    figures: Arc<Mutex<Figures>>,
}

impl Block {
    /// Puts a block on the terminal behind standard error.
    pub fn show(time: RunTime, columns: usize, paint: Paint) -> Self {
        let figures = Arc::new(Mutex::new(Figures::new(time)));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&figures);
        let style = ProgressStyle::default_spinner().tick_strings(&SPINNER);
        // The template is ours, so it parses; were it not, a plain spinner would do.
        let style = style
            .template("{spinner} {block}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .with_key("block", move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                let figures = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = out.write_str(&figures.lines(columns, paint));
            });
        bar.set_style(style);
        bar.enable_steady_tick(TICK);
        Self { bar, figures }
    }

    /// Changes what is shown.
    pub fn update(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
        self.bar.tick();
    }

    /// A hand that writes lines above the block from another thread.
    pub fn printer(&self) -> impl Fn(&str) + Send + 'static {
        let bar = self.bar.clone();
        move |line| bar.println(line)
    }

    /// Writes a line above the block, where it stays.
    pub fn print(&self, line: &str) {
        self.bar.println(line);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use ansatz_core::clock::{Clock, ManualClock};
    use expect_test::expect;

    fn figures(elapsed: Duration) -> Figures {
        let clock = Arc::new(ManualClock::default());
        let mut time = RunTime::new(Arc::clone(&clock) as Arc<dyn Clock>);
        time.say(20.0);
        clock.advance(elapsed);
        Figures {
            title: "churn".into(),
            phase: "searching".into(),
            time,
            total_s: Some(60.0),
            counts: "34 trials done · 2 running · best ROC AUC 0.8601 ↑ c4 catboost · first result 4.2s"
                .into(),
        }
    }

    #[test]
    fn the_block_shows_time_bar_and_counts() {
        expect![[r#"
            churn · searching 22s · 38s left
              ━━━━━━━━━━━━━───────────────────────
              34 trials done · 2 running · best ROC AUC 0.8601 ↑ c4 catboost · first result 4.2s"#]]
        .assert_eq(&figures(Duration::from_secs(2)).lines(100, Paint(false)));
    }

    #[test]
    fn the_block_fits_into_a_narrow_terminal() {
        let text = figures(Duration::from_mins(10)).lines(40, Paint(false));
        assert!(text.lines().all(|line| width(line) < 40), "{text}");
        assert!(text.contains("0.0s left"), "{text}");
    }
}
