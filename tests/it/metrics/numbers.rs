//! The text format, selectors, and the statistics against published and hand-computed values.

use std::collections::BTreeMap;

use dbctl::check::metrics::{Selector, parse};
use dbctl::check::statistics::{
    Z_95_ONE_SIDED, Z_95_TWO_SIDED, growth_until_below, histogram_quantile, newcombe, wilson,
};

use super::scene::near;

#[test]
fn the_text_format_is_read_with_everything_that_labels_may_hold() {
    let text = "# HELP x_total What, {with} \"things\"\n\
                # TYPE x_total counter\n\
                x_total{a=\"one, two=\\\"3\\\" }\",b=\"c:\\\\d\\n\"} 1.5e3 1700000000000\n\
                \n\
                plain 7\n\
                spaced { a = \"b\" , } +Inf\n\
                bad NaN\n\
                low -Inf\n\
                ex_bucket{le=\"0.1\"} 4 # {trace_id=\"t\"} 0.05 1.0\n\
                # EOF\n";
    let read = parse(text).expect("it is well formed");
    let names: Vec<&str> = read.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        ["x_total", "plain", "spaced", "bad", "low", "ex_bucket"]
    );
    assert_eq!(read.series[0].labels["a"], "one, two=\"3\" }");
    assert_eq!(read.series[0].labels["b"], "c:\\d\n");
    assert_eq!(read.series[0].value, 1500.0);
    assert_eq!(read.series[2].value, f64::INFINITY);
    assert!(read.series[3].value.is_nan());
    assert!(read.announced.contains("x_total"));
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_that_names_it_without_quoting_it() {
    for line in [
        "x{a=\"b\" 1",
        "x{a=b} 1",
        "x{a=\"b\"",
        "x{=\"b\"} 1",
        "x{a=\"1\",a=\"2\"} 1",
        "x",
        "x one",
        "x 1 2 three four",
        "x 1 junk",
        "9x 1",
        "<html>secret</html>",
    ] {
        let why = parse(&format!("ok 1\n{line}\n")).expect_err(line);
        assert!(why.starts_with("line 2: "), "{line}: {why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn selectors_choose_by_label_as_promql_does() {
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let series = labels(&[("code", "500"), ("op", "verify")]);
    for (text, chosen) in [
        ("x", true),
        ("x{}", true),
        ("y", false),
        ("x{code=\"500\"}", true),
        ("x{code=\"50\"}", false),
        ("x{code!=\"500\"}", false),
        ("x{code=~\"5..\"}", true),
        ("x{code=~\"5.\"}", false),
        ("x{code!~\"5..\", op=\"verify\"}", false),
        ("x{missing=\"\"}", true),
        ("x{missing!=\"\"}", false),
        (" x { op =~ \"verify|issue\" } ", true),
    ] {
        let selector = Selector::parse(text).expect(text);
        assert_eq!(selector.matches("x", &series), chosen, "{text}");
    }
    for text in [
        "",
        "rate(x[1m])",
        "sum(x)",
        "x{",
        "x{a}",
        "x{a=~\"(\"}",
        "x[5m]",
        "x{a=\"b\"} + 1",
    ] {
        let why = Selector::parse(text).expect_err(text);
        assert!(why.contains("metric's name"), "{text}: {why}");
    }
}

#[test]
fn newcombes_interval_is_that_of_his_paper() {
    // Newcombe 1998, table II, method 10: x1/n1, x2/n2, lower, upper.
    for (x1, n1, x2, n2, lower, upper) in [
        (56.0, 70.0, 48.0, 80.0, 0.0524, 0.3339),
        (9.0, 10.0, 3.0, 10.0, 0.1705, 0.8090),
        (6.0, 7.0, 2.0, 7.0, 0.0582, 0.8062),
        (5.0, 56.0, 0.0, 29.0, -0.0381, 0.1926),
        (0.0, 10.0, 0.0, 20.0, -0.1611, 0.2775),
        (0.0, 10.0, 0.0, 10.0, -0.2775, 0.2775),
        (10.0, 10.0, 0.0, 20.0, 0.6791, 1.0000),
        (10.0, 10.0, 0.0, 10.0, 0.6075, 1.0000),
    ] {
        let bounds = newcombe(x1, n1, x2, n2, Z_95_TWO_SIDED);
        assert!(near(bounds.lower, lower), "{x1}/{n1} {x2}/{n2}: {bounds:?}");
        assert!(near(bounds.upper, upper), "{x1}/{n1} {x2}/{n2}: {bounds:?}");
    }
}

#[test]
fn wilsons_interval_is_sound_at_the_edges() {
    let none = wilson(0.0, 100.0, Z_95_ONE_SIDED);
    assert_eq!(none.lower, 0.0);
    // z² / (n + z²)
    assert!(near(none.upper, 2.705_543 / 102.705_543), "{none:?}");
    let nothing = wilson(0.0, 0.0, Z_95_ONE_SIDED);
    assert!(nothing.value.is_nan());
    assert_eq!((nothing.lower, nothing.upper), (0.0, 1.0));
}

#[test]
fn how_much_more_is_needed_is_found_by_growing_both_arms() {
    let f = growth_until_below((2.0, 1000.0), (4.0, 2000.0), 0.002, Z_95_ONE_SIDED, 100.0)
        .expect("in reach");
    let at = |f: f64| newcombe(2.0 * f, 1000.0 * f, 4.0 * f, 2000.0 * f, Z_95_ONE_SIDED).upper;
    assert!(at(f) < 0.002 && at(f * 0.97) >= 0.002, "{f}");
    let worse = growth_until_below((50.0, 1000.0), (4.0, 2000.0), 0.002, Z_95_ONE_SIDED, 100.0);
    assert_eq!(worse, None, "more traffic does not make it better");
}

#[test]
fn quantiles_are_interpolated_as_prometheus_does() {
    const INF: f64 = f64::INFINITY;
    let buckets = [(0.1, 10.0), (0.5, 20.0), (1.0, 40.0), (INF, 40.0)];
    for (q, expected) in [
        (0.25, 0.1),
        (0.5, 0.5),
        (0.9, 0.9),
        (0.1, 0.04),
        (0.0, 0.0),
        (1.0, 1.0),
    ] {
        assert!(near(histogram_quantile(q, &buckets), expected), "q {q}");
    }
    let slow = [(0.1, 1.0), (INF, 10.0)];
    assert_eq!(histogram_quantile(0.9, &slow), 0.1, "beyond the last bound");
    let unordered = [(INF, 40.0), (0.5, 20.0), (1.0, 40.0), (0.1, 10.0)];
    assert_eq!(
        histogram_quantile(0.9, &unordered),
        histogram_quantile(0.9, &buckets)
    );
    for nothing in [
        &[][..],
        &[(INF, 0.0)],
        &[(0.1, 0.0), (INF, 0.0)],
        &[(0.1, 1.0), (0.5, 2.0)],
    ] {
        assert!(histogram_quantile(0.5, nothing).is_nan(), "{nothing:?}");
    }
}
