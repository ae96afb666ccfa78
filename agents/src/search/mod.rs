//! The search over one solution's space: which configuration to try next, and which is worth its remaining folds.
//!
//! A seat, kept small behind [`Search`]: whoever searches better takes it. Nothing here runs a trial or reads a clock.

mod rungs;
mod space;

pub use rungs::{Promotion, Rung, promote};
pub use space::{defaults, snap};

use ansatz_core::candidate::{Params, Space};
use ansatz_core::seed::Seed;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use space::{Point, key, point_of, random_point, shaken};
use std::collections::BTreeSet;

/// Ask and tell.
pub trait Search {
    /// The next configuration to try; `None` when nothing new is left.
    fn ask(&mut self) -> Option<Params>;

    /// How a configuration did: its gain (larger is better), or `None` when it failed. Configurations that were never
    /// asked for may be told too.
    fn tell(&mut self, params: &Params, gain: Option<f64>);
}

/// How often a new point is drawn before the space counts as used up.
const DRAWS_MAX: usize = 200;
/// Points that are drawn for one that is asked.
const PROPOSALS: usize = 32;
/// Share of questions that stay free of what is known, so that no good region is overlooked for ever.
const EXPLORED_SHARE: f64 = 0.15;

/// Samples at random first, then around what did well, guided by a smooth guess of the gain.
///
/// Every question is a new point of the space, values rounded to what can make a difference; the same seed, space and
/// answers give the same questions.
#[derive(Debug, Clone)]
pub struct Searcher {
    space: Space,
    fixed: Params,
    rng: ChaCha8Rng,
    seen: BTreeSet<String>,
    told: Vec<Told>,
}

#[derive(Debug, Clone)]
struct Told {
    point: Point,
    gain: Option<f64>,
}

impl Searcher {
    /// A search over `space` with some parameters `fixed` to values that are not searched.
    pub fn new(space: Space, fixed: Params, seed: Seed) -> Self {
        let space = space.into_iter().filter(|(name, _)| !fixed.contains_key(name)).collect();
        let rng = ChaCha8Rng::seed_from_u64(seed.0);
        Self { space, fixed, rng, seen: BTreeSet::new(), told: Vec::new() }
    }

    /// Marks a configuration as tried elsewhere, so that it is not asked for.
    pub fn skip(&mut self, params: &Params) {
        self.seen.insert(key(&snap(&self.space, params)));
    }

    /// Configurations with a known gain, best first.
    fn ranked(&self) -> Vec<(&Point, f64)> {
        let mut known: Vec<(&Point, f64)> =
            self.told.iter().filter_map(|told| Some((&told.point, told.gain?))).collect();
        known.sort_by(|a, b| b.1.total_cmp(&a.1));
        known
    }

    /// Whether to look anywhere rather than near what did well: at first always, later now and then.
    fn explores(&mut self) -> bool {
        let known = self.told.iter().filter(|told| told.gain.is_some()).count();
        known < 2 + self.space.len() / 2 || self.rng.random_bool(EXPLORED_SHARE)
    }

    fn draw(&mut self) -> Option<Params> {
        let explores = self.explores();
        let mut best: Option<(f64, Params)> = None;
        let mut found = 0;
        for _ in 0..DRAWS_MAX {
            let point =
                if explores { random_point(&self.space, &mut self.rng) } else { self.near_the_best() };
            let params = space::params_of(&self.space, &point);
            if self.seen.contains(&key(&params)) {
                continue;
            }
            let promise = self.promise(&point_of(&self.space, &params), explores);
            if best.as_ref().is_none_or(|(most, _)| promise > *most) {
                best = Some((promise, params));
            }
            found += 1;
            if found == PROPOSALS {
                break;
            }
        }
        best.map(|(_, params)| params)
    }

    /// A point shaken out of one of the better ones, the more finely the more is known.
    fn near_the_best(&mut self) -> Point {
        let ranked = self.ranked();
        let elite = (ranked.len() / 5).max(2).min(ranked.len());
        // The best is drawn most often: of two random elite places the lower one.
        let (a, b) = (self.rng.random_range(0..elite.max(1)), self.rng.random_range(0..elite.max(1)));
        let ranked = self.ranked();
        let Some((centre, _)) = ranked.get(a.min(b)) else {
            return random_point(&self.space, &mut self.rng);
        };
        let centre = (*centre).clone();
        let spread = 0.3 / (1.0 + ranked.len() as f64 / 15.0);
        shaken(&self.space, &centre, spread.max(0.06), &mut self.rng)
    }

    /// What a point promises: when exploring its distance from all that is known, else the rank of its neighbours
    /// (1 = best, 0 = worst or failed) weighted by nearness, a bonus for being unknown included.
    fn promise(&self, point: &Point, explores: bool) -> f64 {
        const REACH: f64 = 0.15;
        const BONUS: f64 = 0.05;
        let distances: Vec<f64> = self.told.iter().map(|told| told.point.distance(point)).collect();
        let nearest = distances.iter().copied().fold(1.0, f64::min);
        if explores {
            return nearest;
        }
        let ranked = self.ranked();
        let place = |gain: f64| ranked.iter().filter(|(_, other)| *other < gain).count() as f64;
        let top = (ranked.len().saturating_sub(1)).max(1) as f64;
        let (mut sum, mut weights) = (0.0, 1e-9);
        for (told, distance) in self.told.iter().zip(&distances) {
            let weight = (-(distance / REACH).powi(2)).exp();
            sum += weight * told.gain.map_or(0.0, |gain| place(gain) / top);
            weights += weight;
        }
        sum / weights + BONUS * nearest
    }
}

impl Search for Searcher {
    fn ask(&mut self) -> Option<Params> {
        let start = snap(&self.space, &Params::new());
        let params = if self.seen.insert(key(&start)) { start } else { self.draw()? };
        self.seen.insert(key(&params));
        Some(self.fixed.iter().map(|(name, value)| (name.clone(), value.clone())).chain(params).collect())
    }

    fn tell(&mut self, params: &Params, gain: Option<f64>) {
        let params = snap(&self.space, params);
        self.seen.insert(key(&params));
        let gain = gain.filter(|gain| gain.is_finite());
        self.told.push(Told { point: point_of(&self.space, &params), gain });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::candidate::Dimension;
    use serde_json::json;

    fn space() -> Space {
        Space::from([
            ("rate".into(), Dimension::Float { low: 0.001, high: 1.0, log: true, default: 0.1 }),
            ("share".into(), Dimension::Float { low: 0.0, high: 1.0, log: false, default: 0.5 }),
            ("leaves".into(), Dimension::Int { low: 2, high: 256, log: true, default: 31 }),
            (
                "kind".into(),
                Dimension::Categorical {
                    values: vec![json!("a"), json!("b"), json!("c")],
                    default: json!("a"),
                },
            ),
        ])
    }

    /// A smooth hill with its top at rate 0.01, share 0.8, 64 leaves, kind `b`.
    fn gain(params: &Params) -> f64 {
        let number = |name: &str| params[name].as_f64().unwrap();
        let rate = (number("rate").log10() + 2.0) / 3.0;
        let leaves = (number("leaves").log2() - 6.0) / 7.0;
        let kind = if params["kind"] == "b" { 0.0 } else { 0.1 };
        -(rate.powi(2) + (number("share") - 0.8).powi(2) + leaves.powi(2) + kind)
    }

    fn best_of(seed: u64, questions: usize, learns: bool) -> f64 {
        let mut searcher = Searcher::new(space(), Params::new(), Seed(seed));
        let mut best = f64::NEG_INFINITY;
        for _ in 0..questions {
            let params = searcher.ask().unwrap();
            best = best.max(gain(&params));
            if learns {
                searcher.tell(&params, Some(gain(&params)));
            }
        }
        best
    }

    #[test]
    fn the_first_question_is_the_default_and_none_is_repeated() {
        let mut searcher = Searcher::new(space(), Params::new(), Seed(1));
        let first = searcher.ask().unwrap();
        assert_eq!(first["leaves"], json!(31));
        let mut keys = BTreeSet::from([key(&first)]);
        for _ in 0..150 {
            let params = searcher.ask().unwrap();
            assert!(keys.insert(key(&params)), "repeated {params:?}");
            searcher.tell(&params, Some(gain(&params)));
        }
    }

    #[test]
    fn what_was_told_or_skipped_is_not_asked() {
        let small = Space::from([("k".into(), Dimension::Int { low: 1, high: 4, log: false, default: 1 })]);
        let mut searcher = Searcher::new(small, Params::new(), Seed(3));
        searcher.tell(&Params::from([("k".into(), json!(1))]), Some(0.5));
        searcher.skip(&Params::from([("k".into(), json!(2.2))]));
        let mut rest: Vec<i64> =
            std::iter::from_fn(|| searcher.ask()).map(|p| p["k"].as_i64().unwrap()).collect();
        rest.sort_unstable();
        assert_eq!(rest, [3, 4]);
        assert_eq!(searcher.ask(), None);
    }

    #[test]
    fn a_space_without_dimensions_has_one_configuration() {
        let mut searcher = Searcher::new(Space::new(), Params::new(), Seed(3));
        assert_eq!(searcher.ask(), Some(Params::new()));
        assert_eq!(searcher.ask(), None);
    }

    #[test]
    fn fixed_parameters_are_in_every_question_and_not_searched() {
        let fixed = Params::from([("kind".into(), json!("c"))]);
        let mut searcher = Searcher::new(space(), fixed, Seed(5));
        for _ in 0..30 {
            assert_eq!(searcher.ask().unwrap()["kind"], json!("c"));
        }
    }

    #[test]
    fn equal_seeds_give_equal_questions() {
        let questions = |seed: u64| {
            let mut searcher = Searcher::new(space(), Params::new(), Seed(seed));
            (0..40)
                .map(|_| {
                    let params = searcher.ask().unwrap();
                    searcher.tell(&params, Some(gain(&params)));
                    key(&params)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(questions(7), questions(7));
        assert_ne!(questions(7), questions(8));
    }

    #[test]
    fn learning_beats_guessing() {
        let mean = |learns: bool| (0..30).map(|seed| best_of(seed, 40, learns)).sum::<f64>() / 30.0;
        let (learnt, guessed) = (mean(true), mean(false));
        assert!(learnt > guessed / 2.0, "learnt {learnt}, guessed {guessed}"); // both are losses below zero
    }

    #[test]
    fn failures_are_avoided() {
        let mut searcher = Searcher::new(space(), Params::new(), Seed(11));
        let mut failed_late = 0;
        for question in 0..80 {
            let params = searcher.ask().unwrap();
            let fails = params["share"].as_f64().unwrap() > 0.5;
            failed_late += usize::from(fails && question >= 40);
            searcher.tell(&params, (!fails).then(|| gain(&params)));
        }
        assert!(failed_late < 20, "{failed_late} of the last 40 failed");
    }
}
