//! `[genesys]`: which Genesys Cloud, and as whom.

use std::time::Duration;

use config::ValueKind;
use jsonwebtoken::EncodingKey;
use secrecy::SecretString;
use url::Url;

use super::{
    keys,
    reader::{self, Reader},
    region::Region,
    units::{hours, milliseconds, minutes, seconds},
};

/// `[genesys]`
#[derive(Debug, Clone)]
pub struct Genesys {
    /// Where the organisation lives.
    pub region: Region,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// OAuth client secret.
    pub client_secret: Option<SecretString>,
    /// PEM of the key that signs assertions instead of the secret (RFC 7523).
    pub private_key: Option<SecretString>,
    /// API host, when not the region's.
    pub api_url: Option<Url>,
    /// Login host, when not the region's.
    pub login_url: Option<Url>,
    /// Which of the two ways to move a call.
    pub transfer_api: TransferApi,
    /// Lifetime of the queue map.
    pub queue_cache_ttl: Duration,
    /// Requests a minute, until Genesys' own headers say less.
    pub requests_per_minute: u32,
    /// Longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// Longest a token request may take.
    pub token_timeout: Duration,
    /// Longest a read may take.
    pub read_timeout: Duration,
    /// Longest the command may take to its status line.
    pub command_timeout: Duration,
    /// Longest a routing change may take.
    pub patch_timeout: Duration,
}

/// `genesys.transfer_api`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferApi {
    /// `POST …/participants/{id}/replace/queue`, the platform's documented API.
    ParticipantReplace,
    /// `PATCH /api/v2/communications/conversations/{id}`.
    ConversationPatch,
}

/// Client id and secret of the sandbox when none are configured.
pub(super) const SANDBOX_CLIENT: &str = "sandbox";

impl Genesys {
    /// Whether the embedded sandbox stands in for Genesys: the region is `sandbox`, and no other
    /// hosts are named.
    #[must_use]
    pub fn uses_embedded_sandbox(&self) -> bool {
        self.region == Region::Sandbox && self.api_url.is_none() && self.login_url.is_none()
    }

    pub(super) fn read(from: &mut Reader) -> Self {
        let ways = [
            ("participant-replace", TransferApi::ParticipantReplace),
            ("conversation-patch", TransferApi::ConversationPatch),
        ];
        let step = milliseconds(100)..=minutes(2);
        let region = region(from);
        let host = host_reader(region, from);
        Self {
            region,
            client_id: from.text("genesys.client_id"),
            client_secret: from.secret("genesys.client_secret"),
            private_key: from.optional("genesys.private_key", PRIVATE_KEY, private_key),
            api_url: host(from, "genesys.api_url"),
            login_url: host(from, "genesys.login_url"),
            transfer_api: from
                .word("genesys.transfer_api", &ways)
                .unwrap_or(TransferApi::ParticipantReplace),
            queue_cache_ttl: from.duration("genesys.queue_cache_ttl", seconds(1)..=hours(24)),
            requests_per_minute: from.integer("genesys.requests_per_minute", 1..=100_000_000),
            connect_timeout: from
                .duration("genesys.connect_timeout", milliseconds(10)..=minutes(1)),
            token_timeout: from.duration("genesys.token_timeout", step.clone()),
            read_timeout: from.duration("genesys.read_timeout", step.clone()),
            command_timeout: from.duration("genesys.command_timeout", step.clone()),
            patch_timeout: from.duration("genesys.patch_timeout", step),
        }
    }

    /// Gives the sandbox's own credentials to a configuration without any.
    pub(super) fn fill_in_sandbox_client(&mut self) {
        let bare =
            self.client_id.is_none() && self.client_secret.is_none() && self.private_key.is_none();
        if self.region == Region::Sandbox && bare {
            self.client_id = Some(SANDBOX_CLIENT.to_owned());
            self.client_secret = Some(SecretString::from(SANDBOX_CLIENT));
        }
    }
}

/// How the hosts are read. A stand-in that gets the sandbox's well-known credentials may be asked
/// over plain `http` on another machine, such as the next container; real credentials may not.
fn host_reader(region: Region, from: &Reader) -> fn(&mut Reader, &'static str) -> Option<Url> {
    let own_credentials = ["genesys.client_id", "genesys.client_secret", "genesys.private_key"];
    let nothing_secret = own_credentials.iter().all(|key| from.value(key).is_none());
    if region == Region::Sandbox && nothing_secret { Reader::internal_url } else { Reader::url }
}

fn region(from: &mut Reader) -> Region {
    let given = from.value("genesys.region").and_then(|value| reader::text(&value.kind));
    let names = || Region::ALL.iter().map(|region| region.name());
    let mut expected = format!("one of {}", names().collect::<Vec<_>>().join(", "));
    if let Some(near) = given.and_then(|given| keys::closest(given, names())) {
        expected = format!("a region (did you mean {near}?), {expected}");
    }
    from.parsed("genesys.region", Region::Sandbox, &expected)
}

const PRIVATE_KEY: &str = "a private key in PEM form: RSA (PKCS#1 or PKCS#8), or EC in PKCS#8 \
                           (`openssl pkcs8 -topk8 -nocrypt` converts)";

/// The PEM text with real line ends, when it holds a key that can sign.
fn private_key(kind: &ValueKind) -> Option<SecretString> {
    // One-line environments carry a PEM with its line ends written as `\n`.
    let pem = reader::text(kind)?.replace("\\r", "").replace("\\n", "\n");
    let bytes = pem.as_bytes();
    let readable =
        EncodingKey::from_rsa_pem(bytes).is_ok() || EncodingKey::from_ec_pem(bytes).is_ok();
    readable.then(|| SecretString::from(pem))
}
