//! Takes a request's JSON body in: its declared form, its size, the time it may take. What it says is
//! read in `requests`.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout_at;

use super::{answer::Failure, head::body_is_json, state::Arrival};
use crate::problem::Code;

/// Largest body of a single request, in bytes.
pub(super) const MAX_BODY: usize = 256 * 1024;

/// Largest body of a request for a batch, in bytes.
pub(super) const MAX_BATCH: usize = 1024 * 1024;

/// Takes in a JSON body of at most `limit` bytes that must be there in full in the time that
/// `arrival` leaves it.
///
/// # Errors
/// `unsupported_media_type`, `body_too_large`, `request_timeout`, `shutting_down`, and
/// `malformed_json` when it breaks off; the first two before a byte of the body is read, so that a
/// caller that sent `Expect: 100-continue` keeps it.
pub(super) async fn take_json(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    arrival: &Arrival,
) -> Result<Bytes, Failure> {
    body_is_json(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        return Err(too_large(limit));
    }
    let body = timeout_at(arrival.body_by, Limited::new(body, limit).collect());
    let body = tokio::select! {
        biased;
        body = body => body,
        () = arrival.stopping.cancelled() => {
            let detail = "The service is stopping, and the body had not arrived; nothing was done.";
            return Err(Failure::new(Code::ShuttingDown, detail));
        }
    };
    match body {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(_)) => Err(Failure::new(
            Code::MalformedJson,
            "The body broke off, or its transfer coding is not valid.",
        )
        .hint("Send the request again with its whole body; nothing was done.")),
        Err(_) => Err(Failure::new(Code::RequestTimeout, "The body did not arrive in time.")),
    }
}

fn too_large(limit: usize) -> Failure {
    let kib = limit / 1024;
    Failure::new(Code::BodyTooLarge, format!("The body may have at most {kib} KiB."))
}
