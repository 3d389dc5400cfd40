//! The statistics behind a gate: proportions, their difference, quantiles of histograms.

/// Standard normal quantile for a one-sided bound at 95 %.
pub const Z_95_ONE_SIDED: f64 = 1.644_853_626_951_472_2;
/// Standard normal quantile for a two-sided interval at 95 %.
pub const Z_95_TWO_SIDED: f64 = 1.959_963_984_540_054;

/// A point estimate with its confidence bounds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    pub value: f64,
    pub lower: f64,
    pub upper: f64,
}

/// Wilson's score interval for `hits` out of `n` (E. B. Wilson 1927). It stays inside 0..=1 and is
/// sound with no hits at all. With `n` = 0 nothing is known: 0..=1.
pub fn wilson(hits: f64, n: f64, z: f64) -> Bounds {
    if n <= 0.0 {
        return Bounds {
            value: f64::NAN,
            lower: 0.0,
            upper: 1.0,
        };
    }
    let p = hits / n;
    let z2 = z * z;
    let middle = p + z2 / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Bounds {
        value: p,
        lower: ((middle - spread) / scale).max(0.0),
        upper: ((middle + spread) / scale).min(1.0),
    }
}

/// The difference of two independent proportions, `hits1/n1 − hits2/n2`, with the hybrid score
/// interval: R. G. Newcombe, "Interval estimation for the difference between independent
/// proportions: comparison of eleven methods", Statistics in Medicine 17 (1998), method 10.
pub fn newcombe(hits1: f64, n1: f64, hits2: f64, n2: f64, z: f64) -> Bounds {
    let one = wilson(hits1, n1, z);
    let two = wilson(hits2, n2, z);
    let value = one.value - two.value;
    Bounds {
        value,
        lower: value - (one.value - one.lower).hypot(two.upper - two.value),
        upper: value + (one.upper - one.value).hypot(two.value - two.lower),
    }
}

/// The point below which a standard normal variable lies with probability `p`: algorithm AS 241,
/// M. J. Wichura, "The percentage points of the normal distribution", Applied Statistics 37
/// (1988), PPND16, accurate to about 1e-16. NaN outside of 0 to 1.
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        1.331_416_678_917_843_8e2,
        1.971_590_950_306_551_3e3,
        1.373_169_376_550_946e4,
        4.592_195_393_154_987e4,
        6.726_577_092_700_87e4,
        3.343_057_558_358_813e4,
        2.509_080_928_730_122_7e3,
    ];
    const B: [f64; 8] = [
        1.0,
        4.231_333_070_160_091e1,
        6.871_870_074_920_579e2,
        5.394_196_021_424_751e3,
        2.121_379_430_158_659_7e4,
        3.930_789_580_009_271e4,
        2.872_908_573_572_194_3e4,
        5.226_495_278_852_545e3,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        2.417_807_251_774_506e-1,
        2.272_384_498_926_918_4e-2,
        7.745_450_142_783_414e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        6.897_673_349_851e-1,
        1.481_039_764_274_800_8e-1,
        1.519_866_656_361_645_7e-2,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        2.965_605_718_285_048_7e-1,
        2.653_218_952_657_612_4e-2,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        5.998_322_065_558_88e-1,
        1.369_298_809_227_358e-1,
        1.487_536_129_085_061_5e-2,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ];
    let polynomial = |of: &[f64; 8], x: f64| of.iter().rev().fold(0.0, |sum, c| sum * x + c);
    if p.is_nan() || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-tail.ln()).sqrt();
    let value = if r.is_infinite() {
        f64::INFINITY
    } else if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    value.copysign(q)
}

/// How many requests the baking targets need so that a difference below `margin` is shown with a
/// probability of `power` when there is none. Both arms have the share `p` of bad requests, the
/// others `ratio` times as many requests; `alpha` is the risk of showing it at the margin.
///
/// The formula for two independent proportions with equal rates (S.-C. Chow, J. Shao, H. Wang,
/// "Sample Size Calculations in Clinical Research", section 4.2), and never fewer than the upper
/// bound needs without any bad request.
pub fn required_samples(p: f64, margin: f64, ratio: f64, alpha: f64, power: f64) -> f64 {
    let z = normal_quantile(1.0 - alpha);
    let both = z + normal_quantile(power);
    let by_rate = both * both * p * (1.0 - p) * (1.0 + 1.0 / ratio) / (margin * margin);
    let without_any = z * z * (1.0 - margin) / margin;
    by_rate.max(without_any).ceil()
}

/// The bounds of a difference whose arms had shares of the traffic that changed with time. Sums
/// over all of the time can say that the arm with more requests at a bad moment was the worse one,
/// and the other way round (E. H. Simpson 1951). So the value is Mantel and Haenszel's: each
/// moment's difference with the weight `n1·n2 / (n1 + n2)`, as in S. Greenland and J. M. Robins,
/// "Estimation of a common effect parameter from sparse follow-up data", Biometrics 41 (1985).
///
/// `excess` is the sum of the weighed differences, `weight` that of the weights, `both` are the
/// numbers of requests, and `pooled` the bounds without moments. The bounds keep their distance,
/// which is right with no hits at all too, wider by how much less the moments say than the sums
/// would: `weight` is never more than the weight of the sums. Without weight it is `pooled`.
pub fn stratified(pooled: Bounds, (n1, n2): (f64, f64), excess: f64, weight: f64) -> Bounds {
    if weight <= 0.0 {
        return pooled;
    }
    let value = excess / weight;
    let wider = (n1 * n2 / (n1 + n2) / weight).max(1.0).sqrt();
    Bounds {
        value,
        lower: (value - (pooled.value - pooled.lower) * wider).max(-1.0),
        upper: (value + (pooled.upper - pooled.value) * wider).min(1.0),
    }
}

/// By what factor both arms must grow, at their present proportions, before the upper bound of
/// their difference falls below `margin`; none if that is out of reach (the difference itself is
/// not below it, or it would take more than `limit` times as much).
pub fn growth_until_below(
    (hits1, n1): (f64, f64),
    (hits2, n2): (f64, f64),
    margin: f64,
    z: f64,
    limit: f64,
) -> Option<f64> {
    let below = |f: f64| newcombe(hits1 * f, n1 * f, hits2 * f, n2 * f, z).upper < margin;
    if !below(limit) {
        return None;
    }
    let (mut low, mut high) = (1.0_f64, limit);
    while high / low > 1.01 {
        let middle = (low * high).sqrt();
        if below(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// A quantile out of cumulative buckets `(upper bound, count)`, as Prometheus's
/// `histogram_quantile` does it: linear inside a bucket, the lowest one from zero; beyond the
/// last finite bound, that bound. NaN where nothing was observed, where the `+Inf` bucket is
/// missing, or where there are fewer than two buckets.
pub fn histogram_quantile(q: f64, buckets: &[(f64, f64)]) -> f64 {
    if q.is_nan() || buckets.len() < 2 {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = buckets.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Scrapes are not atomic: a lower bucket may be ahead of a higher one for a moment.
    let mut highest = 0.0_f64;
    for bucket in &mut sorted {
        highest = highest.max(bucket.1);
        bucket.1 = highest;
    }
    let (last_bound, total) = sorted[sorted.len() - 1];
    if last_bound != f64::INFINITY || total.is_nan() || total <= 0.0 {
        return f64::NAN;
    }
    let rank = q * total;
    let at = sorted
        .iter()
        .position(|b| b.1 >= rank)
        .unwrap_or(sorted.len() - 1);
    if at == sorted.len() - 1 {
        return sorted[at - 1].0;
    }
    let (upper, count) = sorted[at];
    if at == 0 && upper <= 0.0 {
        return upper;
    }
    let (lower, below) = if at == 0 { (0.0, 0.0) } else { sorted[at - 1] };
    let inside = count - below;
    if inside <= 0.0 {
        return upper;
    }
    lower + (upper - lower) * ((rank - below) / inside)
}
