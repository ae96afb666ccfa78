//! Cross-validation folds of the same kind as the holdout.

use super::{Scheme, SplitInput, deal, scheme};
use ansatz_core::seed::Seed;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How training rows are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldPlan {
    /// Number of folds, at least 2; fewer are made of fewer rows or groups.
    pub folds: usize,
    /// By what rows are set apart.
    pub scheme: Scheme,
    /// Where chance comes from.
    pub seed: Seed,
}

/// Validation rows of each fold of one repetition: row numbers of the training file, rising, each of `rows` in exactly
/// one fold. A fold trains on the other folds. Under [`Scheme::Last`] a fold is a stretch of time, under
/// [`Scheme::PeriodTails`] a stretch of each period: neighbours in time do not help each other across folds.
pub fn folds(plan: &FoldPlan, input: &SplitInput<'_>, rows: &[usize], repeat: u32) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed.derive(&format!("folds:{repeat}")).0);
    let parts = plan.folds.max(2).min(rows.len().max(1));
    let dealt = match (plan.scheme, input.groups, input.times) {
        (Scheme::Groups, Some(groups), _) => {
            deal::grouped(input.problem, input.truth, rows, groups, parts, &mut rng)
        }
        (Scheme::Last, _, Some(times)) => stretches(&[in_time(rows, times)], times, parts, repeat, &mut rng),
        (Scheme::PeriodTails, _, Some(times)) => {
            let periods = scheme::periods(rows, times, input.test_times.unwrap_or_default());
            stretches(&periods, times, parts, repeat, &mut rng)
        }
        _ => deal::stratified(input.problem, input.truth, rows, parts, &mut rng),
    };
    let mut folds = vec![Vec::new(); parts];
    for (row, part) in dealt {
        folds[part].push(row);
    }
    folds.retain(|fold| !fold.is_empty());
    for fold in &mut folds {
        fold.sort_unstable();
    }
    folds
}

fn in_time(rows: &[usize], times: &[f64]) -> Vec<usize> {
    let mut ordered = rows.to_vec();
    ordered.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
    ordered
}

/// Cuts each period into stretches and hands them out in a random order. A later repetition moves the cuts by a part of
/// a stretch (the piece before the first cut joins the last stretch). Equal moments stay together.
fn stretches(
    periods: &[Vec<usize>],
    times: &[f64],
    parts: usize,
    repeat: u32,
    rng: &mut ChaCha8Rng,
) -> Vec<(usize, usize)> {
    let shift = f64::from(repeat) * 0.618_034 % 1.0;
    let mut dealt = Vec::new();
    let mut hand: Vec<usize> = (0..parts).collect();
    for period in periods {
        hand.shuffle(rng);
        let mut part = 0;
        for (at, &row) in period.iter().enumerate() {
            if at == 0 || times[row] != times[period[at - 1]] {
                let place = at as f64 / period.len() as f64 * parts as f64 - shift;
                part = if place < 0.0 { parts - 1 } else { place as usize };
            }
            dealt.push((row, hand[part.min(parts - 1)]));
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::task::Problem;
    use proptest::prelude::*;

    fn plan(folds: usize, scheme: Scheme) -> FoldPlan {
        FoldPlan { folds, scheme, seed: Seed(7) }
    }

    fn check_partition(folds: &[Vec<usize>], rows: &[usize]) {
        let mut all = folds.concat();
        all.sort_unstable();
        assert_eq!(all, rows, "each row in exactly one fold");
    }

    #[test]
    fn repeats_and_seeds_differ_and_a_seed_repeats_itself() {
        let truth: Vec<f64> = (0..100).map(|row| f64::from(row % 2)).collect();
        let input = SplitInput::new(Problem::Binary, &truth);
        let rows = input.usable();
        let plan = plan(5, Scheme::Rows);
        assert_eq!(folds(&plan, &input, &rows, 0), folds(&plan, &input, &rows, 0));
        assert_ne!(folds(&plan, &input, &rows, 0), folds(&plan, &input, &rows, 1));
        assert_ne!(
            folds(&FoldPlan { seed: Seed(8), ..plan }, &input, &rows, 0),
            folds(&plan, &input, &rows, 0)
        );
    }

    #[test]
    fn time_folds_are_stretches() {
        let times: Vec<f64> = (0..100).map(f64::from).collect();
        let input = SplitInput::new(Problem::Regression, &times).with_times(&times, None);
        for fold in folds(&plan(5, Scheme::Last), &input, &input.usable(), 0) {
            assert_eq!((fold.len(), fold[19] - fold[0]), (20, 19));
        }
        for repeat in 1..4 {
            let made = folds(&plan(5, Scheme::Last), &input, &input.usable(), repeat);
            check_partition(&made, &input.usable());
            assert_eq!(made.len(), 5);
        }
    }

    #[test]
    fn period_folds_are_stretches_of_each_period() {
        let (times, tests): (Vec<f64>, Vec<f64>) = (0..600).map(f64::from).partition(|day| day % 30.0 < 20.0);
        let input = SplitInput::new(Problem::Regression, &times).with_times(&times, Some(&tests));
        let made = folds(&plan(4, Scheme::PeriodTails), &input, &input.usable(), 0);
        check_partition(&made, &input.usable());
        for fold in &made {
            assert_eq!(fold.len(), 100);
            let breaks = fold.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
            assert!(breaks <= 19, "{breaks} breaks: at most one between two periods");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn classes_are_spread_evenly(
            truth in proptest::collection::vec(0_u8..4, 2..200), parts in 2_usize..8, repeat in 0_u32..3,
        ) {
            let truth: Vec<f64> = truth.into_iter().map(f64::from).collect();
            let input = SplitInput::new(Problem::Multiclass, &truth);
            let made = folds(&plan(parts, Scheme::Rows), &input, &input.usable(), repeat);
            check_partition(&made, &input.usable());
            let (least, most) = (made.iter().map(Vec::len).min(), made.iter().map(Vec::len).max());
            prop_assert!(most.unwrap() - least.unwrap() <= 1);
            for class in 0..4 {
                let of_class = |fold: &Vec<usize>| fold.iter().filter(|&&row| truth[row] == f64::from(class)).count();
                let (least, most) = (made.iter().map(of_class).min(), made.iter().map(of_class).max());
                prop_assert!(most.unwrap() - least.unwrap() <= 1, "class {} {:?}", class, made);
            }
        }

        #[test]
        fn values_are_spread_evenly(truth in proptest::collection::vec(-5.0..5.0, 10..200), parts in 2_usize..6) {
            let input = SplitInput::new(Problem::Regression, &truth);
            let rows = input.usable();
            let made = folds(&plan(parts, Scheme::Rows), &input, &rows, 0);
            check_partition(&made, &rows);
            let mut sorted = truth.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[sorted.len() / 2];
            for fold in &made {
                let below = fold.iter().filter(|&&row| truth[row] < median).count();
                prop_assert!((below as f64 - fold.len() as f64 / 2.0).abs() <= 2.0);
            }
        }

        #[test]
        fn groups_stay_whole(groups in proptest::collection::vec(0_i64..20, 20..200), parts in 2_usize..6) {
            let truth: Vec<f64> = groups.iter().map(|group| (group % 3) as f64).collect();
            let input = SplitInput::new(Problem::Multiclass, &truth).with_groups(&groups, None);
            let made = folds(&plan(parts, Scheme::Groups), &input, &input.usable(), 0);
            check_partition(&made, &input.usable());
            for (at, fold) in made.iter().enumerate() {
                for other in &made[at + 1..] {
                    prop_assert!(fold.iter().all(|&a| other.iter().all(|&b| groups[a] != groups[b])));
                }
            }
        }
    }
}
