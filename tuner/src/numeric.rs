//! Functions of the normal distribution, accurate in the tails.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln √(2π).
pub const LN_ROOT_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// The density of the standard normal distribution.
pub fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z - LN_ROOT_TWO_PI).exp()
}

/// The probability that a standard normal variable is below `z`.
pub fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z * FRAC_1_SQRT_2)
}

// Cody's rational approximations of the error function (1969), to the last digits of a double: near 0, up to 4, and beyond.
const NEAR: ([f64; 5], [f64; 4]) = (
    [
        1.857_777_061_846_031_5e-1,
        3.161_123_743_870_565_6,
        1.138_641_541_510_501_6e2,
        3.774_852_376_853_02e2,
        3.209_377_589_138_469_4e3,
    ],
    [
        2.360_129_095_234_412_2e1,
        2.440_246_379_344_441_7e2,
        1.282_616_526_077_372_3e3,
        2.844_236_833_439_171e3,
    ],
);
const MIDDLE: ([f64; 9], [f64; 8]) = (
    [
        2.153_115_354_744_038_3e-8,
        5.641_884_969_886_701e-1,
        8.883_149_794_388_377,
        6.611_919_063_714_163e1,
        2.986_351_381_974_001e2,
        8.819_522_212_417_69e2,
        1.712_047_612_634_070_7e3,
        2.051_078_377_826_071_6e3,
        1.230_339_354_797_997_2e3,
    ],
    [
        1.574_492_611_070_983_5e1,
        1.176_939_508_913_125e2,
        5.371_811_018_620_099e2,
        1.621_389_574_566_690_3e3,
        3.290_799_235_733_459_7e3,
        4.362_619_090_143_247e3,
        3.439_367_674_143_721_6e3,
        1.230_339_354_803_749_5e3,
    ],
);
const BEYOND: ([f64; 6], [f64; 5]) = (
    [
        1.631_538_713_730_209_7e-2,
        3.053_266_349_612_323_6e-1,
        3.603_448_999_498_044_5e-1,
        1.257_817_261_112_292_6e-1,
        1.608_378_514_874_227_5e-2,
        6.587_491_615_298_378e-4,
    ],
    [
        2.568_520_192_289_822,
        1.872_952_849_923_467_3,
        5.279_051_029_514_285e-1,
        6.051_834_131_244_132e-2,
        2.335_204_976_268_691_8e-3,
    ],
);
/// Where Cody's approximations meet.
const NEAR_END: f64 = 0.46875;
const MIDDLE_END: f64 = 4.0;

/// A ratio of polynomials, highest powers first; the lower one begins with 1.
fn rational(upper: &[f64], lower: &[f64], x: f64) -> f64 {
    let above = upper.iter().fold(0.0, |sum, term| sum * x + term);
    let below = lower.iter().fold(1.0, |sum, term| sum * x + term);
    above / below
}

/// The error function for 0 ≤ x ≤ [`NEAR_END`].
fn erf_near(x: f64) -> f64 {
    x * rational(&NEAR.0, &NEAR.1, x * x)
}

/// The scaled complementary error function exp(x²) erfc(x) for x ≥ 0.
pub fn erfcx(x: f64) -> f64 {
    if x <= NEAR_END {
        return (x * x).exp() * (1.0 - erf_near(x));
    }
    if x <= MIDDLE_END {
        return rational(&MIDDLE.0, &MIDDLE.1, x);
    }
    let square = 1.0 / (x * x);
    (1.0 / PI.sqrt() - square * rational(&BEYOND.0, &BEYOND.1, square)) / x
}

/// The complementary error function, with relative accuracy in the tail.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x <= NEAR_END { 1.0 - erf_near(x) } else { (-x * x).exp() * erfcx(x) }
}

/// The probability that a standard normal variable lies between `a` and `b`, without cancellation in the tails.
pub fn normal_between(a: f64, b: f64) -> f64 {
    // Beyond this the rest of a tail is lost in rounding anyway; most calls end here.
    const FAR: f64 = 8.3;
    match (a < -FAR, b > FAR) {
        (true, true) => return 1.0,
        (true, false) if b > 0.0 => return normal_below(b),
        (false, true) if a < 0.0 => return normal_below(-a),
        _ => {}
    }
    if a > 0.0 { normal_below(-a) - normal_below(-b) } else { normal_below(b) - normal_below(a) }
}

// Acklam's coefficients: the middle as A(r)/B(r), the tails as C(q)/D(q).
const A: [f64; 6] = [
    -3.969_683_028_665_376e1,
    2.209_460_984_245_205e2,
    -2.759_285_104_469_687e2,
    1.383_577_518_672_69e2,
    -3.066_479_806_614_716e1,
    2.506_628_277_459_239,
];
const B: [f64; 5] = [
    -5.447_609_879_822_406e1,
    1.615_858_368_580_409e2,
    -1.556_989_798_598_866e2,
    6.680_131_188_771_972e1,
    -1.328_068_155_288_572e1,
];
const C: [f64; 6] = [
    -7.784_894_002_430_293e-3,
    -3.223_964_580_411_365e-1,
    -2.400_758_277_161_838,
    -2.549_732_539_343_734,
    4.374_664_141_464_968,
    2.938_163_982_698_783,
];
const D: [f64; 4] =
    [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];

/// The value that a standard normal variable is below with probability `p`: Acklam's rational approximation, made
/// exact by one step of Halley's method.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |q: f64| polynomial(&C, q) / (polynomial(&D, q) * q + 1.0);
    let x = if p < 0.02425 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.02425 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    };
    let error = (normal_below(x) - p) / normal_density(x);
    let step = error / (1.0 + x * error / 2.0);
    if step.is_finite() { x - step } else { x }
}

/// Powers of e below the largest that count for nothing in a sum: a hundred thousand of them are less than a part in 10¹².
const NEGLIGIBLE: f64 = 40.0;

/// ln Σ exp(x), without overflow.
pub fn log_sum_exp(numbers: &[f64]) -> f64 {
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    // What is so far below the largest is lost in rounding; of a mixture that is nearly every component.
    let term = |x: &f64| if *x > most - NEGLIGIBLE { (x - most).exp() } else { 0.0 };
    most + numbers.iter().map(term).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64, relative: f64) {
        assert!((found - wanted).abs() <= relative * wanted.abs(), "{found:e} instead of {wanted:e}");
    }

    #[test]
    fn the_tail_keeps_its_digits() {
        close(erfc(0.5), 0.479_500_122_186_953_5, 1e-14);
        close(erfc(1.99), 4.888_990_399_361_063e-3, 1e-3);
        close(erfc(2.5), 4.069_520_174_449_589e-4, 1e-11);
        close(erfc(5.0), 1.537_459_794_428_035e-12, 1e-12);
        close(erfc(10.0), 2.088_487_583_762_545e-45, 1e-12);
        close(erfc(-1.0), 1.842_700_792_949_715, 1e-14);
        close(normal_below(-8.0), 6.220_960_574_271_784e-16, 1e-11);
    }

    #[test]
    fn far_ends_change_nothing() {
        for (a, b) in [(-9.0, 9.0), (-9.0, 0.5), (-0.5, 9.0), (-9.0, -8.4), (8.4, 9.0)] {
            let plain =
                if a > 0.0 { normal_below(-a) - normal_below(-b) } else { normal_below(b) - normal_below(a) };
            close(normal_between(a, b), plain, 1e-14);
        }
    }

    #[test]
    fn the_quantile_inverts_the_distribution() {
        for p in [1e-12, 1e-6, 0.01, 0.3, 0.5, 0.9, 0.999_999] {
            close(normal_below(normal_quantile(p)), p, 1e-9);
        }
    }

    #[test]
    fn the_pieces_of_erfc_meet_and_agree_with_its_series() {
        for end in [NEAR_END, MIDDLE_END] {
            close(erfc(end - 1e-12), erfc(end + 1e-12), 1e-10);
            close(erfcx(end - 1e-12), erfcx(end + 1e-12), 1e-11);
        }
        for k in 0..200 {
            let x = f64::from(k) * 0.01;
            // erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!: all terms positive, so nothing cancels.
            let (mut term, mut sum, mut odd) = (x, x, 1.0);
            while term > sum * 1e-17 {
                odd += 2.0;
                term *= 2.0 * x * x / odd;
                sum += term;
            }
            let erf = 2.0 / PI.sqrt() * (-x * x).exp() * sum;
            assert!((1.0 - erfc(x) - erf).abs() < 1e-15, "{x}: {erf} and {}", 1.0 - erfc(x));
        }
        for k in 0..2_000 {
            let x = 2.0 + f64::from(k) * 0.02;
            // The continued fraction, from the back.
            let fraction = (1..=80).rev().fold(x, |fraction, k| x + f64::from(k) / 2.0 / fraction);
            close(erfcx(x), 1.0 / (fraction * PI.sqrt()), 1e-13);
        }
    }

    #[test]
    fn a_sum_of_powers_leaves_out_only_what_does_not_count() {
        let numbers = [-3.0f64, 1.0, -2_000.0, 0.5, -41.0];
        let plain: f64 = numbers.iter().map(|x| x.exp()).sum();
        close(log_sum_exp(&numbers), plain.ln(), 1e-15);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY]), f64::NEG_INFINITY);
    }
}
