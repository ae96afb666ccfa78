//! The planner with a language model: what it is shown, and how its ideas become plans that are merged with the playbook's.
//!
//! Ideas are ranked by what they predict for their cost; code is written for the best few only. A step keeps its idea in its
//! parameters, so that a plan file says all that is needed to carry it out, and taking a step out takes its idea out.

use crate::playbook::{self, DataShape};
use ansatz_core::candidate::{Dimension, Params, Space};
use ansatz_core::profile::Profile;
use ansatz_core::task::Task;
use ansatz_planner::{Plan, PlanBuilder, PlanError, Step, StepKind};
use ansatz_prompts::planner::{BranchIdea, BranchKind, CardView, MakePlans, PlanIdeas, SolutionView};
use ansatz_prompts::{Case, Setting};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Plans that are asked for.
pub const PLANS_WANTED: u32 = 3;
/// Branches for which code is written in the first round.
pub const CODE_BRANCHES_MAX: usize = 4;
/// Branches of built-in solutions that are taken up in the first round.
const BUILTIN_BRANCHES_MAX: usize = 4;
/// Shares of a plan's budget: training and searching, making features or having them written.
const SEARCH_SHARE: f64 = 0.75;
const CODE_SHARE: f64 = 0.05;
/// Parameter of a step that holds its idea.
const IDEA: &str = "idea";
/// Letters of a branch's name.
const NAME_MAX: usize = 28;
/// The solution that code builds upon when the named one cannot be built upon.
const BASE_DEFAULT: &str = "lightgbm";
/// Built-in solutions with stages, which groups of features can be put on top of.
const BASES: &[&str] = &["lightgbm", "catboost", "linear", "neural"];

/// An idea of a language model, as a step of the plan keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Idea {
    /// The branch's name; also that of the solution when code is written for it.
    pub name: String,
    /// What it is.
    pub kind: BranchKind,
    /// The built-in solution that it is or builds on.
    pub base: String,
    /// What to do.
    pub what: String,
    /// From which columns.
    pub inputs: Vec<String>,
    /// What could make it fail or deceive.
    pub check: String,
    /// Predicted score.
    pub predicted: Option<f64>,
}

/// The idea that a step keeps.
pub fn idea_of(step: &Step) -> Option<Idea> {
    serde_json::from_value(step.params.get(IDEA)?.clone()).ok()
}

/// What is wrong with plans beyond their form, in words that a model can act on.
pub fn problems(ideas: &PlanIdeas, solutions: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for plan in &ideas.plans {
        for branch in &plan.branches {
            let is_known = solutions.contains(&branch.solution);
            if branch.kind == BranchKind::Builtin && !is_known {
                let known = solutions.join(", ");
                problems
                    .push(format!("there is no built-in solution {:?}; there are {known}", branch.solution));
            }
            if branch.kind != BranchKind::Builtin && branch.what.trim().is_empty() {
                problems.push(format!("plan {:?}: a branch does not say what to do", plan.name));
            }
        }
    }
    problems
}

/// What the planner is shown when it plans.
pub struct Outlook<'a> {
    /// The case.
    pub case: Case,
    /// The plan that is under way.
    pub plan: &'a Plan,
    /// Spaces of the built-in solutions.
    pub spaces: &'a BTreeMap<String, Space>,
    /// Cards that fit: name and text.
    pub cards: &'a [(String, String)],
    /// What is known of such tasks.
    pub insights: &'a [String],
    /// The score to improve on, with its error, or that it is not known yet.
    pub reference: String,
}

impl Outlook<'_> {
    /// The prompt.
    pub fn prompt(&self) -> MakePlans {
        MakePlans {
            case: self.case.clone(),
            wanted: PLANS_WANTED,
            playbook: described(self.plan),
            solutions: self
                .spaces
                .iter()
                .map(|(name, space)| SolutionView {
                    name: name.clone(),
                    about: about(name).to_owned(),
                    parameters: space
                        .iter()
                        .map(|(name, one)| format!("{name} {}", range(one)))
                        .collect::<Vec<_>>()
                        .join(", "),
                })
                .collect(),
            cards: self
                .cards
                .iter()
                .map(|(name, text)| CardView { name: name.clone(), text: text.clone() })
                .collect(),
            insights: self.insights.to_vec(),
            reference: self.reference.clone(),
        }
    }
}

/// A built-in solution in a few words.
pub fn about(solution: &str) -> &'static str {
    match solution {
        "lightgbm" => {
            "gradient boosting, fastest to train; categories as counts and out-of-fold target means, or native"
        }
        "catboost" => "gradient boosting with symmetric trees and ordered statistics of categories",
        "linear" => "regularised linear or logistic model on one-hot categories and bent numbers",
        "neural" => "a small network on the same design as the linear model",
        "extra_trees" => "averaged random trees",
        _ => "a built-in solution",
    }
}

fn range(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Float { low, high, log, .. } => {
            format!("{low} to {high}{}", if *log { " (log)" } else { "" })
        }
        Dimension::Int { low, high, log, .. } => {
            format!("{low} to {high}{}", if *log { " (log)" } else { "" })
        }
        Dimension::Categorical { values, .. } => {
            values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// What a plan trains, in words.
fn described(plan: &Plan) -> String {
    let tuned: BTreeSet<String> = plan
        .steps()
        .iter()
        .filter(|step| step.kind == StepKind::Tune)
        .filter_map(playbook::solution_of)
        .collect();
    let models = plan.steps().iter().filter(|step| step.kind == StepKind::Model).filter_map(|step| {
        let solution = playbook::solution_of(step)?;
        let tuned = if tuned.contains(&solution) { ", then its space is searched" } else { "" };
        Some(format!(
            "{solution} with {} features{tuned}",
            recipe(plan, step).unwrap_or_else(|| "plain".into())
        ))
    });
    let models: Vec<String> = models.collect();
    format!("{}; at last a weighted ensemble of what is good", models.join("; "))
}

fn recipe(plan: &Plan, step: &Step) -> Option<String> {
    let mut inputs = step.inputs.iter().filter_map(|input| plan.step(input));
    inputs.find_map(|input| input.params.get("recipe")?.as_str().map(str::to_owned))
}

/// What plans may be made of.
pub struct Means<'a> {
    /// The task.
    pub task: &'a Task,
    /// The data card.
    pub profile: &'a Profile,
    /// Columns that solutions get.
    pub columns: &'a BTreeSet<String>,
    /// Spaces of the built-in solutions.
    pub spaces: &'a BTreeMap<String, Space>,
    /// Names that are taken.
    pub taken: BTreeSet<String>,
    /// Branches for which code may be written.
    pub code_max: usize,
}

/// The plans that a model's ideas come to, the most promising branches only; empty when none is left.
///
/// # Errors
/// [`PlanError`] when the ideas make no sound plan.
pub fn plans(ideas: &PlanIdeas, means: &Means) -> Result<Vec<Plan>, PlanError> {
    let named =
        ideas.plans.iter().flat_map(|plan| plan.branches.iter().map(|branch| (plan.name.as_str(), branch)));
    let bets: BTreeMap<&str, &str> =
        ideas.plans.iter().map(|plan| (plan.name.as_str(), plan.bet.as_str())).collect();
    let chosen = chosen(named.collect(), means);
    let mut plans = Vec::new();
    for plan in &ideas.plans {
        let branches: Vec<&Chosen> = chosen.iter().filter(|branch| branch.plan == plan.name).collect();
        if !branches.is_empty() {
            plans.push(draft(&branches, bets.get(plan.name.as_str()).copied().unwrap_or_default(), means)?);
        }
    }
    Ok(plans)
}

/// The plan of branches that are added while the run goes on; `None` when none of them can be used.
///
/// # Errors
/// As [`plans`].
pub fn added(branches: &[BranchIdea], because: &str, means: &Means) -> Result<Option<Plan>, PlanError> {
    let chosen = chosen(branches.iter().map(|branch| ("second-thought", branch)).collect(), means);
    let branches: Vec<&Chosen> = chosen.iter().collect();
    if branches.is_empty() { Ok(None) } else { draft(&branches, because, means).map(Some) }
}

/// A branch that is taken up.
struct Chosen {
    plan: String,
    idea: Idea,
    params: Params,
    tune: bool,
}

/// The branches worth their cost, best first, each once, under names of their own.
fn chosen(mut branches: Vec<(&str, &BranchIdea)>, means: &Means) -> Vec<Chosen> {
    let gain = |branch: &BranchIdea| {
        branch.score.map_or(f64::NEG_INFINITY, |score| means.task.metric.direction.gain(score))
    };
    branches.sort_by(|(_, a), (_, b)| gain(b).total_cmp(&gain(a)));
    let mut taken = means.taken.clone();
    let (mut code, mut builtin) = (0, 0);
    let mut seen: Vec<(BranchKind, String, Params, String)> = Vec::new();
    let mut chosen = Vec::new();
    for (plan, branch) in branches {
        let base = base_of(branch, means);
        let params = means.spaces.get(&base).map(|space| fitted(&branch.params, space)).unwrap_or_default();
        let count = match branch.kind {
            BranchKind::Builtin => &mut builtin,
            BranchKind::NewFeatures | BranchKind::NewSolution | BranchKind::Script => &mut code,
        };
        let (most, text) = match branch.kind {
            BranchKind::Builtin => (BUILTIN_BRANCHES_MAX, String::new()),
            _ => (means.code_max, branch.what.clone()),
        };
        let key = (branch.kind, base.clone(), params.clone(), text);
        // A readable model was asked for: code that nobody has read cannot promise that.
        let is_barred = means.task.constraints.interpretable
            && (branch.kind != BranchKind::Builtin || base != playbook::READABLE);
        let is_empty =
            branch.kind == BranchKind::Builtin && (params.is_empty() || !means.spaces.contains_key(&base));
        if *count >= most || seen.contains(&key) || is_barred || is_empty {
            continue;
        }
        *count += 1;
        seen.push(key);
        let name = free_name(plan, &taken);
        taken.insert(name.clone());
        let known = |input: &&String| means.columns.contains(input.as_str());
        chosen.push(Chosen {
            plan: plan.to_owned(),
            params,
            // A script has nothing that could be searched.
            tune: branch.kind != BranchKind::Script
                && (branch.tune || branch.kind == BranchKind::NewFeatures),
            idea: Idea {
                name,
                kind: branch.kind,
                base,
                what: branch.what.clone(),
                inputs: branch.inputs.iter().filter(known).cloned().collect(),
                check: branch.check.clone(),
                predicted: branch.score,
            },
        });
    }
    chosen
}

fn base_of(branch: &BranchIdea, means: &Means) -> String {
    let can_carry = branch.kind == BranchKind::Builtin || BASES.contains(&branch.solution.as_str());
    if can_carry && means.spaces.contains_key(&branch.solution) {
        branch.solution.clone()
    } else if means.task.constraints.interpretable {
        playbook::READABLE.into()
    } else {
        BASE_DEFAULT.into()
    }
}

/// A name of letters, digits and hyphens that is not taken.
fn free_name(wanted: &str, taken: &BTreeSet<String>) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let words: String = wanted.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let mut name: String = words.join("-").chars().take(NAME_MAX).collect();
    if name.is_empty() {
        name = "idea".into();
    }
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name)
}

/// The settings that the space knows, brought inside its ranges.
pub fn fitted(settings: &[Setting], space: &Space) -> Params {
    let fit = |setting: &Setting| {
        let value = setting.value.to_json();
        let value = match space.get(&setting.name)? {
            Dimension::Float { low, high, .. } => Value::from(value.as_f64()?.clamp(*low, *high)),
            Dimension::Int { low, high, .. } => {
                Value::from((value.as_f64()?.round() as i64).clamp(*low, *high))
            }
            Dimension::Categorical { values, .. } => values.iter().find(|known| **known == value)?.clone(),
        };
        Some((setting.name.clone(), value))
    };
    settings.iter().filter_map(fit).collect()
}

/// Whether a branch has a search of its own: built-in solutions are searched by the playbook's step.
fn has_search(branch: &Chosen) -> bool {
    branch.tune && branch.idea.kind != BranchKind::Builtin
}

/// A plan of these branches.
fn draft(branches: &[&Chosen], bet: &str, means: &Means) -> Result<Plan, PlanError> {
    let shape = DataShape::of(means.task, means.profile);
    let mut plan = PlanBuilder::new().step(playbook::profile_step());
    let mut ends = Vec::new();
    let mut recipes = BTreeSet::new();
    let parts: usize = branches.iter().map(|branch| 1 + usize::from(has_search(branch))).sum();
    let share = SEARCH_SHARE / parts as f64;
    for branch in branches {
        let idea = &branch.idea;
        let kept = serde_json::to_value(idea).unwrap_or_default();
        let model = format!("model:{}", idea.name);
        let why = if bet.is_empty() { idea.what.clone() } else { bet.to_owned() };
        let step = Step::new(&model, StepKind::Model).share(share).why(why.clone());
        if idea.kind == BranchKind::Builtin {
            let recipe = playbook::recipe_of(&idea.base, &shape);
            if recipes.insert(recipe.to_owned()) {
                plan = plan.step(playbook::features_step(recipe).share(CODE_SHARE / branches.len() as f64));
            }
            let params = serde_json::to_value(&branch.params).unwrap_or_default();
            let step = step.after(format!("features:{recipe}")).param("solution", idea.base.as_str());
            plan = plan.step(step.param("params", params).param(IDEA, kept));
        } else {
            let features = format!("features:{}", idea.name);
            let code =
                Step::new(&features, StepKind::Features).after("profile").param("recipe", idea.name.as_str());
            plan = plan.step(
                code.param(IDEA, kept)
                    .share(CODE_SHARE / branches.len() as f64)
                    .why(format!("code for: {}", idea.what)),
            );
            let step =
                step.after(features).param("solution", idea.name.as_str()).param("base", idea.base.as_str());
            plan = plan.step(step);
            if has_search(branch) {
                let tune = format!("tune:{}", idea.name);
                let step =
                    Step::new(&tune, StepKind::Tune).after(&model).param("solution", idea.name.as_str());
                plan = plan.step(step.share(share).why("search its space, its groups' switches included"));
                ends.push(tune);
            }
        }
        ends.push(model);
    }
    playbook::finish(plan, ends, !means.task.constraints.interpretable).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::tests::{MIXED, profile, task};
    use ansatz_core::task::Problem;
    use ansatz_prompts::planner::PlanIdea;
    use ansatz_prompts::{Scalar, Setting};

    fn spaces() -> BTreeMap<String, Space> {
        let learning_rate = Dimension::Float { low: 0.01, high: 0.3, log: true, default: 0.05 };
        let depth = Dimension::Int { low: 3, high: 9, log: false, default: 6 };
        let encoding = Dimension::Categorical {
            values: vec!["native".into(), "encoded".into()],
            default: "native".into(),
        };
        let space = Space::from([
            ("learning_rate".into(), learning_rate),
            ("depth".into(), depth),
            ("encoding".into(), encoding),
        ]);
        ["lightgbm", "catboost", "linear"].map(|name| (name.to_owned(), space.clone())).into()
    }

    fn setting(name: &str, value: Scalar) -> Setting {
        Setting { name: name.into(), value }
    }

    fn branch(kind: BranchKind, solution: &str, what: &str, score: f64) -> BranchIdea {
        BranchIdea {
            kind,
            solution: solution.into(),
            what: what.into(),
            inputs: vec!["x0".into(), "unheard of".into()],
            output: String::new(),
            check: String::new(),
            params: vec![
                setting("depth", Scalar::Number(4.0)),
                setting("colour", Scalar::Text("red".into())),
            ],
            tune: true,
            score: Some(score),
            seconds: None,
        }
    }

    fn idea(name: &str, branches: Vec<BranchIdea>) -> PlanIdea {
        let (score, because) = (0.8, String::new());
        PlanIdea {
            name: name.into(),
            bet: "a bet".into(),
            branches,
            score,
            score_low: 0.7,
            score_high: 0.9,
            because,
        }
    }

    fn names(profile: &Profile) -> BTreeSet<String> {
        profile.columns.iter().map(|column| column.name.clone()).collect()
    }

    fn made(plans: Vec<PlanIdea>, code_max: usize) -> Vec<Plan> {
        let (task, profile, spaces) = (task(Problem::Binary), profile(500, MIXED), spaces());
        let taken = BTreeSet::from(["lightgbm".to_owned()]);
        let columns = names(&profile);
        let means =
            Means { task: &task, profile: &profile, columns: &columns, spaces: &spaces, taken, code_max };
        plans_of(&PlanIdeas { observations: Vec::new(), plans }, &means)
    }

    fn plans_of(ideas: &PlanIdeas, means: &Means) -> Vec<Plan> {
        plans(ideas, means).unwrap()
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.steps().iter().map(|step| step.id.as_str()).collect()
    }

    #[test]
    fn ideas_become_steps_that_keep_them() {
        let features = branch(BranchKind::NewFeatures, "catboost", "family sizes", 0.82);
        let builtin = branch(BranchKind::Builtin, "lightgbm", "", 0.81);
        let plans = made(vec![idea("Family & tickets!", vec![features, builtin])], 4);
        let plan = &plans[0];
        let first = "profile features:family-tickets model:family-tickets tune:family-tickets";
        assert_eq!(ids(plan)[..4].join(" "), first);
        assert!(
            ids(plan).contains(&"model:family-tickets-2") && ids(plan).contains(&"ensemble"),
            "{:?}",
            ids(plan)
        );
        let found = idea_of(&plan.steps()[1]).unwrap();
        assert_eq!(
            (found.base.as_str(), found.inputs.as_slice()),
            ("catboost", ["x0".to_owned()].as_slice())
        );
        let step = plan.steps().iter().find(|step| step.id.as_str() == "model:family-tickets-2").unwrap();
        assert_eq!(step.params["params"], serde_json::json!({"depth": 4}), "unknown parameters are left out");
        assert!(plan.share_sum() <= 1.0 + 1e-9, "{}", plan.share_sum());
    }

    #[test]
    fn plans_of_ideas_merge_with_the_playbooks() {
        let (task, profile) = (task(Problem::Binary), profile(500, MIXED));
        let own = ansatz_planner::merge(&playbook::plans(&task, &profile, 2).unwrap()).unwrap();
        let many: Vec<PlanIdea> = (0..3)
            .map(|n| {
                let code = |k: usize| branch(BranchKind::NewSolution, "linear", &format!("way {n}.{k}"), 0.8);
                idea("way", vec![code(0), code(1), branch(BranchKind::Builtin, "catboost", "", 0.7), code(2)])
            })
            .collect();
        let ideas = made(many, 4);
        let all: Vec<Plan> = std::iter::once(own.clone()).chain(ideas).collect();
        let merged = ansatz_planner::merge(&all).unwrap();
        for step in own.steps() {
            assert!(merged.step(&step.id).is_some(), "{} keeps its name", step.id);
        }
        let ensemble = merged.step(&ansatz_core::ids::StepId::new("ensemble")).unwrap();
        assert!(ensemble.inputs.iter().any(|input| input.as_str().starts_with("model:way")));
        let code =
            merged.steps().iter().filter(|step| step.kind == StepKind::Features && idea_of(step).is_some());
        assert_eq!(code.count(), 4, "code is written for the best few only");
    }

    #[test]
    fn the_best_predicted_branches_are_taken_up() {
        let code = |what: &str, score| branch(BranchKind::NewFeatures, "neural", what, score);
        let plans = made(
            vec![idea("a", vec![code("poor", 0.7), code("good", 0.9)]), idea("b", vec![code("fair", 0.8)])],
            1,
        );
        assert_eq!(plans.len(), 1);
        let found = plans[0].steps().iter().find_map(idea_of).unwrap();
        assert_eq!(
            (found.what.as_str(), found.base.as_str()),
            ("good", "lightgbm"),
            "what is not there is not built upon"
        );
        let same = vec![idea("a", vec![code("x", 0.7), code("x", 0.7)])];
        assert_eq!(made(same, 4)[0].steps().iter().filter_map(idea_of).count(), 1, "the same twice is one");
    }

    #[test]
    fn a_script_is_code_and_is_not_tuned() {
        let script = BranchIdea {
            tune: true,
            ..branch(BranchKind::Script, "lightgbm", "ranks within rows to predict", 0.8)
        };
        let plans = made(vec![idea("together", vec![script])], 4);
        let kinds: Vec<StepKind> = plans[0].steps().iter().map(|step| step.kind).collect();
        assert!(kinds.contains(&StepKind::Features) && !kinds.contains(&StepKind::Tune), "{kinds:?}");
        assert_eq!(plans[0].steps().iter().find_map(idea_of).unwrap().kind, BranchKind::Script);
    }

    #[test]
    fn a_readable_model_is_not_replaced_by_code() {
        let (mut task, profile, spaces) = (task(Problem::Binary), profile(500, MIXED), spaces());
        task.constraints.interpretable = true;
        let (columns, taken) = (names(&profile), BTreeSet::new());
        let means =
            Means { task: &task, profile: &profile, columns: &columns, spaces: &spaces, taken, code_max: 4 };
        let branches = vec![
            branch(BranchKind::NewSolution, "linear", "x", 0.9),
            branch(BranchKind::Builtin, "catboost", "", 0.9),
        ];
        let ideas = PlanIdeas { observations: Vec::new(), plans: vec![idea("a", branches)] };
        assert!(plans(&ideas, &means).unwrap().is_empty());
    }

    #[test]
    fn settings_are_brought_inside_their_ranges() {
        let space = &spaces()["lightgbm"];
        let settings = [
            setting("learning_rate", Scalar::Number(9.0)),
            setting("depth", Scalar::Number(3.6)),
            setting("encoding", Scalar::Text("strange".into())),
        ];
        let found = serde_json::to_string(&fitted(&settings, space)).unwrap();
        assert_eq!(found, r#"{"depth":4,"learning_rate":0.3}"#);
    }

    #[test]
    fn problems_name_what_is_there() {
        let ideas = PlanIdeas {
            observations: Vec::new(),
            plans: vec![idea(
                "a",
                vec![
                    branch(BranchKind::Builtin, "xgb", "", 0.8),
                    branch(BranchKind::NewFeatures, "x", " ", 0.8),
                ],
            )],
        };
        let found = problems(&ideas, &["lightgbm".to_owned()]);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("there are lightgbm"), "{found:?}");
    }
}
