//! The data agent with a language model: features on top of a built-in solution, and a look at what the columns are.

use crate::planner::{self, Idea};
use ansatz_core::evidence::{ColumnEvidence, LeakEvidence};
use ansatz_core::profile::Profile;
use ansatz_prompts::Case;
use ansatz_prompts::data::{Assess, Assessment, Measured, Treatment, WriteFeatures};

/// The module that code for features begins with; `BASE` stands for the built-in solution.
const SKELETON: &str = include_str!("../skeletons/groups.py");
/// Columns about which evidence is shown.
const EVIDENCE_MAX: usize = 12;

/// What the data agent is shown when it writes features. `limit` is the longest time of one fold, in words.
pub fn features(case: &Case, idea: &Idea, limit: &str, lessons: &[String]) -> WriteFeatures {
    WriteFeatures {
        case: case.clone(),
        what: idea.what.clone(),
        inputs: idea.inputs.clone(),
        check: idea.check.clone(),
        limit: limit.to_owned(),
        model: format!("{} ({})", idea.base, planner::about(&idea.base)),
        base: SKELETON.replace("BASE", &idea.base),
        known: known(&idea.base).to_owned(),
        lessons: lessons.to_vec(),
        file: "solution.py".into(),
    }
}

fn known(base: &str) -> &'static str {
    match base {
        "linear" | "neural" => {
            "one-hot categories, numbers scaled and bent, parts of dates, words of texts, products of pairs where they help"
        }
        "catboost" => {
            "all numbers, parts of dates, statistics of categories and of their pairs made by the model itself"
        }
        _ => {
            "all numbers, parts of dates, counts and out-of-fold target means of every category and of pairs of them, common \
             prefixes and numbers inside strings, words of free texts"
        }
    }
}

/// What the data agent is shown when it looks at the columns: those of which more is known than how well they predict by
/// themselves, which the card says of all, the strongest first.
pub fn assess(case: &Case, evidence: Option<&LeakEvidence>) -> Assess {
    let stands_out = |column: &&ColumnEvidence| column.others.is_some() || !note(column).is_empty();
    let columns = evidence.iter().flat_map(|evidence| &evidence.columns);
    let mut columns: Vec<&ColumnEvidence> = columns.filter(stands_out).collect();
    columns.sort_by(|a, b| b.alone.total_cmp(&a.alone));
    let measured = columns.into_iter().take(EVIDENCE_MAX).map(|column| Measured {
        column: column.column.clone(),
        alone: format!("{:.2}", column.alone),
        others: column.others.map(|others| format!("{others:.2}")).unwrap_or_default(),
        note: note(column),
    });
    Assess { case: case.clone(), evidence: measured.collect() }
}

fn note(column: &ColumnEvidence) -> String {
    let filled = match column.filled_test {
        Some(test) if (test - column.filled_train).abs() >= 0.05 => Some(format!(
            "filled in {:.0} % of training rows and {:.0} % of test rows",
            column.filled_train * 100.0,
            test * 100.0
        )),
        _ => None,
    };
    let id = column.looks_like_id.then(|| "looks like an identifier".to_owned());
    filled.into_iter().chain(id).collect::<Vec<_>>().join(", ")
}

/// What an assessment comes to: lessons for whoever writes code, and suspicions for the user. It drops nothing: whether a column
/// gives the target away is decided by measured evidence.
pub struct Advice {
    /// For prompts.
    pub lessons: Vec<String>,
    /// For the user.
    pub suspicions: Vec<String>,
}

/// Reads an assessment; what it says about columns that are not there, or not used anyway, is left out.
pub fn advice(assessment: &Assessment, profile: &Profile, unused: &[String]) -> Advice {
    let is_there = |name: &str| profile.column(name).is_some() && !unused.iter().any(|unused| unused == name);
    let columns =
        assessment.columns.iter().filter(|one| is_there(&one.column) && one.treat != Treatment::Keep);
    let treatments = columns.map(|one| {
        let how = format!("{:?}", one.treat).to_lowercase();
        let missing =
            one.missing_as.as_ref().map(|value| format!("; {value} means missing")).unwrap_or_default();
        format!("column {} ({}) is best read as {how}: {}{missing}", one.column, one.meaning, one.because)
    });
    let lessons = treatments.chain(assessment.quality.iter().cloned()).collect();
    let leaks = assessment.leaks.iter().filter(|leak| is_there(&leak.column));
    let suspicions = leaks.map(|leak| format!("column {}: {}", leak.column, leak.because)).collect();
    Advice { lessons, suspicions }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thought::tests::case;

    fn evidence(column: &str, alone: f64, others: Option<f64>, looks_like_id: bool) -> ColumnEvidence {
        ColumnEvidence {
            column: column.into(),
            alone,
            others,
            filled_alone: 0.5,
            filled_train: 1.0,
            filled_test: None,
            distinct_share: 1.0,
            copies_target: false,
            shift: None,
            looks_like_id,
            row_order: None,
        }
    }

    #[test]
    fn columns_are_told_of_which_more_is_known_than_their_strength() {
        let columns = vec![
            evidence("plain", 0.9, None, false),
            evidence("number", 0.6, None, true),
            evidence("close", 0.8, Some(0.7), false),
        ];
        let evidence = LeakEvidence { columns, rows: 9, duplicate_test_rows: None, sum: None };
        let told: Vec<String> =
            assess(&case(), Some(&evidence)).evidence.into_iter().map(|one| one.column).collect();
        assert_eq!(told, ["close", "number"]);
    }
}
