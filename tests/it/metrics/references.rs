//! The statistics against SciPy and statsmodels: tests/data/statistics.py wrote the table.

use std::collections::BTreeMap;

use dbctl::check::sequential::{alarm, evidence_of_harm};
use dbctl::check::statistics::{newcombe, normal_quantile, required_samples, wilson};

const TABLE: &str = include_str!("../../data/statistics.csv");

fn computed(function: &str, given: &[f64]) -> Vec<f64> {
    match (function, given) {
        ("normal_quantile", &[p]) => vec![normal_quantile(p)],
        ("wilson", &[hits, n, z]) => {
            let bounds = wilson(hits, n, z);
            vec![bounds.lower, bounds.upper]
        }
        ("newcombe", &[hits1, n1, hits2, n2, z]) => {
            let bounds = newcombe(hits1, n1, hits2, n2, z);
            vec![bounds.lower, bounds.upper]
        }
        ("required_samples", &[p, margin, ratio, alpha, power]) => {
            vec![required_samples(p, margin, ratio, alpha, power)]
        }
        ("evidence_of_harm", &[mine, bad, expected]) => {
            vec![evidence_of_harm(mine, bad, expected)]
        }
        _ => panic!("the table has {function} of {} values", given.len()),
    }
}

#[test]
fn the_statistics_agree_with_scipy_and_statsmodels() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let (left, right) = line.split_once(",=,").expect("two sides");
        let (function, given) = left.split_once(',').expect("a function");
        let numbers = |text: &str| -> Vec<f64> {
            let number = |n: &str| n.parse().expect("a number");
            text.split(',').map(number).collect()
        };
        let (got, expected) = (computed(function, &numbers(given)), numbers(right));
        assert_eq!(got.len(), expected.len(), "{line}");
        for (got, expected) in got.into_iter().zip(expected) {
            let error = (got - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-9, "{line}: {got}");
        }
        *seen.entry(function).or_default() += 1;
    }
    let least = [
        ("evidence_of_harm", 70),
        ("newcombe", 30),
        ("normal_quantile", 10),
        ("required_samples", 90),
        ("wilson", 30),
    ];
    for (function, least) in least {
        let rows = seen.get(function).copied().unwrap_or(0);
        assert!(rows >= least, "{function}: {rows} rows");
    }
}

#[test]
fn evidence_against_a_fair_share_is_a_fair_bet() {
    // Whatever the share, the expected ratio under "no difference" is one at most.
    for (bad, share) in [(1_u32, 0.1), (7, 0.33), (25, 0.5), (60, 0.05)] {
        let mut sum = 0.0;
        let mut probability = (1.0_f64 - share).powi(i32::try_from(bad).expect("small"));
        for mine in 0..=bad {
            let expected = f64::from(bad) * share;
            sum += probability * evidence_of_harm(f64::from(mine), f64::from(bad), expected).exp();
            probability *= f64::from(bad - mine) / f64::from(mine + 1) * share / (1.0 - share);
        }
        assert!((sum - 1.0).abs() < 1e-9, "{bad} at {share}: {sum}");
    }
    // Two gates share the risk.
    assert!((alarm(1).exp() - 20.0).abs() < 1e-9);
    assert!((alarm(2).exp() - 40.0).abs() < 1e-9);
}
