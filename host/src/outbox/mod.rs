//! The durable queue and the engine's state: the only place that names SQL.
