//! The simulated API over real connections on the loopback.

#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod server;
