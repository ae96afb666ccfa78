//! A check of the user's own that looks over the submission before it is written.

use super::trouble;
use crate::error::RunError;
use crate::record::Record;
use ansatz_core::ids::StepId;
use ansatz_core::verdict::Stage;
use ansatz_sandbox::wasm::{
    COMPONENT_LIMITS, CallLimits, CheckComponent, Complaint, PYTHON_LIMITS, Python, Runtime, Source,
    WasmError,
};
use std::time::Duration;

/// Longest time for one check of a whole submission.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Complaints that become warnings of their own.
const WARNED_MAX: usize = 5;

/// A check that can be called.
pub struct Check {
    name: String,
    form: Form,
}

enum Form {
    Python { python: Box<Python>, source: Source },
    Component(CheckComponent),
}

impl Check {
    /// Runs the source once, to see that it can be loaded.
    ///
    /// # Errors
    /// Of kind `Usage` when it raises.
    pub fn python(python: &Python, source: Source) -> Result<Self, RunError> {
        python.inspect(&source, &PYTHON_LIMITS).map_err(|error| trouble(&error))?;
        Ok(Self {
            name: source.file.clone(),
            form: Form::Python { python: Box::new(python.clone()), source },
        })
    }

    /// Compiles a component.
    ///
    /// # Errors
    /// Of kind `Usage` when it is no check.
    pub fn component(runtime: &Runtime, name: &str, bytes: &[u8]) -> Result<Self, RunError> {
        let limits = CallLimits { time: TIME_MAX, ..COMPONENT_LIMITS };
        let component = CheckComponent::new(runtime, name, bytes, limits).map_err(|error| trouble(&error))?;
        Ok(Self { name: name.to_owned(), form: Form::Component(component) })
    }

    fn complaints(&self, submission: &str) -> Result<Vec<Complaint>, WasmError> {
        match &self.form {
            Form::Python { python, source } => {
                python.check(source, submission, &CallLimits { time: TIME_MAX, ..PYTHON_LIMITS })
            }
            Form::Component(component) => component.check(submission),
        }
    }

    /// Tries it on a submission of constant answers. What it complains of does not matter yet.
    ///
    /// # Errors
    /// Of kind `Usage` when it raises, is stopped, or gives no list of complaints.
    pub fn try_out(&self, submission: &str) -> Result<(), RunError> {
        self.complaints(submission).map(drop).map_err(|error| trouble(&error))
    }

    /// Looks over the submission; the verdict and the first complaints are journalled. Gives the step that is to be
    /// called cut, and why, when there was a complaint.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn judge(&self, submission: &str, record: &mut Record) -> Result<Option<(StepId, String)>, RunError> {
        let subject = format!("check {}", self.name);
        let found = match self.complaints(submission) {
            Ok(found) => found,
            Err(error) => {
                record.check(Stage::Submission, &subject, false, error.to_string())?;
                record.warn(format!("the check gave no answer: {error}"))?;
                return Ok(Some((StepId::new(subject), error.to_string())));
            }
        };
        let Some(first) = found.first() else {
            record.check(Stage::Submission, &subject, true, "no complaints")?;
            return Ok(None);
        };
        let several =
            if found.len() == 1 { "1 complaint".into() } else { format!("{} complaints", found.len()) };
        let evidence = format!("{several}: {}", told(first));
        record.check(Stage::Submission, &subject, false, evidence.clone())?;
        for complaint in found.iter().take(WARNED_MAX) {
            record.warn(format!("{}: {}", self.name, told(complaint)))?;
        }
        Ok(Some((StepId::new(subject), evidence)))
    }
}

fn told(complaint: &Complaint) -> String {
    match complaint.row {
        Some(row) => format!("row {row} of the submission: {}", complaint.message),
        None => complaint.message.clone(),
    }
}
