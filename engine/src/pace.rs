//! Time keeping: how long may be searched, how much must be kept back for finalising.
//!
//! The reserve is inside the budget and is estimated from what was measured in this very run.

use std::time::Duration;

/// Finalising needs at least this long: opening the seal, writing the bundle, proving it in a clean cell.
const RESERVE_MIN_S: f64 = 0.8;
/// No more than this share of the budget is kept back; a refit that needs more is not done.
const RESERVE_SHARE_MAX: f64 = 0.4;
/// Estimates of fitting times are multiplied by this before anything is promised on their strength.
const CAUTION: f64 = 1.2;
/// Further trainings of each member with other seeds, and the share of the budget that is kept back for them at most.
const SEEDS_MORE: f64 = 4.0;
const SEEDS_SHARE_MAX: f64 = 0.05;

/// What the reserve is computed from; seconds throughout.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_field_names, reason = "units come last in every name")]
pub struct Measured {
    /// Starting a fresh cell with all imports.
    pub cell_start_s: f64,
    /// Fitting every member of the present ensemble once on all rows, one after the other.
    pub refit_s: f64,
    /// Predicting sealed and test rows with all members, one after the other.
    pub predict_s: f64,
    /// Longest single refit.
    pub refit_longest_s: f64,
    /// Choosing and judging by a metric that is dear to ask; 0 for those of the catalogue.
    pub judging_s: f64,
}

/// The plan of a run's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// All the time there is; `None` when trials are counted instead.
    pub wall_s: Option<f64>,
    /// Trials at once.
    pub jobs: usize,
}

impl Pace {
    /// A pace for a budget.
    pub fn new(wall: Option<Duration>, jobs: usize) -> Self {
        Self { wall_s: wall.map(|wall| wall.as_secs_f64()), jobs: jobs.max(1) }
    }

    /// Seconds that refitting takes when it is spread over the slots.
    pub fn refit_s(&self, measured: &Measured) -> f64 {
        (measured.refit_s / self.jobs as f64).max(measured.refit_longest_s) * CAUTION
    }

    /// Seconds for finalising without a refit.
    pub fn base_s(&self, measured: &Measured) -> f64 {
        let predict_s = measured.predict_s / self.jobs as f64;
        RESERVE_MIN_S + (measured.cell_start_s + predict_s + measured.judging_s) * CAUTION
    }

    /// Half of what a run may return late (5 %, at least 2 s): a refit is worth that much.
    pub fn grace_s(&self) -> f64 {
        self.wall_s.map_or(0.0, |wall| (wall * 0.05).max(2.0) / 2.0)
    }

    /// Whether a refit fits into the share that may be kept back.
    pub fn refit_fits(&self, measured: &Measured) -> bool {
        self.wall_s.is_none_or(|wall| {
            self.base_s(measured) + self.refit_s(measured) <= (wall * RESERVE_SHARE_MAX).max(RESERVE_MIN_S)
        })
    }

    /// Seconds kept back for finalising.
    pub fn reserve_s(&self, measured: &Measured) -> f64 {
        let refit = if self.refit_fits(measured) { self.refit_s(measured) } else { 0.0 };
        // Further seeds make what is delivered steadier; they are worth a little time.
        let seeds = self.wall_s.map_or(0.0, |wall| (SEEDS_MORE * refit).min(wall * SEEDS_SHARE_MAX));
        let reserve = self.base_s(measured) + refit + seeds;
        self.wall_s.map_or(reserve, |wall| reserve.min(wall * RESERVE_SHARE_MAX + RESERVE_MIN_S))
    }

    /// When searching ends, in seconds since the start; `None` without a wall.
    pub fn search_end_s(&self, measured: &Measured) -> Option<f64> {
        self.wall_s.map(|wall| (wall - self.reserve_s(measured)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { wall_s: Some(60.0), jobs: 2 };

    #[test]
    fn the_reserve_grows_with_the_refit_until_the_refit_is_given_up() {
        let small = Measured {
            refit_s: 8.0,
            refit_longest_s: 3.0,
            cell_start_s: 2.0,
            predict_s: 1.0,
            ..Measured::default()
        };
        assert!(PACE.refit_fits(&small));
        assert!(PACE.reserve_s(&small) > PACE.base_s(&small));
        let large = Measured { refit_s: 100.0, ..small };
        assert!(!PACE.refit_fits(&large));
        assert_eq!(PACE.reserve_s(&large), PACE.base_s(&large));
    }

    #[test]
    fn a_dear_metric_ends_the_search_earlier() {
        let cheap = Measured { cell_start_s: 1.0, ..Measured::default() };
        let dear = Measured { judging_s: 5.0, ..cheap };
        let end = |measured: &Measured| PACE.search_end_s(measured).unwrap();
        assert!((end(&cheap) - end(&dear) - 5.0 * CAUTION).abs() < 1e-9);
    }

    #[test]
    fn counting_trials_leaves_the_clock_out() {
        let pace = Pace { wall_s: None, jobs: 2 };
        assert!(pace.refit_fits(&Measured { refit_s: 1e6, ..Measured::default() }));
        assert_eq!(pace.search_end_s(&Measured::default()), None);
    }
}
