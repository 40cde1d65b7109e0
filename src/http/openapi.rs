//! `GET /openapi.json`: what this service takes and answers, as an OpenAPI 3.1 document made from
//! the code: limits, permissions and problem codes come from where they are enforced.
//!
//! Each module of handlers describes its own operations as [`Entry`]s; [`operations`] gathers
//! them. A test finds routes that are served but not described, and the other way round.

use std::mem;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        Components, Info, OpenApi, OpenApiBuilder, Paths, RefOr, Response as Described,
        schema::Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::{Tag, TagBuilder},
    },
};

use entry::{Answer, Entry, SCHEMES};

use super::{
    answer::{ProblemBody, json_bytes},
    batches, conversations, docs, health, log_level, metrics, ops, problems, queues,
    state::AppState,
    transfers, whoami,
};
use crate::problem::Code;

pub(super) mod entry;
pub(super) mod failures;
pub(super) mod fields;
mod older;
pub(super) mod shapes;
#[cfg(test)]
mod tests;

const JSON: &str = "application/json";

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
        ops::entries(),
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
    for schema in components.schemas.values_mut() {
        let untidy = mem::replace(schema, RefOr::T(Schema::default()));
        *schema = fields::tidied(untidy);
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
        "One request moves one call; Genesys is never asked again while the first attempt may \
         have worked, and every \
         request gets an answer that says what happened and what to do next.\n\nBodies are JSON \
         in UTF-8, members camelCase, times RFC 3339 in UTC. Members, fields and query parameters \
         that are not listed here are refused in requests; answers may gain members. A member \
         that is `null` counts as absent.\n\nWhat goes wrong is answered as \
         `application/problem+json` (RFC 9457). Its `code` is one of a fixed list, `retryable` \
         says whether the same request may be sent again, `hint` what to do next. Only what cannot \
         be parsed as HTTP gets 400 or 431 without a body, and the connection closes. Any other path \
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

/// The same document in OpenAPI 3.0.3, for tools that do not read 3.1.
#[must_use]
pub fn description_3_0(open: bool) -> Value {
    older::converted(&description(open))
}

/// `GET /openapi.json`
pub(super) async fn describe_api(State(app): State<AppState>) -> Response {
    let made = || json_bytes(&description(app.keyring.is_open())).into();
    json_document(app.document.get_or_init(made))
}

/// `GET /openapi-3.0.json`
pub(super) async fn describe_api_3_0(State(app): State<AppState>) -> Response {
    let made = || json_bytes(&description_3_0(app.keyring.is_open())).into();
    json_document(app.document_3_0.get_or_init(made))
}

fn json_document(document: &Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(JSON))], document.clone()).into_response()
}

fn entries() -> Vec<Entry> {
    let document = |path, id, summary| {
        let content = Answer::new("The document.").of_type(JSON, fields::any_object());
        Entry::get(path, id, summary).tag("Meta").open().answer(200, content)
    };
    vec![
        document("/openapi.json", "describeApi", "This description of the API"),
        document("/openapi-3.0.json", "describeApi30", "The same in OpenAPI 3.0.3"),
    ]
}
