//! Which columns know the answer for the wrong reason: decided from typed evidence, said with its numbers.
//!
//! A false alarm costs a good feature, so a column that is merely strong stays: it must be strong *and* odd. Odd means
//! that it is the target again, that it is filled where the answer is known and empty where it is not, that it is an
//! identifier, or that nothing else comes near. Several columns may be the target together: its parts. Nothing here looks
//! at data.

use ansatz_core::evidence::{ColumnEvidence, LeakEvidence, SumEvidence};
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::profile::{ColumnKind, Profile};
use ansatz_core::task::{Problem, Task};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Strengths (ROC AUC of classes, R² of values) from which a column is suspected. Honest columns stay well below: over
/// the tables that we measured the strongest reached an AUC of 0.87 and an R² of 0.66, and "is it filled?" alone 0.68 and
/// 0.21, without any gap between training and test.
struct Limits {
    /// An identifier that ranks the target like this was made from it, or after it.
    identifier: f64,
    /// Any column: worth a warning.
    near_perfect: f64,
    /// Any column: dropped if everything else together stays below `others`.
    perfect: f64,
    /// See `perfect`.
    others: f64,
    /// "Is it filled?" alone, together with a gap between training and test.
    filled: f64,
}

const CLASS_LIMITS: Limits =
    Limits { identifier: 0.97, near_perfect: 0.98, perfect: 0.999, others: 0.9, filled: 0.75 };
const VALUE_LIMITS: Limits =
    Limits { identifier: 0.98, near_perfect: 0.99, perfect: 0.9999, others: 0.8, filled: 0.25 };

/// Where all other columns explain less of the variance than this, the parts of a sum may be the only features there are.
const OTHERS_SIGNAL_MIN: f64 = 0.2;

/// Test rows are filled at most this many times as often as training rows before the gap is one.
const FILL_RATIO_MAX: f64 = 0.25;

/// Fewer filled training rows than this share prove nothing.
const FILL_SHARE_MIN: f64 = 0.005;

/// A fill rate that differs by this much is worth a warning.
const FILL_GAP_WARNED: f64 = 0.3;

/// Row numbers that say this much about the target explain what a running number says.
const ROW_ORDER_STRONG: f64 = 0.9;

/// A share of test rows that stand in the training file too which is worth a warning.
const DUPLICATES_WARNED: f64 = 0.05;

/// Columns that a sentence names.
const NAMES_SHOWN: usize = 5;

/// What is done with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not used.
    Drop,
    /// It is used, and the user is told.
    Warn,
}

/// A decision about a column. Columns about which there is nothing to say have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakDecision {
    /// The column.
    pub column: String,
    /// What is done.
    pub action: Action,
    /// `leak`, `identifier` or `train_only`.
    pub reason: String,
    /// What was seen, with its numbers.
    pub evidence: String,
}

impl LeakDecision {
    /// The decision as the result shows it; `None` when the column stays.
    pub fn dropped(&self) -> Option<DroppedColumn> {
        (self.action == Action::Drop).then(|| DroppedColumn {
            column: self.column.clone(),
            reason: self.reason.clone(),
            evidence: self.evidence.clone(),
        })
    }
}

/// Judges every feature column. At least one column stays: if all were to go, those that are not plain copies of the
/// target are kept with a warning.
pub fn decide(evidence: &LeakEvidence, profile: &Profile, task: &Task) -> Vec<LeakDecision> {
    let judge = Judge { problem: task.problem, profile };
    let parts = evidence.sum.as_ref().filter(|sum| judge.are_parts(sum, evidence));
    let decisions =
        evidence.columns.iter().filter(|column| column.column != task.target).filter_map(|column| {
            let own = judge.column(column);
            let is_part = parts.is_some_and(|sum| sum.columns.contains(&column.column));
            match (own, parts) {
                (Some(own), _) if own.action == Action::Drop => Some(own),
                (_, Some(sum)) if is_part => Some(decision(column, Action::Drop, "leak", Judge::parts(sum))),
                (own, _) => own,
            }
        });
    let mut decisions: Vec<LeakDecision> = decisions.collect();
    let dropped = decisions.iter().filter(|decision| decision.action == Action::Drop).count();
    if dropped == evidence.columns.len() {
        for decision in &mut decisions {
            decision.action = Action::Warn;
            decision.evidence.push_str("; kept, because no other column is left");
        }
    }
    decisions
}

/// A warning about the file as a whole, if there is one.
pub fn warn_of_duplicates(evidence: &LeakEvidence) -> Option<String> {
    let share = evidence.duplicate_test_rows.filter(|share| *share >= DUPLICATES_WARNED)?;
    Some(format!("{} of the test rows stand in the training file too, features compared", percent(share)))
}

/// A warning about columns that are not dropped though the target can be computed from them, if there are such.
pub fn warn_of_sum(evidence: &LeakEvidence, profile: &Profile, task: &Task) -> Option<String> {
    let judge = Judge { problem: task.problem, profile };
    let sum = evidence.sum.as_ref().filter(|sum| !judge.are_parts(sum, evidence))?;
    let columns = quoted(&sum.columns);
    let formula = if sum.plain { "a plain sum or difference" } else { "a linear formula" };
    Some(format!(
        "the target is {formula} of {columns} (R² {}, cross-validated); check that their values are known at the time of prediction",
        digits(sum.strength)
    ))
}

/// Names in backticks, the first few of many.
fn quoted(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

struct Judge<'a> {
    problem: Problem,
    profile: &'a Profile,
}

impl Judge<'_> {
    fn limits(&self) -> &'static Limits {
        if self.problem.is_classification() { &CLASS_LIMITS } else { &VALUE_LIMITS }
    }

    /// The first rule that applies, the surest first.
    fn column(&self, column: &ColumnEvidence) -> Option<LeakDecision> {
        self.copy(column)
            .or_else(|| self.fill_gap(column))
            .or_else(|| self.identifier(column))
            .or_else(|| self.too_good(column))
    }

    fn copy(&self, column: &ColumnEvidence) -> Option<LeakDecision> {
        let text = || {
            let strength = self.strength(column.alone);
            format!(
                "it is the target under another name: one value stands for one answer on nearly every row, and alone it {strength}"
            )
        };
        column.copies_target.then(|| decision(column, Action::Drop, "leak", text()))
    }

    fn fill_gap(&self, column: &ColumnEvidence) -> Option<LeakDecision> {
        let filled_test = column.filled_test?;
        let rates = format!(
            "it is filled in {} of training rows and {} of test rows",
            percent(column.filled_train),
            percent(filled_test)
        );
        let emptier = filled_test <= FILL_RATIO_MAX * column.filled_train;
        if emptier && column.filled_train >= FILL_SHARE_MIN && column.filled_alone >= self.limits().filled {
            let strength = self.strength(column.filled_alone);
            let text = format!("{rates}, and being filled alone {strength}");
            return Some(decision(column, Action::Drop, "leak", text));
        }
        if filled_test == 0.0 && column.filled_train > 0.0 {
            let text = format!("{rates}: nothing that is learnt from it can be used");
            return Some(decision(column, Action::Drop, "train_only", text));
        }
        let gap = (column.filled_train - filled_test).abs() >= FILL_GAP_WARNED;
        gap.then(|| {
            decision(column, Action::Warn, "leak", format!("{rates}, so it may mean something else there"))
        })
    }

    fn identifier(&self, column: &ColumnEvidence) -> Option<LeakDecision> {
        let moment =
            self.profile.column(&column.column).is_some_and(|known| known.kind == ColumnKind::Datetime);
        if !column.looks_like_id || moment || column.alone < self.limits().identifier {
            return None;
        }
        let distinct = percent(column.distinct_share);
        let strength = self.strength(column.alone);
        if let Some(order) = column.row_order.filter(|order| *order >= ROW_ORDER_STRONG) {
            let text = format!(
                "it looks like a running number ({distinct} distinct) of a file that is sorted by its target: alone it {strength}, and the row number ranks the target with AUC {order:.2} too"
            );
            return Some(decision(column, Action::Drop, "identifier", text));
        }
        let text =
            format!("it looks like an identifier ({distinct} distinct values), yet alone it {strength}");
        Some(decision(column, Action::Drop, "leak", text))
    }

    fn too_good(&self, column: &ColumnEvidence) -> Option<LeakDecision> {
        let limits = self.limits();
        if column.alone < limits.near_perfect {
            return None;
        }
        let mut text = format!("alone it {}", self.strength(column.alone));
        if let Some(others) = column.others {
            let _ = write!(text, ", all other columns together reach {others:.3}");
        }
        let unmatched = column.others.is_some_and(|others| others <= limits.others);
        if unmatched && column.alone >= limits.perfect {
            return Some(decision(column, Action::Drop, "leak", text));
        }
        text.push_str("; check that its value is known at the time of prediction");
        Some(decision(column, Action::Warn, "leak", text))
    }

    /// Whether columns are the target's parts: it is their plain sum or difference, the other columns make a task without them
    /// but do not come near, and no test file has them, so that they are not known to be there at the time of prediction. Any
    /// other formula may be the task itself.
    fn are_parts(&self, sum: &SumEvidence, evidence: &LeakEvidence) -> bool {
        let has_test = evidence.columns.iter().any(|column| column.filled_test.is_some());
        let signal = OTHERS_SIGNAL_MIN..=self.limits().others;
        let is_unmatched = sum.others.is_some_and(|others| signal.contains(&others));
        sum.plain && is_unmatched && !has_test
    }

    fn parts(sum: &SumEvidence) -> String {
        let others = sum
            .others
            .map_or_else(String::new, |others| format!(", all other columns together reach {others:.3}"));
        format!(
            "the target is the plain sum or difference of {} (R² {}, cross-validated){others}",
            quoted(&sum.columns),
            digits(sum.strength)
        )
    }

    /// "ranks the target with AUC 0.98" or "explains 99.9 % of the target's variance".
    fn strength(&self, strength: f64) -> String {
        if self.problem.is_classification() {
            format!("ranks the target with AUC {}", digits(strength))
        } else {
            format!("explains {} of the target's variance", percent(strength))
        }
    }
}

fn decision(column: &ColumnEvidence, action: Action, reason: &str, evidence: String) -> LeakDecision {
    LeakDecision { column: column.column.clone(), action, reason: reason.to_owned(), evidence }
}

/// Three decimals, more where they would round up to 1.
fn digits(strength: f64) -> String {
    if (0.9995..1.0).contains(&strength) { format!("{strength:.5}") } else { format!("{strength:.3}") }
}

/// A share in per cent: no decimals from 1 on, and never 0 or 100 for what is not.
fn percent(share: f64) -> String {
    let value = share * 100.0;
    if share <= 0.0 || share >= 1.0 || (1.0..99.0).contains(&value) {
        format!("{value:.0} %")
    } else {
        format!("{value:.2} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
    use ansatz_core::profile::Column;
    use ansatz_core::task::Constraints;

    fn task(problem: Problem) -> Task {
        Task {
            name: "t".to_owned(),
            request: String::new(),
            problem,
            target: "y".to_owned(),
            id: None,
            metric: MetricSpec {
                name: "roc_auc".to_owned(),
                direction: Direction::Maximize,
                reads: PredictionKind::Probability,
            },
            classes: Vec::new(),
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        }
    }

    fn column(name: &str, alone: f64) -> ColumnEvidence {
        ColumnEvidence {
            column: name.to_owned(),
            alone,
            others: None,
            filled_alone: 0.5,
            filled_train: 1.0,
            filled_test: Some(1.0),
            distinct_share: 0.1,
            copies_target: false,
            shift: Some(0.5),
            looks_like_id: false,
            row_order: Some(0.51),
        }
    }

    fn profile_of(name: &str, kind: ColumnKind) -> Profile {
        let column = Column {
            name: name.to_owned(),
            kind,
            in_train: true,
            in_test: true,
            missing_train: 0.0,
            missing_test: 0.0,
            distinct: 100,
            whole: true,
            min: None,
            max: None,
            mean: None,
            skew: None,
            top: Vec::new(),
            mean_length: None,
            rising: true,
            test_overlap: None,
        };
        Profile {
            train_rows: 1000,
            test_rows: 100,
            columns: vec![column],
            sample: None,
            notices: Vec::new(),
            data_hash: String::new(),
        }
    }

    /// The decision about a column that stands beside an honest one.
    fn decided(problem: Problem, suspect: ColumnEvidence, kind: ColumnKind) -> Option<LeakDecision> {
        let profile = profile_of(&suspect.column, kind);
        let evidence = LeakEvidence {
            columns: vec![suspect, column("honest", 0.6)],
            rows: 1000,
            duplicate_test_rows: None,
            sum: None,
        };
        let mut decisions = decide(&evidence, &profile, &task(problem));
        assert!(decisions.len() <= 1 && decisions.iter().all(|decision| decision.column != "honest"));
        decisions.pop()
    }

    fn check(suspect: ColumnEvidence, expected: Option<(Action, &str)>) {
        let decision = decided(Problem::Binary, suspect, ColumnKind::Numeric);
        assert_eq!(
            decision.as_ref().map(|found| (found.action, found.reason.as_str())),
            expected,
            "{decision:?}"
        );
    }

    #[test]
    fn filled_only_where_the_answer_is_known() {
        let suspect = ColumnEvidence {
            filled_train: 0.211,
            filled_test: Some(0.0),
            filled_alone: 0.975,
            ..column("code", 0.5)
        };
        let decision = decided(Problem::Binary, suspect, ColumnKind::Constant).unwrap();
        assert_eq!((decision.action, decision.reason.as_str()), (Action::Drop, "leak"));
        assert_eq!(
            decision.evidence,
            "it is filled in 21 % of training rows and 0 % of test rows, and being filled alone ranks the target with AUC 0.975"
        );
    }

    #[test]
    fn an_identifier_that_separates() {
        let suspect = ColumnEvidence { looks_like_id: true, distinct_share: 1.0, ..column("ref", 0.9998) };
        let decision = decided(Problem::Binary, suspect, ColumnKind::Numeric).unwrap();
        assert_eq!(
            (decision.action, decision.evidence.as_str()),
            (
                Action::Drop,
                "it looks like an identifier (100 % distinct values), yet alone it ranks the target with AUC 0.99980"
            )
        );
        assert_eq!(decision.dropped().unwrap().reason, "leak");
    }

    #[test]
    fn a_running_number_of_a_sorted_file_is_no_leak_but_goes() {
        let sorted = ColumnEvidence {
            looks_like_id: true,
            distinct_share: 1.0,
            row_order: Some(1.0),
            ..column("n", 0.999)
        };
        check(sorted, Some((Action::Drop, "identifier")));
    }

    #[test]
    fn a_moment_is_not_an_identifier() {
        let moment = ColumnEvidence { looks_like_id: true, distinct_share: 1.0, ..column("when", 0.975) };
        assert_eq!(decided(Problem::Binary, moment, ColumnKind::Datetime), None);
    }

    #[test]
    fn copies_of_the_target_go() {
        check(ColumnEvidence { copies_target: true, ..column("y2", 1.0) }, Some((Action::Drop, "leak")));
    }

    #[test]
    fn strong_honest_columns_stay() {
        check(column("dose", 0.95), None);
        check(ColumnEvidence { looks_like_id: true, distinct_share: 1.0, ..column("code", 0.85) }, None);
        check(column("odour", 0.985), Some((Action::Warn, "leak")));
        check(ColumnEvidence { others: Some(0.99), ..column("petal", 0.9995) }, Some((Action::Warn, "leak")));
        check(ColumnEvidence { others: Some(0.7), ..column("paid", 0.9995) }, Some((Action::Drop, "leak")));
    }

    #[test]
    fn missing_values_that_are_missing_alike_stay() {
        let both = ColumnEvidence {
            filled_train: 0.23,
            filled_test: Some(0.22),
            filled_alone: 0.8,
            ..column("cabin", 0.7)
        };
        check(both, None);
        let sparser = ColumnEvidence {
            filled_train: 0.9,
            filled_test: Some(0.5),
            filled_alone: 0.6,
            ..column("x", 0.6)
        };
        check(sparser, Some((Action::Warn, "leak")));
        let empty = ColumnEvidence {
            filled_train: 0.9,
            filled_test: Some(0.0),
            filled_alone: 0.5,
            ..column("x", 0.6)
        };
        check(empty, Some((Action::Drop, "train_only")));
        check(
            ColumnEvidence { filled_train: 0.4, filled_test: None, filled_alone: 0.9, ..column("x", 0.6) },
            None,
        );
    }

    #[test]
    fn values_are_judged_by_variance() {
        let decision = decided(Problem::Regression, column("x", 0.995), ColumnKind::Numeric).unwrap();
        assert!(
            decision.evidence.starts_with("alone it explains 99.50 % of the target's variance"),
            "{decision:?}"
        );
    }

    /// Decisions and the warning where `casual` and `registered` give the target together.
    fn summed(plain: bool, others: Option<f64>, filled_test: Option<f64>) -> (Vec<String>, Option<String>) {
        let known = |name: &str, alone: f64| ColumnEvidence { filled_test, ..column(name, alone) };
        let evidence = LeakEvidence {
            columns: vec![known("casual", 0.5), known("registered", 0.95), known("hour", 0.5)],
            rows: 1000,
            duplicate_test_rows: None,
            sum: Some(SumEvidence {
                columns: vec!["registered".to_owned(), "casual".to_owned()],
                strength: 1.0,
                plain,
                others,
            }),
        };
        let (profile, task) = (profile_of("hour", ColumnKind::Numeric), task(Problem::Regression));
        let decisions = decide(&evidence, &profile, &task);
        let told = decisions.iter().map(|decision| format!("{:?} {}", decision.action, decision.column));
        (told.collect(), warn_of_sum(&evidence, &profile, &task))
    }

    #[test]
    fn parts_of_the_target_go_together() {
        for others in [0.7, 0.2] {
            let dropped = vec!["Drop casual".to_owned(), "Drop registered".to_owned()];
            assert_eq!(summed(true, Some(others), None), (dropped, None), "{others}");
        }
        let text = "the target is a plain sum or difference of `registered`, `casual` (R² 1.000, cross-validated); \
                    check that their values are known at the time of prediction";
        for (others, filled_test) in
            [(Some(0.9), None), (Some(0.15), None), (None, None), (Some(0.7), Some(1.0))]
        {
            assert_eq!(summed(true, others, filled_test), (Vec::new(), Some(text.to_owned())));
        }
        let (kept, warning) = summed(false, Some(0.1), None);
        assert!(kept.is_empty() && warning.unwrap().starts_with("the target is a linear formula of"));
    }

    #[test]
    fn the_last_column_is_never_dropped() {
        let evidence = LeakEvidence {
            columns: vec![ColumnEvidence { copies_target: true, ..column("only", 1.0) }],
            rows: 100,
            duplicate_test_rows: Some(0.2),
            sum: None,
        };
        let decisions = decide(&evidence, &profile_of("only", ColumnKind::Numeric), &task(Problem::Binary));
        assert_eq!(decisions[0].action, Action::Warn);
        assert!(warn_of_duplicates(&evidence).unwrap().starts_with("20 % of the test rows"));
    }
}
