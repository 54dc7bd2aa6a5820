//! What holds for the whole core.

pub(crate) mod schema;
