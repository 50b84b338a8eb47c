//! What the operator can ask a running service over HTTP.
