//! Suggestions that cost no trial: published formulas that give learning rates and batch sizes from the size of a network
//! and of its data.
//!
//! A formula is an opinion like any other: what it proposes is [enqueued](crate::study::Study::enqueue) and judged by the
//! trial that follows. Each says where it comes from and what it assumes, and says nothing where its numbers are missing.

use crate::space::{Params, Space};
use serde_json::json;

/// What is known about a training; everything may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scale {
    /// Trainable parameters of the network without its embeddings.
    pub parameters: Option<f64>,
    /// Tokens (or examples) that it will see in all.
    pub tokens: Option<f64>,
    /// Tokens in one batch.
    pub batch_tokens: Option<f64>,
    /// Width and depth of the network.
    pub shape: Option<Shape>,
    /// A training that went well.
    pub known: Option<Known>,
}

/// Width and depth of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Units of a hidden layer.
    pub width: f64,
    /// Residual blocks or layers.
    pub depth: f64,
}

/// A smaller training whose learning rate was tuned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its learning rate.
    pub learning_rate: f64,
    /// Its batch, in the unit of [`Scale::batch_tokens`].
    pub batch_tokens: Option<f64>,
    /// Its shape.
    pub shape: Option<Shape>,
}

/// What a formula proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The formula's name, which becomes the origin of a trial.
    pub formula: &'static str,
    /// Peak learning rate.
    pub learning_rate: Option<f64>,
    /// Tokens in one batch.
    pub batch_tokens: Option<f64>,
    /// What was computed from what, for people.
    pub because: String,
}

/// A published formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    /// STEP law (arXiv 2503.04715): for language models under a cosine to a small fixed end,
    /// `lr = 1.79 · N^-0.713 · D^0.307`, `batch = 0.58 · D^0.571` tokens.
    StepLaw,
    /// Power scheduler (arXiv 2408.13359): `lr(n) = min(lr_max, B · a · n^b)` after `n` tokens, with `a = 4.6`, `b = -0.51` under muP; its
    /// rate at the end of warm-up is proposed as the peak.
    PowerScheduler,
    /// Transfer over width and depth (muP and its depth extension; arXiv 2402.17457): hidden layers of an Adam-trained network keep their
    /// best rate when it is scaled by `width_known / width`, and residual branches by `sqrt(depth_known / depth)`.
    ShapeTransfer,
    /// Large batches with layer-wise adaptive optimisers (LAMB, arXiv 1904.00962): the rate grows with the square root of the batch.
    LargeBatch,
}

impl Formula {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StepLaw, Self::PowerScheduler, Self::ShapeTransfer, Self::LargeBatch];
    /// Tokens after which the power schedule begins, when nothing else is said: the end of a usual warm-up.
    pub const WARM_UP_TOKENS: f64 = 1e9;

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
        let (learning_rate, batch_tokens, because) = match self {
            Self::StepLaw => {
                let (n, d) = (positive(scale.parameters)?, positive(scale.tokens)?);
                let (rate, batch) = (1.79 * n.powf(-0.713) * d.powf(0.307), 0.58 * d.powf(0.571));
                (rate, Some(batch), format!("{n:.3e} parameters and {d:.3e} tokens"))
            }
            Self::PowerScheduler => {
                let batch = positive(scale.batch_tokens)?;
                let begun =
                    Self::WARM_UP_TOKENS.min(positive(scale.tokens).map_or(f64::INFINITY, |all| all / 10.0));
                let rate = power_rate(batch, begun)?;
                (rate, None, format!("a batch of {batch:.3e} tokens after {begun:.3e} tokens of warm-up"))
            }
            Self::ShapeTransfer => {
                let known = scale.known?;
                let (from, to) = (known.shape?, scale.shape?);
                let width = positive(Some(from.width))? / positive(Some(to.width))?;
                let depth = positive(Some(from.depth))? / positive(Some(to.depth))?;
                let rate = positive(Some(known.learning_rate))? * width * depth.sqrt();
                let words = format!("{} at {} × {}", known.learning_rate, from.width, from.depth);
                (rate, None, format!("{words}, now {} × {}", to.width, to.depth))
            }
            Self::LargeBatch => {
                let known = scale.known?;
                let (from, to) = (positive(known.batch_tokens)?, positive(scale.batch_tokens)?);
                let rate = positive(Some(known.learning_rate))? * (to / from).sqrt();
                (rate, None, format!("{} at a batch of {from}, now {to}", known.learning_rate))
            }
        };
        let learning_rate = Some(positive(Some(learning_rate))?);
        Some(Advice { formula: self.name(), learning_rate, batch_tokens, because })
    }
}

/// The power schedule's learning rate after `tokens` tokens with batches of `batch_tokens`, without its upper bound; `None` for numbers
/// that are not above zero.
pub fn power_rate(batch_tokens: f64, tokens: f64) -> Option<f64> {
    positive(Some(positive(Some(batch_tokens))? * 4.6 * positive(Some(tokens))?.powf(-0.51)))
}

fn positive(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite() && *number > 0.0)
}

/// Names under which people write a learning rate and a batch size.
const RATE_NAMES: [&str; 6] = ["learning_rate", "lr", "learning_rate_init", "eta", "max_lr", "peak_lr"];
const BATCH_NAMES: [&str; 4] = ["batch_size", "batch_tokens", "batch", "global_batch_size"];

/// An advice as a configuration of a space: its defaults, with the parameters that the formula speaks about set (and clamped to their
/// ranges). `tokens_per_example` turns tokens into the unit of the space's batch size. `None` when the space has no such parameter.
pub fn configuration(advice: &Advice, space: &Space, tokens_per_example: f64) -> Option<Params> {
    let named = |names: &[&str]| {
        let named = |name: &str| names.contains(&name.rsplit('.').next().unwrap_or(name));
        space
            .parameters()
            .iter()
            .find(|parameter| named(&parameter.name))
            .map(|parameter| parameter.name.clone())
    };
    let mut params = space.params(&space.start_point());
    let mut is_set = false;
    let batch = advice.batch_tokens.map(|tokens| tokens / positive(Some(tokens_per_example)).unwrap_or(1.0));
    for (names, value) in [(&RATE_NAMES[..], advice.learning_rate), (&BATCH_NAMES[..], batch)] {
        if let (Some(name), Some(value)) = (named(names), value) {
            params.insert(name, json!(value));
            is_set = true;
        }
    }
    if !is_set {
        return None;
    }
    space.repair(&params).ok().map(|repaired| repaired.params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found / expected - 1.0).abs() < 0.02, "{found}, expected {expected}");
    }

    #[test]
    fn the_step_law_gives_its_published_figures() {
        // One billion parameters, 100 billion tokens, computed by hand: 1.79 · 10^(-6.417) · 10^(3.377), 0.58 · 10^(6.281).
        let scale = Scale { parameters: Some(1e9), tokens: Some(1e11), ..Scale::default() };
        let advice = Formula::StepLaw.advice(&scale).unwrap();
        near(advice.learning_rate, 1.633e-3);
        near(advice.batch_tokens, 1.108e6);
    }

    #[test]
    fn the_power_schedule_falls_with_tokens_and_grows_with_the_batch() {
        let rate = |batch, tokens| power_rate(batch, tokens).unwrap();
        near(Some(rate(2e6, 1e9) / rate(1e6, 1e9)), 2.0);
        near(Some(rate(1e6, 4e9) / rate(1e6, 1e9)), 4.0_f64.powf(-0.51));
        assert!(power_rate(0.0, 1.0).is_none() && power_rate(1.0, f64::NAN).is_none());
    }

    #[test]
    fn rates_transfer_over_shape_and_batch() {
        let known = Known {
            learning_rate: 0.01,
            batch_tokens: Some(64.0),
            shape: Some(Shape { width: 256.0, depth: 4.0 }),
        };
        let scale = Scale {
            known: Some(known),
            batch_tokens: Some(256.0),
            shape: Some(Shape { width: 1024.0, depth: 16.0 }),
            ..Scale::default()
        };
        near(Formula::ShapeTransfer.advice(&scale).unwrap().learning_rate, 0.01 / 4.0 / 2.0);
        near(Formula::LargeBatch.advice(&scale).unwrap().learning_rate, 0.02);
    }

    #[test]
    fn without_its_numbers_a_formula_is_silent() {
        for formula in Formula::ALL {
            assert_eq!(formula.advice(&Scale::default()), None, "{formula:?}");
            let nothing = Scale {
                parameters: Some(0.0),
                tokens: Some(-1.0),
                batch_tokens: Some(f64::NAN),
                ..Scale::default()
            };
            assert_eq!(formula.advice(&nothing), None, "{formula:?}");
        }
    }

    #[test]
    fn advice_becomes_a_configuration_within_the_ranges() {
        let space = Space::from_toml(
            "[[parameter]]\nname = 'model.lr'\ntype = 'float'\nlow = 1e-4\nhigh = 1e-3\nlog = true\n\
             [[parameter]]\nname = 'batch_size'\ntype = 'int'\nlow = 1\nhigh = 4096\n\
             [[parameter]]\nname = 'layers'\ntype = 'int'\nlow = 1\nhigh = 9\ndefault = 3\n",
        )
        .unwrap();
        let scale = Scale { parameters: Some(1e9), tokens: Some(1e11), ..Scale::default() };
        let advice = Formula::StepLaw.advice(&scale).unwrap();
        let params = configuration(&advice, &space, 2048.0).unwrap();
        assert_eq!(params["model.lr"], json!(1e-3), "clamped");
        assert_eq!(params["batch_size"], json!(541));
        assert_eq!(params["layers"], json!(3));
        let other = Space::from_toml("[[parameter]]\nname = 'x'\ntype = 'bool'\n").unwrap();
        assert_eq!(configuration(&advice, &other, 1.0), None);
    }
}
