//! Plans: three ways to go about a task that differ in what they trust, to be merged into one.

use super::portfolio::Portfolio;
use super::shape::DataShape;
use ansatz_core::profile::Profile;
use ansatz_core::task::Task;
use ansatz_planner::{Plan, PlanBuilder, PlanError, Resources, Step, StepKind};
use serde_json::{Value, json};

/// Cells of the table from which on a single trial is worth several cores.
const CELLS_LARGE: u64 = 20_000_000;

/// The solution that a model or tune step works with.
pub fn solution_of(step: &Step) -> Option<String> {
    step.params.get("solution").and_then(Value::as_str).map(ToOwned::to_owned)
}

/// Three plans that differ in at least two steps from each other.
///
/// Boosting first; the booster with its own statistics of categories first; simple and different models first. Where a
/// readable model was asked for: three kinds of linear models, not combined. `seconds` are those of the run, none where trials
/// are counted.
///
/// # Errors
/// [`PlanError`] when the rules make no sound plan, which the tests over all kinds of data exclude.
pub fn plans(
    task: &Task,
    profile: &Profile,
    jobs: usize,
    seconds: Option<u64>,
) -> Result<Vec<Plan>, PlanError> {
    let shape = DataShape::of(task, profile);
    let cpus = if shape.rows * shape.columns() >= CELLS_LARGE {
        u32::try_from(jobs).unwrap_or(u32::MAX).max(1)
    } else {
        1
    };
    let draft = |steps: &[Branch]| draft(steps, cpus);
    if task.constraints.interpretable {
        return readable().iter().map(|branch| draft(std::slice::from_ref(branch))).collect();
    }
    let portfolio = Portfolio::built_in().within(seconds);
    let available = portfolio.solutions_for(task.problem, &shape);
    three(&shape).into_iter().map(|branches| draft(&served(&branches, &available))).collect()
}

/// A solution with the recipe for its features, and whether its space is searched.
#[derive(Debug, Clone)]
struct Branch {
    /// Ends the ids of its model and tune steps.
    name: &'static str,
    solution: &'static str,
    recipe: &'static str,
    /// Fixed parameters; an empty object fixes nothing.
    fixed: Value,
    tuned: bool,
    why: &'static str,
}

impl Branch {
    fn new(solution: &'static str, recipe: &'static str, why: &'static str) -> Self {
        Self { name: solution, solution, recipe, fixed: json!({}), tuned: false, why }
    }

    fn tuned(self) -> Self {
        Self { tuned: true, ..self }
    }
}

/// The branches of the three plans. A solution has the same recipe in all of them, so that merging shares its steps.
fn three(shape: &DataShape) -> [Vec<Branch>; 3] {
    let (encoded, native) = if shape.has_categories() { ("encoded", "native") } else { ("plain", "plain") };
    let lightgbm =
        || Branch::new("lightgbm", encoded, "boosted trees win most tables, and LightGBM trains fastest");
    let catboost = || {
        let why = if shape.has_categories() {
            "ordered statistics of categories resist overfitting on rare levels"
        } else {
            "symmetric trees are the strongest regulariser among boosters"
        };
        Branch::new("catboost", native, why)
    };
    let linear = || Branch::new("linear", "design", "a cheap model that errs differently from trees");
    let forest = || {
        Branch::new(
            "extra_trees",
            encoded,
            "averaged random trees: no tuning needed, different from boosting",
        )
    };
    let network = || {
        let why = "a small network is smooth where trees are stepped: a good partner on small tables";
        Branch::new("neural", "design", why)
    };
    [
        vec![lightgbm().tuned(), linear()],
        vec![catboost().tuned(), lightgbm()],
        vec![linear().tuned(), forest().tuned(), catboost(), network()],
    ]
}

/// Branches whose solution is available for such data; if none is, the first available solution.
fn served(branches: &[Branch], available: &[&str]) -> Vec<Branch> {
    let kept: Vec<Branch> =
        branches.iter().filter(|branch| available.contains(&branch.solution)).cloned().collect();
    if kept.is_empty() { branches.iter().take(1).cloned().collect() } else { kept }
}

/// Linear models from the richest to the plainest.
fn readable() -> [Branch; 3] {
    let linear =
        |name, recipe, fixed: Value, why| Branch { name, fixed, ..Branch::new("linear", recipe, why) };
    [
        linear("linear", "design", json!({}), "a weighted sum, with products of columns where they help")
            .tuned(),
        linear(
            "linear-bent",
            "bent",
            json!({ "order": 1 }),
            "a weighted sum of bent columns, without products",
        ),
        linear(
            "linear-straight",
            "straight",
            json!({ "order": 1, "bends": false }),
            "a weighted sum of the columns themselves",
        ),
    ]
}

/// Shares of the steps that every plan has; models and tuning get the rest.
const PROFILE_SHARE: f64 = 0.03;
const FEATURES_SHARE: f64 = 0.03;
const ENSEMBLE_SHARE: f64 = 0.04;
const VERIFY_SHARE: f64 = 0.04;
const PACKAGE_SHARE: f64 = 0.05;
const REPORT_SHARE: f64 = 0.01;
/// What a tuned branch's search gets for one part of its first configurations: the first look is cheap, improving is not.
const TUNE_WEIGHT: f64 = 3.0;

/// A plan of these branches: profile, features, models, tuning, ensemble, verify, package, report.
fn draft(branches: &[Branch], cpus: u32) -> Result<Plan, PlanError> {
    let ask = Resources { cpus, ..Resources::default() };
    let mut plan = PlanBuilder::new().step(profile_step());
    let mut recipes: Vec<&Branch> = Vec::new();
    for branch in branches {
        if !recipes.iter().any(|known| known.recipe == branch.recipe) {
            recipes.push(branch);
        }
    }
    for branch in &recipes {
        plan = plan.step(features_step(branch.recipe).share(FEATURES_SHARE / recipes.len() as f64));
    }
    let part = part_of_search(branches);
    let mut ends: Vec<String> = Vec::new();
    for branch in branches {
        let (model, tune) = (format!("model:{}", branch.name), format!("tune:{}", branch.name));
        plan = plan.step(model_step(branch, &model).share(part).ask(ask));
        ends.push(model.clone());
        if branch.tuned {
            plan = plan.step(tune_step(branch, &model, &tune).share(part * TUNE_WEIGHT).ask(ask));
            ends.push(tune);
        }
    }
    let combines = ends.iter().filter(|end| end.starts_with("model:")).count() > 1;
    finish(plan, ends, combines).build()
}

/// The step that reads the data: every plan begins with it.
pub(crate) fn profile_step() -> Step {
    let read = Step::new("profile", StepKind::Profile).share(PROFILE_SHARE).mandatory();
    read.why("know the data before the first guess")
}

/// The step that makes features by one of the built-in recipes.
pub(crate) fn features_step(recipe: &str) -> Step {
    Step::new(format!("features:{recipe}"), StepKind::Features)
        .after("profile")
        .param("recipe", recipe)
        .share(FEATURES_SHARE)
        .why(about_recipe(recipe))
}

fn about_recipe(recipe: &str) -> &'static str {
    match recipe {
        "encoded" => "categories become statistics of the target, computed out of fold",
        "native" => "categories stay what they are; the model makes its own statistics",
        "design" => "one-hot categories and bent numbers, as linear models need them",
        _ => "numbers and parts of dates as they are",
    }
}

/// The recipe that a built-in solution gets its features by.
pub(crate) fn recipe_of(solution: &str, shape: &DataShape) -> &'static str {
    let branches = three(shape).into_iter().flatten().chain(readable());
    branches
        .filter(|branch| branch.solution == solution)
        .map(|branch| branch.recipe)
        .next()
        .unwrap_or("plain")
}

/// The share of one model step.
fn part_of_search(branches: &[Branch]) -> f64 {
    let others =
        PROFILE_SHARE + FEATURES_SHARE + ENSEMBLE_SHARE + VERIFY_SHARE + PACKAGE_SHARE + REPORT_SHARE;
    let parts: f64 = branches.iter().map(|branch| if branch.tuned { 1.0 + TUNE_WEIGHT } else { 1.0 }).sum();
    (1.0 - others) / parts
}

fn model_step(branch: &Branch, id: &str) -> Step {
    let step = Step::new(id, StepKind::Model)
        .after(format!("features:{}", branch.recipe))
        .param("solution", branch.solution)
        .why(branch.why);
    if is_free(branch) { step } else { step.param("params", branch.fixed.clone()) }
}

fn tune_step(branch: &Branch, model: &str, id: &str) -> Step {
    let step = Step::new(id, StepKind::Tune)
        .after(model)
        .param("solution", branch.solution)
        .why("search its space around what does well, as long as that pays");
    if is_free(branch) { step } else { step.param("params", branch.fixed.clone()) }
}

fn is_free(branch: &Branch) -> bool {
    branch.fixed.as_object().is_none_or(serde_json::Map::is_empty)
}

/// The steps after the search: what the branches end in is combined, or judged as it is.
pub(crate) fn finish(plan: PlanBuilder, ends: Vec<String>, combines: bool) -> PlanBuilder {
    let (plan, judged) = if combines {
        let ensemble = Step::new("ensemble", StepKind::Ensemble)
            .after_all(ends)
            .share(ENSEMBLE_SHARE)
            .why("models that err differently are better together");
        (plan.step(ensemble), vec!["ensemble".to_owned()])
    } else {
        (plan, ends)
    };
    plan.step(
        Step::new("verify", StepKind::Verify)
            .after_all(judged)
            .share(VERIFY_SHARE)
            .mandatory()
            .why("one look at rows that no candidate has seen"),
    )
    .step(
        Step::new("package", StepKind::Package)
            .after("verify")
            .share(PACKAGE_SHARE)
            .mandatory()
            .why("a model counts when it loads elsewhere and predicts the same"),
    )
    .step(
        Step::new("report", StepKind::Report)
            .after("package")
            .share(REPORT_SHARE)
            .why("say what was done and how sure we are"),
    )
}
