//! What came back of one try: an answer, or a failure that says whether anything had left.

use std::{error::Error as _, time::Duration};

use super::{call::Decoded, pacing::RateHeaders};
use crate::{
    outgoing,
    problem::{Problem, UpstreamAnswer},
    transfer::{class::Trace, clock_offset::ClockOffset, gateway::GatewayError},
};

/// An HTTP answer, good or bad.
pub(super) struct Answer {
    /// Status, Genesys' code and message, correlation id.
    pub upstream: UpstreamAnswer,
    /// Whether the body arrived whole.
    pub complete: bool,
    /// The body, when a good one was to be read.
    pub decoded: Option<Decoded>,
    /// How Genesys' clock differs from ours, by its `Date`.
    pub clock: ClockOffset,
    /// What the answer said about the rate limit.
    pub rate: Option<RateHeaders>,
    /// How long to pause; only on 429.
    pub throttle: Option<Throttle>,
    /// Whether a fresh token may help; only on 401, set by the auth layer.
    pub replay: bool,
}

impl Answer {
    /// The HTTP status.
    pub(super) const fn status(&self) -> u16 {
        self.upstream.status
    }

    /// What it says about a command. A 2xx that is not Genesys' own is a [`Failure::Unreadable`].
    pub(super) const fn trace(&self) -> Trace {
        Trace::Answered { status: self.status(), complete: self.complete, genuine: true }
    }

    /// Whether the status is 2xx.
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.upstream.status, 200..=299)
    }
}

/// What a 429 asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Throttle {
    /// How long nothing more is sent: what was asked for plus jitter, or a back-off.
    pub pause: Duration,
    /// What a caller is told.
    pub retry_after: Duration,
}

/// A try that brought no usable answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Certainly not a byte of the request left.
    NothingLeft(String),
    /// Bytes may have left and no whole answer came: timeout, reset, end of stream.
    Broken(String),
    /// Bytes may have left, and the caller's deadline ended before the try's own time did.
    Late(String),
    /// What came is not HTTP.
    Garbled(String),
    /// A 2xx whose body cannot be what was asked for.
    Unreadable {
        /// What was wrong with it.
        detail: String,
        /// Its status line and correlation id.
        answer: UpstreamAnswer,
    },
    /// This service did not let the try go.
    HeldBack(GatewayError),
    /// The look before a repeat found that the command no longer fits.
    Abandoned(Box<Problem>),
}

impl Failure {
    /// What it says about a command.
    pub(super) const fn trace(&self) -> Trace {
        match self {
            Self::NothingLeft(_) | Self::HeldBack(_) | Self::Abandoned(_) => Trace::NothingLeft,
            Self::Broken(_) | Self::Late(_) | Self::Garbled(_) => Trace::NoAnswer,
            Self::Unreadable { answer, .. } => {
                Trace::Answered { status: answer.status, complete: true, genuine: false }
            }
        }
    }

    /// Sorts an error of the HTTP client by what is known about the bytes.
    pub(super) fn of(error: reqwest::Error) -> Self {
        // The URL may carry a queue name; the root cause says more anyway.
        let error = error.without_url();
        let detail = root_cause(&error);
        if error.is_builder() || error.is_connect() || never_left(&error) {
            return Self::NothingLeft(detail);
        }
        if is_garbled(&error) {
            return Self::Garbled(detail);
        }
        Self::Broken(detail)
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// hyper hands a request back as cancelled only when it was never put on the connection; a peer
/// that answers `REFUSED_STREAM` promises not to have looked at it (RFC 9113, section 8.7).
fn never_left(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let unsent = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        let refused = cause.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_remote()
                && error.is_reset()
                && error.reason() == Some(h2::Reason::REFUSED_STREAM)
        });
        unsent || refused
    })
}

fn is_garbled(error: &reqwest::Error) -> bool {
    causes(error)
        .any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse))
}

/// The innermost cause, which names what happened ("connection refused") and no address.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    super::text::tidy(&outgoing::why(error), 200)
}

#[cfg(test)]
mod tests {
    use h2::Reason;
    use tokio::net::TcpListener;

    use super::*;

    /// What the client makes of an HTTP/2 server that resets the stream for `reason`.
    async fn reset_with(reason: Reason) -> Failure {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(reason);
            }
        });
        let client = reqwest::Client::builder()
            .http2_prior_knowledge()
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .unwrap();
        Failure::of(client.post(url).body("x").send().await.unwrap_err())
    }

    #[tokio::test]
    async fn a_refused_stream_left_nothing() {
        let failure = reset_with(Reason::REFUSED_STREAM).await;
        assert!(matches!(failure, Failure::NothingLeft(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn any_other_reset_leaves_it_open() {
        for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
            let failure = reset_with(reason).await;
            assert!(matches!(failure, Failure::Broken(_)), "{reason:?}: {failure:?}");
        }
    }
}
