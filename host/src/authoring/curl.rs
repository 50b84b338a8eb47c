//! A request as a command for a POSIX shell, which sends what callhook would send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::secrets::{Piece, Secrets};
use super::subject::Endpoint;
use crate::config::Credentials;
use crate::request::Request;

/// The words of a command: an option, a value, or an option with its value.
#[derive(Default)]
struct Words(Vec<(&'static str, Vec<Piece>)>);

/// The command. Secrets are variables of the shell, as are the endpoint's credentials.
pub(super) fn command(request: &Request, endpoint: &Endpoint, secrets: &Secrets) -> String {
    let mut words = Words::default();
    let own = endpoint.is_own(&request.url);
    let credentials = if own { &endpoint.credentials } else { &Credentials::None };
    match (request.method.as_str(), request.body.is_empty()) {
        ("GET", true) => {}
        // With -X curl would wait for a body.
        ("HEAD", true) => words.plain("--head"),
        (method, _) => words.pair("-X", vec![Piece::Text(method.to_owned())]),
    }
    if request.url.contains(['[', ']', '{', '}']) {
        words.plain("--globoff");
    }
    if request.url.contains("/.") {
        words.plain("--path-as-is");
    }
    words.pair("", with_parameter(secrets.split(&request.url), credentials));
    for (name, value) in &request.headers {
        // Of `name:` curl would make no header.
        let end = if value.is_empty() { ";" } else { ": " };
        let mut header = vec![Piece::Text(format!("{name}{end}"))];
        header.extend(secrets.split(value));
        words.pair("-H", header);
    }
    authorise(&mut words, credentials);
    let typed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !request.body.is_empty() && !typed {
        // Else curl says that it is a form.
        words.pair("-H", vec![Piece::Text("content-type:".to_owned())]);
    }
    let mut before = String::new();
    match std::str::from_utf8(&request.body) {
        Ok("") => {}
        Ok(text) if !text.contains('\0') => words.pair("--data-raw", secrets.split(text)),
        _ => {
            before = format!("printf %s {} | base64 -d | ", STANDARD.encode(&request.body));
            words.pair("--data-binary", vec![Piece::Text("@-".to_owned())]);
        }
    }
    format!("{before}curl {}", words.written())
}

/// The URL with the credentials that belong into it.
fn with_parameter(mut url: Vec<Piece>, credentials: &Credentials) -> Vec<Piece> {
    if let Credentials::Query { name, .. } = credentials {
        let query =
            url.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('?')));
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        url.push(Piece::Text(format!("{}{name}=", if query { '&' } else { '?' })));
        url.push(Piece::Secret("AUTH_VALUE_ENCODED".to_owned()));
    }
    url
}

fn authorise(words: &mut Words, credentials: &Credentials) {
    let (option, text, variable) = match credentials {
        Credentials::None | Credentials::Query { .. } => return,
        Credentials::Basic { user, .. } => ("-u", format!("{user}:"), "AUTH_PASSWORD"),
        Credentials::Bearer(_) | Credentials::OAuth2(_) => {
            ("-H", "authorization: Bearer ".to_owned(), "AUTH_TOKEN")
        }
        Credentials::Header { name, .. } => ("-H", format!("{name}: "), "AUTH_VALUE"),
    };
    words.pair(option, vec![Piece::Text(text), Piece::Secret(variable.to_owned())]);
}

impl Words {
    fn plain(&mut self, option: &'static str) {
        self.pair(option, Vec::new());
    }

    fn pair(&mut self, option: &'static str, value: Vec<Piece>) {
        self.0.push((option, value));
    }

    fn written(&self) -> String {
        let word = |(option, value): &(&str, Vec<Piece>)| match (*option, value.is_empty()) {
            ("", _) => quoted(value),
            (option, true) => option.to_owned(),
            (option, false) => format!("{option} {}", quoted(value)),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(" \\\n  ")
    }
}

/// For a POSIX shell: nothing within single quotes means anything to it.
fn quoted(pieces: &[Piece]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    let piece = |piece: Piece| match piece {
        Piece::Text(text) if !text.is_empty() && text.chars().all(plain) => text,
        Piece::Text(text) => format!("'{}'", text.replace('\'', r"'\''")),
        Piece::Secret(variable) => format!("\"${variable}\""),
    };
    joined(pieces).into_iter().map(piece).collect()
}

/// Texts that follow each other become one.
fn joined(pieces: &[Piece]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(text),
            _ => joined.push(piece.clone()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_takes_every_word_as_it_is() {
        let text = |text: &str| Piece::Text(text.to_owned());
        assert_eq!(quoted(&[text("https://crm.example/a%20b")]), "https://crm.example/a%20b");
        assert_eq!(
            quoted(&[text("it's $HOME `x` \\ \"y\"\n!")]),
            "'it'\\''s $HOME `x` \\ \"y\"\n!'"
        );
        assert_eq!(quoted(&[text("key: "), Piece::Secret("KEY".to_owned())]), "'key: '\"$KEY\"");
        assert_eq!(quoted(&[text("a b"), text("'")]), r"'a b'\'''");
    }
}
