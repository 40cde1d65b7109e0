//! The building blocks of the document: kinds of fields, headers in and out.

use serde_json::{Value, json};
use utoipa::openapi::{
    KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Required, Schema, SchemaFormat,
    Type,
    extensions::Extensions,
    header::{Header, HeaderBuilder},
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::SchemaType,
};

/// Text without control characters.
pub(in crate::http) const LINE: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$";
/// The same with line breaks and tabs.
pub(in crate::http) const LINES: &str =
    "^[^\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\u007F-\\u009F]*$";
/// A line in which something is to be seen.
pub(in crate::http) const NAME: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*[^\\s\\u0000-\\u001F\\u007F-\\u009F][^\\u0000-\\u001F\\u007F-\\u009F]*$";
/// An `Idempotency-Key`: 1 to 255 visible ASCII characters, bare or as a quoted string.
const KEY: &str = "^(?:[!#-~][!-~]{0,254}|\"(?:[!#-\\[\\]-~]|\\\\[\"\\\\]){1,255}\")$";

/// A reference to the component `name` of that kind.
pub(super) fn reference(kind: &str, name: &str) -> Ref {
    Ref::new(format!("#/components/{kind}/{name}"))
}

/// Adds a keyword of JSON Schema that the builders do not know.
pub(in crate::http) fn also(keyword: &str, value: Value) -> Extensions {
    [(keyword, value)].into_iter().collect()
}

/// Some JSON object.
pub(in crate::http) fn any_object() -> Object {
    ObjectBuilder::new().schema_type(Type::Object).build()
}

/// Text of any content.
pub(in crate::http) fn any_text() -> Object {
    Object::with_type(Type::String)
}

/// A UUID as requests give it.
pub(in crate::http) fn uuid() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

/// Text of at most `max` characters that fits `pattern`.
pub(in crate::http) fn text(max: usize, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(max)).pattern(Some(pattern))
}

/// A whole number within bounds.
pub(in crate::http) fn whole(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(min)).maximum(Some(max))
}

/// One of a few words.
pub(in crate::http) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}

/// The same field where it may also be `null`, which counts as absent.
pub(in crate::http) fn or_null(field: ObjectBuilder) -> Object {
    let mut field = field.build();
    if let SchemaType::Type(kind) = &field.schema_type {
        field.schema_type = SchemaType::from_iter([kind.clone(), Type::Null]);
    }
    field
}

/// One of the words of the schema `name`, or `null`, which counts as absent.
pub(in crate::http) fn named_or_null(name: &str, about: &str) -> OneOfBuilder {
    OneOfBuilder::new()
        .item(Ref::from_schema_name(name))
        .item(Object::with_type(Type::Null))
        .description(Some(about))
}

/// A parameter in the query string, optional.
pub(in crate::http) fn query(
    name: &str,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(about))
        .schema(Some(schema))
}

/// A parameter in the path.
pub(in crate::http) fn in_path(
    name: &str,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
    example: &str,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(about))
        .schema(Some(schema))
        .example(Some(json!(example)))
        .build()
}

/// The request headers that operations look at.
pub(super) fn request_headers() -> impl Iterator<Item = (String, RefOr<Parameter>)> {
    [
        (
            "Idempotency-Key",
            "Makes it safe to send the request again: the same key and request get the first \
             answer again, for 72 h, across crashes. 1 to 255 visible ASCII characters, bare or \
             in double quotes; keys are kept per caller.",
            Some(KEY),
        ),
        (
            "Prefer",
            "`respond-async`: 202 at once, the work goes on. `wait=N`: wait up to N seconds until \
             the call is seen in the queue. Other preferences are ignored (RFC 7240); \
             `Preference-Applied` names the one that was followed.",
            None,
        ),
        (
            "X-Request-Id",
            "Echoed in the answer and written to the log. One is made when there is none, or none \
             of 1 to 128 characters of `A-Z a-z 0-9 . _ -`.",
            None,
        ),
        (
            "traceparent",
            "W3C Trace Context, passed on to Genesys; ignored when it is not valid.",
            None,
        ),
        (
            "Last-Event-ID",
            "What a browser sends when it connects again. `end`, the id of the last event: 204, \
             nothing will follow. Anything else: all events from the beginning.",
            None,
        ),
        (
            "If-None-Match",
            "The `ETag` of an earlier answer: 304 without a body when nothing changed.",
            None,
        ),
    ]
    .into_iter()
    .map(|(name, about, pattern)| {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(pattern);
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(about))
            .schema(Some(schema));
        (name.to_owned(), parameter.build().into())
    })
}

/// A reference to a header of answers, which is `always` there or may be.
pub(super) fn header_reference(name: &str, always: bool) -> Ref {
    reference("headers", &component_name(name, always))
}

fn component_name(name: &str, always: bool) -> String {
    if always { format!("{name}.always") } else { name.to_owned() }
}

/// The headers of answers, each in two kinds: there always, or sometimes.
pub(super) fn answer_headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    [
        ("X-Request-Id", "The request's own, or one that was made for it.", text()),
        ("Location", "Where the transfer or batch is found.", text()),
        ("WWW-Authenticate", "What credentials are asked for (RFC 6750).", text()),
        ("Allow", "The methods this path takes.", text()),
        ("ETag", "Names this version of the content.", text()),
        (
            "Retry-After",
            "Seconds after which the request may be sent again.",
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)),
        ),
        (
            "Idempotent-Replayed",
            "This answer was given before to the same key and request.",
            one_of(["true"]),
        ),
        ("Preference-Applied", "The preference that was followed.", text()),
    ]
    .into_iter()
    .flat_map(|(name, about, schema)| {
        let schema = schema.build();
        [false, true].map(|always| {
            let header = HeaderBuilder::new().schema(Some(schema.clone())).description(Some(about));
            // Not known to the builder.
            let required = always.then(|| also("required", json!(true)));
            (component_name(name, always), header.extensions(required).build().into())
        })
    })
}
