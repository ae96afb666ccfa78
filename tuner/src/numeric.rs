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

/// The scaled complementary error function exp(x²) erfc(x) for x ≥ 0, to about twelve digits.
///
/// Below 2 by the power series of erf, above by the continued fraction, whose convergents from the back are stable.
pub fn erfcx(x: f64) -> f64 {
    if x < 2.0 {
        return (x * x).exp() * (1.0 - erf_series(x));
    }
    let terms = if x < 3.0 { 60 } else { 30 };
    let mut fraction = x;
    for k in (1..=terms).rev() {
        fraction = x + f64::from(k) / 2.0 / fraction;
    }
    1.0 / (fraction * PI.sqrt())
}

fn erf_series(x: f64) -> f64 {
    // erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!: all terms positive, so nothing cancels.
    let mut term = x;
    let mut sum = x;
    let mut odd = 1.0;
    while term > sum * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// The complementary error function, with relative accuracy in the tail.
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 { 1.0 - erf_series(x) } else { (-x * x).exp() * erfcx(x) }
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

/// ln Σ exp(x), without overflow.
pub fn log_sum_exp(numbers: &[f64]) -> f64 {
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + numbers.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
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
    fn the_two_branches_of_erfc_meet() {
        close(erfc(2.0 - 1e-9), erfc(2.0 + 1e-9), 1e-7);
        close(erfc(3.0 - 1e-9), erfc(3.0 + 1e-9), 1e-7);
    }
}
