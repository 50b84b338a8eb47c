//! The call-state engine against a whole exchange: scenarios of one call, and random days.
//!
//! The exchange is the pure model of the simulated 3CX. What it does goes straight into the
//! engine as notices, in virtual time: no sockets, no process, no sleeping.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod days;
mod desk;
mod invariants;
mod office;
mod opt_in;
mod queues;
mod scenario;
mod transfers;
mod visits;
