//! Suggestions that cost no trial: published formulas that give learning rates and batch sizes from the size of a network
//! and of its data.
//!
//! A formula is an opinion like any other: what it proposes ([`suggestions`]) is
//! [enqueued](crate::study::Study::enqueue) under its name and judged by the trial that follows. Each says where it comes
//! from and what it assumes, and says nothing where its numbers are missing.

use crate::space::{Domain, Parameter, Params, Space};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is known about the size of a training, as the `[scale]` table of a space says it; everything may be unknown.
///
/// Batches count sequences. Where an example is no sequence (rows, pictures), `sequence_length = 1` makes a token of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scale {
    /// Trainable parameters of the network without its embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<f64>,
    /// Tokens that it will see in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
    /// Sequences in one batch, on all devices together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<f64>,
    /// Tokens in one sequence; [`SEQUENCE_LENGTH`] if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_length: Option<f64>,
    /// Units of a hidden layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Residual blocks or layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<f64>,
    /// The learning rate of another training, usually a smaller one, for which it was tuned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
    /// Sequences in one batch of that training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_batch: Option<f64>,
    /// Units of a hidden layer there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_width: Option<f64>,
    /// Residual blocks or layers there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_depth: Option<f64>,
}

/// Tokens in one sequence, when nothing else is said: those of the trainings that the STEP law was fitted to.
pub const SEQUENCE_LENGTH: f64 = 2048.0;

impl Scale {
    /// Tokens in one sequence, said or assumed.
    pub fn tokens_per_sequence(&self) -> f64 {
        positive(self.sequence_length).unwrap_or(SEQUENCE_LENGTH)
    }

    /// The first field that is no finite number above zero, and what it is.
    pub fn odd(&self) -> Option<(&'static str, f64)> {
        let fields = [
            ("parameters", self.parameters),
            ("tokens", self.tokens),
            ("batch", self.batch),
            ("sequence_length", self.sequence_length),
            ("width", self.width),
            ("depth", self.depth),
            ("base_learning_rate", self.base_learning_rate),
            ("base_batch", self.base_batch),
            ("base_width", self.base_width),
            ("base_depth", self.base_depth),
        ];
        let odd = |(name, number): (&'static str, Option<f64>)| {
            let number = number?;
            positive(Some(number)).is_none().then_some((name, number))
        };
        fields.into_iter().find_map(odd)
    }
}

/// What a formula proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The formula's name, which becomes the origin of a trial.
    pub formula: &'static str,
    /// Learning rate, at its peak where it changes.
    pub learning_rate: f64,
    /// Tokens in one batch, if the formula proposes them too.
    pub batch_tokens: Option<f64>,
    /// Tokens in one batch, if the learning rate was computed for a given batch.
    pub given_batch_tokens: Option<f64>,
    /// What was computed from what, for people.
    pub because: String,
}

/// A published formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    /// STEP law (arXiv 2503.04715): for language models under a cosine to a small fixed end,
    /// `lr = 1.79 · N^-0.713 · D^0.307`, `batch = 0.58 · D^0.571` tokens.
    StepLaw,
    /// Power scheduler (arXiv 2408.13359): the best constant rate between warm-up and decay falls with the tokens and grows
    /// with the batch, and a schedule that is at it everywhere need not know its end: [`power_rate`]. Proposed is the rate
    /// for all of the tokens. It is meant for networks under muP.
    PowerScheduler,
    /// Transfer over width and depth (muP and its depth extension; arXiv 2402.17457): hidden layers of an Adam-trained
    /// network keep their best rate when it is scaled by `base_width / width`, and residual branches by
    /// `sqrt(base_depth / depth)`. What is not known of the two is taken to stay as it is.
    ShapeTransfer,
    /// Large batches with layer-wise adaptive optimisers (LAMB, arXiv 1904.00962): the rate grows with the square root of
    /// the batch, `base_learning_rate · sqrt(batch / base_batch)`.
    LargeBatch,
}

impl Formula {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StepLaw, Self::PowerScheduler, Self::ShapeTransfer, Self::LargeBatch];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::StepLaw => "step-law",
            Self::PowerScheduler => "power-scheduler",
            Self::ShapeTransfer => "shape-transfer",
            Self::LargeBatch => "large-batch",
        }
    }

    /// What it proposes; `None` where a number that it needs is unknown or not above zero.
    pub fn advice(self, scale: &Scale) -> Option<Advice> {
        let advice = match self {
            Self::StepLaw => self.step_law(scale),
            Self::PowerScheduler => self.power_scheduler(scale),
            Self::ShapeTransfer => self.shape_transfer(scale),
            Self::LargeBatch => self.large_batch(scale),
        };
        advice.filter(|advice| positive(Some(advice.learning_rate)).is_some())
    }

    /// Advice about a learning rate alone.
    fn rate(self, learning_rate: f64, because: String) -> Advice {
        let formula = self.name();
        Advice { formula, learning_rate, batch_tokens: None, given_batch_tokens: None, because }
    }

    fn step_law(self, scale: &Scale) -> Option<Advice> {
        let (n, d) = (positive(scale.parameters)?, positive(scale.tokens)?);
        let because = format!("{n:.3e} parameters and {d:.3e} tokens");
        let advice = self.rate(1.79 * n.powf(-0.713) * d.powf(0.307), because);
        Some(Advice { batch_tokens: positive(Some(0.58 * d.powf(0.571))), ..advice })
    }

    fn power_scheduler(self, scale: &Scale) -> Option<Advice> {
        let (batch, tokens) = (positive(scale.batch)?, positive(scale.tokens)?);
        let because = format!("batches of {batch} sequences over {tokens:.3e} tokens");
        let given_batch_tokens = Some(batch * scale.tokens_per_sequence());
        Some(Advice { given_batch_tokens, ..self.rate(power_rate(batch, tokens)?, because) })
    }

    fn shape_transfer(self, scale: &Scale) -> Option<Advice> {
        let known = positive(scale.base_learning_rate)?;
        let sizes =
            [("width", scale.base_width, scale.width, 1.0), ("depth", scale.base_depth, scale.depth, 0.5)];
        let (mut rate, mut because) = (known, Vec::new());
        for (name, base, now, power) in sizes {
            let (Some(base), Some(now)) = (positive(base), positive(now)) else { continue };
            rate *= (base / now).powf(power);
            because.push(format!("{name} {base} became {now}"));
        }
        let because = Some(because).filter(|because| !because.is_empty())?.join(", ");
        Some(self.rate(rate, format!("{known} was right where {because}")))
    }

    fn large_batch(self, scale: &Scale) -> Option<Advice> {
        let known = positive(scale.base_learning_rate)?;
        let (base, now) = (positive(scale.base_batch)?, positive(scale.batch)?);
        let because = format!("{known} was right where a batch of {base} sequences became {now}");
        let given_batch_tokens = Some(now * scale.tokens_per_sequence());
        Some(Advice { given_batch_tokens, ..self.rate(known * (now / base).sqrt(), because) })
    }
}

/// The power schedule's highest learning rate.
pub const POWER_RATE_MAX: f64 = 0.02;

/// The power schedule's learning rate after `tokens` tokens with batches of `batch` sequences,
/// `min(0.02, 4.6 · batch · tokens^-0.51)`; `None` for numbers that are not above zero.
pub fn power_rate(batch: f64, tokens: f64) -> Option<f64> {
    let rate = 4.6 * positive(Some(batch))? * positive(Some(tokens))?.powf(-0.51);
    positive(Some(rate.min(POWER_RATE_MAX)))
}

fn positive(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite() && *number > 0.0)
}

/// A configuration that a formula proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggested {
    /// The formula's name, for the origin of a trial.
    pub formula: &'static str,
    /// The configuration, which fits the space.
    pub params: Params,
    /// What was computed from what, for people.
    pub because: String,
}

/// What the formulas propose for a space: every formula whose numbers are known and that speaks about a parameter of the
/// space, each configuration once.
pub fn suggestions(scale: &Scale, space: &Space) -> Vec<Suggested> {
    let mut found: Vec<Suggested> = Vec::new();
    for formula in Formula::ALL {
        let Some(advice) = formula.advice(scale) else { continue };
        let Some(params) = configuration(&advice, space, scale.tokens_per_sequence()) else { continue };
        if found.iter().all(|other| other.params != params) {
            found.push(Suggested { formula: advice.formula, params, because: advice.because });
        }
    }
    found
}

/// Names under which people write a learning rate, the sequences or examples of a batch, and its tokens; after the last dot
/// of a parameter's name, in any case, with `-` or `_`.
const RATE_NAMES: &[&str] = &[
    "learning_rate",
    "lr",
    "learning_rate_init",
    "initial_lr",
    "base_lr",
    "max_lr",
    "peak_lr",
    "max_learning_rate",
    "peak_learning_rate",
    "eta",
];
const BATCH_NAMES: &[&str] =
    &["batch_size", "batch", "global_batch_size", "train_batch_size", "total_batch_size", "batch_sequences"];
const BATCH_TOKENS_NAMES: &[&str] =
    &["batch_tokens", "batch_size_tokens", "batch_size_in_tokens", "tokens_per_batch"];

/// An advice as a configuration of a space: its start, with the parameters that the formula speaks about set and fitted to
/// what they can be. Batches are counted in tokens where the parameter's name says so, else in sequences. `None` when no
/// parameter that counts at the start is spoken of, or the configuration breaks a rule.
pub fn configuration(advice: &Advice, space: &Space, tokens_per_sequence: f64) -> Option<Params> {
    let start = space.params(&space.start_point());
    let batch = |tokens: f64| {
        let in_sequences = named(space, &start, BATCH_NAMES).map(|of| (of, tokens / tokens_per_sequence));
        in_sequences.or_else(|| Some((named(space, &start, BATCH_TOKENS_NAMES)?, tokens)))
    };
    let rate = named(space, &start, RATE_NAMES).map(|of| (of, advice.learning_rate));
    let mut set: Vec<(&Parameter, f64)> = rate.into_iter().collect();
    set.extend(advice.batch_tokens.and_then(batch));
    if set.is_empty() {
        return None;
    }
    set.extend(advice.given_batch_tokens.and_then(batch));
    let mut params = start.clone();
    for (parameter, number) in set {
        params.insert(parameter.name.clone(), fitting(&parameter.domain, number));
    }
    space.repair(&params).ok().map(|repaired| repaired.params)
}

/// The first parameter that counts at the start and has one of some names.
fn named<'a>(space: &'a Space, start: &Params, names: &[&str]) -> Option<&'a Parameter> {
    let is_named = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or(name).to_lowercase().replace('-', "_");
        names.contains(&last.as_str())
    };
    space
        .parameters()
        .iter()
        .find(|parameter| start.contains_key(&parameter.name) && is_named(&parameter.name))
}

/// A number as a parameter can take it: of numbers listed without an order the nearest by ratio. All else is left to the
/// repair.
fn fitting(domain: &Domain, number: f64) -> Value {
    let Domain::Categorical { values } = domain else { return json!(number) };
    let far = |value: &Value| Some((positive(value.as_f64())? / number).ln().abs());
    let near = values.iter().filter_map(|value| Some((far(value)?, value)));
    near.min_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(|| json!(number), |(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-4, "{found}, expected {expected}");
    }

    fn rate(formula: Formula, scale: &Scale) -> f64 {
        formula.advice(scale).unwrap().learning_rate
    }

    /// A billion parameters, a hundred billion tokens.
    fn billion() -> Scale {
        Scale { parameters: Some(1e9), tokens: Some(1e11), ..Scale::default() }
    }

    #[test]
    fn the_step_law_gives_its_published_figures() {
        // 1.79 · 10^(9 · -0.713 + 11 · 0.307) and 0.58 · 10^(11 · 0.571).
        let advice = Formula::StepLaw.advice(&billion()).unwrap();
        near(advice.learning_rate, 1.632_499e-3);
        near(advice.batch_tokens.unwrap(), 1.107_715e6);
        assert_eq!(advice.given_batch_tokens, None);
    }

    #[test]
    fn the_power_schedule_counts_sequences_and_has_an_upper_bound() {
        // 4.6 · 512 · 10^(11 · -0.51), 4.6 · 1024 · 10^(12 · -0.51).
        near(power_rate(512.0, 1e11).unwrap(), 5.781_330e-3);
        near(power_rate(1024.0, 1e12).unwrap(), 3.573_204e-3);
        // 0.12 without the bound: where a schedule begins.
        assert_eq!(power_rate(1024.0, 1e9), Some(0.02));
        assert!(power_rate(0.0, 1.0).is_none() && power_rate(1.0, f64::NAN).is_none());
        let scale = Scale { batch: Some(512.0), sequence_length: Some(4096.0), ..billion() };
        let advice = Formula::PowerScheduler.advice(&scale).unwrap();
        near(advice.learning_rate, 5.781_330e-3);
        assert_eq!(advice.given_batch_tokens, Some(512.0 * 4096.0));
        let scale = Scale { sequence_length: None, ..scale };
        let advice = Formula::PowerScheduler.advice(&scale).unwrap();
        assert_eq!(advice.given_batch_tokens, Some(512.0 * 2048.0));
    }

    #[test]
    fn rates_transfer_over_shape() {
        let scale = Scale {
            base_learning_rate: Some(0.01),
            base_width: Some(256.0),
            base_depth: Some(4.0),
            width: Some(1024.0),
            depth: Some(16.0),
            ..Scale::default()
        };
        near(rate(Formula::ShapeTransfer, &scale), 0.01 / 4.0 / 2.0);
        near(rate(Formula::ShapeTransfer, &Scale { depth: None, ..scale }), 0.01 / 4.0);
        near(rate(Formula::ShapeTransfer, &Scale { base_width: None, ..scale }), 0.01 / 2.0);
        let neither = Scale { base_width: None, depth: None, ..scale };
        assert_eq!(Formula::ShapeTransfer.advice(&neither), None);
    }

    #[test]
    fn rates_grow_with_large_batches_as_they_did_for_bert() {
        // 5 / (2^3 · 10^3) at 512 became 5 / 10^3 at 32,768.
        let scale = Scale {
            base_learning_rate: Some(6.25e-4),
            base_batch: Some(512.0),
            batch: Some(32_768.0),
            ..Scale::default()
        };
        near(rate(Formula::LargeBatch, &scale), 5e-3);
    }

    #[test]
    fn without_its_numbers_a_formula_is_silent() {
        let nothing = Scale {
            parameters: Some(0.0),
            tokens: Some(-1.0),
            batch: Some(f64::NAN),
            base_learning_rate: Some(f64::INFINITY),
            ..Scale::default()
        };
        for formula in Formula::ALL {
            assert_eq!(formula.advice(&Scale::default()), None, "{formula:?}");
            assert_eq!(formula.advice(&nothing), None, "{formula:?}");
        }
        assert_eq!(nothing.odd(), Some(("parameters", 0.0)));
        assert_eq!(billion().odd(), None);
    }

    #[test]
    fn advice_becomes_a_configuration_within_the_ranges() {
        let space = Space::from_toml(
            "[[parameter]]\nname = 'model.lr'\ntype = 'float'\nlow = 1e-4\nhigh = 1e-3\nlog = true\n\
             [[parameter]]\nname = 'batch_size'\ntype = 'int'\nlow = 1\nhigh = 4096\n\
             [[parameter]]\nname = 'layers'\ntype = 'int'\nlow = 1\nhigh = 9\ndefault = 3\n",
        )
        .unwrap();
        let advice = Formula::StepLaw.advice(&billion()).unwrap();
        let params = configuration(&advice, &space, SEQUENCE_LENGTH).unwrap();
        assert_eq!(params["model.lr"], json!(1e-3), "clamped");
        assert_eq!(params["batch_size"], json!(541));
        assert_eq!(params["layers"], json!(3));
        let other = Space::from_toml("[[parameter]]\nname = 'x'\ntype = 'bool'\n").unwrap();
        assert_eq!(configuration(&advice, &other, 1.0), None);
    }

    #[test]
    fn a_space_with_a_scale_gets_suggestions() {
        let space = Space::from_toml(
            "[scale]\nparameters = 1e9\ntokens = 100_000_000_000\nbatch = 500\nsequence_length = 4096\n\
             base_learning_rate = 6.25e-4\nbase_batch = 512\n\
             [[parameter]]\nname = 'Learning-Rate'\ntype = 'float'\nlow = 1e-5\nhigh = 0.1\nlog = true\n\
             [[parameter]]\nname = 'batch_size'\ntype = 'categorical'\nvalues = [64, 256, 512]\n",
        )
        .unwrap();
        let found = suggestions(space.scale().unwrap(), &space);
        let names: Vec<&str> = found.iter().map(|one| one.formula).collect();
        assert_eq!(names, ["step-law", "power-scheduler", "large-batch"]);
        for (one, (rate, batch)) in
            found.iter().zip([(1.632_499e-3, 256), (5.645_831e-3, 512), (6.176_323e-4, 512)])
        {
            near(one.params["Learning-Rate"].as_f64().unwrap(), rate);
            assert_eq!(one.params["batch_size"], json!(batch), "{}", one.formula);
            assert!(space.point(&one.params).is_ok() && !one.because.is_empty());
        }
    }

    #[test]
    fn a_batch_may_be_counted_in_tokens() {
        let space = Space::from_toml(
            "[[parameter]]\nname = 'tokens_per_batch'\ntype = 'int'\nlow = 1024\nhigh = 4_194_304\nlog = true\n",
        )
        .unwrap();
        let found = suggestions(&Scale { batch: Some(512.0), ..billion() }, &space);
        // The power schedule takes the batch as given, so without a learning rate it has nothing to say.
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].params["tokens_per_batch"], json!(1_107_715));
    }

    #[test]
    fn what_does_not_count_or_comes_twice_is_not_suggested() {
        let space = Space::from_toml(
            "[[parameter]]\nname = 'net'\ntype = 'bool'\ndefault = false\n\
             [[parameter]]\nname = 'lr'\ntype = 'float'\nlow = 1e-5\nhigh = 1e-4\nwhen = { net = true }\n",
        )
        .unwrap();
        let scale = Scale { batch: Some(512.0), ..billion() };
        assert!(suggestions(&scale, &space).is_empty());
        let mut parameters = space.parameters().to_vec();
        parameters[0].default = Some(json!(true));
        let space = Space::new(parameters, Vec::new()).unwrap();
        let found = suggestions(&scale, &space);
        assert_eq!(found.len(), 1, "both are clamped to the same: {found:?}");
        assert_eq!(found[0].params["lr"], json!(1e-4));
    }
}
