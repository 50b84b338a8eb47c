//! Lets a fixed number of calls through at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A counting gate. The pool of memories fails where it is exhausted; calls wait here instead.
#[derive(Debug)]
pub(super) struct Gate {
    places: Mutex<Places>,
    freed: Condvar,
}

#[derive(Debug)]
struct Places {
    free: usize,
    /// So many wait for one. Waking nobody is a system call all the same.
    wanted: usize,
}

/// A place inside; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    /// A gate for `places` at a time.
    pub(super) fn new(places: usize) -> Self {
        let places = Places { free: places, wanted: 0 };
        Self { places: Mutex::new(places), freed: Condvar::new() }
    }

    /// Waits for a place. Calls have deadlines, so places come free.
    pub(super) fn enter(&self) -> Pass<'_> {
        let mut places = self.places();
        if places.free == 0 {
            places.wanted += 1;
            let waited = self.freed.wait_while(places, |places| places.free == 0);
            places = waited.unwrap_or_else(PoisonError::into_inner);
            places.wanted -= 1;
        }
        places.free -= 1;
        Pass(self)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut places = self.0.places();
        places.free += 1;
        if places.wanted > 0 {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn so_many_are_inside_at_a_time_and_everybody_gets_in() {
        let (gate, inside, calls) = (Gate::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let pass = gate.enter();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(pass);
                        calls.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(calls.into_inner(), 4_000);
    }
}
