//! Plans as text: `{"version": 1, "steps": [...]}`, what a run writes as `plan.json` and a person may edit.

use crate::error::{PlanError, PlanErrorKind};
use crate::plan::{Plan, lose};
use crate::step::{Resources, Step, StepKind};
use crate::validate::edits;
use ansatz_core::ids::StepId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Raised when a reader of the old form would misunderstand the new one.
const VERSION: u64 = 1;

/// A step as written: the kind is any text until it is looked up, so that a misspelt one gets a helpful error.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    id: String,
    kind: String,
    #[serde(default)]
    inputs: Vec<StepId>,
    #[serde(default)]
    ask: Resources,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    mandatory: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    version: u64,
    steps: Vec<StepText>,
}

impl Plan {
    /// The plan as indented JSON with a line end; equal plans give equal bytes.
    pub fn to_json(&self) -> String {
        let text = PlanText { version: VERSION, steps: self.steps().iter().map(StepText::from).collect() };
        // Neither a map with keys other than text nor a failing writer is involved, so there is no error to report.
        serde_json::to_string_pretty(&text).map(|json| json + "\n").unwrap_or_default()
    }

    /// Reads a plan and checks it.
    ///
    /// # Errors
    /// [`PlanError`] with line and column when the text is no plan file, else naming the first fault.
    pub fn from_json(json: &str) -> Result<Self, PlanError> {
        Self::new(read(json)?)
    }

    /// Reads a plan from which a person may have removed steps without tidying up the inputs that named them. What
    /// named them loses that input or goes too, as in [`Plan::without`]; the notices say which, for a person to read.
    ///
    /// # Errors
    /// As [`Plan::from_json`], but for inputs that are no steps; [`PlanErrorKind::NothingLeft`].
    pub fn from_edited_json(json: &str) -> Result<(Self, Vec<String>), PlanError> {
        let steps = read(json)?;
        let there: BTreeSet<&StepId> = steps.iter().map(|step| &step.id).collect();
        let named: BTreeSet<&StepId> = steps.iter().flat_map(|step| &step.inputs).collect();
        let absent: BTreeSet<StepId> = named.difference(&there).map(|id| (*id).clone()).collect();
        let (kept, lost) = lose(steps.clone(), absent.clone());
        let mut notices = Vec::new();
        for step in &steps {
            let without: Vec<&str> =
                step.inputs.iter().filter(|input| lost.contains(input)).map(StepId::as_str).collect();
            if !without.is_empty() {
                let how =
                    if lost.contains(&step.id) { "is left out because it needs" } else { "goes on without" };
                notices.push(format!(
                    "step `{}` {how} `{}`, which is not in the plan",
                    step.id,
                    without.join("`, `")
                ));
            }
        }
        if !absent.is_empty() && kept.iter().all(|step| step.share <= 0.0) {
            return Err(PlanError::whole(PlanErrorKind::NothingLeft));
        }
        Ok((Self::new(kept)?, notices))
    }
}

/// The steps of a plan file, not checked yet.
fn read(json: &str) -> Result<Vec<Step>, PlanError> {
    let text: PlanText = serde_json::from_str(json)
        .map_err(|error| PlanError::whole(PlanErrorKind::Json(error.to_string())))?;
    if text.version != VERSION {
        let kind = PlanErrorKind::Version { found: text.version, expected: VERSION };
        return Err(PlanError::whole(kind));
    }
    text.steps.into_iter().map(Step::try_from).collect()
}

impl From<&Step> for StepText {
    fn from(step: &Step) -> Self {
        Self {
            id: step.id.0.clone(),
            kind: step.kind.name().into(),
            inputs: step.inputs.clone(),
            ask: step.ask,
            share: step.share,
            params: step.params.clone(),
            why: step.why.clone(),
            mandatory: step.mandatory,
        }
    }
}

impl TryFrom<StepText> for Step {
    type Error = PlanError;

    fn try_from(text: StepText) -> Result<Self, PlanError> {
        let id = StepId(text.id);
        let Some(kind) = StepKind::from_name(&text.kind) else {
            let nearest = nearest_kind(&text.kind);
            return Err(PlanError::at(&id, PlanErrorKind::UnknownKind { kind: text.kind, nearest }));
        };
        Ok(Self {
            id,
            kind,
            inputs: text.inputs,
            ask: text.ask,
            share: text.share,
            params: text.params,
            why: text.why,
            mandatory: text.mandatory,
        })
    }
}

fn nearest_kind(text: &str) -> StepKind {
    let text = text.trim().to_lowercase();
    StepKind::ALL.into_iter().min_by_key(|kind| edits(&text, kind.name())).unwrap_or(StepKind::Model)
}
