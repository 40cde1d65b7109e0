//! `GET /openapi.json`: what this service takes and answers, as an OpenAPI 3.1 document made from
//! the code: limits, permissions and problem codes come from where they are enforced.
//!
//! Each module of handlers describes its own operations as [`Entry`]s; [`operations`] gathers
//! them. A test finds routes that are served but not described, and the other way round.

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use utoipa::{
    ToSchema,
    openapi::{
        Components, Info, OpenApi, OpenApiBuilder, Paths, RefOr, Response as Described,
        schema::Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::{Tag, TagBuilder},
    },
};

pub(super) use entry::{Answer, Entry};

use super::{
    answer::{ProblemBody, json_bytes},
    batches, conversations, docs,
    fixed::Fixed,
    health, log_level, metrics, problems, queues,
    state::AppState,
    transfers, whoami,
};
use crate::problem::Code;

mod entry;
pub(super) mod failures;
pub(super) mod fields;
pub(super) mod shapes;
#[cfg(test)]
mod tests;

/// The names of the security schemes.
const SCHEMES: [&str; 2] = ["apiKey", "accessToken"];

/// Every operation of the service, in the order of the document.
fn operations() -> Vec<Entry> {
    [
        transfers::entries(),
        batches::entries(),
        conversations::entries(),
        queues::entries(),
        whoami::entries(),
        health::entries(),
        metrics::entries(),
        log_level::entries(),
        problems::entries(),
        docs::entries(),
        entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const TAGS: [(&str, &str); 7] = [
    ("Transfers", "Move a call to another queue, and see what became of it."),
    ("Batches", "Move many calls, or all that wait in a queue, and watch how it goes."),
    ("Conversations", "What a transfer would do; nothing is moved."),
    ("Queues", "The queues this service knows of."),
    ("Health", "Probes. No credentials are needed."),
    ("Operations", "For whoever keeps the service running."),
    ("Meta", "The service about itself. No credentials are needed."),
];

/// The document. With `open`, credentials are not asked for (`auth.mode = none`), and the
/// document says so.
#[must_use]
pub fn description(open: bool) -> OpenApi {
    let mut components = Components::new();
    let mut paths = Paths::new();
    schema::<ProblemBody<'_>>(&mut components);
    for entry in operations() {
        components.schemas.extend(entry.schemas());
        let (path, method) = entry.place();
        paths.add_path_operation(path, vec![method], entry.operation(open));
    }
    components.examples.extend(failures::examples());
    components.headers.extend(fields::answer_headers());
    components.parameters.extend(fields::request_headers());
    components.responses.extend(elsewhere());
    for (name, scheme) in SCHEMES.into_iter().zip(schemes()) {
        components.security_schemes.insert(name.to_owned(), scheme.into());
    }
    OpenApiBuilder::new()
        .info(info())
        .tags(Some(tags()))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn schema<T: ToSchema>(components: &mut Components) {
    let mut nested = Vec::new();
    T::schemas(&mut nested);
    components.schemas.insert(T::name().into_owned(), T::schema());
    components.schemas.extend(nested);
}

/// Answers that belong to no operation: of paths and methods that are not there.
fn elsewhere() -> [(String, RefOr<Described>); 2] {
    let not_there = failures::answer(404, &[Code::NotFound], false);
    let not_taken = failures::answer(405, &[Code::MethodNotAllowed], false);
    [("NoSuchPath".to_owned(), not_there.into()), ("OtherMethod".to_owned(), not_taken.into())]
}

fn info() -> Info {
    let mut info = Info::new("genesys-transfer", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "One request moves one call; Genesys is never asked twice for the same move, and every \
         request gets an answer that says what happened and what to do next.\n\nBodies are JSON \
         in UTF-8, members camelCase, times RFC 3339 in UTC. Members, fields and query parameters \
         that are not listed here are refused in requests; answers may gain members. A member \
         that is `null` counts as absent.\n\nWhat goes wrong is answered as \
         `application/problem+json` (RFC 9457). Its `code` is one of a fixed list, `retryable` \
         says whether the same request may be sent again, `hint` what to do next. Any other path \
         is 404 `not_found`, any other method 405 `method_not_allowed` with `Allow`. `HEAD` is \
         taken wherever `GET` is, `OPTIONS` everywhere."
            .to_owned(),
    );
    info.license =
        Some(utoipa::openapi::LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build());
    info
}

fn tags() -> Vec<Tag> {
    let tag = |(name, about)| TagBuilder::new().name(name).description(Some(about)).build();
    TAGS.into_iter().map(tag).collect()
}

fn schemes() -> [SecurityScheme; 2] {
    let bearer = |format: &str, about: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format);
        SecurityScheme::Http(scheme.description(Some(about)).build())
    };
    [
        bearer(
            "API key",
            "A key made with `genesys-transfer keygen`, as `Authorization: Bearer …`.",
        ),
        bearer("JWT", "An access token of the issuer the service trusts (`auth.oidc_issuer`)."),
    ]
}

/// The document as it is served.
pub(super) fn served(open: bool) -> Fixed {
    Fixed::new("application/json", json_bytes(&description(open)))
}

/// `GET /openapi.json`
pub(super) async fn describe_api(State(app): State<AppState>, headers: HeaderMap) -> Response {
    app.document.answer(&headers).into_response()
}

fn entries() -> Vec<Entry> {
    let document = Answer::new("This document.").of_type("application/json", fields::any_object());
    vec![
        Entry::get("/openapi.json", "describeApi", "This description of the API")
            .tag("Meta")
            .open()
            .header("If-None-Match")
            .answer(200, document.fixed())
            .answer(304, Answer::unchanged()),
    ]
}

type Named = (String, RefOr<Schema>);
