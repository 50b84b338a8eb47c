//! The call-state engine.
