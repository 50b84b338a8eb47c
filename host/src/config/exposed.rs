//! Whether a secret stands in an address of the .ini.
//!
//! Many services know who calls by the address alone: there is a key in its path or behind its `?`.
//! Nobody says so, so it is told by how it looks.

use crate::redact::holds_a_key;

/// Names of parameters that hold secrets.
const NAMES: [&str; 5] = ["auth", "code", "pass", "pwd", "sig"];

/// How the names of others end.
const ENDINGS: [&str; 5] = ["key", "password", "secret", "signature", "token"];

/// Whether what is written of an address, references left out, seems to hold a secret: a user, a
/// parameter that is named as secrets are, or what looks like a key, in the path or as a parameter.
pub(super) fn holds_a_secret(address: &str) -> bool {
    let written = without_references(address);
    let rest = written.split_once("://").map_or(written.as_str(), |(_, rest)| rest);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let parameter = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        !value.is_empty() && (is_secret(name) || holds_a_key(value))
    };
    host.contains('@') || path.split('/').any(holds_a_key) || query.split('&').any(parameter)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.contains(&name.as_str()) || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// `value` with nothing in the place of its references.
fn without_references(value: &str) -> String {
    let mut written = String::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("${") {
        written.push_str(before);
        // $${ is none, but it is no part of a key either.
        rest = if before.ends_with('$') {
            behind
        } else {
            behind.split_once('}').map_or("", |(_, rest)| rest)
        };
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::holds_a_secret;

    #[test]
    fn a_secret_in_an_address_is_told_by_how_it_looks() {
        for address in [
            "https://example.bitrix24.com/rest/1/abcdef0123456789/",
            "https://hooks.example.com/services/T00/B00/aB3dE5fG7hI9jK1l",
            "https://webhook.site/550e8400-e29b-41d4-a716-44665544a000",
            "https://crm.example.com/x?api_key=1",
            "https://crm.example.com/x?a=b&AccessToken=abc",
            "https://crm.example.com/x?code=1",
            "https://crm.example.com?sig=x",
            "https://crm.example.com/x?id=abcdef0123456789",
            "https://crm.example.com/x?abcdef0123456789",
            "https://me:secret@crm.example.com/",
            "https://${env:HOST}/rest/abcdef0123456789?x=${file:y}",
            "https://crm.example.com/$${abcdef0123456789",
        ] {
            assert!(holds_a_secret(address), "{address}");
        }
        for address in [
            "https://crm.example.com/calls",
            "https://crm-2024-example.example.com:8443/api/v2/calls-of-2024/incoming",
            "https://abcdef0123456789.example.com/",
            "https://crm.example.com/rest/1/${file:abcdef0123456789}/",
            "https://crm.example.com/x?token=${cred:abcdef0123456789}&key=",
            "https://crm.example.com/x?country_code=420&author=x&caller=420774852629",
            "${file:abcdef0123456789}",
            "",
        ] {
            assert!(!holds_a_secret(address), "{address}");
        }
    }
}
