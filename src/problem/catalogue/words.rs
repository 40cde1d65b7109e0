//! Each [`Code`] in plain words, for the operator on duty.

use super::Code;

/// What the code means.
pub(in super::super) const fn meaning(code: Code) -> &'static str {
    words(code).0
}

/// What to do about it.
pub(in super::super) const fn remedy(code: Code) -> &'static str {
    words(code).1
}

#[expect(clippy::too_many_lines, reason = "plain data, a few lines for each code")]
const fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::MalformedJson => (
            "The body is empty, is not JSON in UTF-8, nests more than 32 levels deep, or was \
             cut off in transit. Nothing was done.",
            "Correct the body at the line and column named in detail, and send it again.",
        ),
        Code::IdempotencyKeyInvalid => (
            "The Idempotency-Key header is there twice, is empty, has more than 255 characters, \
             or holds something other than visible ASCII. Nothing was done.",
            "Send one key of 1 to 255 visible ASCII characters, bare or in double quotes. A UUID \
             is a good key.",
        ),
        Code::InvalidHeader => (
            "A line of the request's head does not end with CR LF, the Host header is missing or \
             there are two, or HTTP was sent where HTTPS is spoken. Nothing was done.",
            "Check what the client or a proxy in between actually sends; a plain curl call to \
             the same address shows whether the service works.",
        ),
        Code::Unauthenticated => (
            "The request had no credentials, or ones this service does not recognise. Nothing was \
             done.",
            "Send a valid API key or access token as Authorization: Bearer. If it worked before, \
             it was probably replaced or has expired.",
        ),
        Code::NotPermitted => (
            "The caller is known but lacks the permission for this request. Where no credentials \
             are needed: a page of another site sent it. Nothing was done.",
            "Ask this service's operator to add the permission to the caller's entry, or use \
             another caller's credentials. Use a service without credentials from a program on \
             this machine, or from its own page, /docs.",
        ),
        Code::QueueNotPermitted => (
            "The caller may transfer calls, but not to this queue. Nothing was done.",
            "Choose another queue, or ask this service's operator to add the queue to the \
             caller's entry.",
        ),
        Code::NotFound => (
            "No route or record has this address, or the record belongs to another caller.",
            "Check the path: it is case-sensitive and has no slash at its end. A transfer that \
             was answered with an id is found under GET /transfers/{id} by the same caller.",
        ),
        Code::ConversationNotFound => (
            "Genesys knows no conversation with this id, or the service's OAuth client may not \
             see it: its roles may not cover the conversation's division. Nothing was moved.",
            "Check the id and that it belongs to the configured region and organisation. If both \
             are right, extend the OAuth client's roles to the division.",
        ),
        Code::MethodNotAllowed => (
            "The path exists but does not support this method. Nothing was done.",
            "Use one of the methods listed in the Allow header.",
        ),
        Code::NotAcceptable => (
            "The Accept header rules out every format this address returns: application/json, \
             unless detail says otherwise. Nothing was done.",
            "Leave the Accept header out, or let it admit one of the formats named in detail.",
        ),
        Code::InvalidHost => (
            "This service needs no credentials, so it answers only to this machine's own names: \
             localhost, 127.0.0.1, [::1] and the address in server.bind. Otherwise a page in a \
             browser could use it under a host name of its own. Nothing was done.",
            "Send the request to http://localhost with the service's port. To use another name, \
             set auth.mode to required and give callers keys.",
        ),
        Code::RequestTimeout => (
            "The request's headers or body did not arrive in full within the time allowed. \
             Nothing was done.",
            "Send the request again, with its Idempotency-Key if it has one. If it happens often, \
             look at the network and at proxies between the caller and this service.",
        ),
        Code::BodyTooLarge => (
            "The body is larger than this path accepts: 256 KiB, or 1 MiB for a batch. Nothing \
             was done.",
            "Send less; split a long list into several batches.",
        ),
        Code::UnsupportedMediaType => (
            "The Content-Type is missing or is not application/json in UTF-8, or the body is \
             compressed. Nothing was done.",
            "Send Content-Type: application/json and the plain body.",
        ),
        Code::HeadersTooLarge => (
            "The request's target and headers are larger than 16 KiB together, or there are more \
             than 100 headers. Nothing was done.",
            "Look for oversized cookies or tokens, and for a proxy that adds headers.",
        ),
        Code::ConversationEnded => (
            "The conversation is over, or its customer has left, so there is no call to move. \
             Nothing was moved.",
            "Nothing needs to be done. To reach the customer again, call back.",
        ),
        Code::ConversationRinging => (
            "The conversation is being offered to an agent, and a transfer now would take \
             it away from that agent. Nothing was moved.",
            "Wait until it is answered or goes back to the queue, usually a few seconds, and \
             send the same request again.",
        ),
        Code::ConversationNotTransferable => (
            "The conversation has no leg that can be replaced now, or is in a state such as busy \
             or declined. Nothing was moved.",
            "GET /conversations/{id} shows every leg and why it cannot be replaced. Try again \
             when the state has changed.",
        ),
        Code::ConversationMoved => (
            "While this request was in progress, someone else moved the conversation, or the leg \
             to replace was gone. This service did not move it.",
            "GET /conversations/{id} shows where it is now. Send the request again if it should \
             still go to the queue asked for.",
        ),
        Code::ParticipantAmbiguous => (
            "Several agents are connected or on hold, and moving the wrong one would cut a \
             conversation. Nothing was moved.",
            "Choose one of the candidates and send its id as participantId.",
        ),
        Code::ParticipantNotFound => (
            "The participantId names no current leg of the conversation. Nothing was \
             moved.",
            "GET /conversations/{id} lists the legs; leave participantId out to have the right \
             one chosen.",
        ),
        Code::AlreadyInQueue => (
            "The conversation waits in the target queue already, and nothing else was asked for. \
             Nothing was sent.",
            "Nothing needs to be done. To change its priority or skills, send those too.",
        ),
        Code::TransferInProgress => (
            "Another transfer of the same conversation is not settled: it is running, or its \
             outcome is still unknown. Nothing was sent.",
            "Check the transfer named by transferId and wait until it is settled. If it stays \
             unknown, check the conversation in Genesys and close it with POST \
             /transfers/{id}/settle.",
        ),
        Code::IdempotencyKeyInUse => (
            "The first request with this Idempotency-Key is still running. This one did \
             nothing.",
            "Wait for retryAfterSeconds and send the same request again: it gets the \
             first one's answer.",
        ),
        Code::DrainLoop => (
            "The drain would move calls to the queue they come from, directly or through another \
             drain that is running. No call was moved.",
            "Stop the other drain, or choose another target queue.",
        ),
        Code::PlanExpired => (
            "The dry run's planId is older than 2 minutes or has already been used. No call was \
             moved.",
            "Make a new dry run and send its planId.",
        ),
        Code::UndoImpossible => (
            "The transfer or batch cannot be undone: it moved nothing, is not finished, only changed \
             priority, skills or language, came from no queue, is an undo itself, or was undone \
             already. detail says which; no call was moved.",
            "If it was undone already, transferId or batchId names that undo. Otherwise move the \
             call with POST /transfers.",
        ),
        Code::ConversationAnswered => (
            "An agent has answered the call since it was moved, so it was left with that agent. \
             Nothing was moved.",
            "Nothing needs to be done. To move the call away from the agent all the same, use POST \
             /transfers.",
        ),
        Code::MovedTooOften => (
            "Only a reason in batches: standing drains moved this call 5 times within an hour, so it \
             is left where it is.",
            "Find what sends the call back with GET /transfers?conversationId=, and move it with \
             POST /transfers.",
        ),
        Code::Conflict => (
            "Genesys refused the request with 409, or the record is not in a state that allows \
             it. Nothing was changed by this request.",
            "Check the conversation or the transfer again before repeating the request; \
             upstream holds what Genesys said.",
        ),
        Code::InvalidRequest => (
            "One or more fields or parameters are missing, unknown, or outside their bounds. \
             Nothing was done.",
            "Correct every field listed in errors; each has a JSON pointer, or ?name for a query \
             parameter.",
        ),
        Code::QueueNotFound => (
            "No queue visible to the service has this name or id. Nothing was moved.",
            "Compare the name with the closest ones in hint, or search with GET /queues?name=. A \
             queue created a moment ago is found after POST /queues/refresh.",
        ),
        Code::QueueAmbiguous => (
            "Several queues have this name, in different divisions or differing only in case. \
             Nothing was moved.",
            "Choose one of the candidates and send its id as queueId.",
        ),
        Code::IdempotencyKeyReused => (
            "This Idempotency-Key was used for a different request in the last 72 hours. Nothing \
             was done.",
            "Use a new key for a new request, and the same key only to repeat the same one.",
        ),
        Code::RejectedByGenesys => (
            "Genesys understood the command and rejected it as invalid. Nothing was moved.",
            "upstream holds Genesys' own code and message. Sending the same again will fail \
             again.",
        ),
        Code::TooManyRequests => (
            "This caller sends more requests a minute than it is allowed here, or the conversation \
             has reached its limit of moves within an hour; detail says which. Nothing was done.",
            "Wait for retryAfterSeconds. Send more slowly or as a batch; or find out which \
             systems keep sending the call back and forth.",
        ),
        Code::GenesysCredentialsRejected => (
            "Genesys rejected the service's own credentials, even with a fresh token. No call can \
             be moved until that is fixed.",
            "Check genesys.client_id with its secret or key, genesys.region, and that the OAuth \
             client is active in Genesys. `check-config --connect` tests them.",
        ),
        Code::GenesysPermissionMissing => (
            "Genesys accepted the service's credentials but the OAuth client's roles lack a \
             permission. Nothing was moved.",
            "Give the OAuth client a role with the permission, for the divisions concerned. \
             `check-config --connect` lists what is missing.",
        ),
        Code::GenesysError => (
            "Genesys answered with a server error or something unreadable, and it is certain \
             that the conversation was not moved by this request.",
            "Send the same request again. If it persists, see Genesys' status page and give its \
             support the correlationId in upstream.",
        ),
        Code::GenesysRateLimited => (
            "Genesys' request limit is used up for longer than this request could wait. Nothing \
             was moved.",
            "Wait for retryAfterSeconds and send the same request again. If it happens \
             often, other programs may be using the same OAuth client.",
        ),
        Code::GenesysUnavailable => (
            "Genesys cannot be reached, or failed so often that requests to it are paused. \
             Nothing was moved.",
            "Wait for retryAfterSeconds and send the same request again. Check Genesys' \
             status page, and name resolution and firewall on this machine.",
        ),
        Code::Overloaded => (
            "The service is already working on its maximum number of requests. This one was not \
             started.",
            "Wait for retryAfterSeconds and send the same request again. If it persists, \
             raise server.max_in_flight or add a replica.",
        ),
        Code::ShuttingDown => (
            "The service is stopping and starts nothing new. Nothing was sent for this \
             request.",
            "Send the same request again: another instance, or this one after its restart, handles \
             it.",
        ),
        Code::StoreUnavailable => (
            "The service cannot write or read its store, and moves no call without a record. \
             Nothing was sent.",
            "Check the database or the disk behind store.url: space, permissions, connection. \
             The service recovers by itself once the store works again.",
        ),
        Code::OutcomeUnknown => (
            "The command was sent, and no certain answer came in time: the call may have moved \
             or not. The service keeps checking and settles the transfer when it knows.",
            "Poll GET /transfers/{transferId} until its status is no longer unknown. Do not \
             move the call any other way meanwhile; only the same request with the same \
             Idempotency-Key is safe. If it stays unknown, its hint says how an operator settles it.",
        ),
        Code::DeadlineExceeded => (
            "The deadline of this request passed before the command could be sent. It was \
             definitely not sent.",
            "Send the same request again. If it persists, Genesys is slow or its rate limit is \
             nearly used up; GET /health/ready says more.",
        ),
        Code::InternalError => (
            "An internal error occurred. The service's log has details under this answer's \
             requestId.",
            "If it has an Idempotency-Key, send the same request again; otherwise first check GET \
             /transfers. If it persists, report it with the log lines of that requestId.",
        ),
        Code::NotReady => (
            "The service runs but cannot carry out transfers now; reasons says why. Only GET \
             /health/ready answers with this, and requests with an access token while the keys to \
             check it cannot be fetched.",
            "Fix the reasons listed; the service becomes ready on its own.",
        ),
        Code::Cancelled => (
            "The batch was cancelled before this transfer was sent. The call was not moved.",
            "Start a new batch or a single transfer to move it after all.",
        ),
        Code::NoLongerWaiting => (
            "When its turn came, the conversation no longer waited in the queue: an agent \
             answered it, or the caller hung up. It was left alone.",
            "Nothing needs to be done.",
        ),
    }
}
