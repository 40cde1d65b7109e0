use super::*;

fn lines(metrics: &Metrics, readings: &Readings) -> Vec<String> {
    metrics.render(readings).lines().map(str::to_owned).collect()
}

/// Lines that are samples of families counted as things happen.
fn series(metrics: &Metrics) -> Vec<String> {
    let mut all = lines(metrics, &Readings::default());
    all.retain(|line| line.starts_with("genesys_transfer_"));
    let mut names: Vec<_> =
        all.iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    names.sort();
    names
}

#[test]
fn two_services_count_apart() {
    let (one, other) = (Metrics::default(), Metrics::default());
    one.problem(Code::NotFound);
    let line = "genesys_transfer_http_problems_total{code=\"not_found\"} 1";
    assert!(lines(&one, &Readings::default()).iter().any(|found| found == line));
    assert!(!other.render(&Readings::default()).contains("not_found"));
}

#[test]
fn made_up_methods_share_one_series() {
    let metrics = Metrics::default();
    let took = Duration::from_millis(3);
    metrics.request_ended(None, Method::named("BREW"), Some(404), took);
    let before = series(&metrics);
    for number in 0..10_000 {
        let method = Method::named(&format!("M{number}"));
        metrics.request_ended(None, method, Some(404), took);
    }
    assert_eq!(series(&metrics), before);
    let expected = "genesys_transfer_http_requests_total{method=\"other\",route=\"unmatched\",\
                    status=\"404\"} 10001";
    assert!(metrics.render(&Readings::default()).contains(expected));
}

#[test]
fn what_is_not_known_has_no_series() {
    let metrics = Metrics::default();
    let token = TokenReading { age: Duration::from_secs(7), left: Duration::from_secs(93) };
    let known = metrics.render(&Readings { token: Some(token), ..Readings::default() });
    assert!(known.contains("genesys_transfer_upstream_token_age_seconds 7\n"));
    assert!(known.contains("genesys_transfer_upstream_token_left_seconds 93\n"));
    assert!(!metrics.render(&Readings::default()).contains("token_age"));
}

#[test]
fn a_breaker_is_in_one_of_its_states() {
    let breakers = vec![BreakerReading { host: Host::Api, state: BreakerState::Open }];
    let text = Metrics::default().render(&Readings { breakers, ..Readings::default() });
    for (state, value) in [("closed", 0), ("half_open", 0), ("open", 1)] {
        let line = format!(
            "genesys_transfer_upstream_breaker_state{{host=\"api\",state=\"{state}\"}} {value}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_guard_counts_until_it_is_dropped() {
    let metrics = Metrics::default();
    let shows = |number: &str| {
        let line = format!("genesys_transfer_http_requests_in_flight {number}\n");
        metrics.render(&Readings::default()).contains(&line)
    };
    let guard = metrics.request_begins();
    assert!(shows("1"));
    drop(guard);
    assert!(shows("0"));
}
