pub(crate) mod service;
