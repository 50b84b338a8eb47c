//! Clocks and random numbers that are the same in every run, for rehearsals.

use std::time::Duration;

use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::random::Deterministic;

/// How far the monotonic clock moves whenever it is read, so that whoever waits for it to move
/// does not wait for ever.
const STEP: u64 = 1_000;

/// Random bytes after which they begin again.
const BYTES: usize = 4_096;

/// Where the random numbers begin.
const SEED: u64 = 0x0063_616c_6c68_6f6f;

/// A wall clock that stands still.
struct Stopped(Duration);

/// A monotonic clock that only moves when it is looked at or waited for, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steps(u64);

impl Steps {
    /// What it shows; a little more each time.
    pub(super) fn now(&mut self) -> u64 {
        self.0 = self.0.saturating_add(STEP);
        self.0
    }

    /// Leaps over a wait until `when`, and says how long it is.
    pub(super) fn leap(&mut self, when: u64) -> Duration {
        let wait = when.saturating_sub(self.0);
        self.0 = self.0.max(when);
        Duration::from_nanos(wait)
    }

    /// The time that is `length` ahead.
    pub(super) fn after(self, length: u64) -> u64 {
        self.0.saturating_add(length)
    }
}

/// Has the wall clock show `wall`, and the random numbers start anew.
pub(super) fn fix(builder: &mut WasiCtxBuilder, wall: Duration) {
    builder
        .wall_clock(Stopped(wall))
        .secure_random(Deterministic::new(bytes(SEED)))
        .insecure_random(Deterministic::new(bytes(!SEED)))
        .insecure_random_seed(u128::from(SEED));
}

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

/// The bytes of splitmix64, which look random and are not.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(BYTES).collect()
}
