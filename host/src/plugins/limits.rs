//! How much a plugin may take during one call, and whether it asked for more.

use wasmtime::ResourceLimiter;

use super::engine::MAX_TABLE_ELEMENTS;

/// Asked by the engine whenever an instance wants to grow.
///
/// A refusal is an ordinary failed `memory.grow` for the plugin. Most programs abort then, in a
/// way that looks like any other trap; so the refusal is written down here.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes that all memories of the instance may have together.
    memory: usize,
    /// Bytes that they have.
    used: usize,
    /// What was refused first.
    pub(super) hit: Option<Hit>,
}

/// A limit that was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// It wanted so many bytes of memory.
    Memory(u64),
    /// It wanted a table of so many elements.
    Table(usize),
}

impl Limits {
    /// For an instance that may have `memory` bytes.
    pub(super) fn new(memory: u64) -> Self {
        Self { memory: usize::try_from(memory).unwrap_or(usize::MAX), used: 0, hit: None }
    }

    /// Bytes that all memories of the instance have together.
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory {
            self.hit.get_or_insert(Hit::Memory(u64::try_from(used).unwrap_or(u64::MAX)));
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > MAX_TABLE_ELEMENTS {
            self.hit.get_or_insert(Hit::Table(desired));
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_counted_together_and_a_refusal_is_remembered() {
        let mut limits = Limits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(!limits.memory_growing(0, 60, None).unwrap());
        assert_eq!(limits.hit, Some(Hit::Memory(120)));
        assert!(limits.memory_growing(60, 100, None).unwrap());
        assert!(!limits.table_growing(0, MAX_TABLE_ELEMENTS + 1, None).unwrap());
        assert_eq!(limits.hit, Some(Hit::Memory(120)));
    }
}
