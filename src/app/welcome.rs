//! What a newcomer reads on standard output: where things are, and a command that works.

use std::net::SocketAddr;

use crate::sandbox::{Sandbox, seed};

/// The text printed after a start with the embedded sandbox.
pub(super) fn text(address: SocketAddr, sandbox: &Sandbox) -> String {
    format!(
        "\n\
         Service   http://{address}\n\
         Sandbox   {base}/sandbox/   (stands in for Genesys Cloud; no account needed)\n\
         \n\
         Move a call:\n\
         \n  \
           curl -sS http://{address}/transfers --json \
         '{{\"conversationId\": \"{call}\", \"queueName\": \"Support Tier 2\"}}'\n\
         \n\
         See what the sandbox did:  curl -sS {base}/sandbox/ledger/moves\n\n",
        base = sandbox.base_url(),
        call = seed::CONNECTED_CALL,
    )
}
