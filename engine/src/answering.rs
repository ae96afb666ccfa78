//! The host's side of a cell that answers single rows with a model: the host asks, and holds the watch.

use crate::bundle;
use crate::cells;
use crate::error::RunError;
use crate::limits::Site;
use ansatz_sandbox::Cell;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows before the watch is started: caches are filled, code is loaded.
const WARM_UP: usize = 2;
/// Longest time to load models, and for one answer.
const LOADING_MAX: Duration = Duration::from_mins(2);
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A cell that answers single rows with a bundle.
pub struct Answering {
    cell: Cell,
    rows: usize,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Said {
    Loaded { rows: usize },
    Answered { values: Vec<f64> },
    Failed { message: String },
}

impl Answering {
    /// Starts the cell over the snapshot of the test file, or of the training file without one.
    ///
    /// # Errors
    /// When the cell cannot be started, or the models or the file do not load.
    pub fn start(site: &Site<'_>, bundle: &Path) -> Result<Self, RunError> {
        let role = if site.prepared.table.test_rows > 0 { "test" } else { "train" };
        let input = bundle::source_file(site.folder, role)?;
        let images = Some(site.folder.input().join("images")).filter(|images| images.is_dir());
        let (launcher, environment) = (site.launcher, site.environment);
        let cell = bundle::start(launcher, environment, "answer", bundle, &input, images.as_deref(), &[])?;
        let mut answering = Self { cell, rows: 0 };
        match answering.hear(LOADING_MAX)? {
            Said::Loaded { rows } if rows > 0 => answering.rows = rows,
            other => return Err(RunError::failed(format!("loading a model to time it: {other:?}"))),
        }
        Ok(answering)
    }

    /// Asks for rows one after the other; milliseconds that 95 of 100 stay below, and the answers by row.
    ///
    /// # Errors
    /// When an answer fails or does not come.
    pub fn time(&self, rows: usize, member: Option<usize>) -> Result<(f64, Vec<Vec<f64>>), RunError> {
        for _ in 0..WARM_UP {
            self.ask(0, member)?;
        }
        let (mut times, mut answers) = (Vec::new(), Vec::new());
        for number in 0..rows {
            let row = number % self.rows;
            let started = Instant::now();
            let values = self.ask(row, member)?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            if number < self.rows {
                answers.push(values);
            }
        }
        Ok((percentile_95(times), answers))
    }

    fn ask(&self, row: usize, member: Option<usize>) -> Result<Vec<f64>, RunError> {
        let mut request = json!({"op": "answer", "row": row});
        if let Some(member) = member {
            request["member"] = member.into();
        }
        let sent = self.cell.send(request.to_string().as_bytes(), &[]);
        sent.map_err(|error| RunError::failed(format!("asking a model: {error}")))?;
        match self.hear(ANSWER_MAX)? {
            Said::Answered { values } => Ok(values),
            Said::Failed { message } => Err(RunError::failed(message)),
            Said::Loaded { .. } => Err(RunError::failed("a model answered out of turn")),
        }
    }

    fn hear(&self, limit: Duration) -> Result<Said, RunError> {
        match self.cell.recv(limit) {
            Ok(Some(line)) => serde_json::from_slice(&line).map_err(|error| {
                RunError::failed(format!("a model's cell sent a line that is not ours: {error}"))
            }),
            Ok(None) => Err(RunError::failed(format!("it ended: {}", cells::last_words(&self.cell)))),
            Err(error) => Err(RunError::failed(format!("waiting for a model's answer: {error}"))),
        }
    }

    /// Ends the cell.
    pub fn stop(self) {
        let _ = self.cell.send(br#"{"op":"stop"}"#, &[]);
        self.cell.stop(Duration::from_secs(1));
    }
}

/// The value that 95 of 100 stay at or below: the smallest such one that was seen.
fn percentile_95(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * 0.95).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_percentile_was_seen() {
        assert_eq!(percentile_95((1..=20).map(f64::from).collect()), 19.0);
        assert_eq!(percentile_95(vec![7.0]), 7.0);
        assert_eq!(percentile_95(Vec::new()), f64::INFINITY);
    }
}
