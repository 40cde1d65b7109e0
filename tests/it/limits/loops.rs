//! A command that is answered 429 again and again.

use futures_util::future::join_all;
use genesys_transfer::sandbox::faults::{Fault, StatusAnswer};

use crate::support::service::{REPLACE, TestApp};

/// The most tries of one command.
const MOST: usize = 4;

const APIS: [(&str, &str, &str); 2] = [
    ("participant-replace", "POST", REPLACE),
    ("conversation-patch", "PATCH", "/api/v2/communications/conversations/*"),
];

/// Values of `Retry-After` that ask for no pause, or for none that makes sense.
const FORMS: [Option<&str>; 5] =
    [None, Some("0"), Some("-5"), Some("soon"), Some("Sun, 06 Nov 1994 08:49:37 GMT")];

#[tokio::test]
async fn a_command_that_always_gets_429_is_sent_four_times() {
    let rows = APIS.iter().flat_map(|api| FORMS.map(|form| (api, form)));
    let rows = rows.map(|((api, method, path), form)| async move {
        let app = TestApp::with(&[("GENESYS_TRANSFER_API", api)]).await;
        app.get("/queues").await;
        let retry_after = form.map(str::to_owned);
        let throttled = StatusAnswer { retry_after, ..StatusAnswer::new(429) };
        app.fault(method, path, 1_000, Fault::Status(throttled));

        let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;

        let seen = (answer.outcome(), app.commands(), app.moves());
        let expected = ((503, "genesys_rate_limited".to_owned()), MOST, 0);
        (seen != expected).then(|| format!("{api} {form:?}: {seen:?}"))
    });
    let wrong: Vec<String> = join_all(rows).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
