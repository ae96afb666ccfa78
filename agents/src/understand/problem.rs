//! What kind of answer is wanted, how it is scored, and what the submission holds.

use super::error::{UnderstandError, UnderstandErrorKind, problem_words};
use super::heard::because;
use super::metric_words::{self, Mention};
use super::target::Target;
use super::words::{Words, plain};
use super::{Facts, Notes, OwnMetric, canonical};
use ansatz_core::metric::{MetricSpec, PredictionKind};
use ansatz_core::profile::{Column, ColumnKind};
use ansatz_core::task::{Problem, SubmissionKind};
use ansatz_referee::metrics::{self, ChoiceError};

/// Decided: what is predicted and how it is scored.
pub(super) struct Decided {
    pub(super) problem: Problem,
    pub(super) metric: MetricSpec,
    pub(super) classes: Vec<String>,
    pub(super) submission: SubmissionKind,
}

impl Decided {
    /// Names of the submission's columns beside the id.
    pub(super) fn submission_columns(&self, target: &Target<'_>) -> Vec<String> {
        match &target.sample {
            Some(sample) => sample.columns.clone(),
            None if self.submission == SubmissionKind::ClassProbabilities => self.classes.clone(),
            None => vec![target.column.name.clone()],
        }
    }
}

/// The metric that was asked for.
struct Asked {
    spec: MetricSpec,
    /// By a flag, by the user's own words, or under a heading about scoring: a misfit is then an error.
    explicit: bool,
    /// `None` when a flag said it.
    because: Option<String>,
}

/// Decides problem, metric, classes and what the submission holds.
pub(super) fn decide(
    facts: &Facts<'_>,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<Decided, UnderstandError> {
    let own = facts.flags.own_metric.as_ref();
    let asked = if own.is_some() { None } else { asked(facts, notes)? };
    let reads = own.map_or_else(|| asked.as_ref().map(|asked| asked.spec.reads), |own| own.reads);
    let (problem, because) = problem_of(target, reads, facts)?;
    notes.infer("problem", problem_name(problem), because);
    let metric = match own {
        Some(own) => own_metric(own, problem, notes)?,
        None => metric_for(problem, asked, target, notes)?,
    };
    let classes = match problem {
        Problem::Regression => Vec::new(),
        Problem::Binary => binary_classes(target, &facts.words, &metric, notes),
        Problem::Multiclass => many_classes(target)?,
    };
    warn_of_target(target.column, &classes, notes);
    let submission = submission_kind(problem, &metric, target, notes);
    Ok(Decided { problem, metric, classes, submission })
}

fn problem_name(problem: Problem) -> &'static str {
    match problem {
        Problem::Binary => "binary",
        Problem::Multiclass => "multiclass",
        Problem::Regression => "regression",
    }
}

fn asked(facts: &Facts<'_>, notes: &mut Notes) -> Result<Option<Asked>, UnderstandError> {
    if let Some(name) = &facts.flags.metric {
        let known = metric_words::named(name).unwrap_or(name);
        let metric = metrics::lookup(known).map_err(|unknown| {
            let kind = UnderstandErrorKind::MetricUnknown { name: name.clone() };
            UnderstandError::new(kind, format!("the nearest names are {}", unknown.nearest.join(", ")))
        })?;
        return Ok(Some(Asked { spec: metric.spec().clone(), explicit: true, because: None }));
    }
    let Some(mention) = metric_words::asked_for(&facts.words) else { return Ok(heard_metric(facts)) };
    let Ok(metric) = metrics::lookup(mention.metric) else {
        notes.warn(format!("the task text speaks of `{}`, which is not available", mention.metric));
        return Ok(None);
    };
    let because = Some(said(&mention));
    Ok(Some(Asked { spec: metric.spec().clone(), explicit: mention.is_explicit(), because }))
}

/// The metric that a language model read in the words, where no rule reads one.
fn heard_metric(facts: &Facts<'_>) -> Option<Asked> {
    let metric = metrics::lookup(facts.heard?.metric.as_deref()?).ok()?;
    Some(Asked { spec: metric.spec().clone(), explicit: false, because: Some(because("")) })
}

fn said(mention: &Mention<'_>) -> String {
    let who = if mention.clause.said { "you said" } else { "the task text says" };
    let compares_logs = matches!(mention.metric, "rmsle" | "msle");
    let of_logs = if compares_logs && !mention.phrase.contains("log") && !mention.phrase.ends_with("sle") {
        " of logarithms"
    } else {
        ""
    };
    format!("{who} \"{}\"{of_logs}", mention.phrase)
}

/// Classes that a profile lists and a run tells apart.
const CLASSES_MAX: u64 = 1000;
/// Integer targets with more values than this are quantities unless the metric or the sample says otherwise.
const LEVELS_MAX: u64 = 20;

/// What kind of answer the target, the sample and the metric call for, and why.
fn problem_of(
    target: &Target<'_>,
    reads: Option<PredictionKind>,
    facts: &Facts<'_>,
) -> Result<(Problem, String), UnderstandError> {
    let column = target.column;
    if let Some(classes) = &target.class_columns {
        let problem = if classes.len() == 2 { Problem::Binary } else { Problem::Multiclass };
        return Ok((problem, "the sample submission has one column per class".into()));
    }
    match column.kind {
        ColumnKind::Datetime => Err(unfit(column, "holds moments in time, which cannot be predicted yet")),
        ColumnKind::Numeric => Ok(numeric_problem(target, reads, facts)),
        _ if column.distinct == 2 => Ok((Problem::Binary, format!("`{}` has two values", column.name))),
        ColumnKind::Text => Err(unfit(column, "holds free text, which cannot be predicted")),
        _ => Ok((Problem::Multiclass, format!("`{}` has {} different texts", column.name, column.distinct))),
    }
}

fn unfit(column: &Column, problem: &str) -> UnderstandError {
    let kind = UnderstandErrorKind::TargetUnfit { column: column.name.clone(), problem: problem.into() };
    UnderstandError::new(kind, "name another column with --target")
}

fn numeric_problem(
    target: &Target<'_>,
    reads: Option<PredictionKind>,
    facts: &Facts<'_>,
) -> (Problem, String) {
    let column = target.column;
    let (name, distinct) = (&column.name, column.distinct);
    let several = if distinct == 2 { Problem::Binary } else { Problem::Multiclass };
    match reads {
        Some(PredictionKind::Value) => return (Problem::Regression, "the metric scores numbers".into()),
        Some(_) if column.whole && distinct <= column.top.len() as u64 => {
            let because = if distinct == 2 {
                format!("`{name}` has two values")
            } else {
                "the metric scores classes".into()
            };
            return (several, because);
        }
        _ => {}
    }
    if distinct == 2 {
        return (Problem::Binary, format!("`{name}` has two values"));
    }
    if !column.whole {
        return (Problem::Regression, format!("`{name}` has numbers with decimals"));
    }
    if distinct > LEVELS_MAX {
        return (Problem::Regression, format!("`{name}` has {distinct} different whole numbers"));
    }
    if let Some(sample) = &target.sample {
        if sample.is_fractional() {
            return (Problem::Regression, "the sample submission has numbers with decimals".into());
        }
        if sample.distinct > 1 && sample.holds_labels_of(column) {
            return (several, "the sample submission holds its values as labels".into());
        }
    }
    if let Some((problem, because)) = said_problem(&facts.words) {
        return (problem, because);
    }
    match facts.heard.and_then(|heard| heard.problem) {
        Some(Problem::Regression) => return (Problem::Regression, because("")),
        Some(_) if distinct <= column.top.len() as u64 => return (several, because("")),
        _ => {}
    }
    // Codes of classes stand next to each other; amounts leave gaps.
    let span = column.max.zip(column.min).map_or(f64::INFINITY, |(max, min)| max - min + 1.0);
    if span <= 1.5 * distinct as f64 && distinct <= LEVELS_MAX / 2 {
        return (several, format!("`{name}` has {distinct} whole numbers without gaps"));
    }
    (Problem::Regression, format!("`{name}` has {distinct} whole numbers with gaps"))
}

fn said_problem(words: &Words) -> Option<(Problem, String)> {
    const CLASSES: &[&str] =
        &["classify", "classification", "which class", "which category", "which of the classes"];
    const VALUES: &[&str] = &["regression", "how many", "how much", "number of", "amount of", "count of"];
    let about_target = |clause: &&super::words::Clause| clause.said || !clause.raw.starts_with('|');
    let says =
        |phrases: &[&str]| words.clauses.iter().filter(about_target).any(|clause| clause.has_any(phrases));
    if says(CLASSES) {
        return Some((Problem::Multiclass, "the task text speaks of classes".into()));
    }
    says(VALUES).then(|| (Problem::Regression, "the task text speaks of a quantity".into()))
}

/// The metric in the form that fits, or the usual one when nothing was said.
fn metric_for(
    problem: Problem,
    asked: Option<Asked>,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<MetricSpec, UnderstandError> {
    let Some(asked) = asked else { return Ok(usual_metric(problem, target, notes)) };
    let name = match (asked.spec.name.as_str(), problem) {
        ("f1", Problem::Multiclass) => "f1_macro",
        (name, _) => name,
    };
    match metrics::resolve(name, problem) {
        Ok(metric) => {
            let spec = metric.spec().clone();
            values_allowed(&spec, target.column)?;
            match asked.because {
                Some(because) => notes.infer("metric", &spec.name, because),
                None if spec.name != asked.spec.name => {
                    notes.infer(
                        "metric",
                        &spec.name,
                        format!("the form of {} for several classes", asked.spec.name),
                    );
                }
                None => {}
            }
            Ok(spec)
        }
        Err(error) if asked.explicit => Err(misfit(&asked.spec, problem, error)),
        Err(_) => {
            let words = problem_words(problem);
            notes.warn(format!(
                "the task text mentions {}, which does not fit {words}; it is not used",
                asked.spec.name
            ));
            Ok(usual_metric(problem, target, notes))
        }
    }
}

/// The metric of a file, and what trainings aim at in its place.
fn own_metric(own: &OwnMetric, problem: Problem, notes: &mut Notes) -> Result<MetricSpec, UnderstandError> {
    let usual = if problem.is_classification() { PredictionKind::Label } else { PredictionKind::Value };
    let reads = own.reads.unwrap_or(usual);
    if problem.is_classification() == (reads == PredictionKind::Value) {
        let why = if reads == PredictionKind::Value {
            "it needs values, and the target holds classes"
        } else {
            "it needs classes, and the target holds numbers"
        };
        let kind = UnderstandErrorKind::MetricUnfit { metric: own.name.clone(), problem, why: why.into() };
        let hint =
            "say in the file what it needs: \"value\" for numbers, \"label\" or \"probability\" for classes";
        return Err(UnderstandError::new(kind, hint));
    }
    if own.reads.is_none() && problem.is_classification() {
        let because = format!("{} does not say what it needs", own.file);
        notes.infer("metric needs", "labels", because);
    }
    let objective = match &own.objective {
        Some(name) => {
            let metric = metrics::resolve(name, problem).map_err(|error| {
                let kind = UnderstandErrorKind::MetricUnknown { name: name.clone() };
                UnderstandError::new(kind, format!("`objective` in {}: {error}", own.file))
            })?;
            notes.infer(super::OBJECTIVE, &metric.spec().name, format!("{} says so", own.file));
            metric
        }
        None => metrics::default_for(problem),
    };
    if own.objective.is_none() {
        let because = format!("trainings cannot aim at {}; candidates and stages are chosen by it", own.file);
        notes.infer(super::OBJECTIVE, &objective.spec().name, because);
    }
    // A name of the catalogue would be taken for the metric of the catalogue.
    let is_taken = metrics::lookup(&own.name).is_ok();
    let name = if is_taken { format!("{}_custom", own.name) } else { own.name.clone() };
    Ok(MetricSpec { name, direction: own.direction, reads })
}

fn usual_metric(problem: Problem, target: &Target<'_>, notes: &mut Notes) -> MetricSpec {
    let wants_labels = problem.is_classification()
        && target.class_columns.is_none()
        && target
            .sample
            .as_ref()
            .is_some_and(|sample| !sample.is_decimal() && sample.holds_labels_of(target.column));
    let metric = match metrics::lookup("accuracy") {
        Ok(accuracy) if wants_labels => accuracy,
        _ => metrics::default_for(problem),
    };
    let spec = metric.spec().clone();
    let because = if wants_labels {
        "nothing was said about scoring and the sample submission holds labels"
    } else {
        "nothing was said about scoring; this is the usual one"
    };
    notes.infer("metric", &spec.name, because);
    notes.warn(format!(
        "nothing was said about scoring: {} is used for {}",
        spec.name,
        problem_words(problem)
    ));
    spec
}

fn misfit(spec: &MetricSpec, problem: Problem, error: ChoiceError) -> UnderstandError {
    let why = match (spec.reads, problem) {
        (PredictionKind::Value, _) => "it compares numbers",
        (_, Problem::Regression) => "it compares classes",
        (_, Problem::Multiclass) => "it is defined for two classes only",
        (_, Problem::Binary) => "it is defined for several classes only",
    };
    let kind = UnderstandErrorKind::MetricUnfit { metric: spec.name.clone(), problem, why: why.into() };
    let hint = match error {
        ChoiceError::Unfit { fitting, .. } => format!("metrics that fit: {}", fitting.join(", ")),
        ChoiceError::Unknown(unknown) => format!("the nearest names are {}", unknown.nearest.join(", ")),
    };
    UnderstandError::new(kind, hint)
}

/// Logarithmic errors have no value for targets of -1 and below.
fn values_allowed(spec: &MetricSpec, target: &Column) -> Result<(), UnderstandError> {
    let logarithmic = matches!(spec.name.as_str(), "rmsle" | "msle");
    let Some(min) = target.min.filter(|min| logarithmic && *min <= -1.0) else { return Ok(()) };
    let why = format!("it takes the logarithm of 1 + value, and `{}` goes down to {min}", target.name);
    let kind =
        UnderstandErrorKind::MetricUnfit { metric: spec.name.clone(), problem: Problem::Regression, why };
    Err(UnderstandError::new(kind, "use rmse or mae, or correct the negative values"))
}

/// The label as the submission shall show it.
fn label(column: &Column, value: &str) -> String {
    if column.kind == ColumnKind::Numeric { canonical(value) } else { value.to_owned() }
}

/// Both labels, the positive one last.
fn binary_classes(target: &Target<'_>, words: &Words, metric: &MetricSpec, notes: &mut Notes) -> Vec<String> {
    let column = target.column;
    let labels: Vec<(String, u64)> = column.top.iter().take(2).map(|(v, n)| (label(column, v), *n)).collect();
    let [(a, count_a), (b, count_b)] = labels.as_slice() else {
        return labels.into_iter().map(|(label, _)| label).collect();
    };
    if let Some([first, second]) = target.class_columns.as_deref() {
        return vec![first.clone(), second.clone()];
    }
    let (b_is_positive, because, sure) = if let Some(b_said) = said_positive(words, a, b) {
        (b_said, "the task text says so", true)
    } else if let Some(b_usual) = usual_positive(a, b) {
        (b_usual, "of these two it is the usual one", true)
    } else if count_a == count_b {
        (b > a, "both are equally frequent and it comes last in the alphabet", false)
    } else {
        (count_b < count_a, "it is the rarer one", false)
    };
    let (negative, positive) = if b_is_positive { (a, b) } else { (b, a) };
    notes.infer("positive_class", positive, because);
    let matters = matches!(metric.name.as_str(), "f1" | "precision" | "recall" | "average_precision");
    if matters && !sure {
        notes.warn(format!(
            "`{positive}` is taken as the positive class because {because}; say \"{} of {negative}\" in --task for the other",
            metric.name
        ));
    }
    vec![negative.clone(), positive.clone()]
}

/// Whether a clause says which class is the positive one.
pub(super) fn names_positive(clause: &super::words::Clause) -> bool {
    clause.has_any(&["positive class", "positive label"])
}

/// Whether the text calls `b` the positive class (`Some(true)`) or `a` (`Some(false)`).
fn said_positive(words: &Words, a: &str, b: &str) -> Option<bool> {
    const BEFORE: &[&str] = &[
        "positive class is",
        "positive class",
        "positive label is",
        "positive label",
        "f1 of",
        "f1 score of",
        "f1 for",
        "f1 score for",
        "f1 score on",
        "f1 on",
        "f score of",
        "f measure of",
        "precision of",
        "recall of",
        "precision for",
        "recall for",
        "average precision of",
        "average precision for",
        "probability of",
        "probability that it is",
        "probability for",
        "likelihood of",
        "score of class",
        "score for class",
    ];
    const ARTICLES: &[&str] =
        &["", "the ", "class ", "the class ", "label ", "the label ", "the positive class ", "category "];
    let calls = |clause: &super::words::Clause, value: &str| {
        let value = plain(value);
        let value = value.trim();
        let follows =
            |before: &str| ARTICLES.iter().any(|article| clause.has(&format!("{before} {article}{value}")));
        !value.is_empty()
            && clause.has(value)
            && (BEFORE.iter().copied().any(follows) || clause.has(&format!("{value} is the positive class")))
    };
    words.clauses.iter().find_map(|clause| match (calls(clause, a), calls(clause, b)) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    })
}

/// Whether of a usual pair `b` is the positive one.
fn usual_positive(a: &str, b: &str) -> Option<bool> {
    const PAIRS: &[(&str, &str)] = &[
        ("0", "1"),
        ("-1", "1"),
        ("no", "yes"),
        ("n", "y"),
        ("false", "true"),
        ("f", "t"),
        ("negative", "positive"),
        ("neg", "pos"),
        ("absent", "present"),
        ("off", "on"),
        ("benign", "malignant"),
        ("healthy", "sick"),
    ];
    let (a, b) = (canonical(a).to_lowercase(), canonical(b).to_lowercase());
    PAIRS.iter().find_map(|(negative, positive)| {
        if a == *negative && b == *positive {
            Some(true)
        } else {
            (b == *negative && a == *positive).then_some(false)
        }
    })
}

/// All labels: in the order of the sample's columns, else by number or alphabet.
fn many_classes(target: &Target<'_>) -> Result<Vec<String>, UnderstandError> {
    let column = target.column;
    if let Some(classes) = &target.class_columns {
        let own = |class: &String| {
            let label_of = |(value, _): &(String, u64)| label(column, value);
            column
                .top
                .iter()
                .map(label_of)
                .find(|label| canonical(label) == *class)
                .unwrap_or_else(|| class.clone())
        };
        return Ok(classes.iter().map(own).collect());
    }
    if column.distinct > column.top.len() as u64 {
        let problem = format!(
            "has {} different values; at most {CLASSES_MAX} classes can be told apart",
            column.distinct
        );
        let kind = UnderstandErrorKind::TargetUnfit { column: column.name.clone(), problem };
        let hint = "name another column with --target, or merge rare values";
        return Err(UnderstandError::new(kind, hint));
    }
    let mut classes: Vec<String> = column.top.iter().map(|(value, _)| label(column, value)).collect();
    classes.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => x.total_cmp(&y),
        _ => a.cmp(b),
    });
    Ok(classes)
}

fn warn_of_target(column: &Column, classes: &[String], notes: &mut Notes) {
    /// Fewer rows than this cannot be in every fold of a usual cross-validation.
    const ROWS_PER_CLASS_MIN: u64 = 5;
    if column.missing_train > 0.0 {
        let share = column.missing_train * 100.0;
        notes.warn(format!("{share:.1} % of the training rows have no `{}`; they are not used", column.name));
    }
    for class in classes {
        let rows =
            column.top.iter().find(|(value, _)| canonical(value) == canonical(class)).map(|(_, rows)| *rows);
        match rows {
            Some(rows) if rows < ROWS_PER_CLASS_MIN => {
                notes.warn(format!(
                    "class `{class}` of `{}` has only {rows} rows; it can hardly be learnt",
                    column.name
                ));
            }
            None if column.distinct <= column.top.len() as u64 => {
                notes.warn(format!(
                    "class `{class}` of the sample submission has no row in the training file"
                ));
            }
            _ => {}
        }
    }
}

/// What the submission holds, and a warning where sample and metric disagree.
fn submission_kind(
    problem: Problem,
    metric: &MetricSpec,
    target: &Target<'_>,
    notes: &mut Notes,
) -> SubmissionKind {
    if problem == Problem::Regression {
        return SubmissionKind::Value;
    }
    if target.class_columns.is_some() {
        notes.infer("submission", "class_probabilities", "the sample submission has one column per class");
        return SubmissionKind::ClassProbabilities;
    }
    let wants_probabilities = metric.reads == PredictionKind::Probability;
    let Some(sample) = &target.sample else {
        let kind = match (wants_probabilities, problem) {
            (false, _) => SubmissionKind::Label,
            (true, Problem::Binary) => SubmissionKind::Probability,
            (true, _) => SubmissionKind::ClassProbabilities,
        };
        return kind;
    };
    let is_words =
        !sample.values.is_empty() && sample.values.iter().all(|value| value.parse::<f64>().is_err());
    if wants_probabilities && (is_words || problem == Problem::Multiclass) {
        notes.warn(format!(
            "{} scores probabilities, but the sample submission has one column of labels: labels are handed in",
            metric.name
        ));
        return SubmissionKind::Label;
    }
    if !wants_probabilities && sample.is_fractional() {
        notes.warn(format!(
            "the sample submission holds numbers with decimals, but {} scores labels: labels are handed in",
            metric.name
        ));
    }
    let (kind, value) = if wants_probabilities {
        (SubmissionKind::Probability, "probability")
    } else {
        (SubmissionKind::Label, "label")
    };
    notes.infer(
        "submission",
        value,
        format!("{} scores {}", metric.name, if wants_probabilities { "probabilities" } else { "labels" }),
    );
    kind
}
