//! The names of metrics: which there are, how people write them, and which fits which problem.

use super::Native;
use super::confusion::{Average, CountFormula as C, Share};
use super::ranking::{ManyClasses, RankStatistic as R, Rivals};
use super::rowwise::{Reduction, RowLoss};
use super::{Formula, Formula::Counts, Formula::OneVsRest, Formula::Rank, Formula::Rows};
use ansatz_core::metric::Direction::{self, Maximize, Minimize};
use ansatz_core::metric::{Metric, MetricSpec, PredictionKind};
use ansatz_core::task::Problem;

/// The `k` of `map_at_k` when the name gives no number.
const MAP_AT_DEFAULT: usize = 3;

/// The `k` of `top_k_accuracy`, as in scikit-learn.
const TOP_DEFAULT: usize = 2;

/// How many names an error proposes.
const NEAREST_SHOWN: usize = 3;

const CLASSES: &[Problem] = &[Problem::Binary, Problem::Multiclass];
const BINARY: &[Problem] = &[Problem::Binary];
const MULTICLASS: &[Problem] = &[Problem::Multiclass];
const VALUES: &[Problem] = &[Problem::Regression];
const UNIT: (f64, f64) = (0.0, 1.0);
const SIGNED: (f64, f64) = (-1.0, 1.0);
const POSITIVE: (f64, f64) = (0.0, f64::INFINITY);
const BELOW_ONE: (f64, f64) = (f64::NEG_INFINITY, 1.0);

/// A line of the catalogue: name, other spellings (lower case letters and digits only), what it is.
struct Entry {
    name: &'static str,
    aliases: &'static [&'static str],
    direction: Direction,
    formula: Formula,
    range: (f64, f64),
    problems: &'static [Problem],
}

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    direction: Direction,
    formula: Formula,
    range: (f64, f64),
    problems: &'static [Problem],
) -> Entry {
    Entry { name, aliases, direction, formula, range, problems }
}

/// Precision, recall or Jaccard index of all classes.
const fn of_classes(share: Share, average: Average) -> Formula {
    Counts(C::OfClasses(share, average))
}

const fn many_classes(rivals: Rivals, by_prevalence: bool) -> Formula {
    Formula::ManyClasses(ManyClasses { rivals, by_prevalence })
}

#[rustfmt::skip]
const CATALOGUE: &[Entry] = &[
    entry("accuracy", &["acc", "accuracyscore", "classificationaccuracy", "categorizationaccuracy", "percentcorrect"], Maximize, Counts(C::Accuracy), UNIT, CLASSES),
    entry("balanced_accuracy", &["balancedaccuracyscore", "bacc", "balacc", "uar"], Maximize, Counts(C::BalancedAccuracy), UNIT, CLASSES),
    entry("f1", &["f1score", "fscore", "fmeasure", "binaryf1", "f1binary"], Maximize, Counts(C::F1), UNIT, BINARY),
    entry("f1_macro", &["macrof1", "macrof1score", "macroaveragedf1", "macroaveragef1", "meanf1"], Maximize, Counts(C::F1Macro), UNIT, CLASSES),
    entry("f1_micro", &["microf1", "microf1score", "microaveragedf1"], Maximize, Counts(C::F1Micro), UNIT, CLASSES),
    entry("f1_weighted", &["weightedf1", "weightedf1score"], Maximize, Counts(C::F1Weighted), UNIT, CLASSES),
    entry("precision", &["precisionscore"], Maximize, Counts(C::Precision), UNIT, BINARY),
    entry("recall", &["recallscore", "sensitivity", "truepositiverate"], Maximize, Counts(C::Recall), UNIT, BINARY),
    entry("precision_macro", &["macroprecision", "macroaveragedprecision"], Maximize, of_classes(Share::Precision, Average::Macro), UNIT, CLASSES),
    entry("precision_micro", &["microprecision", "microaveragedprecision"], Maximize, of_classes(Share::Precision, Average::Micro), UNIT, CLASSES),
    entry("precision_weighted", &["weightedprecision"], Maximize, of_classes(Share::Precision, Average::Weighted), UNIT, CLASSES),
    entry("recall_macro", &["macrorecall", "macroaveragedrecall"], Maximize, of_classes(Share::Recall, Average::Macro), UNIT, CLASSES),
    entry("recall_micro", &["microrecall", "microaveragedrecall"], Maximize, of_classes(Share::Recall, Average::Micro), UNIT, CLASSES),
    entry("recall_weighted", &["weightedrecall"], Maximize, of_classes(Share::Recall, Average::Weighted), UNIT, CLASSES),
    entry("jaccard", &["jaccardscore", "jaccardindex"], Maximize, Counts(C::Jaccard), UNIT, BINARY),
    entry("jaccard_macro", &["macrojaccard"], Maximize, of_classes(Share::Jaccard, Average::Macro), UNIT, CLASSES),
    entry("jaccard_micro", &["microjaccard"], Maximize, of_classes(Share::Jaccard, Average::Micro), UNIT, CLASSES),
    entry("jaccard_weighted", &["weightedjaccard"], Maximize, of_classes(Share::Jaccard, Average::Weighted), UNIT, CLASSES),
    entry("matthews_corrcoef", &["mcc", "matthews", "matthewscorrelation", "matthewscorrelationcoefficient", "phicoefficient"], Maximize, Counts(C::Matthews), SIGNED, CLASSES),
    entry("cohen_kappa", &["kappa", "cohenskappa", "cohenkappascore"], Maximize, Counts(C::Kappa), SIGNED, CLASSES),
    entry("quadratic_weighted_kappa", &["qwk", "quadratickappa", "weightedkappa", "quadraticweightedcohenkappa"], Maximize, Counts(C::QuadraticKappa), SIGNED, CLASSES),
    entry("roc_auc", &["auc", "auroc", "aucroc", "rocaucscore", "roc", "areaunderroc", "areaunderthecurve", "areaundertheroccurve", "areaunderroccurve", "areaunderthereceiveroperatingcharacteristiccurve", "areaunderthereceiveroperatingcharacteristic", "aucscore"], Maximize, Rank(R::RocAuc), UNIT, BINARY),
    entry("roc_auc_ovr", &["aucovr", "macroauc", "rocaucmacro", "rocaucovrmacro", "multiclassauc", "onevsrestauc", "meancolumnwiserocauc"], Maximize, OneVsRest(R::RocAuc), UNIT, MULTICLASS),
    entry("roc_auc_ovr_weighted", &["rocaucweighted", "weightedauc", "weightedrocauc"], Maximize, many_classes(Rivals::Rest, true), UNIT, MULTICLASS),
    entry("roc_auc_ovo", &["aucovo", "onevsoneauc", "rocaucovomacro"], Maximize, many_classes(Rivals::Each, false), UNIT, MULTICLASS),
    entry("roc_auc_ovo_weighted", &["aucovoweighted"], Maximize, many_classes(Rivals::Each, true), UNIT, MULTICLASS),
    entry("top_k_accuracy", &["topkaccuracyscore"], Maximize, Rows(RowLoss::Among(TOP_DEFAULT), Reduction::Mean), UNIT, MULTICLASS),
    entry("average_precision", &["ap", "aucpr", "prauc", "auprc", "averageprecisionscore", "areaundertheprecisionrecallcurve", "areaunderprecisionrecallcurve", "precisionrecallauc"], Maximize, Rank(R::AveragePrecision), UNIT, BINARY),
    entry("log_loss", &["logloss", "logarithmicloss", "crossentropy", "crossentropyloss", "binarycrossentropy", "categoricalcrossentropy", "multiclasslogloss", "multilogloss", "mlogloss", "binarylogloss", "logisticloss", "multiclasslogarithmicloss", "meanlogloss"], Minimize, Rows(RowLoss::Log, Reduction::Mean), POSITIVE, CLASSES),
    entry("brier_score", &["brier", "brierscoreloss", "brierloss"], Minimize, Rows(RowLoss::Brier, Reduction::Mean), (0.0, 2.0), CLASSES),
    entry("d2_log_loss_score", &["d2logloss"], Maximize, Rows(RowLoss::Log, Reduction::OfEntropy), BELOW_ONE, CLASSES),
    entry("d2_brier_score", &["d2brier"], Maximize, Rows(RowLoss::BrierSum, Reduction::OfImpurity), BELOW_ONE, CLASSES),
    entry("rmse", &["rootmeansquarederror", "rootmeansquareerror", "rootmeansquareddeviation", "rmsd"], Minimize, Rows(RowLoss::Squared, Reduction::RootMean), POSITIVE, VALUES),
    entry("mse", &["meansquarederror", "meansquareerror", "l2", "squarederror"], Minimize, Rows(RowLoss::Squared, Reduction::Mean), POSITIVE, VALUES),
    entry("mae", &["meanabsoluteerror", "meanabserror", "meanabsolutedeviation", "l1", "absoluteerror"], Minimize, Rows(RowLoss::Absolute, Reduction::Mean), POSITIVE, VALUES),
    entry("median_absolute_error", &["medae", "medianae"], Minimize, Rows(RowLoss::Absolute, Reduction::Median), POSITIVE, VALUES),
    entry("mape", &["meanabsolutepercentageerror", "meanabsolutepercenterror"], Minimize, Rows(RowLoss::AbsoluteShare, Reduction::Mean), POSITIVE, VALUES),
    entry("r2", &["r2score", "rsquared", "rsquare", "coefficientofdetermination", "d2tweediescore", "d2tweedie"], Maximize, Rows(RowLoss::Squared, Reduction::Explained), BELOW_ONE, VALUES),
    entry("explained_variance", &["explainedvariancescore"], Maximize, Rows(RowLoss::Signed, Reduction::OfVariance), BELOW_ONE, VALUES),
    entry("d2_absolute_error_score", &["d2absoluteerror", "d2pinballscore", "d2pinball"], Maximize, Rows(RowLoss::Absolute, Reduction::OfDeviation), BELOW_ONE, VALUES),
    entry("rmsle", &["rootmeansquaredlogerror", "rootmeansquaredlogarithmicerror", "rootmeansquarelogerror", "rootmeansquarelogarithmicerror"], Minimize, Rows(RowLoss::SquaredLog, Reduction::RootMean), POSITIVE, VALUES),
    entry("msle", &["meansquaredlogerror", "meansquaredlogarithmicerror"], Minimize, Rows(RowLoss::SquaredLog, Reduction::Mean), POSITIVE, VALUES),
    entry("smape", &["symmetricmeanabsolutepercentageerror", "symmetricmape"], Minimize, Rows(RowLoss::SymmetricPercent, Reduction::Mean), (0.0, 200.0), VALUES),
    entry("rmspe", &["rootmeansquarepercentageerror", "rootmeansquaredpercentageerror", "rootmeansquarepercenterror"], Minimize, Rows(RowLoss::SquaredShare, Reduction::RootMean), POSITIVE, VALUES),
    entry("wape", &["wmape", "weightedabsolutepercentageerror", "weightedmeanabsolutepercentageerror"], Minimize, Rows(RowLoss::Absolute, Reduction::PerSize), POSITIVE, VALUES),
    entry("mean_pinball_loss", &["pinball", "pinballloss", "quantileloss"], Minimize, Rows(RowLoss::Pinball(50), Reduction::Mean), POSITIVE, VALUES),
    entry("max_error", &["maximumerror", "maxabsoluteerror", "maximumabsoluteerror"], Minimize, Rows(RowLoss::Absolute, Reduction::Largest), POSITIVE, VALUES),
    entry("mean_poisson_deviance", &["poisson", "poissondeviance"], Minimize, Rows(RowLoss::Poisson, Reduction::Mean), POSITIVE, VALUES),
    entry("mean_gamma_deviance", &["gammadeviance"], Minimize, Rows(RowLoss::Gamma, Reduction::Mean), POSITIVE, VALUES),
];

impl Entry {
    fn native(&self) -> Native {
        Native::new(self.name, self.direction, reads(self.formula), self.formula, self.range)
    }
}

fn reads(formula: Formula) -> PredictionKind {
    match formula {
        Counts(_) => PredictionKind::Label,
        Rank(_)
        | OneVsRest(_)
        | Formula::ManyClasses(_)
        | Rows(
            RowLoss::Log | RowLoss::Brier | RowLoss::BrierSum | RowLoss::PrecisionAt(_) | RowLoss::Among(_),
            _,
        ) => PredictionKind::Probability,
        Rows(..) => PredictionKind::Value,
    }
}

/// A metric name that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`; the nearest names are {}", .nearest.join(", "))]
pub struct UnknownMetric {
    /// What was asked for.
    pub name: String,
    /// Known names that look most like it, best first.
    pub nearest: Vec<String>,
}

/// Why a metric cannot be used for a problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// There is no such metric.
    #[error(transparent)]
    Unknown(#[from] UnknownMetric),
    /// The metric exists but measures something else.
    #[error("metric `{name}` does not fit a {problem} problem; metrics that do: {}", .fitting.join(", "))]
    Unfit {
        /// The metric's own name.
        name: String,
        /// The problem, in a word.
        problem: &'static str,
        /// Names that fit.
        fitting: Vec<String>,
    },
}

/// The metric of that name, however it is written: case, punctuation and a leading `neg_` do not matter.
///
/// # Errors
/// [`UnknownMetric`] with the nearest names.
pub fn lookup(name: &str) -> Result<Box<dyn Metric>, UnknownMetric> {
    match native(name) {
        Some(native) => Ok(Box::new(native)),
        None => Err(UnknownMetric { name: name.to_owned(), nearest: nearest(name) }),
    }
}

/// The metric of that name in the form that fits `problem`: `auc` of three classes is one-vs-rest ROC AUC.
///
/// # Errors
/// [`ChoiceError`] when there is no such metric, or none of that name fits.
pub fn resolve(name: &str, problem: Problem) -> Result<Box<dyn Metric>, ChoiceError> {
    let metric = lookup(name)?;
    let own = metric.spec().name.as_str();
    let own = match (own, problem) {
        ("roc_auc", Problem::Multiclass) => "roc_auc_ovr",
        (
            "roc_auc_ovr" | "roc_auc_ovo" | "roc_auc_ovr_weighted" | "roc_auc_ovo_weighted",
            Problem::Binary,
        ) => "roc_auc",
        _ => own,
    };
    if own != metric.spec().name {
        return Ok(lookup(own)?);
    }
    if fits(metric.spec(), problem) {
        return Ok(metric);
    }
    let fitting = CATALOGUE.iter().filter(|entry| entry.problems.contains(&problem));
    Err(ChoiceError::Unfit {
        name: own.to_owned(),
        problem: problem_word(problem),
        fitting: fitting.map(|entry| entry.name.to_owned()).collect(),
    })
}

/// Whether a metric makes sense for a problem. Metrics that are not of the catalogue are judged by what they read.
pub fn fits(spec: &MetricSpec, problem: Problem) -> bool {
    if let Some(entry) = find(&normal(&spec.name)) {
        return entry.problems.contains(&problem);
    }
    if map_at(&normal(&spec.name)).or_else(|| top(&normal(&spec.name))).is_some() {
        return problem == Problem::Multiclass;
    }
    problem.is_classification() != (spec.reads == PredictionKind::Value)
}

/// The metric for a problem about whose scoring nothing was said.
pub fn default_for(problem: Problem) -> Box<dyn Metric> {
    let (name, formula) = match problem {
        Problem::Binary => ("roc_auc", Rank(R::RocAuc)),
        Problem::Multiclass => ("log_loss", Rows(RowLoss::Log, Reduction::Mean)),
        Problem::Regression => ("rmse", Rows(RowLoss::Squared, Reduction::RootMean)),
    };
    let (direction, range) = if problem == Problem::Binary { (Maximize, UNIT) } else { (Minimize, POSITIVE) };
    Box::new(Native::new(name, direction, reads(formula), formula, range))
}

/// All names, in the order of the catalogue; `map_at_k` stands for every `k`.
pub fn names() -> Vec<&'static str> {
    CATALOGUE.iter().map(|entry| entry.name).chain(["map_at_k"]).collect()
}

/// The catalogue's metric of that name, in any spelling.
pub(crate) fn native(name: &str) -> Option<Native> {
    let normal = normal(name);
    if let Some(entry) = find(&normal) {
        return Some(entry.native());
    }
    if let Some(k) = map_at(&normal) {
        let formula = Rows(RowLoss::PrecisionAt(k), Reduction::Mean);
        return Some(Native::new(&format!("map_at_{k}"), Maximize, reads(formula), formula, UNIT));
    }
    if let Some(k) = top(&normal) {
        let formula = Rows(RowLoss::Among(k), Reduction::Mean);
        return Some(Native::new(&format!("top_{k}_accuracy"), Maximize, reads(formula), formula, UNIT));
    }
    let percent = pinball(&normal)?;
    let formula = Rows(RowLoss::Pinball(percent), Reduction::Mean);
    Some(Native::new(&format!("pinball_{percent}"), Minimize, reads(formula), formula, POSITIVE))
}

fn find(normal: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| squeezed(entry.name) == normal || entry.aliases.contains(&normal))
}

/// `map_at_5`, `MAP@5`, `mapk`: the number, if it is one of these.
fn map_at(normal: &str) -> Option<usize> {
    let rest = normal.strip_prefix("meanaverageprecision").or_else(|| normal.strip_prefix("map"))?;
    let number = rest.strip_prefix("at").unwrap_or(rest);
    match number {
        "k" => Some(MAP_AT_DEFAULT),
        _ => number.parse().ok().filter(|k| (1..=1000).contains(k)),
    }
}

/// `top_5_accuracy`, `top5`: the number.
fn top(normal: &str) -> Option<usize> {
    let number = normal.strip_prefix("top")?;
    let number = number.strip_suffix("score").unwrap_or(number);
    let number = number.strip_suffix("accuracy").unwrap_or(number);
    number.parse().ok().filter(|k| (1..=1000).contains(k))
}

/// `pinball_90`, `pinball loss 0.9`: the quantile in hundredths.
fn pinball(normal: &str) -> Option<u8> {
    let rest = normal.strip_prefix("pinball").or_else(|| normal.strip_prefix("quantile"))?;
    let number = rest.strip_prefix("loss").unwrap_or(rest);
    // The point of 0.9 is gone by now.
    let percent: f64 = match number.strip_prefix('0').filter(|decimals| !decimals.is_empty()) {
        Some(decimals) => 100.0 * format!("0.{decimals}").parse::<f64>().ok()?,
        None => number.parse().ok()?,
    };
    let whole = percent.round();
    ((1.0..=99.0).contains(&whole) && (percent - whole).abs() < 1e-9).then_some(whole as u8)
}

/// Lower-case letters and digits only, without a leading `neg` or `negative`, `²` read as 2.
fn normal(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let rest = lower.strip_prefix("neg_").or_else(|| lower.strip_prefix("negative ")).unwrap_or(&lower);
    squeezed(&rest.replace('²', "2"))
}

fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn nearest(name: &str) -> Vec<String> {
    let wanted = normal(name);
    let distance = |entry: &Entry| {
        let spellings =
            std::iter::once(squeezed(entry.name)).chain(entry.aliases.iter().map(ToString::to_string));
        spellings.map(|spelling| edits(&wanted, &spelling)).min().unwrap_or(usize::MAX)
    };
    let mut ranked: Vec<(usize, &str)> =
        CATALOGUE.iter().map(|entry| (distance(entry), entry.name)).collect();
    ranked.sort_by_key(|pair| pair.0);
    ranked.into_iter().take(NEAREST_SHOWN).map(|pair| pair.1.to_owned()).collect()
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (row, left) in a.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, right) in b.iter().enumerate() {
            let swap = previous[column] + usize::from(left != *right);
            current.push(swap.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[b.len()]
}

fn problem_word(problem: Problem) -> &'static str {
    match problem {
        Problem::Binary => "binary",
        Problem::Multiclass => "multiclass",
        Problem::Regression => "regression",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spelling: &str, expected: &str) {
        assert_eq!(lookup(spelling).unwrap().spec().name, expected, "{spelling}");
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        check("AUC", "roc_auc");
        check("area under the ROC curve", "roc_auc");
        check("Root Mean Squared Log Error", "rmsle");
        check("root mean squared logarithmic error", "rmsle");
        check("neg_root_mean_squared_error", "rmse");
        check("neg_log_loss", "log_loss");
        check("Log-Loss", "log_loss");
        check("R²", "r2");
        check("F1 score", "f1");
        check("MAP@5", "map_at_5");
        check("map_at_k", "map_at_3");
        check("brier_score_loss", "brier_score");
        check("mean_absolute_percentage_error", "mape");
        check("neg_mean_gamma_deviance", "mean_gamma_deviance");
        check("neg_median_absolute_error", "median_absolute_error");
        check("neg_max_error", "max_error");
        check("neg_brier_score", "brier_score");
        check("roc_auc_ovr_weighted", "roc_auc_ovr_weighted");
        check("top_k_accuracy", "top_k_accuracy");
        check("top-5 accuracy", "top_5_accuracy");
        check("pinball_90", "pinball_90");
        check("Pinball loss 0.95", "pinball_95");
        check("quantile loss 0.5", "pinball_50");
        for strange in ["pinball_0", "pinball_100", "pinball_0.955", "top_0_accuracy"] {
            assert!(lookup(strange).is_err(), "{strange}");
        }
    }

    #[test]
    fn every_name_finds_itself_and_no_alias_is_used_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in CATALOGUE {
            check(entry.name, entry.name);
            assert!(seen.insert(squeezed(entry.name)), "{}", entry.name);
            for alias in entry.aliases.iter().filter(|alias| **alias != squeezed(entry.name)) {
                assert!(seen.insert((*alias).to_owned()), "{alias}");
            }
        }
    }

    #[test]
    fn an_unknown_name_proposes_near_ones() {
        let error = lookup("acuracy").err().unwrap();
        assert_eq!(error.nearest[0], "accuracy");
        let error = lookup("rmlse").err().unwrap();
        assert!(error.nearest.contains(&"rmsle".to_owned()), "{error}");
    }

    #[test]
    fn a_metric_must_fit_the_problem() {
        assert_eq!(resolve("auc", Problem::Multiclass).unwrap().spec().name, "roc_auc_ovr");
        assert_eq!(resolve("roc_auc_ovo", Problem::Multiclass).unwrap().spec().name, "roc_auc_ovo");
        assert_eq!(resolve("roc_auc_ovo_weighted", Problem::Binary).unwrap().spec().name, "roc_auc");
        assert!(resolve("top_5_accuracy", Problem::Binary).is_err());
        assert!(resolve("pinball_90", Problem::Regression).is_ok());
        let unfit = resolve("rmse", Problem::Binary).err().unwrap();
        assert!(unfit.to_string().starts_with("metric `rmse` does not fit a binary problem"), "{unfit}");
        assert!(resolve("f1", Problem::Multiclass).is_err());
    }

    #[test]
    fn defaults_are_of_the_catalogue() {
        for problem in [Problem::Binary, Problem::Multiclass, Problem::Regression] {
            let metric = default_for(problem);
            assert!(fits(metric.spec(), problem));
            assert_eq!(native(&metric.spec().name).unwrap().spec(), metric.spec());
        }
    }
}
