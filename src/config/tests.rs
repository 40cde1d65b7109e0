use std::{collections::BTreeMap, ffi::OsString, net::IpAddr, path::Path, time::Duration};

use secrecy::ExposeSecret as _;

use super::{
    keys::{KEYS, SECRETS},
    *,
};

mod secrets;
mod shipped;
mod tls;
mod wrong;

/// Keys made for these tests: EC in PKCS#8, RSA in PKCS#1.
const EC_KEY: &str = include_str!("tests/ec-private.pem");
const RSA_KEY: &str = include_str!("tests/rsa-private.pem");

type Vars<'a> = BTreeMap<&'a str, &'a str>;

fn load(vars: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    Settings::load(&Args::default(), &vars.iter().copied().collect::<Vars<'_>>())
}

/// A file in a directory of its own, which goes with it.
struct File {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Self { _dir: dir, path }
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// The path of a file beside these tests.
fn fixture(name: &str) -> String {
    format!("{}/src/config/tests/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn load_file(file: &File, vars: &[(&str, &str)]) -> Result<Settings, ConfigErrors> {
    let args = Args { config: Some(file.path.clone()), ..Args::default() };
    Settings::load(&args, &vars.iter().copied().collect::<Vars<'_>>())
}

#[test]
fn without_anything_the_sandbox_runs_on_loopback() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.genesys.region, Region::Sandbox);
    assert!(settings.genesys.uses_embedded_sandbox());
    assert_eq!(settings.genesys.client_id.as_deref(), Some("sandbox"));
    assert_eq!(settings.genesys.client_secret.unwrap().expose_secret(), "sandbox");
    assert_eq!(settings.auth.mode, AuthMode::None);
    assert_eq!(settings.server.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.sandbox.bind.to_string(), "127.0.0.1:8081");
}

#[test]
fn the_later_layer_wins() {
    let file = File::new("a.toml", "[server]\ndeadline = '10s'\nbody_timeout = '7s'\n");
    let settings = load_file(&file, &[("SERVER_DEADLINE", "20s")]).unwrap();
    assert_eq!(settings.server.deadline, Duration::from_secs(20), "environment over file");
    assert_eq!(settings.server.body_timeout, Duration::from_secs(7), "file over default");
    assert_eq!(settings.server.header_timeout, Duration::from_secs(10), "default");
}

#[test]
fn one_address_may_take_a_quarter_of_the_connections_unless_said_otherwise() {
    let of = |vars: &[(&str, &str)]| load(vars).unwrap().server.max_connections_per_address;
    assert_eq!(of(&[]), 1024);
    assert_eq!(of(&[("SERVER_MAX_CONNECTIONS", "3")]), 1);
    assert_eq!(of(&[("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "5000")]), 5000);
    let shown = load(&[("SERVER_MAX_CONNECTIONS", "40")]).unwrap().effective;
    assert!(shown.contains("max_connections_per_address = 10  # not set; a quarter"), "{shown}");
}

#[test]
fn loopback_and_the_proxies_named_are_not_limited() {
    let list = "[server]\ntrusted_proxies = ['10.0.0.7', '192.168.0.0/16', 'fd00::/8']";
    let file = load_file(&File::new("a.toml", list), &[]).unwrap();
    let variable = load(&[("SERVER_TRUSTED_PROXIES", "10.0.0.7, 192.168.0.0/16,fd00::/8")]);
    assert!(file.effective.contains(r#"["10.0.0.7", "192.168.0.0/16", "fd00::/8"]"#));
    for settings in [file, variable.unwrap()] {
        let limited = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            !settings.server.unlimited_addresses.iter().any(|net| net.contains(&address))
        };
        for address in ["10.0.0.8", "192.169.0.1", "8.8.8.8", "fe80::1", "::2"] {
            assert!(limited(address), "{address}");
        }
        for address in ["10.0.0.7", "192.168.200.1", "fd12::1", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(!limited(address), "{address}");
        }
    }
}

#[test]
fn config_option_wins_over_config_file() {
    let option = File::new("a.toml", "[server]\ndeadline = '11s'\n");
    let variable = File::new("b.toml", "[server]\ndeadline = '12s'\n");
    let by_variable = load(&[("CONFIG_FILE", variable.name())]).unwrap();
    let by_option = load_file(&option, &[("CONFIG_FILE", variable.name())]).unwrap();
    assert_eq!(by_variable.server.deadline, Duration::from_secs(12));
    assert_eq!(by_option.server.deadline, Duration::from_secs(11));
    assert!(by_option.effective.contains(option.name()), "{}", by_option.effective);
}

#[test]
fn bind_on_the_command_line_wins_over_everything() {
    let args = Args { sandbox_bind: Some("127.0.0.1:3".to_owned()), ..Args::default() };
    let vars = Vars::from([("SANDBOX_BIND", "127.0.0.1:2")]);
    assert_eq!(Settings::load(&args, &vars).unwrap().sandbox.bind.port(), 3);
}

#[test]
fn empty_variable_counts_as_not_set() {
    let settings = load(&[("SERVER_DEADLINE", ""), ("STORE_URL_FILE", ""), ("CONFIG_FILE", "")]);
    assert_eq!(settings.unwrap().server.deadline, Duration::from_secs(30));
}

#[test]
fn text_of_digits_stays_text() {
    let settings =
        load(&[("GENESYS_CLIENT_ID", "007"), ("GENESYS_CLIENT_SECRET", "0123")]).unwrap();
    assert_eq!(settings.genesys.client_id.as_deref(), Some("007"));
    assert_eq!(settings.genesys.client_secret.unwrap().expose_secret(), "0123");
}

#[test]
fn blanks_and_line_ends_around_a_secret_are_no_part_of_it() {
    let file = File::new("secret", "\u{feff} \u{a0}s3 cret\t \r\n\n");
    let settings =
        load(&[("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET_FILE", file.name())]).unwrap();
    assert_eq!(settings.genesys.client_secret.unwrap().expose_secret(), "s3 cret");
}

#[test]
fn private_key_is_taken_as_it_is_and_with_escaped_line_ends() {
    for (pem, key) in [
        (EC_KEY.to_owned(), EC_KEY),
        (EC_KEY.replace('\n', "\\n"), EC_KEY),
        (RSA_KEY.to_owned(), RSA_KEY),
        (RSA_KEY.replace('\n', "\\r\\n"), RSA_KEY),
        (format!("\u{feff}\n  {EC_KEY}\n\n"), EC_KEY),
    ] {
        let settings = load(&[("GENESYS_CLIENT_ID", "id"), ("GENESYS_PRIVATE_KEY", &pem)]).unwrap();
        assert_eq!(settings.genesys.private_key.unwrap().expose_secret().trim(), key.trim());
        assert!(settings.genesys.client_secret.is_none());
    }
}

#[test]
fn sandbox_with_both_hosts_named_is_not_started() {
    let settings = load(&[
        ("GENESYS_API_URL", "http://127.0.0.1:9001"),
        ("GENESYS_LOGIN_URL", "http://localhost:9002"),
    ])
    .unwrap();
    assert!(!settings.genesys.uses_embedded_sandbox());
    assert_eq!(settings.genesys.client_id.as_deref(), Some("sandbox"));
    assert_eq!(settings.auth.mode, AuthMode::None);
}

#[test]
fn real_region_with_hosts_of_a_test_server_is_taken() {
    let settings = load(&[
        ("GENESYS_REGION", "eu-central-1"),
        ("GENESYS_CLIENT_ID", "id"),
        ("GENESYS_CLIENT_SECRET", "secret"),
        ("GENESYS_API_URL", "http://127.0.0.1:9001"),
        ("GENESYS_LOGIN_URL", "http://[::1]:9002"),
        ("AUTH_MODE", "none"),
    ])
    .unwrap();
    assert_eq!(settings.genesys.region, Region::EuCentral1);
    assert_eq!(settings.genesys.api_url.unwrap().as_str(), "http://127.0.0.1:9001/");
}

#[test]
fn stand_in_on_another_machine_may_be_asked_without_tls_while_nothing_is_secret() {
    let hosts = [
        ("GENESYS_API_URL", "http://stand-in:9001"),
        ("GENESYS_LOGIN_URL", "http://stand-in:9001"),
    ];
    let settings = load(&hosts).unwrap();
    assert_eq!(settings.genesys.api_url.unwrap().as_str(), "http://stand-in:9001/");

    let own = [("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET", "secret")];
    load(&[hosts, own].concat()).expect_err("a secret would go over the wire");
}

const KEYS_JSON: &str = r#"[{"caller":"crm","permissions":["queues:read"],"max_priority":null,
    "sha256":["0000000000000000000000000000000000000000000000000000000000000001"]}]"#;
const KEYS_TOML: &str = "[[api_keys]]\ncaller = 'crm'\npermissions = ['queues:read']\n\
    sha256 = ['0000000000000000000000000000000000000000000000000000000000000001']\n";

#[test]
fn callers_come_from_the_environment_and_from_files_of_both_kinds() {
    let inline = load(&[("AUTH_API_KEYS", KEYS_JSON)]).unwrap();
    assert_eq!(inline.auth.api_keys[0].caller, "crm");
    assert_eq!(inline.auth.api_keys_file, None);
    let object = format!("{{\"api_keys\": {KEYS_JSON}}}");
    let nested = KEYS_TOML.replace("[[api_keys]]", "[[auth.api_keys]]");
    for (name, text) in [
        ("keys.json", KEYS_JSON),
        ("keys.json", &object),
        ("keys.toml", KEYS_TOML),
        ("keys.toml", &nested),
        ("keys", KEYS_JSON),
        ("keys", &object),
        ("keys", KEYS_TOML),
    ] {
        let file = File::new(name, text);
        let settings = load(&[("AUTH_API_KEYS_FILE", file.name())]).unwrap();
        assert_eq!(settings.auth.api_keys, inline.auth.api_keys, "{name}: {text}");
        assert_eq!(settings.auth.api_keys_file.as_deref(), Some(file.path.as_path()));
        assert_eq!(read_api_keys(&file.path).unwrap(), inline.auth.api_keys);
    }
}

#[test]
fn callers_in_a_later_layer_replace_the_earlier_list() {
    let file = File::new("a.toml", &KEYS_TOML.replace("[[api_keys]]", "[[auth.api_keys]]"));
    let other = KEYS_JSON.replace("crm", "other");
    let settings = load_file(&file, &[("AUTH_API_KEYS", &other)]).unwrap();
    let callers: Vec<_> = settings.auth.api_keys.iter().map(|key| key.caller.as_str()).collect();
    assert_eq!(callers, ["other"]);
}

#[test]
fn issuer_is_kept_letter_by_letter() {
    let settings = load(&[
        ("AUTH_OIDC_ISSUER", "https://login.example.com"),
        ("AUTH_OIDC_AUDIENCE", "transfer"),
        ("AUTH_MODE", "required"),
    ])
    .unwrap();
    assert_eq!(settings.auth.oidc.unwrap().issuer, "https://login.example.com");
}

#[test]
fn misspelt_variables_are_warned_about() {
    let settings = load(&[
        ("GENESYS_REGOIN", "eu-west-1"),
        ("SERVER_BIND_FILE", "/run/bind"),
        ("PATH", "/bin"),
        ("STORE_PORT", "tcp://10.0.0.1:5432"),
    ])
    .unwrap();
    assert_eq!(
        settings.warnings,
        [
            "GENESYS_REGOIN is not read; did you mean GENESYS_REGION?",
            "SERVER_BIND_FILE is not read: only secrets can come from a file; set SERVER_BIND",
        ]
    );
}

#[test]
fn sandbox_alone_reads_nothing_of_genesys() {
    let file = File::new("a.toml", "[genesys]\nregion = 'us-east-1'\nno_such = 1\n");
    let args = Args { sandbox_alone: true, ..Args::default() };
    let vars = Vars::from([
        ("CONFIG_FILE", file.name()),
        ("GENESYS_REGION", "eu-central-1"),
        ("GENESYS_CLIENT_SECRET_FILE", "/nowhere"),
        ("GENESYS_API_URL", "not a URL"),
        ("SANDBOX_BIND", "127.0.0.1:9"),
    ]);
    let settings = Settings::load(&args, &vars).unwrap();
    assert!(settings.genesys.uses_embedded_sandbox());
    assert_eq!(settings.genesys.client_id.as_deref(), Some("sandbox"));
    assert_eq!(settings.sandbox.bind.port(), 9);
    assert!(Settings::load(&Args::default(), &vars).is_err());
}

#[test]
fn sandbox_alone_stays_on_loopback_while_callers_are_unknown() {
    let args = Args { sandbox_alone: true, ..Args::default() };
    let vars = Vars::from([("GENESYS_REGION", "eu-central-1"), ("SANDBOX_BIND", "0.0.0.0:9")]);
    let line = Settings::load(&args, &vars).unwrap_err().to_string();
    let start = "sandbox.bind (SANDBOX_BIND in the environment): expected a loopback address";
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn every_region_is_known_by_its_name() {
    for region in Region::ALL {
        assert_eq!(Region::named(region.name()), Some(*region));
    }
    assert_eq!(Region::ALL.len(), 19, "18 regions and the sandbox");
}
