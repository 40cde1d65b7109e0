//! The building blocks of schemas.

use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

/// The description of a string.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The description of one of a few words.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

/// The description of a UUID.
pub(super) fn uuid() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

/// Describes a type where it stands: it is no component.
macro_rules! described {
    ([$($generics:tt)+] $type:ty, $schema:expr) => {
        impl<$($generics)+> ::utoipa::PartialSchema for $type {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                $schema.into()
            }
        }

        impl<$($generics)+> ::utoipa::ToSchema for $type {}
    };
    ($type:ty, $schema:expr) => {
        impl ::utoipa::PartialSchema for $type {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                $schema.into()
            }
        }

        impl ::utoipa::ToSchema for $type {}
    };
}

pub(super) use described;
