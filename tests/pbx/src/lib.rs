//! A simulated 3CX V20 with the Call Control API, and people who use its phones.
//!
//! Three layers, each knowing only the ones before it:
//!
//! - [`exchange`]: a pure model of calls and of what the wire shows of them;
//! - `server`: the API on a port of the loopback, with faults that tests switch on;
//! - [`Person`], [`Outsider`], [`Call`]: people, whose doings read like a story, and [`plays`]
//!   of them.
//!
//! ```
//! # use callhook_pbx::Pbx;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let pbx = Pbx::small_office().counters(665, 1).start().await?;
//! let (caller, alice) = (pbx.outside("420774852629"), pbx.person("106"));
//!
//! let call = caller.calls("420226201001")?;
//! assert!(call.rings("106"));
//! alice.answers(&call)?;
//! caller.hangs_up(&call)?;
//! assert_eq!((call.id(), call.is_over()), (665, true));
//! # Ok(())
//! # }
//! ```
//!
//! What 3CX is known to do, and what is guessed, is marked where it is done: observed (in a
//! published capture), documented (by 3CX), reported (by authors of clients), inferred.

#![forbid(unsafe_code)]

mod builder;
pub mod exchange;
mod pbx;
mod people;
pub mod plays;
mod server;

pub use crate::builder::Builder;
pub use crate::exchange::{Hold, Join, Kind, Participant, PolledBy, Refused, Status, Strategy};
pub use crate::pbx::Pbx;
pub use crate::people::{Call, Outsider, Person};
pub use crate::server::{Casing, Counts, ExpiresIn, Faults, Looked, Waited};
