//! Machine code on disk: how it is kept, and when it may be run.
//!
//! Turning bytes into code that is run is unsafe: no check of the engine's finds a changed
//! instruction. So [`open`] only takes bytes that it can prove to be what [`seal`] was given:
//!
//! - An artefact carries the SHA-256 of itself and of its [`Key`]. One that is damaged, cut short,
//!   or was put under another name does not match, and is refused before the engine sees it.
//! - The key is the SHA-256 of the component and of everything that the engine says its code
//!   depends on: its version, its settings, the processor. Code of another engine has another key.
//! - What was checked is what is run: the bytes are in memory, and no longer on the disk, when they
//!   are looked at.
//!
//! A sum is no signature. That nobody but this user could write the file is for
//! [`super::cache`] to see to; whoever can write as this user can replace the program as well.

#![allow(unsafe_code, reason = "machine code that this program has made is run again, see above")]

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher};

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN, digest};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What an artefact begins with; the number counts the layouts.
const MAGIC: &[u8] = b"callhook artefact 1\n";

/// What code is kept under.
#[derive(Clone, Copy)]
pub(super) struct Key(Digest);

/// The SHA-256 of a component, by which its versions are told apart.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint(Digest);

/// Feeds what the engine hashes to a hash that is known to be good enough.
struct Sum(Context);

impl Fingerprint {
    /// That of these bytes.
    pub(super) fn of(component: &[u8]) -> Self {
        Self(digest(&SHA256, component))
    }
}

/// The beginning, which is enough for people to tell versions apart.
impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(hex(&self.0).get(..12).unwrap_or_default())
    }
}

impl Key {
    /// The key of the code that this engine makes of a component.
    pub(super) fn of(engine: &Engine, component: Fingerprint) -> Self {
        let mut sum = Sum(Context::new(&SHA256));
        sum.write(component.0.as_ref());
        engine.precompile_compatibility_hash().hash(&mut sum);
        Self(sum.0.finish())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not asked for: the sum is taken from the context.
    fn finish(&self) -> u64 {
        0
    }
}

/// The compiled component as it is kept.
pub(super) fn seal(key: Key, component: &Component) -> wasmtime::Result<Vec<u8>> {
    let code = component.serialize()?;
    Ok([MAGIC, sum(key, &code).as_ref(), &code].concat())
}

/// The component of an artefact that was kept under this key; `None` if it is not the one that was
/// sealed, or if the engine does not take it.
pub(super) fn open(engine: &Engine, key: Key, artefact: &[u8]) -> Option<Component> {
    let (expected, code) = artefact.strip_prefix(MAGIC)?.split_at_checked(SHA256_OUTPUT_LEN)?;
    if sum(key, code).as_ref() != expected {
        return None;
    }
    // SAFETY: the engine asks for bytes that `Component::serialize` has made and nobody has
    // changed. The sum shows that they are those that `seal` wrote for this key, or that somebody
    // computed the sum of others on purpose; the latter could only be this user, see above.
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn sum(key: Key, code: &[u8]) -> Digest {
    let mut sum = Context::new(&SHA256);
    sum.update(key.0.as_ref());
    sum.update(code);
    sum.finish()
}

fn hex(digest: &Digest) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_under_this_key_is_opened() {
        let engine = Engine::default();
        let bytes = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        let component = Component::from_binary(&engine, &bytes).unwrap();
        let key = Key::of(&engine, Fingerprint::of(&bytes));
        let artefact = seal(key, &component).unwrap();
        assert!(open(&engine, key, &artefact).is_some());

        let other = Key::of(&engine, Fingerprint::of(b"something else"));
        assert!(open(&engine, other, &artefact).is_none());
        assert!(open(&engine, key, &[]).is_none());
        for cut in [1, MAGIC.len(), MAGIC.len() + 10, artefact.len() / 2, artefact.len() - 1] {
            assert!(open(&engine, key, &artefact[..cut]).is_none(), "cut at {cut}");
        }
        for place in (0..artefact.len()).step_by(97).chain([artefact.len() - 1]) {
            let mut damaged = artefact.clone();
            damaged[place] ^= 1;
            assert!(open(&engine, key, &damaged).is_none(), "flipped at {place}");
        }
        let longer = [artefact.as_slice(), b"x"].concat();
        assert!(open(&engine, key, &longer).is_none());
    }

    #[test]
    fn code_of_an_engine_with_other_settings_has_another_key() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let (one, other) = (Engine::default(), Engine::new(&config).unwrap());
        let component = Fingerprint::of(b"the same");
        assert_ne!(Key::of(&one, component).to_string(), Key::of(&other, component).to_string());
        let again = Key::of(&Engine::default(), component);
        assert_eq!(Key::of(&one, component).to_string(), again.to_string());
    }
}
