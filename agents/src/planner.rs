//! The planner with a language model: what it is shown, and how its ideas become plans that are merged with the playbook's.
//!
//! The best branch of each plan comes first, so that no plan's optimism takes the places of the others; then ideas are ranked by
//! what they predict for their cost. Code is written for the first few only. A step keeps its idea in its parameters, so that a
//! plan file says all that is needed to carry it out, and taking a step out takes its idea out.

use crate::playbook::{self, DataShape};
use ansatz_core::candidate::{Dimension, Params, Space};
use ansatz_core::profile::Profile;
use ansatz_core::task::Task;
use ansatz_planner::{Plan, PlanBuilder, PlanError, Step, StepKind};
use ansatz_prompts::planner::{
    BranchIdea, BranchKind, BranchResult, CardView, MakePlans, PlanIdea, PlanIdeas, Replanned, SolutionView,
};
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
/// Texts that share so many of their words say the same.
const SAME_SHARE: f64 = 0.8;
/// Seconds that every branch costs beside its training: code, checks, repairs.
const ENTRY_S: f64 = 30.0;
/// Seconds of one fold where nothing is predicted, and folds.
const FOLD_S: f64 = 20.0;
const FOLDS: f64 = 5.0;
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
    for (at, plan) in ideas.plans.iter().enumerate() {
        let place = format!("plan {:?}", plan.name);
        problems.extend(plan.branches.iter().filter_map(|branch| problem(&place, branch, solutions)));
        let twin = ideas.plans[..at].iter().find(|other| is_alike(plan, other));
        problems.extend(twin.map(|other| {
            format!(
                "{place} says nearly the same as plan {:?}: let it bet on something else, or leave it out",
                other.name
            )
        }));
    }
    problems
}

/// What is wrong with second thoughts beyond their form, in words that a model can act on. `branches` are those that it was shown.
pub fn replan_problems(said: &Replanned, branches: &[BranchResult], solutions: &[String]) -> Vec<String> {
    let mut problems: Vec<String> =
        said.add.iter().filter_map(|branch| problem("\"add\"", branch, solutions)).collect();
    let code = said.add.iter().filter(|branch| branch.kind != BranchKind::Builtin);
    let repeated = code.filter_map(|branch| branches.iter().find(|known| is_same(&branch.what, &known.what)));
    problems.extend(repeated.map(|known| {
        let name = &known.name;
        format!("\"add\" repeats {name:?} as it stands: say what is to be different, or leave it out")
    }));
    if let Some(name) = said.improve.as_deref().filter(|name| !name.trim().is_empty()) {
        if !branches.iter().any(|branch| branch.name == name) {
            let known: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
            problems.push(format!("there is no branch {name:?} to improve; there are {}", known.join(", ")));
        } else if said.drop.iter().any(|dropped| dropped == name) {
            problems.push(format!("{name:?} cannot be dropped and improved at once"));
        }
    }
    problems
}

/// What is wrong with one branch.
fn problem(place: &str, branch: &BranchIdea, solutions: &[String]) -> Option<String> {
    if branch.kind == BranchKind::Builtin {
        let known = solutions.join(", ");
        let is_unknown = !solutions.contains(&branch.solution);
        is_unknown.then(|| format!("there is no built-in solution {:?}; there are {known}", branch.solution))
    } else {
        branch.what.trim().is_empty().then(|| format!("{place}: a branch does not say what to do"))
    }
}

/// Whether each branch of either plan has its like in the other.
fn is_alike(a: &PlanIdea, b: &PlanIdea) -> bool {
    let like = |a: &BranchIdea, b: &BranchIdea| {
        let has_same_work = match a.kind {
            BranchKind::Builtin => a.solution == b.solution && a.params == b.params,
            BranchKind::NewFeatures | BranchKind::NewSolution | BranchKind::Script => {
                is_same(&a.what, &b.what)
            }
        };
        a.kind == b.kind && has_same_work
    };
    let covers = |a: &PlanIdea, b: &PlanIdea| {
        b.branches.iter().all(|branch| a.branches.iter().any(|other| like(branch, other)))
    };
    covers(a, b) && covers(b, a)
}

/// Whether two texts share nearly all of their words.
fn is_same(a: &str, b: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect()
    };
    let (a, b) = (words(a), words(b));
    let (shared, all) = (a.intersection(&b).count(), a.union(&b).count());
    shared > 0 && shared as f64 >= SAME_SHARE * all as f64
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
            solutions: solution_views(self.spaces),
            cards: card_views(self.cards),
            insights: self.insights.to_vec(),
            reference: self.reference.clone(),
        }
    }
}

/// Built-in solutions, as prompts about plans show them.
pub fn solution_views(spaces: &BTreeMap<String, Space>) -> Vec<SolutionView> {
    let view = |(name, space): (&String, &Space)| {
        let parameters: Vec<String> =
            space.iter().map(|(name, one)| format!("{name} {}", range(one))).collect();
        SolutionView { name: name.clone(), about: about(name).to_owned(), parameters: parameters.join(", ") }
    };
    spaces.iter().map(view).collect()
}

/// Cards, as prompts show them, from name and text.
pub fn card_views(cards: &[(String, String)]) -> Vec<CardView> {
    cards.iter().map(|(name, text)| CardView { name: name.clone(), text: text.clone() }).collect()
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
    let gain = |score: f64| means.task.metric.direction.gain(score);
    let mut proposed = Vec::new();
    for (plan, idea) in ideas.plans.iter().enumerate() {
        proposed.extend(idea.branches.iter().map(|branch| {
            let gain = Some(gain(branch.score.unwrap_or(idea.score)));
            Proposed { plan, name: &idea.name, branch, gain }
        }));
    }
    let chosen = chosen(ranked(proposed), means);
    let mut plans = Vec::new();
    for (plan, idea) in ideas.plans.iter().enumerate() {
        let branches: Vec<&Chosen> = chosen.iter().filter(|branch| branch.plan == plan).collect();
        if !branches.is_empty() {
            plans.push(draft(&branches, &idea.bet, means)?);
        }
    }
    Ok(plans)
}

/// The plan of branches that are added while the run goes on; `None` when none of them can be used.
///
/// # Errors
/// As [`plans`].
pub fn added(branches: &[BranchIdea], because: &str, means: &Means) -> Result<Option<Plan>, PlanError> {
    let gain = |branch: &BranchIdea| branch.score.map(|score| means.task.metric.direction.gain(score));
    let proposed = branches.iter().map(|branch| {
        let (name, gain) = ("second-thought", gain(branch));
        Proposed { plan: 0, name, branch, gain }
    });
    let chosen = chosen(ranked(proposed.collect()), means);
    let branches: Vec<&Chosen> = chosen.iter().collect();
    if branches.is_empty() { Ok(None) } else { draft(&branches, because, means).map(Some) }
}

/// A branch that is proposed.
struct Proposed<'a> {
    /// Place and name of its plan.
    plan: usize,
    name: &'a str,
    branch: &'a BranchIdea,
    /// What is predicted: larger is better.
    gain: Option<f64>,
}

/// Branches in the order in which they are taken up: of each plan the best one that needs code and the best one that needs none,
/// then the others by what they promise, beyond the least that is promised, for their seconds.
fn ranked(mut proposed: Vec<Proposed<'_>>) -> Vec<Proposed<'_>> {
    let gain = |one: &Proposed| one.gain.unwrap_or(f64::NEG_INFINITY);
    let floor = proposed.iter().filter_map(|one| one.gain).fold(f64::INFINITY, f64::min);
    let worth = |one: &Proposed| {
        let cost = ENTRY_S + FOLDS * one.branch.seconds.unwrap_or(FOLD_S).max(0.0);
        one.gain.map_or(f64::NEG_INFINITY, |gain| (gain - floor) / cost)
    };
    proposed.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    let mut seen = BTreeSet::new();
    let is_best = |one: &Proposed| seen.insert((one.plan, one.branch.kind == BranchKind::Builtin));
    let (mut ranked, mut rest): (Vec<Proposed>, Vec<Proposed>) = proposed.into_iter().partition(is_best);
    rest.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    ranked.extend(rest);
    ranked
}

/// A branch that is taken up.
struct Chosen {
    plan: usize,
    idea: Idea,
    params: Params,
    tune: bool,
}

/// As many of the branches as there is room for, in their order, each once, under names of their own.
fn chosen(branches: Vec<Proposed<'_>>, means: &Means) -> Vec<Chosen> {
    let mut taken = means.taken.clone();
    let (mut code, mut builtin) = (0, 0);
    let mut seen: Vec<(BranchKind, String, Params, String)> = Vec::new();
    let mut chosen = Vec::new();
    for Proposed { plan, name, branch, .. } in branches {
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
        let name = free_name(name, &taken);
        taken.insert(name.clone());
        let known = |input: &&String| means.columns.contains(input.as_str());
        chosen.push(Chosen {
            plan,
            params,
            // A script has nothing that could be searched.
            tune: branch.tune && branch.kind != BranchKind::Script,
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
        let params = serde_json::to_value(&branch.params).unwrap_or_default();
        let model = format!("model:{}", idea.name);
        let why = if bet.is_empty() { idea.what.clone() } else { bet.to_owned() };
        let step = Step::new(&model, StepKind::Model).share(share).why(why.clone());
        if idea.kind == BranchKind::Builtin {
            let recipe = playbook::recipe_of(&idea.base, &shape);
            if recipes.insert(recipe.to_owned()) {
                plan = plan.step(playbook::features_step(recipe).share(CODE_SHARE / branches.len() as f64));
            }
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
            // Features start from a built-in solution with these parameters; other code has its own.
            let starts = idea.kind == BranchKind::NewFeatures && !branch.params.is_empty();
            plan = plan.step(if starts { step.param("params", params) } else { step });
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
        let own = ansatz_planner::merge(&playbook::plans(&task, &profile, 2, None).unwrap()).unwrap();
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

    fn code(what: &str, score: f64) -> BranchIdea {
        branch(BranchKind::NewSolution, "linear", what, score)
    }

    /// What code is written for, in the order of the steps of the plans.
    fn taken_up(plans: Vec<PlanIdea>, code_max: usize) -> Vec<String> {
        let plans = made(plans, code_max);
        let steps = plans.iter().flat_map(|plan| plan.steps().iter().filter_map(idea_of));
        steps.map(|idea| idea.what).collect()
    }

    #[test]
    fn no_plan_takes_the_places_of_the_others_by_its_optimism() {
        let bold = idea("bold", vec![code("a", 0.99), code("b", 0.98), code("c", 0.97), code("d", 0.96)]);
        let modest = idea("modest", vec![code("e", 0.7), code("f", 0.71)]);
        let other = idea("other", vec![code("g", 0.75)]);
        assert_eq!(taken_up(vec![bold, modest, other], 4), ["a", "b", "f", "g"]);
    }

    #[test]
    fn the_others_are_ranked_by_what_they_promise_for_their_seconds() {
        let costly = BranchIdea { seconds: Some(300.0), ..code("costly", 0.89) };
        let cheap = BranchIdea { seconds: Some(2.0), ..code("cheap", 0.85) };
        let poor = BranchIdea { seconds: Some(1.0), ..code("poor", 0.6) };
        let plan = |branches: &[&BranchIdea]| {
            let first = code("first", 0.9);
            idea("a", std::iter::once(&first).chain(branches.iter().copied()).cloned().collect())
        };
        assert_eq!(taken_up(vec![plan(&[&costly, &cheap, &poor])], 2), ["first", "cheap"]);
        assert_eq!(taken_up(vec![plan(&[&poor, &costly, &cheap])], 3), ["first", "cheap", "costly"]);
        // Where a branch predicts nothing, its plan's prediction stands for it.
        let silent = BranchIdea { score: None, ..code("silent", 0.0) };
        let plans = vec![idea("a", vec![silent]), idea("b", vec![code("low", 0.79)])];
        assert_eq!(taken_up(plans, 1), ["silent"], "0.8 is predicted for the whole plan");
    }

    #[test]
    fn features_start_from_the_parameters_that_were_named_and_are_searched_when_that_was_wished() {
        let still = BranchIdea { tune: false, ..branch(BranchKind::NewFeatures, "catboost", "sizes", 0.8) };
        let plans = made(vec![idea("a", vec![still, code("x", 0.7)])], 4);
        let step = |id: &str| plans[0].step(&ansatz_core::ids::StepId::new(id));
        assert_eq!(step("model:a").unwrap().params["params"], serde_json::json!({"depth": 4}));
        assert!(!step("model:a-2").unwrap().params.contains_key("params"), "whole solutions have their own");
        assert!(step("tune:a").is_none() && step("tune:a-2").is_some());
    }

    #[test]
    fn plans_that_differ_in_details_alone_are_sent_back() {
        let solutions = ["lightgbm".to_owned(), "catboost".to_owned()];
        let families =
            |kind, base| branch(kind, base, "Sizes of families, and shares of each, by name and ticket", 0.8);
        let found = |plans: Vec<PlanIdea>| {
            problems(&PlanIdeas { observations: Vec::new(), plans }, &solutions).join("; ")
        };
        let first = idea("first", vec![families(BranchKind::NewFeatures, "lightgbm")]);
        let second = idea("second", vec![families(BranchKind::NewFeatures, "catboost")]);
        assert_eq!(
            found(vec![first.clone(), second]),
            "plan \"second\" says nearly the same as plan \"first\": let it bet on something else, or leave it out"
        );
        let whole = idea("second", vec![families(BranchKind::NewSolution, "catboost")]);
        assert_eq!(found(vec![first.clone(), whole]), "", "another kind of branch is another bet");
        let more = vec![families(BranchKind::NewFeatures, "catboost"), code("a spline of the age", 0.8)];
        assert_eq!(found(vec![first, idea("second", more)]), "", "it has more to it");
        let builtin = |depth: f64| {
            let params = vec![setting("depth", Scalar::Number(depth))];
            BranchIdea { params, ..branch(BranchKind::Builtin, "catboost", "", 0.8) }
        };
        let plans = |a, b| vec![idea("a", vec![builtin(a)]), idea("b", vec![builtin(b)])];
        assert!(found(plans(4.0, 4.0)).contains("nearly the same") && found(plans(4.0, 8.0)).is_empty());
    }

    #[test]
    fn second_thoughts_are_checked_against_what_was_shown() {
        let known = BranchResult {
            name: "families".into(),
            origin: "model".into(),
            what: "sizes of families by name and ticket".into(),
            predicted: String::new(),
            measured: String::new(),
            state: String::new(),
            brief: String::new(),
            is_untold: false,
        };
        let found = |add: Vec<BranchIdea>, drop: &[&str], improve: Option<&str>| {
            let said = Replanned {
                surprise: String::new(),
                drop: drop.iter().map(ToString::to_string).collect(),
                add,
                improve: improve.map(str::to_owned),
                because: String::new(),
            };
            replan_problems(&said, std::slice::from_ref(&known), &["lightgbm".to_owned()]).join("; ")
        };
        assert_eq!(found(vec![code("a spline of the age", 0.8)], &["lightgbm"], Some("families")), "");
        assert_eq!(found(Vec::new(), &[], Some(" ")), "", "nothing is to be improved");
        let repeated = code("Sizes of families, by name and ticket", 0.8);
        assert!(found(vec![repeated], &[], None).starts_with("\"add\" repeats \"families\""));
        assert_eq!(
            found(Vec::new(), &[], Some("family")),
            "there is no branch \"family\" to improve; there are families"
        );
        assert_eq!(
            found(Vec::new(), &["families"], Some("families")),
            "\"families\" cannot be dropped and improved at once"
        );
        let unknown = branch(BranchKind::Builtin, "xgb", "", 0.8);
        assert!(found(vec![unknown], &[], None).contains("there are lightgbm"));
        assert_eq!(found(vec![code(" ", 0.8)], &[], None), "\"add\": a branch does not say what to do");
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
