//! A test for harm that may be asked at every look.
//!
//! M. Lindon, D. W. Sanden, V. Shirikian, "Rapid Regression Detection in Software Deployments
//! through Sequential Testing", KDD 2022 (arXiv 2205.14762), and M. Lindon, A. Malek,
//! "Anytime-Valid Inference for Multinomial Count Data" (arXiv 2011.03567): given how many
//! requests were bad, each of them falls on the baking targets with their share of the traffic if
//! these are as good as the others. The likelihood ratio against a mixture of alternatives is a
//! martingale then, and by Ville's inequality it ever reaches `1 / α` with a probability of `α` at
//! most, however often one looks and whenever one stops.
//!
//! Two things are different here. The mixture is over how many *times* as often the baking
//! targets fail, all of them more often than the others: a canary that is better raises no alarm.
//! And the share of the traffic may change from look to look: each look's bad requests are
//! expected on the baking targets by that look's share. With the mean of those shares the ratio
//! only becomes smaller (its logarithm is concave in the share), so the bound stays. Requests of
//! one look are drawn without replacement, which is less random than what the ratio assumes
//! (W. Hoeffding 1963, theorem 4): smaller again.

/// The risk of a false alarm that a bake may have, over all of its looks and gates.
pub const FALSE_ALARMS: f64 = 0.05;

/// Rates that are compared: `e^0.05` to `e^4` times as often, half-normal with deviation 1 in the
/// logarithm.
const RATES: u32 = 40;
const STEP: f64 = 0.1;

/// The natural logarithm of the evidence that the baking targets fail more often than the others:
/// `bad_baking` of `bad` requests are theirs where `expected` would be. An e-process: alarm at
/// `ln(1 / α)`.
pub fn evidence_of_harm(bad_baking: f64, bad: f64, expected: f64) -> f64 {
    if bad <= 0.0 {
        return 0.0;
    }
    let share = (expected / bad).clamp(0.0, 1.0);
    let mut logs = [0.0_f64; RATES as usize];
    let mut weights = 0.0;
    for (log, j) in logs.iter_mut().zip(0..RATES) {
        let rate = STEP * (f64::from(j) + 0.5);
        let weight = (-rate * rate / 2.0).exp();
        weights += weight;
        *log = weight.ln() + bad_baking * rate - bad * (share * rate.exp_m1()).ln_1p();
    }
    let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - highest).exp()).sum();
    highest + (sum / weights).ln()
}

/// The evidence at which a gate raises the alarm, where so many gates of a bake may raise one.
pub fn alarm(gates: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of gates")]
    let gates = gates.max(1) as f64;
    (gates / FALSE_ALARMS).ln()
}
