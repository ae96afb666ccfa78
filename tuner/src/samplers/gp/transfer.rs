//! Bayesian optimisation that has seen other tasks: what each past study would improve, weighted by how well it foretells the
//! order of what was seen here, beside what the new task's own process hopes for.
//!
//! The hope is Wistuba et al.'s transfer acquisition (2018), the weights are those of Feurer et al.'s ranking-weighted
//! ensembles (2018): the share of draws in which a model misorders least. With nothing seen yet it is a greedy portfolio over
//! the whole space: the point that improves most on the past tasks together, given what was tried.

use super::acquire::{SHAKEN_FINEST, log_improvement};
use super::model::{self, Features, Kernel, Posterior, Prior};
use super::{Gp, Settings, Warp, warp};
use crate::numeric::normal_quantile;
use crate::sampler::{History, Move, Observed, Sampler};
use crate::samplers::{Auto, Sobol};
use crate::space::{Params, Point};
use crate::transfer::{Belief, Past};
use rand::Rng;

/// Trials of a past study that are modelled: the best ones, and others for contrast.
const PAST_TRIALS_MAX: usize = 100;
/// Past studies that are modelled, those of the largest weight.
const PASTS_MAX: usize = 40;
/// Equal values after which nothing is believed to make a difference.
const FLAT: usize = 5;
/// Own trials after which the past has nothing to add.
const TRIALS_MAX: usize = 60;
/// Own trials after which the task's own process has half of the say.
const HALF_SAY: f64 = 3.0;
/// How much evidence it takes to doubt that what is foretold happens to the same extent.
const TRUST: f64 = 1.0;
/// How much of its uncertainty a past study is held to when it is drawn from.
const DOUBT: f64 = 0.5;
/// What there is to improve on before anything was tried, in deviations of a past study from its middle: below 0, so that the
/// first points aim at what is good rather than at what is better than most.
const ASPIRATION: f64 = -1.0;
/// Share of the say that past studies have by their weights alone, however well they foretell: a few trials order little.
const SHARED: f64 = 0.3;
/// Draws by which models are compared.
const DRAWS: usize = 128;
/// Points drawn for a decision.
const DRAWN: usize = 400;

/// A sampler that has seen other tasks.
#[derive(Debug, Default)]
pub struct Transferred {
    pasts: Vec<Past>,
    good: Vec<(Params, f64)>,
    process: Gp,
    later: Auto,
    /// Models of the past studies in the space of this fingerprint.
    models: Option<(u64, Vec<Model>)>,
    reason: Option<String>,
}

/// A process over a past study.
#[derive(Debug)]
struct Model {
    posterior: Posterior,
    weight: f64,
    best: Vec<Point>,
}

/// What is known of the new task: places with losses, in the order in which they came.
struct Seen {
    places: Vec<Vec<f64>>,
    losses: Vec<f64>,
    pending: Vec<Vec<f64>>,
    /// Places that are tried, ended or not.
    tried: Vec<Vec<f64>>,
}

/// All that is hoped for from a point.
struct Hopes<'a> {
    models: &'a [Model],
    weights: Vec<f64>,
    /// For each model the best that it expects of what was tried.
    bests: Vec<f64>,
    own: Option<Own>,
    /// How much the new task's own process has to say, up to 1.
    say: f64,
    belief: Option<(&'a Belief, f64)>,
}

/// The new task's own process, over what the past studies do not foretell.
struct Own {
    process: Posterior,
    /// How the past's forecast turns into an expectation here: slope and centre.
    slope: f64,
    centre: f64,
    best: f64,
}

impl Transferred {
    /// A sampler that knows these studies, and configurations that somebody believes in with their weights above 0. Either
    /// may be empty.
    pub fn new(mut pasts: Vec<Past>, mut good: Vec<(Params, f64)>) -> Self {
        pasts.retain(|past| past.weight > 0.0 && past.trials.len() > 1);
        pasts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        pasts.truncate(PASTS_MAX);
        good.retain(|(_, weight)| weight.is_finite() && *weight > 0.0);
        good.sort_by(|a, b| b.1.total_cmp(&a.1));
        let process = Gp::new(Settings { startup: 2, warps: vec![Warp::Power] });
        Self { pasts, good, process, ..Self::default() }
    }

    /// Whether the past has something to add. Where nothing makes a difference, it has not.
    fn helps(&self, seen: &History<'_>) -> bool {
        let losses: Vec<f64> =
            seen.trials.iter().filter_map(|trial| Some(seen.goals[0].loss(trial.values()?[0]))).collect();
        let is_flat = losses.len() >= FLAT && losses.iter().all(|loss| *loss == losses[0]);
        let knows = !self.pasts.is_empty() || !self.good.is_empty();
        knows && seen.goals.len() == 1 && seen.trials.len() < TRIALS_MAX && !is_flat
    }

    fn prepare(&mut self, seen: &History<'_>) {
        let fingerprint = seen.space.fingerprint();
        if self.models.as_ref().is_none_or(|(of, _)| *of != fingerprint) {
            let models = self.pasts.iter().filter_map(|past| Model::of(past, seen)).collect();
            self.models = Some((fingerprint, models));
        }
    }

    fn hopes<'a>(&'a self, seen: &History<'_>, belief: Option<&'a Belief>) -> Hopes<'a> {
        let known = Seen::of(seen);
        let models: &[Model] = self.models.as_ref().map_or(&[], |(_, models)| models);
        let count = known.losses.len();
        let weights = weights(models, &known, seen);
        let own = Own::of(seen, &known, models, &weights);
        let best = |model: &Model| {
            known.tried.iter().map(|place| model.posterior.mean(place)).fold(f64::INFINITY, f64::min)
        };
        let bests = models.iter().map(best).collect();
        // What is learnt here counts more and more, however well the past foretells it.
        let say = own.as_ref().map_or(0.0, |_| count as f64 / (count as f64 + HALF_SAY));
        Hopes {
            models,
            weights,
            bests,
            own,
            say,
            belief: belief.map(|belief| (belief, Belief::power(count))),
        }
    }

    fn candidates(&mut self, seen: &History<'_>, rng: &mut impl Rng) -> Vec<Point> {
        let mut found: Vec<Point> = Vec::new();
        if let Move::Try { point, .. } = self.process.next(seen) {
            found.push(point);
        }
        let models: &[Model] = self.models.as_ref().map_or(&[], |(_, models)| models);
        found.extend(models.iter().flat_map(|model| model.best.iter().cloned()));
        found.extend(self.good.iter().filter_map(|(params, _)| Some(seen.space.repair(params).ok()?.point)));
        let centres = found.clone();
        let mut is_tight = false;
        for at in 0..DRAWN {
            match centres.get(at % (2 * centres.len()).max(1)) {
                Some(centre) => found.push(seen.space.shaken(centre, SHAKEN_FINEST, rng)),
                // Where hardly anything keeps the rules, drawing on would be in vain.
                None if is_tight => {}
                None => match seen.space.random(rng) {
                    Some(point) => found.push(point),
                    None => is_tight = true,
                },
            }
        }
        found.retain(|point| seen.is_open(point));
        if is_tight {
            found.extend(seen.listed(DRAWN, rng));
        }
        found
    }

    /// What to try with nothing to compare points by but a belief, which alone would circle around its best point: the
    /// configurations that are believed in, then points spread evenly.
    fn begin(&self, seen: &History<'_>) -> Move {
        let believed = self.good.iter().filter_map(|(params, _)| Some(seen.space.repair(params).ok()?.point));
        let open = believed.map(|point| seen.space.settled(&point)).find(|point| seen.is_open(point));
        open.map_or_else(|| Sobol.next(seen), Move::from)
    }
}

impl Sampler for Transferred {
    fn name(&self) -> &'static str {
        "transfer"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        if !self.helps(seen) {
            return self.later.next(seen);
        }
        let mut rng = seen.rng();
        self.prepare(seen);
        let candidates = self.candidates(seen, &mut rng);
        let belief = Belief::new(seen.space, &self.good);
        let hopes = self.hopes(seen, belief.as_ref());
        let reason = hopes.said();
        let best = if hopes.is_blind() {
            None
        } else {
            let hoped = candidates.into_iter().map(|point| (hopes.at(seen, &point), point));
            hoped.reduce(|a, b| if b.0 > a.0 { b } else { a })
        };
        self.reason = Some(reason);
        best.map_or_else(|| self.begin(seen), |(_, point)| point.into())
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        if !self.helps(seen) {
            return self.later.rank(seen, pool);
        }
        self.prepare(seen);
        let belief = Belief::new(seen.space, &self.good);
        let hopes = self.hopes(seen, belief.as_ref());
        let ranked = pool.iter().map(|point| hopes.at(seen, point)).collect();
        let reason = hopes.said();
        self.reason = Some(reason);
        Some(ranked)
    }

    fn reason(&self) -> Option<String> {
        self.reason.clone().or_else(|| self.later.reason())
    }
}

impl Model {
    fn of(past: &Past, seen: &History<'_>) -> Option<Self> {
        let mut known: Vec<(Point, f64)> = Vec::new();
        let worst = past.trials.iter().filter_map(|trial| trial.loss).filter(|loss| loss.is_finite());
        let worst = worst.fold(f64::NEG_INFINITY, f64::max);
        for trial in &past.trials {
            let Ok(repaired) = seen.space.repair(&trial.params) else { continue };
            let loss = trial.loss.filter(|loss| loss.is_finite()).unwrap_or(worst);
            known.push((repaired.point, loss));
        }
        if known.len() < 3 || !worst.is_finite() {
            return None;
        }
        known.sort_by(|a, b| a.1.total_cmp(&b.1));
        let kept = thinned(known);
        let features = Features::of(seen.space);
        let places: Vec<Vec<f64>> =
            kept.iter().map(|(point, _)| Features::place(seen.space, point)).collect();
        let losses: Vec<f64> = kept.iter().map(|(_, loss)| *loss).collect();
        let targets = warp::targets(&losses, Warp::Power);
        let prior = Prior::default();
        let start = Kernel::start(seen.space.len(), prior);
        let (kernel, _) = model::fit(&features, &places, &targets, prior, &start, 25);
        let best = kept.into_iter().take(3).map(|(point, _)| point).collect();
        let posterior = Posterior::new(&features, kernel, places, &targets)?;
        Some(Self { posterior, weight: past.weight, best })
    }
}

/// The best quarter of what is modelled, and others evenly from the rest; sorted by loss before and after.
fn thinned(known: Vec<(Point, f64)>) -> Vec<(Point, f64)> {
    let count = known.len();
    if count <= PAST_TRIALS_MAX {
        return known;
    }
    let best = PAST_TRIALS_MAX / 4;
    let (rest, wanted) = (count - best, PAST_TRIALS_MAX - best);
    let chosen = |at: usize| at < best || ((at - best + 1) * wanted / rest) > ((at - best) * wanted / rest);
    known.into_iter().enumerate().filter(|(at, _)| chosen(*at)).map(|(_, one)| one).collect()
}

impl Seen {
    fn of(history: &History<'_>) -> Self {
        let observations = history.observations();
        let complete = |kind: &Observed| match kind {
            Observed::Complete { loss } | Observed::Pruned { loss, .. } => Some(*loss),
            Observed::Failed => None,
        };
        let worst =
            observations.iter().filter_map(|one| complete(&one.kind)).fold(f64::NEG_INFINITY, f64::max);
        let place = |point: &Point| Features::place(history.space, point);
        let known: Vec<(Vec<f64>, f64)> = observations
            .iter()
            .filter(|_| worst.is_finite())
            .map(|one| (place(one.point), complete(&one.kind).unwrap_or(worst)))
            .collect();
        let tried = history.trials.iter().map(|trial| place(&trial.point)).collect();
        let pending = history.pending().map(place).collect();
        let (places, losses) = known.into_iter().unzip();
        Self { places, losses, pending, tried }
    }
}

impl Own {
    fn of(history: &History<'_>, known: &Seen, models: &[Model], weights: &[f64]) -> Option<Self> {
        if known.losses.len() < 2 {
            return None;
        }
        let targets = warp::targets(&known.losses, Warp::Power);
        let foretold: Vec<f64> = known.places.iter().map(|place| forecast(models, weights, place)).collect();
        let count = targets.len() as f64;
        let centre = foretold.iter().sum::<f64>() / count;
        let (mut both, mut own) = (0.0, 0.0);
        for (target, said) in targets.iter().zip(&foretold) {
            both += target * (said - centre);
            own += (said - centre).powi(2);
        }
        // Towards one while little is known, and never below none: a forecast that is wrong is no forecast.
        let slope = if models.is_empty() { 0.0 } else { ((both + TRUST) / (own + TRUST)).max(0.0) };
        let rest: Vec<f64> =
            targets.iter().zip(&foretold).map(|(target, said)| target - slope * (said - centre)).collect();
        let features = Features::of(history.space);
        let prior = Prior::default();
        let start = Kernel::start(history.space.len(), prior);
        let (kernel, _) = model::fit(&features, &known.places, &rest, prior, &start, 30);
        let best = targets.iter().copied().fold(f64::INFINITY, f64::min);
        // What is under way is believed to come out as expected, but no better than the best.
        let process = Posterior::new(&features, kernel.clone(), known.places.clone(), &rest)?;
        if known.pending.is_empty() {
            return Some(Self { process, slope, centre, best });
        }
        let mut places = known.places.clone();
        let mut believed = rest;
        for place in &known.pending {
            let said = slope * (forecast(models, weights, place) - centre);
            believed.push((process.predict(place).0 + said).max(best) - said);
            places.push(place.clone());
        }
        let process = Posterior::new(&features, kernel, places, &believed).unwrap_or(process);
        Some(Self { process, slope, centre, best })
    }

    /// The expected improvement at a place where the past foretells so much.
    fn hope(&self, place: &[f64], said: f64) -> f64 {
        let (mean, deviation) = self.process.predict(place);
        let mean = mean + self.slope * (said - self.centre);
        (log_improvement((self.best - mean) / deviation) + deviation.ln()).exp()
    }
}

/// What the past studies say together about a place.
fn forecast(models: &[Model], weights: &[f64], place: &[f64]) -> f64 {
    models
        .iter()
        .zip(weights)
        .map(|(model, weight)| if *weight > 1e-3 { weight * model.posterior.mean(place) } else { 0.0 })
        .sum()
}

/// How much each past study counts: the share of draws in which it misorders least what was seen here. They add up to 1.
fn weights(models: &[Model], known: &Seen, seen: &History<'_>) -> Vec<f64> {
    let total: f64 = models.iter().map(|model| model.weight).sum();
    let priors: Vec<f64> = models.iter().map(|model| model.weight / total).collect();
    let count = known.losses.len();
    if count < 2 || models.is_empty() {
        return priors;
    }
    let said: Vec<Vec<(f64, f64)>> = models
        .iter()
        .map(|model| known.places.iter().map(|place| model.posterior.predict(place)).collect())
        .collect();
    let mut wins = vec![0.0; said.len()];
    let mut rng = crate::samplers::fresh(seen.study_seed, &format!("ranks-{count}"));
    for _ in 0..DRAWS {
        // Rows are drawn with replacement, so that agreement by chance is not taken for knowledge.
        let rows: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
        let losses: Vec<usize> = said
            .iter()
            .map(|said| {
                let mut draw = |(mean, deviation): &(f64, f64)| {
                    mean + DOUBT * deviation * normal_quantile(rng.random_range(1e-9..1.0))
                };
                let drawn: Vec<f64> = said.iter().map(&mut draw).collect();
                misordered(&rows, &drawn, &known.losses)
            })
            .collect();
        let least = losses.iter().copied().min().unwrap_or(0);
        let winners: Vec<usize> = (0..losses.len()).filter(|at| losses[*at] == least).collect();
        let all: f64 = winners.iter().map(|at| priors[*at]).sum();
        for at in winners {
            wins[at] += priors[at] / all / DRAWS as f64;
        }
    }
    wins.iter().zip(&priors).map(|(win, prior)| (1.0 - SHARED) * win + SHARED * prior).collect()
}

/// Pairs of rows that are ordered otherwise than what was seen.
fn misordered(rows: &[usize], said: &[f64], seen: &[f64]) -> usize {
    let mut count = 0;
    for (at, a) in rows.iter().enumerate() {
        for b in &rows[at + 1..] {
            count += usize::from((said[*a] < said[*b]) != (seen[*a] < seen[*b]));
        }
    }
    count
}

impl Hopes<'_> {
    /// The logarithm of what is hoped for from a point.
    fn at(&self, seen: &History<'_>, point: &Point) -> f64 {
        let place = Features::place(seen.space, point);
        let (mut improvement, mut expected) = (0.0, 0.0);
        for ((model, weight), best) in self.models.iter().zip(&self.weights).zip(&self.bests) {
            if *weight <= 1e-3 {
                continue;
            }
            let mean = model.posterior.mean(&place);
            improvement += weight * (best.min(ASPIRATION) - mean).max(0.0);
            expected += weight * mean;
        }
        let own = self.own.as_ref().map_or(0.0, |own| own.hope(&place, expected));
        // Where nothing promises an improvement, what is expected decides.
        let rest = 1e-6 * (-0.5 * expected).exp();
        let hope = ((1.0 - self.say) * improvement + self.say * own + rest).max(f64::MIN_POSITIVE).ln();
        hope + self.belief.map_or(0.0, |(belief, power)| power * belief.log_density(seen.space, point))
    }

    /// Whether nothing is known but what somebody believes.
    fn is_blind(&self) -> bool {
        self.models.is_empty() && self.own.is_none()
    }

    fn said(&self) -> String {
        let processes: String = match self.models.len() {
            0 => "a Gaussian process over this study".into(),
            1 => "Gaussian processes over this and 1 past study".into(),
            count => format!("Gaussian processes over this and {count} past studies"),
        };
        match self.belief {
            Some(_) => format!("{processes}, beside a belief that fades"),
            None => processes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Builder, Space};
    use crate::study::{Ask, Options, Study};
    use crate::trial::Direction;
    use ansatz_core::seed::Seed;
    use serde_json::json;

    fn space() -> Space {
        Builder::new().float("x", 0.0, 1.0).float("y", 0.0, 1.0).build().unwrap()
    }

    fn params(x: f64, y: f64) -> Params {
        Params::from([("x".into(), json!(x)), ("y".into(), json!(y))])
    }

    fn distance(params: &Params, x: f64, y: f64) -> f64 {
        let at = |name: &str| params[name].as_f64().unwrap();
        (at("x") - x).hypot(at("y") - y)
    }

    fn study(good: Vec<(Params, f64)>) -> Study {
        let sampler = Transferred::new(Vec::new(), good);
        Study::new(space(), Options::new(Direction::Minimize, Seed(4)), Box::new(sampler)).unwrap()
    }

    /// Searches for (0.2, 0.2).
    fn search(study: &mut Study, trials: usize) {
        for _ in 0..trials {
            let Ask::Suggestion(asked) = study.ask() else { panic!("no suggestion") };
            study.tell(asked.number, distance(&asked.params, 0.2, 0.2).powi(2)).unwrap();
        }
    }

    #[test]
    fn a_belief_without_past_studies_attracts_at_first_and_fades() {
        // Somebody who is wrong.
        let good = vec![(params(0.8, 0.3), 1.0), (params(0.8, 0.8), 2.0), (params(0.5, 0.5), 0.0)];
        let mut study = study(good.clone());
        let pool = [params(0.79, 0.81), params(0.1, 0.9)].map(|params| space().point(&params).unwrap());
        let ranked = Transferred::new(Vec::new(), good).rank(&study.history(), &pool).unwrap();
        assert!(ranked[0] > ranked[1] + 1.0, "{ranked:?}");
        search(&mut study, 2);
        let tried: Vec<&Params> = study.trials().iter().map(|trial| &trial.params).collect();
        assert_eq!(tried, [&params(0.8, 0.8), &params(0.8, 0.3)], "the likelier first, and no doubles of it");
        search(&mut study, 24);
        assert!(study.best().unwrap().values().unwrap()[0] < 0.02, "{:?}", study.best());
        let is_freed = |params: &Params| distance(params, 0.2, 0.2) < distance(params, 0.8, 0.8);
        let freed = study.trials()[16..].iter().filter(|trial| is_freed(&trial.params)).count();
        assert!(freed >= 5, "{freed} of the last ten");
        assert!(study.reason().contains("a belief that fades"), "{}", study.reason());
    }

    #[test]
    fn a_belief_that_does_not_fit_is_none() {
        let mut believing = study(vec![(Params::from([("x".into(), json!("fast"))]), 1.0)]);
        let mut bare = study(Vec::new());
        search(&mut believing, 8);
        search(&mut bare, 8);
        let tried = |study: &Study| study.trials().iter().map(|t| t.params.clone()).collect::<Vec<_>>();
        assert_eq!(tried(&believing)[..2], tried(&bare)[..2]);
        assert!(!believing.reason().contains("belief"), "{}", believing.reason());
    }
}
