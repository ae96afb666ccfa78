//! The status of a run as a function of its events.

use crate::event::Event;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has happened yet.
    New,
    /// Reading the data and the words.
    Understanding,
    /// A plan is being carried out.
    Running,
    /// The seal is broken; only packaging is left.
    Finalising,
    /// Over.
    Finished,
}

/// An event that cannot follow a status: the journal is corrupt, or we have a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}` cannot follow status {status:?}")]
pub struct IllegalEvent {
    status: Status,
    event: &'static str,
}

/// The status after an event. Total: every pair has an answer.
///
/// # Errors
/// [`IllegalEvent`] when the event cannot follow.
#[expect(
    clippy::match_same_arms,
    clippy::unnested_or_patterns,
    reason = "one arm per rule reads better than one per outcome"
)]
pub fn after(status: Status, event: &Event) -> Result<Status, IllegalEvent> {
    use Event as E;
    use Status as S;
    let illegal = Err(IllegalEvent { status, event: name(event) });
    match (status, event) {
        (S::New, E::RunStarted { .. }) => Ok(S::Understanding),
        (S::New, _) | (S::Finished, _) | (_, E::RunStarted { .. }) => illegal,
        (_, E::Finished { .. }) => Ok(S::Finished),
        (
            _,
            E::Resumed { .. }
            | E::Budgeted { .. }
            | E::Warned { .. }
            | E::Ticked { .. }
            | E::Checked { .. }
            | E::ModelAsked { .. }
            | E::Retrieved { .. }
            | E::ModelAnswered { .. }
            | E::Steered { .. }
            | E::CancelRequested,
        ) => Ok(status),
        (
            S::Understanding,
            E::Fetched { .. }
            | E::Profiled { .. }
            | E::Understood { .. }
            | E::Sealed { .. }
            | E::ColumnDropped { .. },
        ) => Ok(S::Understanding),
        (S::Understanding, E::PlanAdopted { .. }) => Ok(S::Running),
        (S::Understanding, _) => illegal,
        (
            S::Running | S::Finalising,
            E::Fetched { .. }
            | E::Profiled { .. }
            | E::Understood { .. }
            | E::Sealed { .. }
            | E::ColumnDropped { .. },
        ) => illegal,
        // A plan may be adopted again while running: replanning, or a resumption with an edited plan.
        (S::Running, E::PlanAdopted { .. }) => Ok(S::Running),
        (S::Running, E::SealOpened { .. }) => Ok(S::Finalising),
        (S::Finalising, E::PlanAdopted { .. }) => illegal,
        // A resumed run judges again what it had not finished judging.
        (S::Finalising, E::SealOpened { .. }) => Ok(S::Finalising),
        (
            S::Running | S::Finalising,
            E::StepStarted { .. }
            | E::StepFinished { .. }
            | E::StepFailed { .. }
            | E::StepSkipped { .. }
            | E::CandidateProposed { .. }
            | E::TrialStarted { .. }
            | E::TrialFinished { .. }
            | E::TrialFailed { .. }
            | E::CandidateScored { .. }
            | E::IncumbentChanged { .. }
            | E::EnsembleBuilt { .. },
        ) => Ok(status),
    }
}

/// The name of an event as the journal writes it.
pub fn name(event: &Event) -> &'static str {
    match event {
        Event::RunStarted { .. } => "run_started",
        Event::Resumed { .. } => "resumed",
        Event::Fetched { .. } => "fetched",
        Event::Profiled { .. } => "profiled",
        Event::Understood { .. } => "understood",
        Event::Sealed { .. } => "sealed",
        Event::ColumnDropped { .. } => "column_dropped",
        Event::PlanAdopted { .. } => "plan_adopted",
        Event::StepStarted { .. } => "step_started",
        Event::StepFinished { .. } => "step_finished",
        Event::StepFailed { .. } => "step_failed",
        Event::StepSkipped { .. } => "step_skipped",
        Event::CandidateProposed { .. } => "candidate_proposed",
        Event::TrialStarted { .. } => "trial_started",
        Event::TrialFinished { .. } => "trial_finished",
        Event::TrialFailed { .. } => "trial_failed",
        Event::CandidateScored { .. } => "candidate_scored",
        Event::IncumbentChanged { .. } => "incumbent_changed",
        Event::EnsembleBuilt { .. } => "ensemble_built",
        Event::SealOpened { .. } => "seal_opened",
        Event::ModelAsked { .. } => "model_asked",
        Event::ModelAnswered { .. } => "model_answered",
        Event::Retrieved { .. } => "retrieved",
        Event::Checked { .. } => "checked",
        Event::Budgeted { .. } => "budgeted",
        Event::Warned { .. } => "warned",
        Event::Ticked { .. } => "ticked",
        Event::Steered { .. } => "steered",
        Event::CancelRequested => "cancel_requested",
        Event::Finished { .. } => "finished",
    }
}
