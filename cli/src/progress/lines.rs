//! What happened, as lines for a person: one per event that means something, none for the rest.

use crate::console::{Paint, Style};
use ansatz_core::event::Event;
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::source::Provenance;
use ansatz_core::task::{BY_MODEL, Problem, Task};
use ansatz_report::Live;
use ansatz_report::headline::is_leak;
use ansatz_report::number::{arrow, better, count, counted, metric, score, seconds};
use ansatz_report::text::{MESSAGE_WIDTH, name, visible};

/// Columns named one by one when they are dropped for a reason other than a leak.
const DROPPED_NAMED_MAX: usize = 8;

/// How much a person wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// A block is on the screen that shows scores and counts; lines say what must not be missed.
    BesideBlock,
    /// There is no block: lines tell the whole story.
    Story,
    /// Also every step, trial and check.
    Everything,
}

/// A line about what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How loud it is.
    pub style: Style,
    /// What it says; harmless.
    pub text: String,
}

impl Line {
    /// A line in a style.
    pub fn new(style: Style, text: impl Into<String>) -> Self {
        Self { style, text: text.into() }
    }

    /// A line about something ordinary.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Style::Plain, text)
    }

    /// The line with the time in front, ready for a terminal.
    pub fn shown(&self, paint: Paint, elapsed_s: f64) -> String {
        let time = paint.text(Style::Dim, &format!("[{:>6}]", seconds(elapsed_s)));
        format!("{time} {}", paint.text(self.style, &self.text))
    }
}

/// The lines for an event. `before` is what was known before it.
pub fn lines(event: &Event, before: &Live, detail: Detail) -> Vec<Line> {
    match event {
        Event::RunStarted { run, options, .. } => vec![started(run.as_str(), options)],
        Event::Resumed { torn_bytes, .. } => vec![resumed(*torn_bytes, before)],
        Event::Fetched { provenance } => vec![fetched(provenance)],
        Event::Understood { task, .. } => understood(task),
        Event::Sealed { rows, method, looks_before, .. } => vec![sealed(*rows, method, *looks_before)],
        Event::ColumnDropped { dropped } => dropped_column(dropped, before, detail),
        Event::PlanAdopted { steps, .. } => adopted(steps.len(), before),
        Event::StepFailed { step, error } => {
            vec![Line::new(Style::Yellow, format!("step {} failed: {}", name(step.as_str()), message(error)))]
        }
        Event::EnsembleBuilt { members, score: value, .. } => vec![Line::plain(format!(
            "combined {}: {}",
            counted(members.len() as u64, "candidate", "candidates"),
            scored(before, *value)
        ))],
        Event::SealOpened { subject } => {
            vec![Line::plain(format!("opening the seal for the one look: {}", message(subject)))]
        }
        Event::Checked { verdict } if !verdict.passed => {
            let (subject, evidence) = (message(&verdict.subject), message(&verdict.evidence));
            vec![Line::new(Style::Yellow, format!("check failed: {subject}: {evidence}"))]
        }
        Event::Warned { message: text } => {
            vec![Line::new(Style::Yellow, format!("warning: {}", message(text)))]
        }
        Event::Steered { steer, outcome, .. } => {
            vec![Line::plain(format!("{}: {}", message(&steer.to_string()), message(outcome)))]
        }
        Event::CandidateScored { candidate, score, .. } => first_score(*candidate, *score, before, detail),
        Event::IncumbentChanged { candidate, score, .. }
            if detail > Detail::BesideBlock && before.incumbent.is_some() =>
        {
            vec![Line::plain(format!(
                "best so far {} ({})",
                scored(before, *score),
                candidate_name(before, *candidate)
            ))]
        }
        _ if detail == Detail::Everything => everything(event, before),
        _ => Vec::new(),
    }
}

fn message(text: &str) -> String {
    visible(text, MESSAGE_WIDTH)
}

fn started(run: &str, options: &serde_json::Value) -> Line {
    let place = options.get("out").and_then(serde_json::Value::as_str);
    let place = place.map_or_else(String::new, |place| format!(": results go to {}", message(place)));
    Line::plain(format!("run {}{place}", message(run)))
}

fn resumed(torn_bytes: u64, before: &Live) -> Line {
    let finished = counted(before.trials_finished.into(), "finished trial is", "finished trials are");
    let torn = if torn_bytes > 0 { "; the last line of the journal was torn and is dropped" } else { "" };
    Line::plain(format!("taking up the run: {finished} kept{torn}"))
}

fn fetched(provenance: &Provenance) -> Line {
    let how = if provenance.was_cached { "as fetched before" } else { "fetched" };
    let about = [
        provenance.version.as_ref().map(|version| format!("version {version}")),
        provenance.licence.as_ref().map(|licence| format!("licence {licence}")),
        provenance.checked.as_ref().map(|kind| format!("{kind} checked")),
    ];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let (what, from) = (name(&provenance.source), visible(&provenance.address, MESSAGE_WIDTH));
    let mib = provenance.bytes as f64 / f64::from(1 << 20);
    Line::plain(visible(&format!("data: {what}, {mib:.1} MiB, {how} from {from}{about}"), MESSAGE_WIDTH))
}

fn understood(task: &Task) -> Vec<Line> {
    let problem = match task.problem {
        Problem::Binary => "two classes".to_owned(),
        Problem::Multiclass => format!("{} classes", count(task.classes.len() as u64)),
        Problem::Regression => "a number".to_owned(),
    };
    let higher = task.metric.direction == ansatz_core::metric::Direction::Maximize;
    let first = format!(
        "task: predict {} ({problem}), scored by {}, {}",
        name(&task.target),
        metric(&task.metric.name),
        better(higher)
    );
    let inferred = task.inferred.iter().map(|inference| {
        let (field, value) = (message(&inference.field), name(&inference.value));
        if let Some(more) = inference.because.strip_prefix(BY_MODEL) {
            let value = message(&inference.value);
            return Line::plain(format!("  {BY_MODEL}: {field} = {value}{}", message(more)));
        }
        Line::new(Style::Dim, format!("  {field} {value}: {}", message(&inference.because)))
    });
    std::iter::once(Line::new(Style::Bold, first)).chain(inferred).collect()
}

fn sealed(rows: u64, method: &str, looks_before: u32) -> Line {
    let looks = match looks_before {
        0 => String::new(),
        looks => format!("; earlier runs have looked at them {}", counted(looks.into(), "time", "times")),
    };
    if rows == 0 {
        return Line::plain(format!("no rows are sealed: {}", message(method)));
    }
    Line::plain(format!("sealed {} ({}){looks}", counted(rows, "row", "rows"), message(method)))
}

fn dropped_column(dropped: &DroppedColumn, before: &Live, detail: Detail) -> Vec<Line> {
    let (column, evidence) = (name(&dropped.column), message(&dropped.evidence));
    if is_leak(dropped) {
        return vec![Line::new(Style::Red, format!("LEAK dropped: {column}: {evidence}"))];
    }
    let named = before.dropped.iter().filter(|column| !is_leak(column)).take(DROPPED_NAMED_MAX).count();
    if named >= DROPPED_NAMED_MAX && detail < Detail::Everything {
        return Vec::new();
    }
    let reason = message(&dropped.reason.replace('_', " "));
    vec![Line::plain(format!("not used: {column} ({reason}): {evidence}"))]
}

fn adopted(steps: usize, before: &Live) -> Vec<Line> {
    let unnamed =
        before.dropped.iter().filter(|column| !is_leak(column)).count().saturating_sub(DROPPED_NAMED_MAX);
    let mut lines = Vec::new();
    if unnamed > 0 {
        lines.push(Line::plain(format!(
            "not used: {} more, all named in result.json",
            counted(unnamed as u64, "column", "columns")
        )));
    }
    lines.push(Line::plain(format!("plan: {}", counted(steps as u64, "step", "steps"))));
    lines
}

fn candidate_name(live: &Live, candidate: ansatz_core::ids::CandidateId) -> String {
    live.candidates.get(&candidate).map_or_else(|| candidate.to_string(), |line| message(&line.name))
}

fn scored(live: &Live, value: f64) -> String {
    let name = live.task.as_ref().map_or_else(|| "score".into(), |task| metric(&task.metric.name));
    format!("{name} {} {}", score(value), arrow(live.higher_is_better()))
}

fn first_score(
    candidate: ansatz_core::ids::CandidateId,
    value: f64,
    before: &Live,
    detail: Detail,
) -> Vec<Line> {
    let text = format!("{} ({})", scored(before, value), candidate_name(before, candidate));
    if before.first_valid_s.is_none() {
        return vec![Line::new(Style::Green, format!("first valid result: {text}"))];
    }
    if detail == Detail::Everything { vec![Line::plain(format!("scored {text}"))] } else { Vec::new() }
}

/// Lines that only those read who asked for everything.
fn everything(event: &Event, before: &Live) -> Vec<Line> {
    let text = match event {
        Event::StepStarted { step } => format!("step {} begins", name(step.as_str())),
        Event::StepFinished { step, .. } => format!("step {} is done", name(step.as_str())),
        Event::StepSkipped { step, reason } => {
            format!("step {} is skipped: {}", name(step.as_str()), message(reason))
        }
        Event::CandidateProposed { candidate, .. } => {
            let params = serde_json::to_string(&candidate.params).unwrap_or_default();
            format!("candidate {} {}: {}", candidate.id, message(candidate.solution.name()), message(&params))
        }
        Event::TrialFinished { trial, candidate, fold, score: value, wall_s, .. } => {
            let value = value.map_or_else(|| "no score".into(), score);
            let candidate = candidate_name(before, *candidate);
            format!(
                "trial {trial} of {candidate}, fold {}.{}: {value} in {}",
                fold.repeat,
                fold.fold,
                seconds(*wall_s)
            )
        }
        Event::TrialFailed { trial, candidate, kind, message: text, .. } => {
            let kind = format!("{kind:?}").to_lowercase();
            format!(
                "trial {trial} of {} failed ({kind}): {}",
                candidate_name(before, *candidate),
                message(text)
            )
        }
        Event::Checked { verdict } => {
            format!("checked {}: {}", message(&verdict.subject), message(&verdict.evidence))
        }
        _ => return Vec::new(),
    };
    vec![Line::new(Style::Dim, text)]
}

/// A line of the set-up's commands, as it is shown; `None` when it is noise. Package tools print a line per file and draw
/// bars of their own.
pub fn set_up(line: &str, detail: Detail) -> Option<String> {
    let line = line.trim();
    if detail == Detail::Everything {
        return Some(message(line)).filter(|line| !line.is_empty());
    }
    let package = line.strip_prefix("Collecting ").map(|rest| rest.split([' ', ';']).next().unwrap_or(rest));
    if let Some(package) = package {
        return Some(format!("fetching {}", message(&package.replace("==", " "))));
    }
    let is_noise = line.is_empty()
        || line.contains('━')
        || [
            "Downloading ",
            "Using cached ",
            "Requirement already",
            "+ ",
            "Installing collected",
            "Successfully ",
        ]
        .iter()
        .any(|start| line.starts_with(start));
    (!is_noise).then(|| message(line))
}
