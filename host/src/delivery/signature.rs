//! Signatures of Standard Webhooks 1.0, by which a receiver knows that a request is ours.
//!
//! Signed is `id.timestamp.body`, the body byte for byte, with HMAC-SHA256. There may be several
//! keys while they are changed: each signs, and one that the receiver knows is enough for it.

use anyhow::Context as _;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;

use crate::config::Secret;

/// With or without padding at the end: both are seen in the wild.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys of an endpoint.
#[derive(Clone)]
pub(super) struct Signer(Vec<hmac::Key>);

impl Signer {
    /// A signer with these keys, each `whsec_BASE64` or bare Base64. Fails if one is neither.
    pub(super) fn new(keys: &[Secret]) -> anyhow::Result<Self> {
        keys.iter().map(key).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The header `webhook-signature`; `None` without a key.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let sign = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
        };
        let signatures: Vec<String> = self.0.iter().map(sign).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

fn key(secret: &Secret) -> anyhow::Result<hmac::Key> {
    let text = secret.expose().trim();
    let encoded = text.strip_prefix("whsec_").unwrap_or(text);
    // The decoder's own words would repeat a byte of the key.
    let bytes = KEYS.decode(encoded).ok().filter(|bytes| !bytes.is_empty());
    let bytes = bytes.context("a signing key is not Base64, with or without whsec_ before it")?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const FIRST: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const SECOND: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signer(keys: &[&str]) -> Signer {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(*key)).collect();
        Signer::new(&keys).unwrap()
    }

    #[test]
    fn the_published_vectors_come_out() {
        let signed = signer(&[FIRST]).sign(
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(signed.unwrap(), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
        let signed = signer(&[SECOND]).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_key_signs_in_order_and_without_a_key_nothing_does() {
        let one = |key| signer(&[key]).sign("id", 1, b"body").unwrap();
        let both = signer(&[FIRST, SECOND]).sign("id", 1, b"body").unwrap();
        assert_eq!(both, format!("{} {}", one(FIRST), one(SECOND)));
        assert_eq!(signer(&[]).sign("id", 1, b"body"), None);
    }

    #[test]
    fn padding_and_whsec_make_no_difference() {
        let signed = |key| signer(&[key]).sign("id", 1, b"body");
        assert_eq!(signed("whsec_c2VjcmV0IQ=="), signed("c2VjcmV0IQ"));
    }

    #[test]
    fn a_key_that_is_not_base64_is_refused_without_being_repeated() {
        for key in ["not base64!", "whsec_", ""] {
            let error = Signer::new(&[Secret::new(key)]).err().unwrap().to_string();
            assert_eq!(error, "a signing key is not Base64, with or without whsec_ before it");
        }
    }

    /// Bodies of every length up to some, of all bytes.
    fn bodies() -> impl Iterator<Item = Vec<u8>> {
        let byte = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        (0..1_000_u32).map(move |n| (0..n % 300).map(|at| byte(n * 300 + at)).collect())
    }

    #[test]
    fn python_verifies_a_thousand_bodies() {
        const CHECK: &str = "
import base64, hashlib, hmac, sys
for line in sys.stdin:
    secret, id, stamp, body, signature = line.split('|')
    key = base64.b64decode(secret.removeprefix('whsec_'))
    signed = id.encode() + b'.' + stamp.encode() + b'.' + bytes.fromhex(body)
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert hmac.compare_digest('v1,' + expected, signature.strip()), line
print('ok')
";
        let python = Command::new("python3")
            .args(["-c", CHECK])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut python) = python else {
            eprintln!("SKIPPED: there is no python3");
            return;
        };
        let signer = signer(&[FIRST]);
        let mut input = python.stdin.take().unwrap();
        for (stamp, body) in (1_700_000_000..).zip(bodies()) {
            let mut hex = String::new();
            for byte in &body {
                write!(hex, "{byte:02x}").unwrap();
            }
            let signature = signer.sign("pbx-1:crm:0", stamp, &body).unwrap();
            writeln!(input, "{FIRST}|pbx-1:crm:0|{stamp}|{hex}|{signature}").unwrap();
        }
        drop(input);
        let output = python.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok");
    }
}
