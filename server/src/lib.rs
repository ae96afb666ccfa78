//! Tasks over HTTP.
