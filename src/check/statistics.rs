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

/// By what factor both arms must grow, at their present proportions, before the upper bound of
/// their difference falls below `margin`; none if that is out of reach (the difference itself is
/// not below it, or it would take more than `limit` times as much).
pub fn growth_until_below(
    (hits1, n1): (f64, f64),
    (hits2, n2): (f64, f64),
    margin: f64,
    limit: f64,
) -> Option<f64> {
    let below =
        |f: f64| newcombe(hits1 * f, n1 * f, hits2 * f, n2 * f, Z_95_ONE_SIDED).upper < margin;
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
