//! The files in `config/`, and that the list of keys, the defaults and the code agree.

use super::*;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

/// What each shipped file needs beside it.
fn needs(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "production.toml" => &[
            ("GENESYS_REGION", "eu-central-1"),
            ("GENESYS_CLIENT_ID", "id"),
            ("GENESYS_CLIENT_SECRET", "secret"),
            ("AUTH_API_KEYS", KEYS_JSON),
        ],
        _ => &[],
    }
}

#[test]
fn every_shipped_file_loads() {
    let mut names: Vec<String> = std::fs::read_dir(shipped(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["default.toml", "production.toml", "sandbox.toml"]);
    for name in names {
        let args = Args { config: Some(shipped(&name)), ..Args::default() };
        let vars: Vars<'_> = needs(&name).iter().copied().collect();
        // `default.toml` names `sandbox.*`, which is fine in the sandbox.
        Settings::load(&args, &vars).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    }
}

#[test]
fn production_file_refuses_to_start_without_a_region() {
    let args = Args { config: Some(shipped("production.toml")), ..Args::default() };
    let errors = Settings::load(&args, &Vars::new()).unwrap_err().to_string();
    assert!(errors.starts_with("genesys.region ("), "{errors}");
    assert!(errors.contains("production.toml)"), "{errors}");
}

#[test]
fn default_file_documents_every_key_once() {
    let mut names = KEYS.clone();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
    assert_eq!(KEYS.len(), 50);
    assert!(SECRETS.iter().all(|secret| KEYS.iter().any(|key| key == secret)));
}

/// A value other than the default that fits beside the rest of `sample_environment`.
fn sample(key: &str) -> String {
    let from = Layers::merge(&Args::default(), &Vars::new().variables()).unwrap();
    let text = from.value(key).map(|value| value.kind.to_string()).unwrap_or_default();
    match key {
        "genesys.api_url"
        | "genesys.login_url"
        | "auth.oidc_issuer"
        | "telemetry.otlp_endpoint" => "https://other.example.com/".to_owned(),
        "genesys.private_key" => EC_KEY.to_owned(),
        "genesys.transfer_api" => "conversation-patch".to_owned(),
        "genesys.bulk_looks" => "off".to_owned(),
        "genesys.region" => "eu-west-2".to_owned(),
        "transfers.confirm" => "always".to_owned(),
        "batches.max_size" => "500".to_owned(),
        "store.url" => "sqlite::memory:".to_owned(),
        "auth.mode" => "required".to_owned(),
        "auth.api_keys" => KEYS_JSON.to_owned(),
        "telemetry.log_format" => "json".to_owned(),
        "telemetry.log_filter" => "debug".to_owned(),
        "telemetry.trace_ratio" => "0.25".to_owned(),
        "server.bind" | "sandbox.bind" => "127.0.0.1:7777".to_owned(),
        "server.max_connections_per_address" => "7".to_owned(),
        "server.trusted_proxies" => "10.0.0.7, 192.168.0.0/16,fd00::/8".to_owned(),
        "server.tls_cert" => fixture("tls-cert.pem"),
        "server.tls_key" => fixture("tls-key.pem"),
        _ if text == "true" => "false".to_owned(),
        _ => match (text.parse::<u32>(), duration::parse(&text)) {
            (Ok(number), _) => (number + 1).to_string(),
            (_, Some(time)) => duration::format(time + Duration::from_millis(500)),
            _ => "other".to_owned(),
        },
    }
}

/// What has to be set beside `key` for its sample to be allowed.
fn beside(key: &str) -> &'static [&'static str] {
    match key {
        "genesys.region" => &["genesys.client_id", "genesys.client_secret", "auth.api_keys"],
        "genesys.client_id" => &["genesys.client_secret"],
        "genesys.client_secret" | "genesys.private_key" => &["genesys.client_id"],
        "genesys.api_url" => &["genesys.login_url"],
        "genesys.login_url" => &["genesys.api_url"],
        "auth.mode" => &["auth.api_keys"],
        "server.tls_cert" => &["server.tls_key"],
        "server.tls_key" => &["server.tls_cert"],
        "auth.oidc_issuer" => &["auth.oidc_audience"],
        "auth.oidc_audience" => &["auth.oidc_issuer"],
        "auth.oidc_max_lifetime" => &["auth.oidc_issuer", "auth.oidc_audience"],
        _ => &[],
    }
}

fn with_samples(key: &str) -> BTreeMap<String, String> {
    beside(key).iter().chain([&key]).map(|name| (keys::variable(name), sample(name))).collect()
}

/// Where `check-config` says that the value of `key` came from.
fn origin(settings: &Settings, key: &str) -> String {
    let (section, name) = key.split_once('.').unwrap();
    let lines = settings.effective.lines().skip_while(|line| *line != format!("[{section}]"));
    let line = lines.map(|line| line.strip_prefix(&format!("{name} = ")));
    let (_, origin) = line.flatten().next().unwrap().rsplit_once("  # ").unwrap();
    origin.to_owned()
}

#[test]
fn every_key_can_be_set_by_its_variable() {
    for key in KEYS.iter() {
        let settings = Settings::load(&Args::default(), &with_samples(key))
            .unwrap_or_else(|errors| panic!("{key}: {errors}"));
        assert_eq!(origin(&settings, key), format!("{} in the environment", keys::variable(key)));
        let without: BTreeMap<_, _> = with_samples(key)
            .into_iter()
            .filter(|(name, _)| *name != keys::variable(key))
            .collect();
        if let Ok(without) = Settings::load(&Args::default(), &without) {
            let values = |settings: &Settings| {
                format!("{settings:?}").split("effective: ").next().unwrap().to_owned()
            };
            if !SECRETS.contains(&key.as_str()) {
                assert_ne!(values(&settings), values(&without), "{key} changes nothing");
            }
        }
    }
}

#[test]
fn every_secret_can_come_from_a_file() {
    for key in SECRETS {
        let file = File::new("secret", &format!("{}\n", sample(key).trim_end()));
        let mut vars = with_samples(key);
        vars.remove(&keys::variable(key));
        vars.insert(keys::file_variable(key).unwrap(), file.name().to_owned());
        let settings = Settings::load(&Args::default(), &vars)
            .unwrap_or_else(|errors| panic!("{key}: {errors}"));
        let origin = origin(&settings, key);
        let expected = format!("{} named by {}_FILE", file.name(), keys::variable(key));
        assert!(origin.starts_with(&expected), "{origin}");
    }
}

#[test]
fn effective_configuration_is_toml_with_every_key_and_its_origin() {
    let file = File::new("a.toml", "[server]\ndeadline = '10s'\n");
    let toml = load_file(&file, &[("GENESYS_REQUESTS_PER_MINUTE", "180")]).unwrap().effective;
    files::toml(&toml, None).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    for line in [
        "bind = \"127.0.0.1:8080\"  # default".to_owned(),
        format!("deadline = \"10s\"  # {}", file.name()),
        "requests_per_minute = 180  # GENESYS_REQUESTS_PER_MINUTE in the environment".to_owned(),
        "mode = \"none\"  # not set; none in the sandbox on loopback, else required".to_owned(),
        "client_secret = \"<set>\"  # not set; the sandbox's own".to_owned(),
        "# otlp_endpoint is not set".to_owned(),
    ] {
        assert!(toml.contains(&line), "{line}\n{toml}");
    }
    for key in KEYS.iter() {
        let (_, name) = key.split_once('.').unwrap();
        assert!(toml.contains(&format!("{name} ")), "{key}");
    }
}

#[test]
fn example_environment_names_only_known_variables() {
    let example = include_str!("../../../.env.example");
    let known: Vec<String> = KEYS
        .iter()
        .flat_map(|key| [Some(keys::variable(key)), keys::file_variable(key)])
        .flatten()
        .chain(["CONFIG_FILE".to_owned()])
        .collect();
    let named = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let unknown: Vec<_> = named
        .map(|(name, _)| name)
        .filter(|name| !known.iter().any(|known| known == name))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
