//! Chance that can be repeated.

/// A small generator of numbers (xorshift64*), good enough to choose instants and people.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins at `CALLHOOK_SEED` if that is set, else at `seed`; says where.
    pub fn new(seed: u64) -> Self {
        let set = std::env::var("CALLHOOK_SEED").ok().and_then(|text| text.parse().ok());
        let seed = set.unwrap_or(seed);
        eprintln!("CALLHOOK_SEED={seed}");
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number from 0 to below `limit`, which is above 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}
