//! The building blocks of the document: kinds of fields, headers in and out.

use std::mem;

use serde_json::{Value, json};
use utoipa::{
    PartialSchema,
    openapi::{
        Object, ObjectBuilder, Ref, RefOr, Required, Schema, Type,
        extensions::Extensions,
        header::{Header, HeaderBuilder},
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::SchemaType,
    },
};

use crate::http::schema::{one_of, text};

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

/// The parameters of a query string, as the struct that reads it describes them.
pub(in crate::http) fn query<T: PartialSchema>() -> Vec<Parameter> {
    let RefOr::T(Schema::Object(object)) = T::schema() else { return Vec::new() };
    let parameter = |(name, schema)| {
        let schema = tidied(schema);
        let about = match &schema {
            RefOr::Ref(reference) => Some(reference.description.clone()),
            RefOr::T(Schema::Object(field)) => field.description.clone(),
            RefOr::T(_) => None,
        };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .description(about)
            .schema(Some(undescribed(schema)))
            .build()
    };
    object.properties.into_iter().map(parameter).collect()
}

/// `schema` without the description that its parameter has.
fn undescribed(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(schema) => described_as(schema, None).into(),
        RefOr::Ref(reference) => Ref::new(reference.ref_location).into(),
    }
}

/// A schema as most generators of clients understand it: what derived descriptions say in a choice
/// with `null`, or beside a description, is said in one schema.
pub(super) fn tidied(schema: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(schema) = schema else { return schema };
    let schema = match schema {
        Schema::Object(mut object) => {
            for field in object.properties.values_mut() {
                let untidy = mem::replace(field, RefOr::T(Schema::default()));
                *field = tidied(untidy);
            }
            Schema::Object(object)
        }
        Schema::OneOf(choice) => match choice.items.as_slice() {
            [RefOr::T(form @ (Schema::Object(_) | Schema::Array(_))), null] if is_null(null) => {
                described_as(or_null(form.clone()), choice.description)
            }
            _ => Schema::OneOf(choice),
        },
        Schema::AllOf(all) => match all.items.as_slice() {
            [RefOr::T(form), RefOr::T(Schema::Object(beside))] if beside.properties.is_empty() => {
                described_as(form.clone(), beside.description.clone())
            }
            _ => Schema::AllOf(all),
        },
        other => other,
    };
    schema.into()
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    let null = SchemaType::Type(Type::Null);
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == null)
}

/// The schema that also takes `null`.
fn or_null(mut schema: Schema) -> Schema {
    let kind = match &mut schema {
        Schema::Object(object) => &mut object.schema_type,
        Schema::Array(array) => &mut array.schema_type,
        _ => return schema,
    };
    if let SchemaType::Type(only) = kind {
        *kind = SchemaType::from_iter([only.clone(), Type::Null]);
    }
    schema
}

fn described_as(mut schema: Schema, about: Option<String>) -> Schema {
    match &mut schema {
        Schema::Object(object) => object.description = about,
        Schema::Array(array) => array.description = about,
        _ => {}
    }
    schema
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
    ]
    .into_iter()
    .map(|(name, about, pattern)| {
        let schema = text().pattern(pattern);
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
    [
        ("X-Request-Id", "The request's own, or one that was made for it.", text()),
        ("Location", "Where the transfer or batch is found.", text()),
        ("WWW-Authenticate", "What credentials are asked for (RFC 6750).", text()),
        ("Allow", "The methods this path takes.", text()),
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
