//! What happens around every handler, in one list.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, Version, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::time::sleep_until;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    access::check_access,
    answer::Failure,
    batches,
    fallback::{no_such_path, other_method},
    head::{Media, accepts},
    metrics,
    observe::{is_watching, observe},
    query,
    state::{AppState, Arrival},
};
use crate::{
    problem::Code,
    transfer::{Cut, InFlightPermit, Progress},
};

#[cfg(test)]
mod tests;

/// Most bytes of a request's target and headers together.
const MAX_HEAD: usize = 16 * 1024;

/// Time past the deadline after which a handler is given up. The service answers by the deadline
/// itself and knows what became of the command; this is only for when it does not.
const NET: Duration = Duration::from_secs(1);

/// Puts the layers around the routes, the outermost first in each list. `open` routes need no
/// caller: probes and explanations; `closed` ones do.
pub(super) fn around(open: Router<AppState>, closed: Router<AppState>, app: &AppState) -> Router {
    let for_all = ServiceBuilder::new()
        .layer(from_fn_with_state(app.clone(), bound))
        // A panic is an answer like any other, and ends neither the connection nor the process.
        .layer(CatchPanicLayer::custom(on_panic));
    let routes = open
        // A wrong method or path never gets there, so that it is 405 or 404 whatever else is wrong
        // with the request.
        .merge(closed.route_layer(from_fn_with_state(app.clone(), for_callers)))
        // After the callers' layer, which must not wrap it.
        .method_not_allowed_fallback(other_method)
        .fallback(no_such_path)
        .layer(for_all)
        .with_state(app.clone());
    // Outside of the router, which itself writes 405 and HEAD answers: request id, deadline,
    // problem bodies, headers every answer has, log line.
    Router::new().fallback_service(routes).layer(from_fn_with_state(app.clone(), observe))
}

/// Bounds what a request may cost: its head, the number of requests in hand, its time.
async fn bound(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = match check_head(&app, &request) {
        // Bad heads are refused before they take a place among the requests in hand.
        Err(failure) => failure.into_response(),
        // A body is only read by a request that has a place.
        Ok(()) => in_place(&app, request, next).await.into_response(),
    };
    if let Some(route) = route {
        // For the log line.
        response.extensions_mut().insert(route);
    }
    response
}

/// Recognises the caller, then looks whether it can read the answers of this route.
async fn for_callers(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    // Who calls comes first: a stranger learns nothing else.
    let caller = match check_access(&app, &mut request).await {
        Ok(caller) => caller,
        Err(response) => return response,
    };
    // Refused before any work is done: the caller could not read the answer.
    let mut response = match check_accept(&request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    // For the log line.
    response.extensions_mut().insert(caller);
    response
}

fn check_accept(request: &Request) -> Result<(), Failure> {
    // Metrics have a form of their own, whatever is asked for.
    if request.uri().path() != metrics::PATH {
        accepts(request.headers(), offered(request))?;
    }
    Ok(())
}

/// The forms a route's answers have. A problem is sent as what it is, whatever else is asked for.
fn offered(request: &Request) -> &'static [Media] {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match route {
        "/batches" | "/batches/{id}" => batches::SHOWN_AS,
        "/batches/{id}/events" => batches::WATCHED_AS,
        _ => Media::JSON,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the payload over")]
fn on_panic(payload: Box<dyn Any + Send>) -> Response {
    // Only a literal of the program: a text put together at run time may hold anything.
    let text = payload.downcast_ref::<&'static str>().copied();
    tracing::error!(panic = text.unwrap_or("its message is withheld"), "a handler panicked");
    Failure::new(Code::InternalError, "An internal error occurred; see the service's log.")
        .into_response()
}

fn check_head(app: &AppState, request: &Request) -> Result<(), Failure> {
    let path = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if path + size(request.headers()) > MAX_HEAD {
        let kib = MAX_HEAD / 1024;
        let detail = format!("The request's target and headers may have {kib} KiB together.");
        return Err(Failure::new(Code::HeadersTooLarge, detail));
    }
    // RFC 9112, section 3.2; a later version carries the host in its target.
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        let detail = "An HTTP/1.1 request must have exactly one Host header.";
        return Err(Failure::new(Code::InvalidHeader, detail));
    }
    if let Some(names) = app.own_names {
        names.check(request)?;
    }
    Ok(())
}

/// Refuses query parameters, for routes that have none and do not read the query themselves.
pub(super) async fn check_no_query(request: Request, next: Next) -> Result<Response, Failure> {
    query::none(request.uri().query())?;
    Ok(next.run(request).await)
}

/// Bytes of the headers as HTTP/1.1 writes them: name, colon, blank, value, line end.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

async fn in_place(app: &AppState, mut request: Request, next: Next) -> Result<Response, Failure> {
    // A probe must tell "busy" from "broken", so health and metrics are served when it is busy.
    if is_watching(request.uri().path()) {
        return in_time(app, request, next).await;
    }
    let Ok(permit) = Arc::clone(&app.in_flight).try_acquire_owned() else {
        let detail = "The service is working on as many requests as it may; nothing was done.";
        return Err(Failure::new(Code::Overloaded, detail));
    };
    // Shared with the work, which may outlive the answer and the caller.
    let place = InFlightPermit::new(permit);
    request.extensions_mut().insert(place.clone());
    let response = in_time(app, request, next).await;
    drop(place);
    response
}

/// The net under the deadline.
async fn in_time(app: &AppState, mut request: Request, next: Next) -> Result<Response, Failure> {
    let Some(arrival) = request.extensions().get::<Arrival>() else {
        return Ok(next.run(request).await);
    };
    let give_up = arrival.deadline + NET;
    let progress = moves(&request).then(Arc::<Progress>::default);
    if let Some(progress) = &progress {
        request.extensions_mut().insert(Arc::clone(progress));
    }
    let cut = tokio::select! {
        biased;
        response = next.run(request) => return Ok(response),
        () = sleep_until(give_up) => Cut::Deadline,
        () = app.grace_over.cancelled() => Cut::Stop,
    };
    Err(match (progress, cut) {
        (Some(progress), cut) => progress.cut_short(cut).into(),
        (None, Cut::Stop) => {
            let detail = "The service is stopping and did not finish this request.";
            Failure::new(Code::ShuttingDown, detail)
        }
        (None, _) => Failure::new(Code::DeadlineExceeded, "The service did not finish in time."),
    })
}

/// Whether a request moves calls: its answer must say whether anything was sent.
fn moves(request: &Request) -> bool {
    request.method() == Method::POST && matches!(request.uri().path(), "/transfers" | "/batches")
}
