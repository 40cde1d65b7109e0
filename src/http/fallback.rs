//! What is answered where no handler is.

use axum::{
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

use super::answer::Failure;
use crate::problem::Code;

/// No route has this path.
pub(super) async fn no_such_path(method: Method, uri: Uri) -> Response {
    // `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7).
    if method == Method::OPTIONS && uri.path() == "*" {
        return StatusCode::NO_CONTENT.into_response();
    }
    Failure::new(Code::NotFound, "There is nothing at this path.").into_response()
}

/// A route has this path, but not this method. The router adds `Allow`.
pub(super) async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = "This path does not take that method; the Allow header lists those it takes.";
    Failure::new(Code::MethodNotAllowed, detail).into_response()
}
