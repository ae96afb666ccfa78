//! The planner's prompts: understand the request, read what is known, plan, look again.

use crate::case::Case;
use crate::prompts::Prompt;
use crate::reply::{Reply, Setting};
use crate::text::shown;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Branches that are told in whole when the plan is looked at again, and leading ones among them whether or not they are new.
const WHOLE_MAX: usize = 8;
const LEADING_MAX: usize = 3;
/// Further branches that are told in brief, and the letters that each gets.
const BRIEF_MAX: usize = 10;
const BRIEF_CHARS_MAX: usize = 120;

/// Something that the rules concluded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Concluded {
    /// Which field of the task.
    pub field: String,
    /// What was concluded.
    pub value: String,
    /// The reason.
    pub because: String,
}

/// Asks what the user wants.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Understand {
    /// Data, machine and budget.
    pub case: Case,
    /// The user's own words in this request.
    pub said: String,
    /// What the rules concluded so far.
    pub concluded: Vec<Concluded>,
    /// What the rules could not settle.
    pub doubts: Vec<String>,
    /// Metrics that can be computed.
    pub metrics: Vec<String>,
}

impl Prompt for Understand {
    const NAME: &'static str = "planner/understand";
}

/// A score that the user demands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DemandedScore {
    /// The metric.
    #[schemars(length(max = 40))]
    pub metric: String,
    /// The score to reach.
    pub value: f64,
}

/// Kinds of demands beyond the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DemandKind {
    /// Milliseconds for one prediction.
    LatencyMs,
    /// Size of the model.
    ModelBytes,
    /// A readable model.
    Interpretable,
    /// Anything else.
    Other,
}

/// A demand beyond the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Demand {
    /// Its kind.
    pub kind: DemandKind,
    /// Its number.
    pub value: Option<f64>,
    /// The user's words for it.
    #[schemars(length(max = 120))]
    pub words: String,
}

/// A column that should not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// The column.
    #[schemars(length(max = 64))]
    pub column: String,
    /// Why.
    #[schemars(length(max = 160))]
    pub because: String,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Two classes.
    Binary,
    /// Several classes.
    Multiclass,
    /// A number.
    Regression,
}

/// What a user wants of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A model.
    Build,
    /// Advice about one.
    Consult,
    /// Something about the data.
    Inquire,
    /// It cannot be told.
    Unclear,
}

/// What the user wants. (Fields after AutoML-Agent's request schema, with its relevance and sufficiency checks.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Understanding {
    /// Why this is or is not a request for a model.
    #[schemars(length(max = 200))]
    pub relevance: String,
    /// Whether it is one.
    pub is_relevant: bool,
    /// What is wanted.
    pub intent: Purpose,
    /// The target column.
    #[schemars(length(max = 64))]
    pub target: Option<String>,
    /// The kind of problem.
    pub problem: Option<ProblemKind>,
    /// The metric.
    #[schemars(length(max = 40))]
    pub metric: Option<String>,
    /// Scores that the user demands.
    #[schemars(length(max = 4))]
    pub targets: Vec<DemandedScore>,
    /// Demands beyond the score.
    #[schemars(length(max = 6))]
    pub constraints: Vec<Demand>,
    /// Column of rows that belong together.
    #[schemars(length(max = 64))]
    pub group_column: Option<String>,
    /// Column of time.
    #[schemars(length(max = 64))]
    pub time_column: Option<String>,
    /// Columns that should not be used.
    #[schemars(length(max = 12))]
    pub suspects: Vec<Suspect>,
    /// What must be asked.
    #[schemars(length(max = 2), inner(length(max = 200)))]
    pub questions: Vec<String>,
    /// What the model is for.
    #[schemars(length(max = 120))]
    pub application: String,
    /// Where and how the model is to be used, as far as the user says.
    #[schemars(length(max = 120))]
    pub service: Option<String>,
    /// From 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: f64,
}

impl Reply for Understanding {
    const NAME: &'static str = "understanding";
    const TOKENS_MAX: u32 = 1200;
}

/// A piece of retrieved knowledge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// `card`, `past task`, `lesson`, `page`.
    pub kind: String,
    /// Its text, at most 1,200 letters.
    pub text: String,
}

/// Asks what of the retrieved knowledge matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadSources {
    /// Task, data, machine and budget.
    pub case: Case,
    /// What was retrieved.
    pub sources: Vec<Source>,
}

impl Prompt for ReadSources {
    const NAME: &'static str = "planner/insights";
    const MEASURED: &'static [&'static str] = &["sources"];
}

/// Something that should change what is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Insight {
    /// Name of its source.
    #[schemars(length(max = 64))]
    pub source: String,
    /// What to do, and when it would be wrong.
    #[schemars(length(max = 240))]
    pub insight: String,
    /// What in this data makes it apply.
    #[schemars(length(max = 160))]
    pub applies_because: String,
    /// From 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strength: f64,
}

/// What of the retrieved knowledge matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Insights {
    /// At most eight.
    #[schemars(length(max = 8))]
    pub insights: Vec<Insight>,
}

impl Reply for Insights {
    const NAME: &'static str = "insights";
    const TOKENS_MAX: u32 = 1200;
}

/// A built-in solution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SolutionView {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its parameters with their ranges, in one line.
    pub parameters: String,
}

/// A card, as prompts show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CardView {
    /// Its name.
    pub name: String,
    /// What it says, in a few sentences.
    pub text: String,
}

/// Asks for plans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MakePlans {
    /// Task, data, machine and budget.
    pub case: Case,
    /// How many plans.
    pub wanted: u32,
    /// What the playbook does, in its order.
    pub playbook: String,
    /// Built-in solutions.
    pub solutions: Vec<SolutionView>,
    /// Cards that fit the data.
    pub cards: Vec<CardView>,
    /// What is known about such tasks.
    pub insights: Vec<String>,
    /// The score to improve on, with its error.
    pub reference: String,
}

impl Prompt for MakePlans {
    const NAME: &'static str = "planner/plans";
    const MEASURED: &'static [&'static str] = &["reference", "insights"];
}

/// What a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BranchKind {
    /// A built-in solution with other parameters.
    Builtin,
    /// New features for a built-in kind of model.
    NewFeatures,
    /// A whole new solution.
    NewSolution,
    /// A program of its own, for what fits no solution.
    Script,
}

/// One branch of a plan, with the answers to the four questions and a prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BranchIdea {
    /// What it is.
    pub kind: BranchKind,
    /// The built-in solution that it is or builds on.
    #[schemars(length(max = 40))]
    pub solution: String,
    /// What to do.
    #[schemars(length(max = 2000))]
    pub what: String,
    /// From which columns.
    #[schemars(length(max = 24), inner(length(max = 64)))]
    pub inputs: Vec<String>,
    /// With which output.
    #[schemars(length(max = 160))]
    pub output: String,
    /// What could make it fail or deceive.
    #[schemars(length(max = 200))]
    pub check: String,
    /// Parameters to start with.
    #[schemars(length(max = 12))]
    pub params: Vec<Setting>,
    /// Whether its parameters, switches of groups among them, should be searched afterwards.
    pub tune: bool,
    /// Predicted score.
    pub score: Option<f64>,
    /// Predicted seconds of one core for one fold.
    #[schemars(range(min = 0.0))]
    pub seconds: Option<f64>,
}

/// One plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanIdea {
    /// Two or three words with hyphens.
    #[schemars(length(max = 40))]
    pub name: String,
    /// What it trusts and the others do not.
    #[schemars(length(max = 200))]
    pub bet: String,
    /// What it does.
    #[schemars(length(min = 1, max = 4))]
    pub branches: Vec<BranchIdea>,
    /// Predicted score.
    pub score: f64,
    /// The score has a 10 % chance to be worse than this.
    pub score_low: f64,
    /// The score has a 10 % chance to be better than this.
    pub score_high: f64,
    /// Why this score.
    #[schemars(length(max = 200))]
    pub because: String,
}

/// Plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanIdeas {
    /// What in the data decides.
    #[schemars(length(max = 6), inner(length(max = 200)))]
    pub observations: Vec<String>,
    /// The plans.
    #[schemars(length(min = 1, max = 3))]
    pub plans: Vec<PlanIdea>,
}

impl Reply for PlanIdeas {
    const NAME: &'static str = "plans";
    const TOKENS_MAX: u32 = 6000;
}

/// A branch and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BranchResult {
    /// Its name.
    pub name: String,
    /// Who had the idea.
    pub origin: String,
    /// What it does.
    pub what: String,
    /// The same in few letters; empty where the whole is shown.
    pub brief: String,
    /// Whether it is counted among the others and not shown.
    pub is_untold: bool,
    /// The predicted score.
    pub predicted: String,
    /// The measured score with its error.
    pub measured: String,
    /// `failed: …`, `running`, or nothing.
    pub state: String,
}

/// Asks to look again at the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replan {
    /// Task, data, machine and budget.
    pub case: Case,
    /// Built-in solutions.
    pub solutions: Vec<SolutionView>,
    /// Cards that fit the data.
    pub cards: Vec<CardView>,
    /// What was tried.
    pub branches: Vec<BranchResult>,
    /// The best so far, with its error.
    pub best: String,
    /// What is left of the budget.
    pub left: String,
    /// What contradicts the plan.
    pub evidence: Vec<String>,
    /// Differences below this mean nothing.
    pub noise: String,
    /// Branches that are not shown.
    pub untold: usize,
}

impl Prompt for Replan {
    const NAME: &'static str = "planner/replan";
    const MEASURED: &'static [&'static str] =
        &["measured", "best", "left", "noise", "evidence", "state", "brief", "is_untold", "untold"];
}

impl Replan {
    /// Leaves of many branches what a planner needs: in whole those that lead and those that are new to it, in brief the best of
    /// the others, of the rest their number. Both lists hold places of branches; `best` those that were measured, best first.
    pub fn abridge(&mut self, best: &[usize], new: &[usize]) {
        let known: BTreeSet<usize> = best.iter().copied().collect();
        let unmeasured = (0..self.branches.len()).filter(|place| !known.contains(place));
        let ranked: Vec<usize> = best.iter().copied().chain(unmeasured).collect();
        let leading = best.iter().take(LEADING_MAX);
        let others = ranked.iter().skip(leading.len()).filter(|place| new.contains(place));
        let whole: BTreeSet<usize> = leading.chain(others).copied().take(WHOLE_MAX).collect();
        let rest = ranked.into_iter().filter(|place| !whole.contains(place));
        for (rank, place) in rest.enumerate() {
            let Some(branch) = self.branches.get_mut(place) else { continue };
            branch.brief = shown(&branch.what, BRIEF_CHARS_MAX);
            branch.is_untold = rank >= BRIEF_MAX;
        }
        self.untold = self.branches.iter().filter(|branch| branch.is_untold).count();
    }
}

/// The plan looked at again: what the rest of the budget is spent on. Empty lists leave it as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replanned {
    /// What differed most from the predictions.
    #[schemars(length(max = 240))]
    pub surprise: String,
    /// Branches to drop.
    #[schemars(length(max = 8), inner(length(max = 64)))]
    pub drop: Vec<String>,
    /// Branches to add.
    #[schemars(length(max = 3))]
    pub add: Vec<BranchIdea>,
    /// The branch whose code is to be revised next.
    #[schemars(length(max = 64))]
    pub improve: Option<String>,
    /// Why.
    #[schemars(length(max = 240))]
    pub because: String,
}

impl Reply for Replanned {
    const NAME: &'static str = "replanned";
    const TOKENS_MAX: u32 = 3000;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;
    use crate::prompts::Prompts;

    /// Second thoughts about so many branches, each described at the greatest length.
    fn replan(count: usize) -> Replan {
        let example = examples::replan();
        let branch = |place: usize| BranchResult {
            name: format!("idea-{place}"),
            what: format!("{place:04}{}", " ranks".repeat(400))[..2000].to_owned(),
            ..example.branches[0].clone()
        };
        Replan { branches: (0..count).map(branch).collect(), ..example }
    }

    fn rendered(replan: &Replan) -> (String, u64) {
        let rendered = Prompts::built_in().unwrap().render(replan).unwrap();
        let chars = rendered.system.chars().count() + rendered.user.chars().count();
        // As calls are estimated: on the high side.
        (rendered.user, (chars as u64 * 10).div_ceil(35))
    }

    #[test]
    fn second_thoughts_about_many_branches_stay_short() {
        let mut replan = replan(40);
        assert!(rendered(&replan).1 > 20_000);
        let worst_first: Vec<usize> = (0..38).collect();
        replan.abridge(&worst_first, &[30, 31, 39]);
        let (text, tokens) = rendered(&replan);
        assert!(tokens < 12_000, "{tokens}");
        let in_whole = |branch: &&BranchResult| text.contains(&branch.what);
        let whole: Vec<&str> =
            replan.branches.iter().filter(in_whole).map(|branch| branch.name.as_str()).collect();
        assert_eq!(whole, ["idea-0", "idea-1", "idea-2", "idea-30", "idea-31", "idea-39"]);
        for place in 3..13 {
            assert!(text.contains(&format!("- idea-{place} (model): \"{place:04} ranks")), "{text}");
        }
        assert!(!text.contains("idea-13 ") && !text.contains("idea-38 "), "{text}");
        assert!(text.contains("24 more branches"), "{text}");
    }

    #[test]
    fn a_resumed_run_to_which_all_branches_are_new_stays_short_as_well() {
        let mut replan = replan(40);
        let all: Vec<usize> = (0..40).collect();
        replan.abridge(&all, &all);
        let (text, tokens) = rendered(&replan);
        assert!(tokens < 12_000, "{tokens}");
        assert_eq!(replan.branches.iter().filter(|branch| text.contains(&branch.what)).count(), WHOLE_MAX);
    }

    #[test]
    fn few_branches_are_told_in_whole() {
        let mut few = replan(3);
        few.abridge(&[2], &[0, 1]);
        assert_eq!(few, replan(3));
    }
}
