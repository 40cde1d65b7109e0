//! One operation of the document, built up beside its handler.

use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, HttpMethod, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Type,
        example::ExampleBuilder,
        link::LinkBuilder,
        path::{Operation, OperationBuilder, Parameter},
        request_body::RequestBodyBuilder,
        schema::Schema,
        security::SecurityRequirement,
    },
};

use super::{
    failures::{self, ANYONE, BODY, CALLER, EVERY, STRICT},
    fields::{header_reference, reference},
};
use crate::{
    http::access::{instead, needed},
    problem::Code,
};

/// The names of the security schemes.
pub(super) const SCHEMES: [&str; 2] = ["apiKey", "accessToken"];

type Named = (String, RefOr<Schema>);

/// An operation: where it is, what it takes, what it answers.
pub(in crate::http) struct Entry {
    method: HttpMethod,
    path: &'static str,
    operation: OperationBuilder,
    about: Option<&'static str>,
    codes: Vec<Code>,
    open: bool,
    /// Is answered however busy the service is, with any query string and any `Accept`.
    watching: bool,
    /// Whether problems, too, are kept for a key and given again.
    replays: bool,
    schemas: Vec<Named>,
}

impl Entry {
    /// A `GET` of `path`, which is written as in the router.
    pub(in crate::http) fn get(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Get, path, id, summary)
    }

    /// A `POST` to `path`.
    pub(in crate::http) fn post(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Post, path, id, summary)
    }

    /// A `DELETE` of `path`.
    pub(in crate::http) fn delete(path: &'static str, id: &str, summary: &str) -> Self {
        Self::new(HttpMethod::Delete, path, id, summary)
    }

    fn new(method: HttpMethod, path: &'static str, id: &str, summary: &str) -> Self {
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(summary));
        let (codes, schemas) = (EVERY.to_vec(), Vec::new());
        let (about, open, watching, replays) = (None, false, false, false);
        Self { method, path, operation, about, codes, open, watching, replays, schemas }
    }

    /// The group it is shown in.
    pub(in crate::http) fn tag(self, tag: &str) -> Self {
        Self { operation: self.operation.tag(tag), ..self }
    }

    /// What a caller should know beside the summary (`CommonMark`).
    pub(in crate::http) fn about(self, text: &'static str) -> Self {
        Self { about: Some(text), ..self }
    }

    /// Takes no credentials.
    pub(in crate::http) fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Is answered however busy the service is, with any query string and any `Accept`: a probe or a
    /// scrape.
    pub(in crate::http) fn watching(self) -> Self {
        Self { watching: true, ..self }
    }

    /// Takes these parameters.
    pub(in crate::http) fn parameters(self, list: impl IntoIterator<Item = Parameter>) -> Self {
        Self {
            operation: list.into_iter().fold(self.operation, OperationBuilder::parameter),
            ..self
        }
    }

    /// Looks at this request header, one of those in `fields::request_headers`.
    pub(in crate::http) fn header(self, name: &str) -> Self {
        Self { operation: self.operation.parameter_ref(reference("parameters", name)), ..self }
    }

    /// Keeps problems, too, for an `Idempotency-Key`, and gives them again.
    pub(in crate::http) fn replays_problems(self) -> Self {
        Self { replays: true, ..self }
    }

    /// Takes a JSON body of the type `T`, with everything that can be wrong with bodies.
    pub(in crate::http) fn body<T: ToSchema>(mut self, examples: &[(&str, Value)]) -> Self {
        // Shown in the order of their names.
        let examples = examples.iter().enumerate().map(|(index, (summary, value))| {
            let example = ExampleBuilder::new().summary(*summary).value(Some(value.clone()));
            let name = format!("{}-{}", index + 1, summary.to_lowercase().replace(' ', "-"));
            (name, RefOr::T(example.build()))
        });
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(T::name())))
            .examples_from_iter(examples);
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", content.build());
        self.operation = self.operation.request_body(Some(body.build()));
        note::<T>(&mut self.schemas);
        self.can_fail(&BODY)
    }

    /// Answers so when all goes well.
    pub(in crate::http) fn answer(mut self, status: u16, answer: Answer) -> Self {
        self.schemas.extend(answer.schemas);
        self.operation = self.operation.response(status.to_string(), answer.response.build());
        self
    }

    /// May be answered with one of these codes, beside those that follow from what was said.
    pub(in crate::http) fn can_fail(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    pub(super) fn schemas(&self) -> Vec<Named> {
        self.schemas.clone()
    }

    pub(super) fn place(&self) -> (&'static str, HttpMethod) {
        (self.path, self.method.clone())
    }

    /// The finished operation. With `all_open` no credentials are asked for.
    pub(super) fn operation(mut self, all_open: bool) -> Operation {
        let mut about: Vec<String> = self.about.into_iter().map(str::to_owned).collect();
        let ways = self.ways_in();
        let mut operation = self.operation.parameter_ref(reference("parameters", "X-Request-Id"));
        if all_open {
            self.codes.extend(ANYONE);
        }
        if self.open {
            if !self.watching {
                self.codes.push(Code::InvalidRequest);
            }
            operation = operation.securities(Some(Vec::<SecurityRequirement>::new()));
        } else {
            self.codes.extend(CALLER);
            if !self.watching {
                self.codes.extend(STRICT);
            }
            if ways.iter().all(|names| !names.is_empty()) {
                let words: Vec<_> = ways.iter().map(|names| in_words(names)).collect();
                about.push(format!("Needs the permission {}.", words.join(" or ")));
            }
            operation = operation.securities(Some(securities(&ways, all_open)));
        }
        if !about.is_empty() {
            operation = operation.description(Some(about.join("\n\n")));
        }
        if !self.watching {
            self.codes.push(Code::Overloaded);
        }
        for (status, codes) in failures::by_status(&self.codes) {
            let answer = failures::answer(status, &codes, self.replays);
            operation = operation.response(status.to_string(), answer);
        }
        operation.build()
    }

    /// Sets of permissions, each of which is enough.
    fn ways_in(&self) -> Vec<Vec<&'static str>> {
        let method = match self.method {
            HttpMethod::Get => axum::http::Method::GET,
            HttpMethod::Delete => axum::http::Method::DELETE,
            _ => axum::http::Method::POST,
        };
        let needed = needed(&method, self.path).iter().map(|permission| permission.name());
        let other = instead(&method, self.path).map(|permission| vec![permission.name()]);
        [needed.collect()].into_iter().chain(other).collect()
    }
}

/// Either scheme with any set of permissions, or nothing at all where it is `optional`.
fn securities(ways: &[Vec<&str>], optional: bool) -> Vec<SecurityRequirement> {
    let nothing = optional.then(SecurityRequirement::default);
    let schemes = ways.iter().flat_map(|permissions| {
        SCHEMES.map(|name| SecurityRequirement::new(name, permissions.iter().copied()))
    });
    nothing.into_iter().chain(schemes).collect()
}

fn in_words(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

fn note<T: ToSchema>(schemas: &mut Vec<Named>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// An answer that is no problem.
pub(in crate::http) struct Answer {
    response: ResponseBuilder,
    schemas: Vec<Named>,
}

impl Answer {
    /// An answer with the headers that all have.
    pub(in crate::http) fn new(about: &str) -> Self {
        let response = ResponseBuilder::new().description(about);
        Self { response, schemas: Vec::new() }.with_always("X-Request-Id")
    }

    /// A JSON body of the type `T`, with an example.
    pub(in crate::http) fn json<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = Ref::from_schema_name(T::name());
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(example));
        self.response = self.response.content("application/json", content.build());
        note::<T>(&mut self.schemas);
        self
    }

    /// A body of text of another kind, with an example.
    pub(in crate::http) fn text(mut self, kind: &str, about: &str, example: &str) -> Self {
        let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        let content = ContentBuilder::new().schema(Some(schema)).example(Some(json!(example)));
        self.response = self.response.content(kind, content.build());
        self
    }

    /// A stream of server-sent events of the type `T`.
    pub(in crate::http) fn stream_of<T: ToSchema>(mut self) -> Self {
        note::<T>(&mut self.schemas);
        self.of_type("text/event-stream", Ref::from_schema_name(T::name()))
    }

    /// A body of another kind.
    pub(in crate::http) fn of_type(mut self, kind: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let content = ContentBuilder::new().schema(Some(schema));
        self.response = self.response.content(kind, content.build());
        self
    }

    /// A header that may be there, one of those in `fields::answer_headers`.
    pub(in crate::http) fn with(mut self, header: &str) -> Self {
        self.response = self.response.header_ref(header, header_reference(header, false));
        self
    }

    /// A header that is always there.
    pub(in crate::http) fn with_always(mut self, header: &str) -> Self {
        self.response = self.response.header_ref(header, header_reference(header, true));
        self
    }

    /// Leads to the operation `id`, whose path parameter `id` is the member `id` of this body.
    pub(in crate::http) fn leads_to(mut self, id: &str, about: &str) -> Self {
        let link = LinkBuilder::new()
            .operation_id(id)
            .parameter("id", json!("$response.body#/id"))
            .description(about);
        self.response = self.response.link(id, link.build());
        self
    }
}
