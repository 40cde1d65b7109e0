//! What keys require of each other.

use super::{
    AuthMode, Genesys, Region, Settings,
    keys::{API_KEYS, KEYS, variable},
    layers::Layers,
    values::{SAFE_URL, is_safe},
};

const ID: &str = "genesys.client_id";
const SECRET: &str = "genesys.client_secret";
const KEY: &str = "genesys.private_key";
const HOSTS: [&str; 2] = ["genesys.api_url", "genesys.login_url"];

/// SHA-256 of the key in `config/demo/api_keys.toml`, which is printed in the README.
const DEMO_KEY: [u8; 32] = [
    0x28, 0x8a, 0xd3, 0x5d, 0x2a, 0x47, 0xd2, 0x7f, 0x47, 0xc4, 0x1d, 0x34, 0x2e, 0x03, 0xea, 0x60,
    0xaf, 0x5b, 0xd7, 0x57, 0xc9, 0xc8, 0xbf, 0x1b, 0xc8, 0x7f, 0xd9, 0xa0, 0xb6, 0xc6, 0xcd, 0xe1,
];

/// A stand-in that is sent nothing secret may be called over plain `http` on another machine, such
/// as the next container; real credentials may not be sent so.
pub(super) fn check_hosts(genesys: &Genesys, from: &mut Layers) {
    for (key, url) in HOSTS.into_iter().zip([&genesys.api_url, &genesys.login_url]) {
        if !genesys.is_bare_sandbox() && url.as_ref().is_some_and(|url| !is_safe(url)) {
            from.complain(key, format!("expected {SAFE_URL}"));
        }
    }
}

/// Checks `settings`, which were read from `from`; what is wrong is kept there.
pub(super) fn check(settings: &Settings, from: &mut Layers) {
    let Settings { server, genesys, store, auth, sandbox, .. } = settings;
    let region = genesys.region;
    let (is_sandbox, is_embedded) = (region == Region::Sandbox, genesys.uses_embedded_sandbox());
    let has_demo_key = auth.api_keys.iter().any(|caller| caller.sha256.contains(&DEMO_KEY));
    let has_id = from.is_set(ID);
    let credential = from.is_set(SECRET) || from.is_set(KEY);
    let is_open = auth.mode == AuthMode::None;
    if is_sandbox {
        // The sandbox is both hosts, so it cannot be replaced by half.
        from.require_both(HOSTS, |other| {
            let together = format!("with region sandbox it is required together with {other}");
            format!("missing; {together}, or set a region")
        });
    }
    // Whether the rule is broken, the key that is wrong, and what is expected.
    let rules = [
        (
            !is_sandbox && !has_id,
            ID,
            format!("missing; required with region {region} (set {})", variable(ID)),
        ),
        (
            !is_sandbox && !credential,
            SECRET,
            format!(
                "missing; required with region {region} (set {}, or {KEY} instead)",
                variable(SECRET)
            ),
        ),
        (
            is_sandbox && has_id && !credential,
            SECRET,
            format!("missing; required together with {ID}; the sandbox needs neither"),
        ),
        (
            is_sandbox && !has_id && credential,
            ID,
            format!("missing; required together with {SECRET} or {KEY}"),
        ),
        (
            from.is_set(SECRET) && from.is_set(KEY),
            KEY,
            format!("set {KEY} or {SECRET}, not both; the other is from {}", from.origin(SECRET)),
        ),
        (
            !is_sandbox && has_demo_key,
            API_KEYS,
            "the demo key is public and opens the sandbox only; make one with \
             `genesys-transfer keygen NAME`"
                .to_owned(),
        ),
        (
            is_embedded && is_open && !sandbox.bind.ip().is_loopback(),
            "sandbox.bind",
            "expected a loopback address such as 127.0.0.1:8081, because auth.mode is none"
                .to_owned(),
        ),
        (
            is_embedded && sandbox.bind.port() != 0 && sandbox.bind == server.bind,
            "sandbox.bind",
            "expected another address than that of server.bind".to_owned(),
        ),
        (
            is_open && !server.bind.ip().is_loopback(),
            "auth.mode",
            format!(
                "expected required: none is for loopback only, and server.bind is {}",
                server.bind
            ),
        ),
        (
            !is_open && auth.api_keys.is_empty() && auth.oidc.is_none(),
            "auth.mode",
            format!(
                "authentication is required, but no caller is configured: set auth.api_keys \
                 ({}_FILE) or auth.oidc_issuer and auth.oidc_audience",
                variable(API_KEYS)
            ),
        ),
        (
            // A key's answer is the transfer's, so the transfer has to live as long.
            store.retention < store.key_retention,
            "store.retention",
            "expected at least as long as store.key_retention".to_owned(),
        ),
        (
            !server.shutdown_delay.is_zero() && server.shutdown_delay >= server.shutdown_grace,
            "server.shutdown_delay",
            "expected less than server.shutdown_grace".to_owned(),
        ),
    ];
    for (_, key, message) in rules.iter().filter(|(is_broken, ..)| *is_broken) {
        from.complain(key, message);
    }
    // The sandbox and a real organisation never meet in one configuration.
    for key in KEYS.iter().filter(|key| !is_sandbox && key.starts_with("sandbox.")) {
        if from.is_given(key) {
            let why = "remove it, or set region to sandbox";
            from.complain(key, format!("not allowed with region {region}; {why}"));
        }
    }
}

/// Combinations that work but are seldom meant.
pub(super) fn doubts(settings: &Settings) -> Option<String> {
    let (server, genesys) = (&settings.server, &settings.genesys);
    (server.deadline < genesys.read_timeout + genesys.command_timeout).then(|| {
        "server.deadline is shorter than genesys.read_timeout and genesys.command_timeout \
         together: a slow Genesys makes more transfers end as unknown or not sent"
            .to_owned()
    })
}
