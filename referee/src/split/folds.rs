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
/// [`Scheme::PeriodTails`] a stretch of each period: neighbours in time do not help each other across folds. Rows whose
/// moment is missing are spread over the folds.
pub fn folds(plan: &FoldPlan, input: &SplitInput<'_>, rows: &[usize], repeat: u32) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed.derive(&format!("folds:{repeat}")).0);
    let parts = plan.folds.max(2).min(rows.len().max(1));
    let stratified =
        |rows: &[usize], rng: &mut ChaCha8Rng| deal::stratified(input.problem, input.truth, rows, parts, rng);
    let (together, times) = (input.together(plan.scheme), input.moments(plan.scheme));
    let dealt = match (plan.scheme, together, times) {
        (Scheme::Groups, Some(groups), _) => {
            deal::grouped(input.problem, input.truth, rows, groups, parts, &mut rng)
        }
        (Scheme::Copies, Some(numbers), _) => {
            let copies = deal::copies(rows, numbers);
            let firsts: Vec<usize> = copies.keys().copied().collect();
            let dealt = stratified(&firsts, &mut rng);
            dealt
                .iter()
                .flat_map(|(first, part)| copies[first].iter().map(move |&row| (row, *part)))
                .collect()
        }
        (_, _, Some(times)) => {
            let periods = match plan.scheme {
                Scheme::PeriodTails => scheme::periods(rows, times, input.test_times.unwrap_or_default()),
                _ => vec![scheme::in_time(rows, times)],
            };
            let mut dealt = stretches(&periods, times, parts, repeat, &mut rng);
            let undated: Vec<usize> = rows.iter().copied().filter(|&row| !times[row].is_finite()).collect();
            dealt.extend(stratified(&undated, &mut rng));
            dealt
        }
        _ => stratified(rows, &mut rng),
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

    #[test]
    fn rows_without_a_moment_are_spread_over_the_stretches() {
        let times: Vec<f64> =
            (0..120).map(|row| if row % 6 == 5 { f64::NAN } else { f64::from(row) }).collect();
        let truth: Vec<f64> = (0..120).map(f64::from).collect();
        let input = SplitInput::new(Problem::Regression, &truth).with_times(&times, None);
        let made = folds(&plan(5, Scheme::Last), &input, &input.usable(), 0);
        check_partition(&made, &input.usable());
        for fold in made {
            let dated: Vec<usize> = fold.iter().copied().filter(|&row| times[row].is_finite()).collect();
            assert_eq!((fold.len(), dated.len()), (24, 20));
            assert!(dated[19] - dated[0] < 24, "{dated:?}");
        }
    }

    #[test]
    fn copies_are_in_one_fold() {
        let truth: Vec<f64> = (0..100).map(|row| f64::from(row % 50 % 2)).collect();
        let numbers: Vec<i64> = (0..100).map(|row| row % 50).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_copies(&numbers);
        let made = folds(&plan(5, Scheme::Copies), &input, &input.usable(), 0);
        check_partition(&made, &input.usable());
        for fold in &made {
            assert_eq!(fold.len(), 20);
            assert!(fold.iter().all(|row| fold.contains(&((row + 50) % 100))), "{fold:?}");
            assert_eq!(fold.iter().filter(|&&row| truth[row] == 1.0).count(), 10);
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
