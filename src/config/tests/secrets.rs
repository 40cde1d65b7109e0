//! Secrets show nowhere.

use super::*;

const CANARY: &str = "CANARY-7f3a";

fn assert_hidden(text: &str) {
    assert!(!text.contains(CANARY), "{text}");
    let plain_key = EC_KEY.lines().nth(1).unwrap();
    assert!(!text.contains(plain_key), "{text}");
}

fn shown(settings: &Settings) -> String {
    format!("{settings:?}{settings:#?}{}{:?}", settings.effective, settings.warnings)
}

#[test]
fn secrets_are_not_shown_when_all_is_well() {
    let url = format!("postgres://app:{CANARY}@db/t?sslpassword={CANARY}");
    let vars =
        [("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET", CANARY), ("STORE_URL", &url)];
    assert_hidden(&shown(&load(&vars).unwrap()));
    let file = File::new("secret", CANARY);
    let vars = [("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET_FILE", file.name())];
    assert_hidden(&shown(&load(&vars).unwrap()));
    assert_hidden(&shown(
        &load(&[("GENESYS_CLIENT_ID", "id"), ("GENESYS_PRIVATE_KEY", EC_KEY)]).unwrap(),
    ));
}

#[test]
fn secrets_are_not_shown_when_they_are_malformed() {
    let broken = format!("{CANARY}\u{7}");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    let url = format!("postgres://app:{CANARY}@ho st/t");
    let other = format!("mysql://app:{CANARY}@host/t");
    let host = format!("https://user:{CANARY}@api.example.com");
    let hash = format!(
        r#"[{{"caller":"crm","sha256":["{CANARY}"],"permissions":["admin"],"queues":["*"]}}]"#
    );
    let text = format!(r#"[{{"caller":"crm","sha256":"{CANARY}"}}]"#);
    let cut = format!(r#"[{{"caller":"crm","sha256":["{CANARY}"#);
    for (variable, value) in [
        ("GENESYS_CLIENT_SECRET", &broken),
        ("GENESYS_PRIVATE_KEY", &key),
        ("STORE_URL", &url),
        ("STORE_URL", &other),
        ("GENESYS_API_URL", &host),
        ("GENESYS_LOGIN_URL", &host),
        ("AUTH_OIDC_ISSUER", &host),
        ("TELEMETRY_OTLP_ENDPOINT", &host),
        ("AUTH_API_KEYS", &hash),
        ("AUTH_API_KEYS", &text),
        ("AUTH_API_KEYS", &cut),
    ] {
        let errors = load(&[(variable, value)]).expect_err(variable);
        assert_hidden(&format!("{errors}{errors:?}"));
        let file = File::new("secret", value);
        let named = format!("{variable}_FILE");
        if let Err(errors) = load(&[(&named, file.name())]) {
            assert_hidden(&format!("{errors}{errors:?}"));
        }
    }
}

#[test]
fn lines_of_a_broken_file_are_not_shown() {
    for text in [
        format!("[genesys]\nclient_secret = \"{CANARY}\n"),
        format!("[genesys]\nclient_secret = {CANARY}\n"),
        format!("[genesys]\nclient_secret = \"a\" {CANARY}\n"),
        format!("[genesys]\nclient_secret = [\"{CANARY}\"]\n"),
        format!("[genesys]\nclient_secret = {{ value = \"{CANARY}\" }}\n"),
        format!("[genesys]\nclient_secrt = \"{CANARY}\"\n"),
        format!("[auth]\napi_keys = [\"{CANARY}\"]\n"),
        format!("auth = \"{CANARY}\"\n"),
    ] {
        let file = File::new("a.toml", &text);
        let errors = load_file(&file, &[]).expect_err(&text);
        assert_hidden(&format!("{errors}{errors:?}"));
    }
}
