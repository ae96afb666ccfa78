//! Whether a module defines what will be called, in a form in which it can be called.

use super::{Finding, FindingKind, SolutionFacts, Text, whole};
use ruff_python_ast::{Expr, ModModule, Number, Parameters, Stmt, StmtFunctionDef};
use std::collections::BTreeMap;

/// A function of the contract: how many arguments it gets by place, and which by name.
struct Wanted {
    name: &'static str,
    by_place: &'static [&'static str],
    by_name: &'static [&'static str],
    required: bool,
}

const fn wanted(
    name: &'static str,
    by_place: &'static [&'static str],
    by_name: &'static [&'static str],
    required: bool,
) -> Wanted {
    Wanted { name, by_place, by_name, required }
}

/// The contract of `worker/SOLUTIONS.md`, as the harness calls it.
const CONTRACT: &[Wanted] = &[
    wanted("fit_features", &["train", "y"], &["task", "params", "seed"], true),
    wanted("features", &["state", "rows"], &["task"], true),
    wanted("fit", &["X", "y"], &["task", "params", "seed", "threads", "weight", "stage", "report"], true),
    wanted("predict", &["model", "X"], &["task", "stage"], true),
    wanted("stages", &["params"], &[], false),
    wanted("predict_stages", &["model", "X"], &["task", "stages"], false),
    wanted("importances", &["model", "state"], &[], false),
];

const CONTRACT_HINT: &str = "worker/SOLUTIONS.md shows the contract";

/// What a module defines at its top level.
pub(super) struct Defined<'a> {
    text: &'a Text<'a>,
    functions: BTreeMap<&'a str, &'a StmtFunctionDef>,
    /// Names that are bound in another way: assigned or imported.
    bound: BTreeMap<&'a str, Option<&'a Expr>>,
}

impl<'a> Defined<'a> {
    pub(super) fn of(module: &'a ModModule, text: &'a Text<'a>) -> Self {
        let mut defined = Self { text, functions: BTreeMap::new(), bound: BTreeMap::new() };
        defined.take(&module.body);
        defined
    }

    /// Definitions in branches at the top level count as well.
    fn take(&mut self, body: &'a [Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::FunctionDef(function) => {
                    self.functions.insert(function.name.as_str(), function);
                }
                Stmt::Assign(assign) => {
                    for target in &assign.targets {
                        if let Expr::Name(name) = target {
                            self.bound.insert(name.id.as_str(), Some(&assign.value));
                        }
                    }
                }
                Stmt::AnnAssign(assign) => {
                    if let (Expr::Name(name), Some(value)) = (assign.target.as_ref(), &assign.value) {
                        self.bound.insert(name.id.as_str(), Some(value));
                    }
                }
                Stmt::ImportFrom(import) => {
                    for alias in &import.names {
                        let name = alias.asname.as_ref().unwrap_or(&alias.name);
                        self.bound.insert(name.as_str(), None);
                    }
                }
                Stmt::If(branch) => {
                    self.take(&branch.body);
                    branch.elif_else_clauses.iter().for_each(|clause| self.take(&clause.body));
                }
                Stmt::Try(attempt) => {
                    self.take(&attempt.body);
                    self.take(&attempt.orelse);
                }
                _ => {}
            }
        }
    }

    /// Names of parameters by function.
    pub(super) fn parameters(&self) -> BTreeMap<String, Vec<String>> {
        let names = |function: &&StmtFunctionDef| {
            let by_place = by_place(&function.parameters).map(str::to_owned);
            let rest = function.parameters.vararg.iter().map(|_| "*".to_owned());
            by_place.chain(rest).collect()
        };
        self.functions.iter().map(|(name, function)| ((*name).to_owned(), names(function))).collect()
    }

    fn finding(&self, function: &StmtFunctionDef, message: String, hint: &str) -> Finding {
        self.text.finding(FindingKind::Contract, function.name.range.start().to_usize(), message, hint)
    }
}

/// Names of the parameters that can be given by place.
fn by_place(parameters: &Parameters) -> impl Iterator<Item = &str> {
    parameters.posonlyargs.iter().chain(&parameters.args).map(|one| one.parameter.name.as_str())
}

/// Facts and complaints about a solution.
pub(super) fn solution(module: &ModModule, text: &Text<'_>) -> (SolutionFacts, Vec<Finding>) {
    let defined = Defined::of(module, text);
    let mut found = Vec::new();
    for wanted in CONTRACT {
        match defined.functions.get(wanted.name) {
            Some(function) => found.extend(signature(&defined, wanted, function)),
            None if !wanted.required || defined.bound.contains_key(wanted.name) => {}
            None => {
                let message = format!("the function `{}` is missing", wanted.name);
                found.push(whole(FindingKind::Contract, message, &shown(wanted)));
            }
        }
    }
    let mut facts = SolutionFacts {
        has_stages: defined.functions.contains_key("stages"),
        batch: matches!(defined.bound.get("BATCH"), Some(Some(Expr::BooleanLiteral(said))) if said.value),
        ..SolutionFacts::default()
    };
    match defined.bound.get("SPACE") {
        None => {
            let message = "the dictionary `SPACE` is missing";
            found.push(whole(
                FindingKind::Contract,
                message,
                "write `SPACE = {}` when there is nothing to tune",
            ));
        }
        Some(Some(Expr::Dict(space))) => {
            for item in &space.items {
                let Some(Expr::StringLiteral(key)) = &item.key else { continue };
                let name = key.value.to_str();
                facts.parameters.push(name.to_owned());
                if let Some(why) = dimension(&item.value) {
                    let at = key.range.start().to_usize();
                    let message = format!("SPACE[{name:?}] {why}");
                    found.push(text.finding(FindingKind::Contract, at, message, CONTRACT_HINT));
                }
            }
        }
        Some(_) => {}
    }
    (facts, found)
}

fn shown(wanted: &Wanted) -> String {
    let names =
        if wanted.by_name.is_empty() { String::new() } else { format!(", *, {}", wanted.by_name.join(", ")) };
    format!("define {}({}{names})", wanted.name, wanted.by_place.join(", "))
}

/// Whether a function can be called as the harness calls it.
fn signature(defined: &Defined<'_>, wanted: &Wanted, function: &StmtFunctionDef) -> Option<Finding> {
    let parameters = &function.parameters;
    let name = wanted.name;
    let complain = |why: String| Some(defined.finding(function, why, &shown(wanted)));
    if function.is_async {
        return complain(format!("`{name}` must not be async"));
    }
    let places: Vec<&str> = by_place(parameters).collect();
    let count = wanted.by_place.len();
    if places.len() < count && parameters.vararg.is_none() {
        return complain(format!(
            "`{name}` must take {count} arguments by place ({})",
            wanted.by_place.join(", ")
        ));
    }
    let by_keyword: Vec<&str> = (parameters.args.iter().map(|one| one.parameter.name.as_str()))
        .filter(|name| !places.iter().take(count).any(|place| place == name))
        .chain(parameters.kwonlyargs.iter().map(|one| one.parameter.name.as_str()))
        .collect();
    let lacking = wanted.by_name.iter().find(|name| !by_keyword.contains(name));
    if let Some(lacking) = lacking.filter(|_| parameters.kwarg.is_none()) {
        return complain(format!("`{name}` does not take `{lacking}`"));
    }
    let after = parameters.posonlyargs.iter().chain(&parameters.args).skip(count);
    let needed = after.chain(&parameters.kwonlyargs).filter(|one| one.default.is_none());
    let mut unknown =
        needed.map(|one| one.parameter.name.as_str()).filter(|name| !wanted.by_name.contains(name));
    let stranger = unknown.next()?;
    complain(format!("`{name}` needs `{stranger}`, which nobody gives"))
}

/// What is wrong with a dimension of the search space, where it is written out.
fn dimension(value: &Expr) -> Option<String> {
    let Expr::Dict(record) = value else { return None };
    let field = |wanted: &str| {
        let is = |key: &Option<Expr>| matches!(key, Some(Expr::StringLiteral(key)) if key.value.to_str() == wanted);
        record.items.iter().find(|item| is(&item.key)).map(|item| &item.value)
    };
    let Some(kind) = field("type") else { return Some("has no \"type\"".into()) };
    let Expr::StringLiteral(kind) = kind else { return None };
    if field("default").is_none() {
        return Some("has no \"default\"".into());
    }
    match kind.value.to_str() {
        "float" | "int" => {
            let (Some(low), Some(high)) = (field("low"), field("high")) else {
                return Some("has no \"low\" or no \"high\"".into());
            };
            let [low, high, default] =
                [Some(low), Some(high), field("default")].map(|at| at.and_then(number));
            let outside = matches!((low, high, default), (Some(low), Some(high), Some(default))
                if !(low..=high).contains(&default));
            outside.then(|| "has a default outside its range".into())
        }
        "categorical" => field("values").is_none().then(|| "has no \"values\"".into()),
        other => Some(format!("has the type {other:?}; there are float, int and categorical")),
    }
}

fn number(value: &Expr) -> Option<f64> {
    match value {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(whole) => whole.as_i64().map(|whole| whole as f64),
            Number::Float(value) => Some(*value),
            Number::Complex { .. } => None,
        },
        Expr::UnaryOp(minus) if minus.op == ruff_python_ast::UnaryOp::USub => {
            number(&minus.operand).map(|value| -value)
        }
        _ => None,
    }
}

/// Complaints about a metric file.
pub(super) fn metric(defined: &Defined<'_>) -> Vec<Finding> {
    let hint = "write `def metric(truth, prediction):`, or `def metric(truth, prediction, weight):`";
    let mut found = Vec::new();
    match defined.functions.get("metric") {
        Some(function) => found.extend(takes(defined, function, 2..=3, hint)),
        None if defined.bound.contains_key("metric") => {}
        None => found.push(whole(FindingKind::Contract, "the function `metric` is missing", hint)),
    }
    if !defined.bound.contains_key("higher_is_better") {
        let message = "it does not say which way is better";
        found.push(whole(
            FindingKind::Contract,
            message,
            "write `higher_is_better = True` or `higher_is_better = False`",
        ));
    }
    found
}

/// Complaints about a check file.
pub(super) fn submission_check(defined: &Defined<'_>) -> Vec<Finding> {
    let hint = "write `def check_row(row):` or `def check_submission(rows):`";
    let names = ["check_row", "check_submission"];
    let functions: Vec<&&StmtFunctionDef> =
        names.iter().filter_map(|name| defined.functions.get(name)).collect();
    if functions.is_empty() && !names.iter().any(|name| defined.bound.contains_key(name)) {
        let message = "neither `check_row` nor `check_submission` is there";
        return vec![whole(FindingKind::Contract, message, hint)];
    }
    functions.into_iter().filter_map(|function| takes(defined, function, 1..=1, hint)).collect()
}

/// Whether a function can be called with so many arguments by place.
fn takes(
    defined: &Defined<'_>,
    function: &StmtFunctionDef,
    counts: std::ops::RangeInclusive<usize>,
    hint: &str,
) -> Option<Finding> {
    let parameters = &function.parameters;
    let complain = |why: String| Some(defined.finding(function, why, hint));
    let name = function.name.as_str();
    if function.is_async {
        return complain(format!("`{name}` must not be async"));
    }
    if parameters.kwonlyargs.iter().any(|one| one.default.is_none()) {
        return complain(format!("`{name}` is called with arguments by place only"));
    }
    let places = by_place(parameters).count();
    let open = parameters.vararg.is_some() && places <= *counts.end();
    if open || counts.contains(&places) {
        return None;
    }
    let names: Vec<&str> = by_place(parameters).collect();
    complain(format!("`{name}` takes ({})", names.join(", ")))
}
