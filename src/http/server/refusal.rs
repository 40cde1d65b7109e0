//! Answers to requests that never became one: written to the connection by hand, because no
//! request is there to answer.

use std::{sync::Arc, time::SystemTime};

use axum::http::StatusCode;

use crate::{
    http::{answer::problem_answer, request_ids::RequestIds},
    metrics::Metrics,
    problem::{Code, Problem},
};

/// Makes answers for heads that cannot be read.
#[derive(Clone)]
pub(super) struct Refusals {
    request_ids: RequestIds,
    metrics: Arc<Metrics>,
}

impl Refusals {
    pub(super) const fn new(request_ids: RequestIds, metrics: Arc<Metrics>) -> Self {
        Self { request_ids, metrics }
    }

    /// A whole HTTP/1.1 answer, after which the connection closes.
    pub(super) fn answer(&self, code: Code) -> Vec<u8> {
        self.problem(&Problem::new(code, detail(code)))
    }

    /// The same for plain HTTP on a TLS port.
    pub(super) fn not_tls(&self) -> Vec<u8> {
        let detail = "Plain HTTP was sent to a port where the service speaks HTTPS.";
        let hint = "Send the request to the same address with https://.";
        self.problem(&Problem::new(Code::InvalidHeader, detail).hint(hint))
    }

    fn problem(&self, problem: &Problem) -> Vec<u8> {
        let (id, code) = (self.request_ids.make(), problem.code);
        let answer = problem_answer(problem, &id);
        self.metrics.connection_refused(code);
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST);
        tracing::info!(
            target: "access",
            request_id = id.as_str(),
            method = "-",
            route = "-",
            status = status.as_u16(),
            code = code.as_str(),
            "answered",
        );
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nx-request-id: {id}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\
             date: {}\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            answer.content_type,
            answer.body.len(),
            httpdate::fmt_http_date(SystemTime::from(self.request_ids.now())),
        )
        .into_bytes();
        bytes.extend(answer.body);
        bytes
    }
}

const fn detail(code: Code) -> &'static str {
    match code {
        Code::RequestTimeout => "The request's headers did not arrive in time.",
        Code::HeadersTooLarge => "The request's target or headers are too large, or too many.",
        _ => "The request line or a header cannot be read. Each line must end with CR LF.",
    }
}
