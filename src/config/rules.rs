//! What keys require of each other.

use super::{
    AuthMode, Region, Settings,
    keys::{self, KEYS},
    reader::Reader,
};

/// Checks `settings`, which were read by `from`; what is wrong is kept there.
pub(super) fn check(settings: &Settings, from: &mut Reader) {
    if settings.genesys.region == Region::Sandbox {
        sandbox_client(from);
        sandbox_hosts(from);
        sandbox_address(settings, from);
    } else {
        client(settings.genesys.region, from);
        no_demo_key(settings, from);
        no_sandbox(settings.genesys.region, from);
    }
    one_credential(from);
    callers(settings, from);
    lifetimes(settings, from);
}

const ID: &str = "genesys.client_id";
const SECRET: &str = "genesys.client_secret";
const KEY: &str = "genesys.private_key";

fn is_set(from: &Reader, key: &str) -> bool {
    from.value(key).is_some()
}

/// A real organisation needs a client.
fn client(region: Region, from: &mut Reader) {
    if !is_set(from, ID) {
        let variable = keys::variable(ID);
        from.complain(ID, format!("missing; needed with region {region} (set {variable})"));
    }
    if !is_set(from, SECRET) && !is_set(from, KEY) {
        let variable = keys::variable(SECRET);
        from.complain(
            SECRET,
            format!("missing; needed with region {region} (set {variable}, or {KEY} instead)"),
        );
    }
}

/// SHA-256 of the key in `config/demo/api_keys.toml`, which is printed in the README.
const DEMO_KEY: [u8; 32] = [
    0x28, 0x8a, 0xd3, 0x5d, 0x2a, 0x47, 0xd2, 0x7f, 0x47, 0xc4, 0x1d, 0x34, 0x2e, 0x03, 0xea, 0x60,
    0xaf, 0x5b, 0xd7, 0x57, 0xc9, 0xc8, 0xbf, 0x1b, 0xc8, 0x7f, 0xd9, 0xa0, 0xb6, 0xc6, 0xcd, 0xe1,
];

/// A key that everybody knows opens the sandbox only.
fn no_demo_key(settings: &Settings, from: &mut Reader) {
    if settings.auth.api_keys.iter().any(|caller| caller.sha256.contains(&DEMO_KEY)) {
        from.complain(
            keys::API_KEYS,
            "the demo key is known to everybody and opens the sandbox only; make one with \
             `genesys-transfer keygen NAME`",
        );
    }
}

/// In the sandbox: a whole client, or none for the default one.
fn sandbox_client(from: &mut Reader) {
    let credential = is_set(from, SECRET) || is_set(from, KEY);
    match (is_set(from, ID), credential) {
        (true, false) => {
            from.complain(
                SECRET,
                format!("missing; needed beside {ID}; the sandbox needs neither"),
            );
        }
        (false, true) => {
            from.complain(ID, format!("missing; needed beside {SECRET} or {KEY}"));
        }
        _ => {}
    }
}

fn one_credential(from: &mut Reader) {
    if is_set(from, SECRET) && is_set(from, KEY) {
        let other = from.origin(SECRET).unwrap_or_default().to_owned();
        from.complain(KEY, format!("set {KEY} or {SECRET}, not both; the other is from {other}"));
    }
}

/// The sandbox is both hosts, so it cannot be replaced by half.
fn sandbox_hosts(from: &mut Reader) {
    let hosts = ["genesys.api_url", "genesys.login_url"];
    for (key, other) in [(hosts[0], hosts[1]), (hosts[1], hosts[0])] {
        if !is_set(from, key) && is_set(from, other) {
            from.complain(
                key,
                format!(
                    "missing; with region sandbox it is needed beside {other}, or set a region"
                ),
            );
        }
    }
}

fn sandbox_address(settings: &Settings, from: &mut Reader) {
    if !settings.genesys.uses_embedded_sandbox() {
        return;
    }
    let bind = settings.sandbox.bind;
    if settings.auth.mode == AuthMode::None && !bind.ip().is_loopback() {
        from.complain(
            "sandbox.bind",
            "expected a loopback address such as 127.0.0.1:8081, because auth.mode is none",
        );
    }
    if bind.port() != 0 && bind == settings.server.bind {
        from.complain("sandbox.bind", "expected another address than that of server.bind");
    }
}

/// The sandbox and a real organisation never meet in one configuration.
fn no_sandbox(region: Region, from: &mut Reader) {
    for key in KEYS.iter().filter(|key| key.name.starts_with("sandbox.")) {
        if from.is_given(key.name) {
            from.complain(
                key.name,
                format!("not allowed with region {region}; remove it, or set region to sandbox"),
            );
        }
    }
}

fn callers(settings: &Settings, from: &mut Reader) {
    let auth = &settings.auth;
    let mode = "auth.mode";
    match auth.mode {
        AuthMode::None if !settings.server.bind.ip().is_loopback() => {
            let bind = settings.server.bind;
            from.complain(
                mode,
                format!("expected required: none is for loopback only, and server.bind is {bind}"),
            );
        }
        AuthMode::Required if auth.api_keys.is_empty() && auth.oidc.is_none() => {
            let variable = keys::variable(keys::API_KEYS);
            from.complain(
                mode,
                format!(
                    "it is required, but nobody could call: set auth.api_keys ({variable}_FILE) or \
                     auth.oidc_issuer and auth.oidc_audience"
                ),
            );
        }
        _ => {}
    }
}

/// A key's answer is the transfer's, so the transfer has to live as long.
fn lifetimes(settings: &Settings, from: &mut Reader) {
    if settings.store.retention < settings.store.key_retention {
        from.complain("store.retention", "expected at least as long as store.key_retention");
    }
}

/// Combinations that work but are seldom meant.
pub(super) fn doubts(settings: &Settings) -> Vec<String> {
    let mut doubts = Vec::new();
    if settings.server.deadline < settings.genesys.read_timeout + settings.genesys.command_timeout {
        doubts.push(
            "server.deadline is shorter than genesys.read_timeout and genesys.command_timeout \
             together: a slow Genesys makes more transfers end as unknown or not sent"
                .to_owned(),
        );
    }
    doubts
}
