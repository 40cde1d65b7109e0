pub(crate) mod child;
pub(crate) mod service;
