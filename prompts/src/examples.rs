//! A small, real-looking example of what each prompt is given: templates are checked against these, at the start for a
//! user's own and in tests for ours.

use crate::case::{Case, ColumnView, DataView, Standing, StandingRow, TaskView, TopValue};
use crate::data::{Assess, Measured, WriteFeatures};
use crate::hpo::{
    DefaultedView, JudgeCandidates, ParameterView, PredictScores, ProposeCandidates, QueryView, ShapeSpace,
    TrialView, WarmStart,
};
use crate::model::{Debug, Refine, Revision, Worth, WriteSolution};
use crate::planner::{
    BranchResult, CardView, Concluded, MakePlans, ReadSources, Replan, SolutionView, Source, Understand,
};
use crate::prompts::Prompt;
use crate::talk::{AnswerQuestion, Fact, Marked};
use crate::verifier::{CheckView, Material, ReadEvidence};
use serde_json::Value;

/// Every prompt's name and example.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        of(&understand()),
        of(&read_sources()),
        of(&make_plans()),
        of(&replan()),
        of(&assess()),
        of(&write_features()),
        of(&write_solution()),
        of(&refine()),
        of(&debug()),
        of(&shape_space()),
        of(&warm_start()),
        of(&propose_candidates()),
        of(&predict_scores()),
        of(&judge_candidates()),
        of(&read_evidence()),
        of(&answer_question()),
    ]
}

fn of<P: Prompt>(prompt: &P) -> (&'static str, Value) {
    (P::NAME, serde_json::to_value(prompt).unwrap_or_default())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Members of a gym, some of whom leave.
pub fn case() -> Case {
    let column = |name: &str,
                  kind: &str,
                  missing: &str,
                  distinct,
                  range: &str,
                  top: &[(&str, u64)],
                  alone: &str,
                  note: &str| ColumnView {
        name: name.into(),
        kind: kind.into(),
        missing: missing.into(),
        distinct,
        range: range.into(),
        top: top.iter().map(|(value, count)| TopValue { value: (*value).into(), count: *count }).collect(),
        has_all: top.len() as u64 == distinct,
        alone: alone.into(),
        shift: if name == "joined" { "0.64".into() } else { String::new() },
        note: note.into(),
    };
    Case {
        nonce: "4f1c9a02d7be".into(),
        task: TaskView {
            name: "gym".into(),
            request: "predict who will leave, AUC; answers within 20 ms".into(),
            problem: "binary".into(),
            target: "left".into(),
            metric: "roc_auc".into(),
            direction: "higher is better".into(),
            classes: texts(&["no", "yes"]),
            wishes: texts(&["at most 20 ms for one prediction"]),
        },
        data: DataView {
            rows: 1200,
            test_rows: 400,
            counts: "3 numeric, 2 categorical, 1 datetime, 1 text".into(),
            strengths: "ROC AUC (0.5 is nothing)".into(),
            columns: vec![
                column(
                    "left",
                    "categories",
                    "",
                    2,
                    "",
                    &[("no", 900), ("yes", 300)],
                    "",
                    "not in the rows to predict",
                ),
                column(
                    "visits",
                    "whole numbers",
                    "",
                    40,
                    "from 0 to 61, quartiles 3, 8, 14, skew 1.4",
                    &[],
                    "0.71",
                    "",
                ),
                column(
                    "plan",
                    "categories",
                    "3 %",
                    14,
                    "",
                    &[("basic", 640), ("family <2>", 210)],
                    "0.58",
                    "",
                ),
                column(
                    "joined",
                    "moments",
                    "",
                    700,
                    "from 2019-01-04 to 2024-11-30",
                    &[],
                    "0.66",
                    "rises from row to row",
                ),
            ],
            left_out: 3,
            further: texts(&["shoe size", "locker"]),
            notices: texts(&["train.csv: 2 rows had too many cells"]),
            sample: texts(&[r#"["no", "12", "basic", "2021-05-04"]"#]),
        },
        budget: "4 cores, 300 s in all".into(),
        standing: None,
    }
}

/// The same while a run searches.
pub fn measured_case() -> Case {
    let row = |name: &str, origin: &str, score: &str| StandingRow {
        name: name.into(),
        origin: origin.into(),
        score: score.into(),
    };
    let rows = vec![
        row("a default LightGBM", "reference", "0.812 ± 0.011"),
        row("tenure-rates", "language model", "0.829 ± 0.010"),
        row("catboost", "playbook", "0.824 ± 0.010"),
    ];
    Case { standing: Some(Standing { noise: "0.004".into(), rows }), ..case() }
}

/// An example.
pub fn understand() -> Understand {
    let concluded =
        Concluded { field: "target".into(), value: "left".into(), because: "named in the request".into() };
    Understand {
        case: case(),
        said: "predict who will leave, AUC; small enough for a phone".into(),
        concluded: vec![concluded],
        doubts: texts(&["nothing was made of \"small enough for a phone\""]),
        metrics: texts(&["roc_auc", "log_loss", "rmse"]),
    }
}

/// An example.
pub fn answer_question() -> AnswerQuestion {
    let fact = |name: &str, text: &str| Fact { name: name.into(), text: text.into() };
    AnswerQuestion {
        case: Marked { nonce: "4f1c9a02d7be".into() },
        asked: "is this any better than what we had before?".into(),
        facts: vec![
            fact("gain", "gain: +0.019 [0.008, 0.031] better than default LightGBM (0.812)"),
            fact("how sure", "ROC AUC 0.831 [0.79, 0.87] on 240 sealed rows, higher is better"),
        ],
    }
}

/// An example.
pub fn read_sources() -> ReadSources {
    let source = |name: &str, kind: &str, text: &str| Source {
        name: name.into(),
        kind: kind.into(),
        text: text.into(),
    };
    ReadSources {
        case: case(),
        sources: vec![
            source(
                "catboost",
                "card",
                "Ordered statistics of categories; strong on small tables with many levels.",
            ),
            source(
                "run-0412",
                "past task",
                "Churn of telephone customers, 3,300 rows: contract length and tenure won.",
            ),
        ],
    }
}

fn solutions() -> Vec<SolutionView> {
    let (about, parameters) = (
        "boosted trees, fastest to train",
        "learning_rate 0.01 to 0.3 (log), rounds 50 to 2000 (log), leaves 4 to 64",
    );
    vec![SolutionView { name: "lightgbm".into(), about: about.into(), parameters: parameters.into() }]
}

fn cards() -> Vec<CardView> {
    let text = "Means of the target by category, out of fold.";
    vec![CardView { name: "target-encoding".into(), text: text.into() }]
}

/// An example.
pub fn make_plans() -> MakePlans {
    MakePlans {
        case: case(),
        wanted: 3,
        playbook:
            "lightgbm (searched), linear, catboost (searched), extra_trees, neural, and an ensemble of them"
                .into(),
        solutions: solutions(),
        cards: cards(),
        insights: texts(&["run-0412: months since joining carried most of the signal"]),
        reference: "0.812 ± 0.011, a default LightGBM".into(),
    }
}

/// An example.
pub fn replan() -> Replan {
    let branch = |name: &str, measured: &str, state: &str| BranchResult {
        name: name.into(),
        origin: "model".into(),
        what: "weeks since joining, visits per week".into(),
        predicted: "0.835".into(),
        measured: measured.into(),
        state: state.into(),
        brief: String::new(),
        is_untold: false,
    };
    Replan {
        case: measured_case(),
        solutions: solutions(),
        cards: cards(),
        branches: vec![
            branch("tenure-rates", "0.829 ± 0.010", ""),
            branch("two-stage", "none", "failed: KeyError 'tenure'"),
        ],
        best: "0.829 ± 0.010 (tenure-rates)".into(),
        left: "140 s".into(),
        evidence: texts(&["visits per week alone reaches 0.79"]),
        noise: "0.004".into(),
        untold: 0,
    }
}

/// An example.
pub fn assess() -> Assess {
    let evidence = Measured {
        column: "visits".into(),
        alone: "0.71".into(),
        others: "0.78".into(),
        note: "filled everywhere".into(),
    };
    Assess { case: case(), evidence: vec![evidence] }
}

const CODE: &str = "SPACE = {\"use_tenure\": {\"type\": \"categorical\", \"values\": [True, False], \"default\": True}}\n\n\ndef group_tenure(rows, state):\n    return {\"weeks\": (state[\"last\"] - rows[\"joined\"]).dt.days / 7}\n";

const GROUPS: &str = "def learn_tenure(train):\n    return train[\"joined\"].max()\n\n\ndef group_tenure(rows, learned):\n    return {\"weeks\": (learned - rows[\"joined\"]).dt.days / 7}\n\n\nGROUPS = Groups(tenure=(group_tenure, learn_tenure))\n";

/// An example.
pub fn write_features() -> WriteFeatures {
    WriteFeatures {
        case: measured_case(),
        what: "weeks since joining, visits per week, and how both compare with others of the same plan"
            .into(),
        inputs: texts(&["joined", "visits", "plan"]),
        check: "joining dates after the last day of the data".into(),
        limit: "42 s".into(),
        model: "LightGBM".into(),
        base: CODE.into(),
        known: "the numbers, parts of dates, categories as codes and as out-of-fold means".into(),
        lessons: texts(&["parts of dates alone gained nothing"]),
        file: "solution.py".into(),
    }
}

/// An example.
pub fn write_solution() -> WriteSolution {
    WriteSolution {
        case: measured_case(),
        what: "a survival view: the hazard of leaving per week, from tenure and visits".into(),
        inputs: texts(&["joined", "visits"]),
        check: "calibration at long tenures".into(),
        seconds: 20,
        threads: 2,
        cards: vec![CardView {
            name: "logistic".into(),
            text: "Weighted sums; smooth where trees are stepped.".into(),
        }],
        best: CODE.into(),
        best_score: "0.829 ± 0.010".into(),
        lessons: texts(&["boosting with more than 400 rounds did not help"]),
        is_script: false,
        file: "solution.py".into(),
    }
}

/// An example of the same question for a script.
#[cfg(test)]
pub fn write_script() -> WriteSolution {
    WriteSolution { is_script: true, ..write_solution() }
}

/// An example.
pub fn refine() -> Refine {
    Refine {
        case: measured_case(),
        score: "0.829 ± 0.010".into(),
        noise: "0.004".into(),
        code: GROUPS.into(),
        is_groups: true,
        ablation: vec![Worth { part: "group_tenure".into(), worth: "+0.012 ± 0.004".into() }],
        block: "group_tenure".into(),
        learns: "learn_tenure".into(),
        history: vec![Revision { change: "months instead of weeks".into(), score: "0.828 ± 0.010".into() }],
        file: "group_tenure.py".into(),
    }
}

/// An example.
pub fn debug() -> Debug {
    Debug {
        case: measured_case(),
        code: CODE.into(),
        stage: "features".into(),
        kind: "error".into(),
        limit: "42 s".into(),
        attempt: 1,
        attempts: 3,
        error: "KeyError: 'last'\n  at group_tenure, line 5".into(),
        earlier: texts(&["guarded the division"]),
        is_script: false,
        is_groups: false,
        file: "solution.py".into(),
    }
}

/// An example of the same question for a module of groups that took too long.
#[cfg(test)]
pub fn debug_groups() -> Debug {
    let error = "the limit of 42 s was reached in features".into();
    Debug { code: GROUPS.into(), kind: "timeout".into(), error, is_groups: true, ..debug() }
}

/// An example.
pub fn shape_space() -> ShapeSpace {
    let parameter = DefaultedView {
        name: "learning_rate".into(),
        range: "a number from 0.01 to 0.3, logarithmic".into(),
        default: "0.05".into(),
    };
    ShapeSpace {
        case: case(),
        model: "lightgbm".into(),
        trials: 40,
        parameters: vec![parameter],
        known: texts(&["on tables of this size more than 32 leaves rarely paid"]),
    }
}

fn parameters() -> Vec<ParameterView> {
    let view = |name: &str, range: &str| ParameterView { name: name.into(), range: range.into() };
    vec![
        view("learning_rate", "a number from 0.01 to 0.3, logarithmic"),
        view("leaves", "a whole number from 4 to 64"),
        view("encoding", "one of \"native\", \"encoded\""),
    ]
}

fn rules() -> Vec<String> {
    texts(&["leaves * learning_rate <= 6 (\"more than that diverges\")"])
}

fn history() -> Vec<TrialView> {
    let trial = |params: &str, score: &str| TrialView { params: params.into(), score: score.into() };
    vec![
        trial("learning_rate=0.05, leaves=16, encoding=encoded", "0.821"),
        trial("learning_rate=0.2, leaves=48, encoding=native", "0.797"),
    ]
}

/// An example.
pub fn warm_start() -> WarmStart {
    WarmStart {
        case: case(),
        is_full: true,
        partial: "A binary problem scored by roc_auc: 1,200 rows, 6 columns, 2 of them categories.".into(),
        scope: "this data set".into(),
        wanted: 4,
        model: "lightgbm".into(),
        metric: "roc_auc".into(),
        direction: "higher is better".into(),
        parameters: parameters(),
        left_out: 2,
        rules: rules(),
        known: texts(&["small learning rates with few leaves won on similar tables"]),
    }
}

/// An example.
pub fn propose_candidates() -> ProposeCandidates {
    ProposeCandidates {
        case: case(),
        is_full: true,
        partial: String::new(),
        model: "lightgbm".into(),
        metric: "roc_auc".into(),
        direction: "higher is better".into(),
        history: history(),
        parameters: parameters(),
        left_out: 2,
        rules: rules(),
        wanted: 5,
        goal: "0.826 or more".into(),
    }
}

/// An example.
pub fn predict_scores() -> PredictScores {
    let query = |number, params: &str| QueryView { number, params: params.into() };
    PredictScores {
        case: case(),
        is_full: true,
        partial: String::new(),
        model: "lightgbm".into(),
        metric: "roc_auc".into(),
        direction: "higher is better".into(),
        history: history(),
        noise: "0.004".into(),
        queries: vec![query(1, "learning_rate=0.03, leaves=12, encoding=encoded")],
    }
}

/// An example.
pub fn judge_candidates() -> JudgeCandidates {
    let trial = |trial: TrialView, score: &str| TrialView { score: score.into(), ..trial };
    JudgeCandidates {
        case: case(),
        is_full: true,
        partial: String::new(),
        model: "lightgbm".into(),
        metric: "roc_auc".into(),
        direction: "higher is better".into(),
        threshold: "0.82".into(),
        history: history()
            .into_iter()
            .zip(["good", "not good"])
            .map(|(one, score)| trial(one, score))
            .collect(),
        queries: predict_scores().queries,
    }
}

/// An example.
pub fn read_evidence() -> ReadEvidence {
    ReadEvidence {
        case: case(),
        stage: "score".into(),
        subject: "tenure-rates".into(),
        demands: texts(&["roc_auc of at least 0.80"]),
        checks: vec![CheckView {
            name: "score on out-of-fold predictions".into(),
            outcome: "passed".into(),
            detail: "0.829 ± 0.010".into(),
        }],
        material: vec![Material { name: "solution.py".into(), text: CODE.into() }],
    }
}
