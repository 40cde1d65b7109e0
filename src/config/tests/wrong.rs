//! What is wrong is named: the key, where its value came from, what is expected.

use super::*;

fn first_line(result: Result<Settings, ConfigErrors>) -> String {
    let errors = result.expect_err("the settings are wrong").to_string();
    errors.lines().next().unwrap().to_owned()
}

/// A real region with all it needs.
const REAL: [(&str, &str); 4] = [
    ("GENESYS_REGION", "eu-central-1"),
    ("GENESYS_CLIENT_ID", "id"),
    ("GENESYS_CLIENT_SECRET", "secret"),
    ("AUTH_MODE", "none"),
];

fn real_with(vars: &[(&'static str, &'static str)]) -> Result<Settings, ConfigErrors> {
    load(&[&REAL, vars].concat())
}

fn real_without(variable: &str) -> Result<Settings, ConfigErrors> {
    let vars: Vec<_> = REAL.into_iter().filter(|(name, _)| *name != variable).collect();
    load(&vars)
}

/// The key that the compose file comes with.
const DEMO_JSON: &str = r#"[{"caller":"demo","permissions":["admin"],
    "sha256":["288ad35d2a47d27f47c41d342e03ea60af5bd757c9c8bf1bc87fd9a0b6c6cde1"]}]"#;

#[test]
fn malformed_values_name_key_source_and_what_is_expected() {
    for (variable, value, line) in [
        (
            "SERVER_DEADLINE",
            "30",
            "server.deadline (SERVER_DEADLINE in the environment): expected a duration with its \
             unit, such as 30s, from 1s to 10m, found \"30\"",
        ),
        (
            "SERVER_BIND",
            "localhost",
            "server.bind (SERVER_BIND in the environment): expected an address with its port, \
             such as 127.0.0.1:8080 or [::1]:8080, found \"localhost\"",
        ),
        (
            "GENESYS_REQUESTS_PER_MINUTE",
            "0",
            "genesys.requests_per_minute (GENESYS_REQUESTS_PER_MINUTE in the environment): \
             expected a whole number from 1 to 100000000, found \"0\"",
        ),
        (
            "GENESYS_TRANSFER_API",
            "replace",
            "genesys.transfer_api (GENESYS_TRANSFER_API in the environment): expected \
             `participant-replace` or `conversation-patch`, found \"replace\"",
        ),
        (
            "TRANSFERS_VERIFY",
            "yes",
            "transfers.verify (TRANSFERS_VERIFY in the environment): expected true or false, \
             found \"yes\"",
        ),
        (
            "GENESYS_CLIENT_ID",
            "a\nb\u{1b}[31m",
            "genesys.client_id (GENESYS_CLIENT_ID in the environment): expected text in one line, \
             without spaces around it, found \"a\\nb\\u001b[31m\"",
        ),
    ] {
        assert_eq!(first_line(load(&[(variable, value)])), line);
    }
}

#[test]
fn misspelt_region_gets_a_suggestion() {
    let line = first_line(load(&[("GENESYS_REGION", "eu-central1")]));
    assert!(line.contains("did you mean eu-central-1?"), "{line}");
}

#[test]
fn values_out_of_range_are_refused() {
    for (variable, value) in [
        ("SERVER_DEADLINE", "999ms"),
        ("SERVER_DEADLINE", "601s"),
        ("GENESYS_QUEUE_CACHE_TTL", "999ms"),
        ("GENESYS_REQUESTS_PER_MINUTE", "100000001"),
        ("GENESYS_REQUESTS_PER_MINUTE", "-1"),
        ("GENESYS_REQUESTS_PER_MINUTE", "99999999999999999999"),
        ("SERVER_MAX_CONNECTIONS", "0"),
        ("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "0"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.7,proxy.example"),
        ("SERVER_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("SERVER_MAX_STREAMS_PER_CALLER", "65"),
        ("STORE_URL", "mysql://db/t"),
        ("STORE_URL", "sqlite://"),
        ("STORE_URL", "postgres://"),
        ("STORE_URL", "data/transfers.db"),
        ("TELEMETRY_LOG_FILTER", "a=b=c"),
        ("TELEMETRY_LOG_FORMAT", "xml"),
        ("GENESYS_PRIVATE_KEY", "not a key"),
    ] {
        let line = first_line(load(&[(variable, value)]));
        assert!(line.contains(&format!("({variable} in the environment): expected")), "{line}");
    }
}

#[test]
fn values_in_files_are_named_with_their_file() {
    for (text, line) in [
        (
            "[server]\n\ndeadline = 30\n",
            "server.deadline (a.toml): expected a duration with its unit, such as 30s, from 1s \
             to 10m, found the number 30",
        ),
        (
            "genesys.regoin = 'eu-west-1'",
            "genesys.regoin (a.toml): there is no such key; did you mean genesys.region?",
        ),
        (
            "[server]\nzzzzzzzzzzzzzzz = 1",
            "server.zzzzzzzzzzzzzzz (a.toml): there is no such key; `check-config` lists all keys",
        ),
        ("[server.bind]\na = 1", "server.bind (a.toml): expected a value, found a table"),
        ("server = 1", "server (a.toml): expected a table of keys"),
        (
            "[transfers]\nverify = 1",
            "transfers.verify (a.toml): expected true or false, found the number 1",
        ),
        (
            "[[auth.api_keys]]\ncaller = 'crm'",
            "auth.api_keys (a.toml): [0].permissions: missing; expected a list of 1 to 1000, \
             each transfers:write, transfers:read, batches:write, queues:read, metrics:read or \
             admin",
        ),
    ] {
        let file = File::new("a.toml", text);
        let shown = first_line(load_file(&file, &[]));
        assert_eq!(shown.replace(file.name(), "a.toml"), line);
    }
}

#[test]
fn broken_file_is_named_with_its_line() {
    let file = File::new("a.toml", "[server]\nbind = \"127.0.0.1:1\"\nbind = 2\n");
    let line = first_line(load_file(&file, &[]));
    let start = format!("config file ({}): is not TOML: ", file.name());
    assert!(line.starts_with(&start) && line.contains("line 3"), "{line}");
}

#[test]
fn missing_file_is_named_with_who_asked_for_it() {
    let line = first_line(load(&[("CONFIG_FILE", "/nowhere/a.toml")]));
    let start = "config file (named by CONFIG_FILE): /nowhere/a.toml: cannot be read: ";
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn several_errors_are_one_line_each() {
    let errors = load(&[("SERVER_DEADLINE", "x"), ("GENESYS_REGION", "y"), ("STORE_URL", "z")]);
    let errors = errors.unwrap_err();
    let keys: Vec<_> = errors.iter().map(ConfigError::key).collect();
    assert_eq!(keys, ["server.deadline", "genesys.region", "store.url"]);
    assert_eq!(errors.to_string().lines().count(), 3);
}

#[test]
fn variable_that_is_not_unicode_is_an_error() {
    use std::os::unix::ffi::OsStringExt as _;
    let vars = BTreeMap::from([("GENESYS_CLIENT_ID", OsString::from_vec(vec![0xff]))]);
    let line = first_line(Settings::load(&Args::default(), &vars));
    assert_eq!(
        line,
        "genesys.client_id (GENESYS_CLIENT_ID in the environment): is not Unicode text"
    );
}

#[test]
fn secret_and_its_file_together_are_refused() {
    let vars = [("GENESYS_CLIENT_SECRET", "a"), ("GENESYS_CLIENT_SECRET_FILE", "/run/b")];
    assert_eq!(
        first_line(load(&vars)),
        "genesys.client_secret (GENESYS_CLIENT_SECRET and GENESYS_CLIENT_SECRET_FILE in the \
         environment): set one of the two, not both"
    );
}

#[test]
fn unusable_secret_files_are_refused() {
    let empty = File::new("empty", "\n");
    let long = File::new("long", &"x".repeat(1024 * 1024 + 1));
    for (path, why) in [
        ("/nowhere/secret", "the file cannot be read: "),
        (empty.name(), "the file is empty"),
        (long.name(), "the file is longer than 1 MiB"),
    ] {
        let line = first_line(load(&[("GENESYS_CLIENT_SECRET_FILE", path)]));
        let start =
            format!("genesys.client_secret ({path} named by GENESYS_CLIENT_SECRET_FILE): {why}");
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn unusable_lists_of_callers_are_refused() {
    for (text, why) in [
        ("{", "expected a JSON list: is not JSON (line 1 column 1)"),
        ("[{\"caller\":\"a\",\"caller\":\"b\"}]", "expected a JSON list: a member is given twice"),
        ("{}", "expected a JSON list of callers"),
        ("7", "expected a JSON list of callers"),
        ("[7]", "[0]: expected a table of members"),
    ] {
        let line = first_line(load(&[("AUTH_API_KEYS", text)]));
        let start = format!("auth.api_keys (AUTH_API_KEYS in the environment): {why}");
        assert!(line.starts_with(&start), "{text}: {line}");
    }
    for text in ["", "callers = []", "{\"callers\": []}", "[auth]\nmode = 'none'"] {
        let file = File::new("keys", text);
        let line = first_line(load(&[("AUTH_API_KEYS_FILE", file.name())]));
        assert!(line.contains("expected a JSON list, or `api_keys` as a list"), "{text}: {line}");
    }
}

#[test]
fn real_region_needs_a_client() {
    for (variable, key) in [
        ("GENESYS_CLIENT_ID", "genesys.client_id"),
        ("GENESYS_CLIENT_SECRET", "genesys.client_secret"),
    ] {
        let line = first_line(real_without(variable));
        let start =
            format!("{key} (not set): missing; required with region eu-central-1 (set {variable}");
        assert!(line.starts_with(&start), "{line}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (result, start) in vec![
        (
            real_with(&[("GENESYS_PRIVATE_KEY", EC_KEY)]),
            "genesys.private_key (GENESYS_PRIVATE_KEY in the environment): set genesys.private_key \
             or genesys.client_secret, not both",
        ),
        (
            real_with(&[("SANDBOX_BIND", "127.0.0.1:8081")]),
            "sandbox.bind (SANDBOX_BIND in the environment): not allowed with region eu-central-1",
        ),
        (
            real_with(&[("SANDBOX_EFFECT_DELAY", "1s")]),
            "sandbox.effect_delay (SANDBOX_EFFECT_DELAY in the environment): not allowed with",
        ),
        (
            real_with(&[("SERVER_BIND", "0.0.0.0:8080")]),
            "auth.mode (AUTH_MODE in the environment): expected required: none is for loopback",
        ),
        (
            real_without("AUTH_MODE"),
            "auth.mode (not set): authentication is required, but no caller is",
        ),
        (
            load(&[("SERVER_BIND", "0.0.0.0:8080"), ("AUTH_MODE", "none")]),
            "auth.mode (AUTH_MODE in the environment): expected required: none is for loopback",
        ),
        (
            load(&[("SERVER_BIND", "[::]:8080")]),
            "auth.mode (not set): authentication is required, but no caller is",
        ),
        (
            load(&[("SANDBOX_BIND", "0.0.0.0:8081")]),
            "sandbox.bind (SANDBOX_BIND in the environment): expected a loopback address",
        ),
        (
            load(&[("SANDBOX_BIND", "127.0.0.1:8080")]),
            "sandbox.bind (SANDBOX_BIND in the environment): expected another address than",
        ),
        (
            load(&[("GENESYS_CLIENT_ID", "id")]),
            "genesys.client_secret (not set): missing; required together with genesys.client_id",
        ),
        (
            load(&[("GENESYS_CLIENT_SECRET", "secret")]),
            "genesys.client_id (not set): missing; required together with genesys.client_secret",
        ),
        (
            load(&[("GENESYS_API_URL", "https://api.example.com")]),
            "genesys.login_url (not set): missing; with region sandbox it is required together with",
        ),
        (
            load(&[("GENESYS_LOGIN_URL", "https://login.example.com")]),
            "genesys.api_url (not set): missing; with region sandbox it is required together with",
        ),
        (
            real_with(&[("GENESYS_API_URL", "http://api.example.com")]),
            "genesys.api_url (GENESYS_API_URL in the environment): expected a URL with https://",
        ),
        (
            real_with(&[("AUTH_MODE", ""), ("AUTH_API_KEYS", DEMO_JSON)]),
            "auth.api_keys (AUTH_API_KEYS in the environment): the demo key is public",
        ),
        (
            load(&[("AUTH_OIDC_ISSUER", "https://login.example.com")]),
            "auth.oidc_audience (not set): missing; required together with auth.oidc_issuer",
        ),
        (
            load(&[("SERVER_SHUTDOWN_DELAY", "25s")]),
            "server.shutdown_delay (SERVER_SHUTDOWN_DELAY in the environment): expected less than",
        ),
        (
            load(&[("STORE_RETENTION", "1h")]),
            "store.retention (STORE_RETENTION in the environment): expected at least as long as",
        ),
    ] {
        let line = first_line(result);
        assert!(line.starts_with(start), "{start}\n{line}");
    }
}

#[test]
fn sandbox_may_be_open_to_the_network_when_callers_are_known() {
    let settings = load(&[
        ("SERVER_BIND", "0.0.0.0:8080"),
        ("SANDBOX_BIND", "0.0.0.0:8081"),
        ("AUTH_API_KEYS", KEYS_JSON),
    ]);
    assert_eq!(settings.unwrap().auth.mode, AuthMode::Required);
}

#[test]
fn urls_that_hide_something_are_refused() {
    for url in [
        "https://user@api.example.com",
        "https://:password@api.example.com",
        "https://user:1/2@api.example.com",
        "https://api.example.com?a=b",
        "https://api.example.com#a",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:8081",
        "file:///etc/passwd",
        "api.example.com",
        "",
        " ",
    ] {
        let text = format!(
            "[genesys]\nclient_id = 'own'\nclient_secret = 'own'\napi_url = '{url}'\n\
             login_url = '{url}'\n"
        );
        let file = File::new("a.toml", &text);
        let line = first_line(load_file(&file, &[]));
        assert!(line.starts_with("genesys.api_url ("), "{url}: {line}");
    }
}

#[test]
fn hurried_deadline_is_a_warning() {
    let settings = load(&[("SERVER_DEADLINE", "5s")]).unwrap();
    assert!(settings.warnings[0].starts_with("server.deadline is shorter than"));
}
