//! The sealed holdout: rows that no candidate sees, chosen by the data and by nothing else.

use super::{Scheme, SplitInput, deal, scheme};
use ansatz_core::seed::Seed;
use ansatz_core::task::Problem;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Share of the rows that is sealed.
pub const SEALED_SHARE: f64 = 0.2;

/// Never more rows than this: their interval is narrow enough, and the rest is worth more as training rows.
pub const SEALED_ROWS_MAX: usize = 20_000;

/// With fewer rows a holdout is too small to judge by, and too dear; nested cross-validation takes its place.
pub const NESTED_BELOW_ROWS: usize = 500;

/// Parts of the outer cross-validation that stands in for a holdout.
const NESTED_FOLDS: usize = 5;

/// Its repetitions: each row is judged by three models, which evens out the luck of one division.
const NESTED_REPEATS: u32 = 3;

/// Fewest groups from which some can be sealed and enough are left to learn from.
const GROUPS_MIN: usize = 5;

/// What is sealed. Row numbers rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdout {
    /// Rows that candidates may see.
    pub train: Vec<usize>,
    /// Rows that are sealed.
    pub sealed: Vec<usize>,
    /// By what they were chosen.
    pub scheme: Scheme,
}

/// How the final choice will be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "plan", rename_all = "snake_case")]
pub enum HoldoutPlan {
    /// On rows set apart.
    Sealed(Holdout),
    /// By repeated nested cross-validation over all rows: in each outer fold everything that chooses (the winner, its
    /// parameters, its ensemble) is done again without the fold.
    NestedCv {
        /// Rows with a known target.
        train: Vec<usize>,
        /// For each repetition, the validation rows of each outer fold.
        outer: Vec<Vec<Vec<usize>>>,
        /// By what the folds were chosen.
        scheme: Scheme,
    },
}

impl HoldoutPlan {
    /// Rows that candidates may see.
    pub fn train(&self) -> &[usize] {
        match self {
            Self::Sealed(holdout) => &holdout.train,
            Self::NestedCv { train, .. } => train,
        }
    }

    /// Rows that are sealed; none under nested cross-validation.
    pub fn sealed(&self) -> &[usize] {
        match self {
            Self::Sealed(holdout) => &holdout.sealed,
            Self::NestedCv { .. } => &[],
        }
    }

    /// How, in words, for `holdout.method` of the result.
    pub fn method(&self) -> String {
        match self {
            Self::Sealed(holdout) => format!("sealed holdout: {}", holdout.scheme.words()),
            Self::NestedCv { outer, scheme, .. } => {
                let folds = outer.first().map_or(0, Vec::len);
                format!("nested cross-validation, {folds} folds × {}: {}", outer.len(), scheme.words())
            }
        }
    }
}

/// Seals rows. `data_hash` (any text, the content hash of the training file) is the only source of chance.
pub fn seal(input: &SplitInput<'_>, data_hash: &str) -> HoldoutPlan {
    let seed = Seed(0).derive("seal").derive(data_hash);
    let usable = input.usable();
    let scheme = effective_scheme(input, &usable);
    if usable.len() < NESTED_BELOW_ROWS {
        let plan = super::FoldPlan { folds: NESTED_FOLDS, scheme, seed };
        let outer = (0..NESTED_REPEATS).map(|repeat| super::folds(&plan, input, &usable, repeat)).collect();
        return HoldoutPlan::NestedCv { train: usable, outer, scheme };
    }
    let wanted = ((usable.len() as f64 * SEALED_SHARE).round() as usize).min(SEALED_ROWS_MAX);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    let mut sealed = match (scheme, input.groups, input.times) {
        (Scheme::Groups, Some(groups), _) => whole_groups(&usable, groups, wanted, &mut rng),
        (Scheme::Last, _, Some(times)) => last(&usable, times, wanted),
        (Scheme::PeriodTails, _, Some(times)) => tails(&usable, times, input.test_times, wanted),
        _ => stratified(input.problem, input.truth, &usable, wanted, &mut rng),
    };
    sealed.sort_unstable();
    let train = usable.into_iter().filter(|row| sealed.binary_search(row).is_err()).collect();
    HoldoutPlan::Sealed(Holdout { train, sealed, scheme })
}

/// Groups are left apart only when there are enough of them.
fn effective_scheme(input: &SplitInput<'_>, usable: &[usize]) -> Scheme {
    match (scheme(input), input.groups) {
        (Scheme::Groups, Some(groups)) => {
            let distinct: std::collections::BTreeSet<i64> = usable.iter().map(|&row| groups[row]).collect();
            if distinct.len() >= GROUPS_MIN { Scheme::Groups } else { Scheme::Rows }
        }
        (other, _) => other,
    }
}

/// The same share of every class or of every stretch of values. A class of too few rows to share stays in training.
fn stratified(
    problem: Problem,
    truth: &[f64],
    rows: &[usize],
    wanted: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let share = wanted as f64 / rows.len() as f64;
    let mut sealed = Vec::with_capacity(wanted);
    for stratum in deal::strata(problem, truth, rows, rng) {
        let take = (stratum.len() as f64 * share + 1e-9).floor() as usize;
        sealed.extend(evenly(&stratum, take, rng));
    }
    sealed
}

/// So many rows, one at random from each of so many equal stretches of the order.
fn evenly(ordered: &[usize], take: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    use rand::Rng;
    let edge = |part: usize| part * ordered.len() / take;
    (0..take).map(|part| ordered[rng.random_range(edge(part)..edge(part + 1))]).collect()
}

fn whole_groups(rows: &[usize], groups: &[i64], wanted: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut members: std::collections::BTreeMap<i64, Vec<usize>> = std::collections::BTreeMap::new();
    for &row in rows {
        members.entry(groups[row]).or_default().push(row);
    }
    let mut members: Vec<Vec<usize>> = members.into_values().collect();
    members.shuffle(rng);
    let mut sealed: Vec<usize> = Vec::with_capacity(wanted);
    for group in members {
        // A group that would overshoot by half of its rows or more is passed over for a smaller one.
        if sealed.len() + group.len() / 2 < wanted && sealed.len() + group.len() < rows.len() / 2 {
            sealed.extend(group);
        }
    }
    sealed
}

/// The latest rows; equal moments stay together.
fn last(rows: &[usize], times: &[f64], wanted: usize) -> Vec<usize> {
    let mut ordered = rows.to_vec();
    ordered.sort_by(|&a, &b| times[a].total_cmp(&times[b]));
    ordered.split_off(tail_start(&ordered, times, wanted))
}

/// The latest rows of each period, the same share everywhere.
fn tails(rows: &[usize], times: &[f64], test_times: Option<&[f64]>, wanted: usize) -> Vec<usize> {
    let share = wanted as f64 / rows.len() as f64;
    let periods = super::scheme::periods(rows, times, test_times.unwrap_or_default());
    let tail = |mut period: Vec<usize>| {
        let take = (period.len() as f64 * share).round() as usize;
        period.split_off(tail_start(&period, times, take))
    };
    periods.into_iter().flat_map(tail).collect()
}

/// Where the last `take` rows of an order of time begin, moved so that no moment is divided; never at 0.
fn tail_start(ordered: &[usize], times: &[f64], take: usize) -> usize {
    let start = ordered.len() - take.min(ordered.len());
    let divides = |at: usize| at > 0 && at < ordered.len() && times[ordered[at]] == times[ordered[at - 1]];
    let later = (start..=ordered.len()).find(|&at| !divides(at)).unwrap_or(ordered.len());
    let earlier = (1..=start).rev().find(|&at| !divides(at));
    match earlier {
        Some(earlier) if start - earlier <= later - start || later == ordered.len() => earlier,
        _ => later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(rows: usize, positive: usize) -> Vec<f64> {
        (0..rows).map(|row| f64::from(u8::from(row < positive))).collect()
    }

    fn partition(plan: &HoldoutPlan, input: &SplitInput<'_>) {
        let mut all = [plan.train(), plan.sealed()].concat();
        all.sort_unstable();
        assert_eq!(all, input.usable());
    }

    #[test]
    fn a_fifth_is_sealed_with_the_same_share_of_each_class() {
        let truth = binary(1000, 100);
        let input = SplitInput::new(Problem::Binary, &truth);
        let plan = seal(&input, "abc");
        partition(&plan, &input);
        assert_eq!(plan.sealed().len(), 200);
        assert_eq!(plan.sealed().iter().filter(|&&row| truth[row] == 1.0).count(), 20);
    }

    #[test]
    fn the_seal_depends_on_the_data_hash() {
        let truth = binary(1000, 500);
        let input = SplitInput::new(Problem::Binary, &truth);
        assert_eq!(seal(&input, "abc"), seal(&input, "abc"));
        assert_ne!(seal(&input, "abc").sealed(), seal(&input, "abd").sealed());
    }

    #[test]
    fn never_more_than_the_cap() {
        let truth = binary(200_000, 100_000);
        assert_eq!(seal(&SplitInput::new(Problem::Binary, &truth), "x").sealed().len(), SEALED_ROWS_MAX);
    }

    #[test]
    fn a_rare_class_stays_in_training() {
        let mut truth = binary(996, 300);
        truth.extend([2.0; 4]);
        let plan = seal(&SplitInput::new(Problem::Multiclass, &truth), "x");
        assert!(plan.sealed().iter().all(|&row| truth[row] != 2.0));
    }

    #[test]
    fn sealed_values_cover_the_range() {
        let truth: Vec<f64> = (0..1000).map(f64::from).collect();
        let plan = seal(&SplitInput::new(Problem::Regression, &truth), "x");
        for (quintile, row) in plan.sealed().iter().enumerate() {
            assert_eq!(row / 5, quintile);
        }
    }

    #[test]
    fn few_rows_are_judged_by_nested_cross_validation() {
        let truth = binary(499, 200);
        let plan = seal(&SplitInput::new(Problem::Binary, &truth), "x");
        assert!(plan.sealed().is_empty());
        assert!(plan.method().starts_with("nested cross-validation, 5 folds × 3"), "{}", plan.method());
    }

    #[test]
    fn a_later_test_seals_the_last_rows() {
        let truth = binary(1000, 500);
        let times: Vec<f64> = (0..1000).map(|row| f64::from(row * 37 % 1000)).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_times(&times, Some(&[1000.0, 1001.0]));
        let plan = seal(&input, "x");
        partition(&plan, &input);
        let first = plan.sealed().iter().map(|&row| times[row]).fold(f64::INFINITY, f64::min);
        assert_eq!((plan.sealed().len(), first), (200, 800.0));
    }

    #[test]
    fn equal_moments_are_not_divided() {
        let truth = binary(1000, 500);
        let times: Vec<f64> = (0..1000).map(|row| f64::from(row / 30)).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_times(&times, Some(&[99.0]));
        let plan = seal(&input, "x");
        let last_train = plan.train().iter().map(|&row| times[row]).fold(0.0, f64::max);
        let first_sealed = plan.sealed().iter().map(|&row| times[row]).fold(f64::INFINITY, f64::min);
        assert!(last_train < first_sealed && plan.sealed().len().abs_diff(200) <= 30);
    }

    #[test]
    fn alternating_periods_seal_the_tail_of_each() {
        let days = (0..1200).map(f64::from);
        let (train, test): (Vec<f64>, Vec<f64>) = days.partition(|day| day % 60.0 < 45.0);
        let truth: Vec<f64> = train.iter().map(|day| day.sin()).collect();
        let input = SplitInput::new(Problem::Regression, &truth).with_times(&train, Some(&test));
        let plan = seal(&input, "x");
        partition(&plan, &input);
        assert_eq!(plan.sealed().len(), 20 * 9);
        assert!(plan.sealed().iter().all(|&row| train[row] % 60.0 >= 36.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn groups_are_never_divided(
            groups in proptest::collection::vec(0_i64..60, 500..800), hash in "[a-f]{4}",
        ) {
            let truth: Vec<f64> = groups.iter().map(|group| (*group % 2) as f64).collect();
            let input = SplitInput::new(Problem::Binary, &truth).with_groups(&groups, None);
            let plan = seal(&input, &hash);
            partition(&plan, &input);
            prop_assert!(!plan.sealed().is_empty());
            for &row in plan.sealed() {
                prop_assert!(plan.train().iter().all(|&other| groups[other] != groups[row]));
            }
        }

        #[test]
        fn any_target_is_partitioned(
            truth in proptest::collection::vec(prop_oneof![Just(f64::NAN), (0_u8..5).prop_map(f64::from)], 1..900),
        ) {
            let input = SplitInput::new(Problem::Multiclass, &truth);
            let plan = seal(&input, "h");
            partition(&plan, &input);
        }
    }
}
