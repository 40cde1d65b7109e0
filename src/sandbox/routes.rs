//! The table of endpoints, and the router it makes.

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode},
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::{MethodFilter, MethodRouter, any},
};
use serde::de::DeserializeOwned;

use super::{
    access::{EndpointRule, Needs},
    api::{analytics, conversations, error::ApiError, login, queues},
    control::{ControlError, index, records, world},
    handler::{Handler, route},
    layers,
    state::SandboxCore,
};

/// One line of the table: what it asks of its caller, and what answers.
pub struct Endpoint {
    pub rule: EndpointRule,
    route: MethodRouter<Arc<SandboxCore>>,
}

fn endpoint<P, E>(method: Method, path: &'static str, needs: Needs, run: Handler<P, E>) -> Endpoint
where
    P: DeserializeOwned + Send + 'static,
    E: IntoResponse + 'static,
{
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    Endpoint { rule: EndpointRule { method, path, needs }, route: route(filter, run) }
}

/// Every endpoint: method, path, what it needs (for operators: query and what it does), handler.
/// The index page shows those for operators in this order.
#[rustfmt::skip]
pub fn endpoints() -> Vec<Endpoint> {
    use Needs::{AnyOf, Nothing, Operator};
    const DELETE: Method = Method::DELETE;
    const GET: Method = Method::GET;
    const PATCH: Method = Method::PATCH;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    vec![
        endpoint(POST, "/oauth/token", Nothing, login::token),
        endpoint(GET, "/api/v2/routing/queues", AnyOf(&["routing:queue:view"]), queues::page),
        endpoint(GET, "/api/v2/routing/queues/{id}", AnyOf(&["routing:queue:view"]), queues::one),
        endpoint(GET, "/api/v2/routing/settings/contactcenter", AnyOf(&[]), queues::contact_center),
        endpoint(GET, "/api/v2/conversations/{id}",
            AnyOf(&["conversation:communication:view"]), conversations::whole),
        endpoint(GET, "/api/v2/conversations/calls/{id}", AnyOf(&[]), conversations::calls),
        endpoint(POST, "/api/v2/conversations/{id}/participants/{leg}/replace/queue",
            AnyOf(&["conversation:communication:blindTransfer", "conversation:communication:blindTransferQueue"]),
            conversations::replace),
        endpoint(PATCH, "/api/v2/routing/conversations/{id}",
            AnyOf(&["routing:conversation:edit"]), conversations::set_routing),
        endpoint(POST, "/api/v2/analytics/queues/observations/query",
            AnyOf(&["analytics:queueObservation:view"]), queues::observations),
        endpoint(POST, "/api/v2/analytics/conversations/activity/query",
            AnyOf(&["analytics:queueObservation:view"]), analytics::activity),
        endpoint(GET, "/api/v2/analytics/conversations/details",
            AnyOf(&["analytics:conversationDetail:view"]), analytics::details),
        endpoint(GET, "/api/v2/routing/queues/{id}/mediatypes/call/estimatedwaittime",
            AnyOf(&["routing:queue:view"]), analytics::estimated_wait),
        endpoint(GET, "/api/v2/organizations/limits/namespaces/platform.api", AnyOf(&[]), analytics::limits),
        endpoint(GET, "/api/v2/communications/conversations/{id}",
            AnyOf(&["conversation:view"]), conversations::communication),
        endpoint(PATCH, "/api/v2/communications/conversations/{id}",
            AnyOf(&["conversation:update"]), conversations::move_communication),

        endpoint(GET, "/sandbox/queues", Operator("?name=&limit=&offset=", "queues, sorted by name"), world::list_queues),
        endpoint(POST, "/sandbox/queues",
            Operator("", r#"{"name","id"?,"division"?,"memberCount"?} or {"count","prefix"?}"#), world::create_queues),
        endpoint(GET, "/sandbox/queues/{id}",
            Operator("?next=", "one queue, how many wait, and the calls served next (score: ms waited from, less a minute a point)"),
            world::show_queue),
        endpoint(PATCH, "/sandbox/queues/{id}",
            Operator("", r#"{"name"?,"joinedMemberCount"?}: rename it, or let agents go on or off queue"#), world::change_queue),
        endpoint(DELETE, "/sandbox/queues/{id}", Operator("", "delete it"), world::delete_queue),
        endpoint(POST, "/sandbox/queues/{id}/callers",
            Operator("", r#"{"everyMs","count"}: newcomers keep calling; 10000 at most"#), world::keep_calling),
        endpoint(GET, "/sandbox/conversations",
            Operator("?state=&queueId=&limit=&offset=", "conversations, oldest first"), world::list_conversations),
        endpoint(POST, "/sandbox/conversations",
            Operator("", r#"{"shape","queueId"|"queueName","media"?,"priority"?,"skillIds"?,"languageId"?,"sinceSeconds"?|"since"?,"count"?,"id"?,"attributes"?,"ani"?,"dnis"?} or "legs":[{"purpose","state"?,"held"?,"ended"?,"secondCall"?,"queueId"?,"supervision"?:"monitor"|"coach"|"barge-in","id"?}] for the shape"#),
            world::create_conversations),
        endpoint(GET, "/sandbox/conversations/{id}", Operator("", "one conversation and its legs"), world::show_conversation),
        endpoint(POST, "/sandbox/conversations/{id}/{act}", Operator("", "let something happen to it"), world::act),
        endpoint(PUT, "/sandbox/conversations/{id}/state",
            Operator("", r#"{"state":"busy"|"no-answer"|"declined"|null} for the conversation-patch API"#), world::block),
        endpoint(DELETE, "/sandbox/conversations/{id}", Operator("", "as if it had never been"), world::delete_conversation),
        endpoint(GET, "/sandbox/ledger", Operator("?limit=", "the newest requests and moves"), records::ledger),
        endpoint(GET, "/sandbox/ledger/requests",
            Operator("?after=&method=&path=&commands=&limit=", "requests; path is a fragment, commands=true keeps only the commands that move"),
            records::requests),
        endpoint(GET, "/sandbox/ledger/moves",
            Operator("?after=&conversationId=&limit=", "moves that took effect"), records::moves),
        endpoint(DELETE, "/sandbox/ledger", Operator("", "empty it"), records::clear_ledger),
        endpoint(GET, "/sandbox/faults", Operator("", "the orders and how often each hit"), records::faults),
        endpoint(POST, "/sandbox/faults",
            Operator("", r#"{"method"?,"path":"*/replace/queue","skip"?:0,"every"?:1,"times"?:1|"forever","fault":{…}}; the oldest order that is due wins"#),
            records::place),
        endpoint(DELETE, "/sandbox/faults", Operator("", "take all back"), records::clear_faults),
        endpoint(DELETE, "/sandbox/faults/{number}", Operator("", "take one back"), records::cancel),
        endpoint(GET, "/sandbox/settings", Operator("", "how the sandbox behaves"), records::settings),
        endpoint(PATCH, "/sandbox/settings", Operator("", "change any of these"), records::change_settings),
        endpoint(GET, "/sandbox/clients", Operator("", "OAuth clients, and the permissions each lacks"), records::clients),
        endpoint(POST, "/sandbox/clients", Operator("", r#"{"id","secret"}: add one, or change its secret"#), records::add_client),
        endpoint(PATCH, "/sandbox/clients/{client}",
            Operator("", r#"{"denied":["routing:queue:view",…]}; [] grants all"#), records::permit),
        endpoint(DELETE, "/sandbox/tokens", Operator("", "revoke all tokens"), records::revoke),
        endpoint(GET, "/sandbox/scenarios", Operator("", "ready-made situations"), records::list_scenarios),
        endpoint(POST, "/sandbox/scenarios/{name}", Operator("", "bring one about"), records::play),
        endpoint(GET, "/sandbox/", Operator("", "this page; as JSON with Accept: application/json"), index::page),
    ]
}

/// The router of all endpoints.
pub fn router(core: &Arc<SandboxCore>, endpoints: Vec<Endpoint>) -> Router {
    let (mut api, mut control) = (Router::new(), Router::new());
    for Endpoint { rule, route } in endpoints {
        let part = if matches!(rule.needs, Needs::Operator(..)) { &mut control } else { &mut api };
        *part = std::mem::take(part).route(rule.path, route);
    }
    let index = || route(MethodFilter::GET, index::page);
    let nowhere = |request: axum::extract::Request| {
        let text = format!("{} {}: there is no such thing", request.method(), request.uri().path());
        let hint = "GET /sandbox/ lists what there is";
        std::future::ready(ControlError::new(StatusCode::NOT_FOUND, text, hint))
    };
    let control = control
        .route("/", index())
        .route("/sandbox", index())
        .route("/sandbox/{*rest}", any(nowhere))
        .method_not_allowed_fallback(nowhere)
        .layer(from_fn(layers::operate));
    let unknown = || std::future::ready(ApiError::no_such_path());
    api.fallback(unknown)
        .layer(from_fn_with_state(Arc::clone(core), layers::admit))
        .layer(from_fn_with_state(Arc::clone(core), layers::record))
        .merge(control)
        .layer(from_fn_with_state(Arc::clone(core), layers::arrive))
        .with_state(Arc::clone(core))
}
