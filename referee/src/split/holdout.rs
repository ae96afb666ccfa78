//! The sealed holdout: rows that no candidate sees, chosen by the data and by nothing else.

use super::{Scheme, SplitInput, deal, scheme};
use ansatz_core::seed::Seed;
use ansatz_core::task::Problem;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Share of the rows that is sealed.
pub const SEALED_SHARE: f64 = 0.2;

/// Never more rows than this: their interval is narrow enough, and the rest is worth more as training rows.
pub const SEALED_ROWS_MAX: usize = 20_000;

/// With fewer rows a holdout is too small to judge by, and too dear; corrected cross-validation takes its place.
pub const CROSS_VALIDATED_BELOW_ROWS: usize = 500;

/// Fewest groups from which some can be sealed and enough are left to learn from.
const GROUPS_MIN: usize = 5;

/// A row whose copies would be more than one in so many sealed rows stays in training.
const COPIES_ONE_IN: usize = 10;

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
    /// By cross-validation over all rows: what was chosen on out-of-fold predictions is scored on them, less what choosing
    /// gained by luck, which a bootstrap over the rows tells (see [`crate::ensemble::correct()`]). Runs that an earlier version
    /// began call it by another name, and have no seed of their own.
    #[serde(alias = "nested_cv")]
    CrossValidated {
        /// Rows with a known target.
        train: Vec<usize>,
        /// By what the folds are chosen.
        #[serde(default)]
        scheme: Scheme,
        /// Where the chance of the folds comes from: they are what is judged on, so another seed makes no others. `None` is
        /// the seed of the run.
        #[serde(default)]
        seed: Option<Seed>,
    },
}

impl HoldoutPlan {
    /// Rows that candidates may see.
    pub fn train(&self) -> &[usize] {
        match self {
            Self::Sealed(holdout) => &holdout.train,
            Self::CrossValidated { train, .. } => train,
        }
    }

    /// Rows that are sealed; none under cross-validation.
    pub fn sealed(&self) -> &[usize] {
        match self {
            Self::Sealed(holdout) => &holdout.sealed,
            Self::CrossValidated { .. } => &[],
        }
    }

    /// By what rows are set apart: behind the seal, and in the folds.
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Sealed(holdout) => holdout.scheme,
            Self::CrossValidated { scheme, .. } => *scheme,
        }
    }

    /// Where the chance of the folds of a run comes from.
    pub fn folds_seed(&self, run: Seed) -> Seed {
        match self {
            Self::CrossValidated { seed: Some(seed), .. } => *seed,
            Self::CrossValidated { seed: None, .. } | Self::Sealed(_) => run.derive("folds"),
        }
    }

    /// How, in words, for `holdout.method` of the result.
    pub fn method(&self) -> String {
        match self {
            Self::Sealed(holdout) => format!("sealed holdout: {}", holdout.scheme.words()),
            Self::CrossValidated { scheme, .. } => {
                format!("cross-validation, corrected for choosing by bootstrap: {}", scheme.words())
            }
        }
    }
}

/// Seals rows. `data_hash` (any text, the content hash of the training file) is the only source of chance; where nothing is sealed,
/// the targets are.
pub fn seal(input: &SplitInput<'_>, data_hash: &str) -> HoldoutPlan {
    let seed = Seed(0).derive("seal").derive(data_hash);
    let usable = input.usable();
    let scheme = effective_scheme(input, &usable);
    if usable.len() < CROSS_VALIDATED_BELOW_ROWS {
        // From the targets alone: no other name of a column, or order of columns, buys other folds.
        let bits: Vec<String> = usable.iter().map(|&row| input.truth[row].to_bits().to_string()).collect();
        let targets = bits.join(" ");
        let seed = Some(Seed(0).derive("folds").derive(&targets));
        return HoldoutPlan::CrossValidated { train: usable, scheme, seed };
    }
    let wanted = ((usable.len() as f64 * SEALED_SHARE).round() as usize).min(SEALED_ROWS_MAX);
    let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
    let mut sealed = match (scheme, input.together(scheme), input.moments(scheme)) {
        (Scheme::Groups, Some(groups), _) => whole_groups(&usable, groups, wanted, &mut rng),
        (Scheme::Copies, Some(numbers), _) => with_copies(input, &usable, numbers, wanted, &mut rng),
        (Scheme::Last, _, Some(times)) => last(&usable, times, wanted),
        (Scheme::PeriodTails, _, Some(times)) => tails(&usable, times, input.test_times, wanted),
        _ => stratified(input.problem, input.truth, &usable, wanted, &mut rng),
    };
    sealed.sort_unstable();
    let train = usable.into_iter().filter(|row| sealed.binary_search(row).is_err()).collect();
    HoldoutPlan::Sealed(Holdout { train, sealed, scheme })
}

/// Groups are set apart only when there are enough of them.
fn effective_scheme(input: &SplitInput<'_>, usable: &[usize]) -> Scheme {
    let are_few = |groups: &[i64]| {
        let known = usable.iter().map(|&row| groups[row]).filter(|group| *group >= 0);
        known.collect::<BTreeSet<i64>>().len() < GROUPS_MIN
    };
    let found = scheme(input);
    if found == Scheme::Groups && input.groups.is_some_and(are_few) {
        return scheme(&SplitInput { groups: None, ..*input });
    }
    found
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
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
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

/// As [`stratified`], each row with all of its copies.
fn with_copies(
    input: &SplitInput<'_>,
    rows: &[usize],
    numbers: &[i64],
    wanted: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let copies = deal::copies(rows, numbers);
    let is_rare = |copies: &[usize]| copies.len() == 1 || copies.len() * COPIES_ONE_IN <= wanted;
    let firsts: Vec<usize> =
        copies.iter().filter(|(_, copies)| is_rare(copies)).map(|(first, _)| *first).collect();
    let wanted = (firsts.len() as f64 * wanted as f64 / rows.len() as f64).round() as usize;
    let sealed = stratified(input.problem, input.truth, &firsts, wanted, rng);
    sealed.iter().flat_map(|first| copies[first].iter().copied()).collect()
}

/// The latest rows; equal moments stay together. A row without a moment stays in training.
fn last(rows: &[usize], times: &[f64], wanted: usize) -> Vec<usize> {
    let mut ordered = super::scheme::in_time(rows, times);
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
    fn few_rows_are_judged_by_cross_validation_whose_folds_no_seed_changes() {
        let truth = binary(499, 200);
        let plan = seal(&SplitInput::new(Problem::Binary, &truth), "x");
        assert!(plan.sealed().is_empty());
        let method = "cross-validation, corrected for choosing by bootstrap: rows at random";
        assert!(plan.method().starts_with(method), "{}", plan.method());
        assert_eq!(plan.folds_seed(Seed(1)), plan.folds_seed(Seed(2)));
        // Neither does another name of a column; other targets do.
        let seed =
            |truth: &[f64], hash| seal(&SplitInput::new(Problem::Binary, truth), hash).folds_seed(Seed(1));
        assert_eq!(plan.folds_seed(Seed(1)), seed(&truth, "y"));
        assert_ne!(plan.folds_seed(Seed(1)), seed(&binary(499, 201), "x"));
        let truth = binary(500, 200);
        let plan = seal(&SplitInput::new(Problem::Binary, &truth), "x");
        assert!(!plan.sealed().is_empty());
        assert_ne!(plan.folds_seed(Seed(1)), plan.folds_seed(Seed(2)));
    }

    #[test]
    fn a_plan_of_an_earlier_version_can_be_read() {
        let text = r#"{"plan":"nested_cv","train":[0,2],"outer":[[[0],[2]]],"scheme":"groups"}"#;
        let plan: HoldoutPlan = serde_json::from_str(text).unwrap();
        assert_eq!((plan.train(), plan.scheme()), ([0_usize, 2].as_slice(), Scheme::Groups));
        assert_eq!(plan.folds_seed(Seed(1)), Seed(1).derive("folds"));
        let bare: HoldoutPlan = serde_json::from_str(r#"{"plan":"nested_cv","train":[0]}"#).unwrap();
        assert_eq!((bare.sealed().len(), bare.scheme()), (0, Scheme::Rows));
        let truth = binary(100, 40);
        let now = seal(&SplitInput::new(Problem::Binary, &truth), "x");
        let again: HoldoutPlan = serde_json::from_str(&serde_json::to_string(&now).unwrap()).unwrap();
        assert_eq!(again, now);
    }

    #[test]
    fn a_row_without_a_moment_is_not_sealed_as_the_last() {
        let truth = binary(1000, 500);
        let times: Vec<f64> =
            (0..1000).map(|row| if row % 10 == 0 { f64::NAN } else { f64::from(row) }).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_times(&times, Some(&[2000.0]));
        let plan = seal(&input, "x");
        partition(&plan, &input);
        assert_eq!((plan.scheme(), plan.sealed().len()), (Scheme::Last, 200));
        assert!(plan.sealed().iter().all(|&row| times[row] > 700.0));
    }

    #[test]
    fn too_few_groups_leave_rows_at_random() {
        let truth = binary(600, 300);
        let groups: Vec<i64> = (0..600).map(|row| if row < 100 { -1 - row } else { row % 4 }).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_groups(&groups, None);
        assert_eq!(seal(&input, "x").scheme(), Scheme::Rows);
        let copies: Vec<i64> = (0..600).map(|row| row / 2).collect();
        assert_eq!(seal(&input.with_copies(&copies), "x").scheme(), Scheme::Copies);
    }

    #[test]
    fn copies_are_on_one_side_and_classes_keep_their_share() {
        let truth: Vec<f64> = (0..1000).map(|row| f64::from(u8::from(row % 500 < 50))).collect();
        let numbers: Vec<i64> = (0..1000).map(|row| if row % 500 < 400 { row % 500 } else { 7 }).collect();
        let input = SplitInput::new(Problem::Binary, &truth).with_copies(&numbers);
        let plan = seal(&input, "x");
        partition(&plan, &input);
        assert!(
            plan.sealed().iter().all(|&row| plan.train().iter().all(|&other| numbers[other] != numbers[row]))
        );
        assert!(plan.sealed().len().abs_diff(160) <= 4, "{}", plan.sealed().len());
        assert!(plan.sealed().iter().all(|&row| numbers[row] != 7), "a row that stands there 202 times");
        let positives = plan.sealed().iter().filter(|&&row| truth[row] == 1.0).count();
        assert!(positives.abs_diff(20) <= 2, "{positives}");
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
