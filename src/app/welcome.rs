//! What a newcomer reads on standard output: where things are, and a command that works.

use std::net::SocketAddr;

use crate::{
    config::{AuthMode, Settings},
    sandbox::{Sandbox, seed},
};

/// The text printed after a start with the embedded sandbox.
pub(super) fn text(address: SocketAddr, settings: &Settings, sandbox: &Sandbox) -> String {
    // The certificate is the operator's and names a host, not this address.
    let (scheme, trust) =
        if settings.server.tls.is_some() { ("https", " -k") } else { ("http", "") };
    let key = match settings.auth.mode {
        AuthMode::None => "",
        AuthMode::Required => " -H \"Authorization: Bearer $KEY\"",
    };
    format!(
        "\n\
         Service   {scheme}://{address}\n\
         Page      {scheme}://{address}/ops   (queues, drains, history)\n\
         Sandbox   {base}/sandbox/   (stands in for Genesys Cloud; no account needed)\n\
         \n\
         Move a call:\n\
         \n  \
           curl -sS{trust}{key} {scheme}://{address}/transfers --json \
         '{{\"conversationId\": \"{call}\", \"queueName\": \"Support Tier 2\"}}'\n\
         \n\
         See what the sandbox did:  curl -sS {base}/sandbox/ledger/moves\n\n",
        base = sandbox.base_url(),
        call = seed::CONNECTED_CALL,
    )
}
