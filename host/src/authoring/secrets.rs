//! Keeps the secret settings of a plugin out of the requests that people look at.
//!
//! In service nobody sees a request but its receiver. Here somebody may paste it into a report.

use crate::plugins::{SettingDoc, spellings};
use crate::request::Request;

/// Shorter values are not hidden: they would turn up inside ordinary words.
const SHORTEST: usize = 4;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// The secrets of a plugin in all the forms in which they turn up.
#[derive(Default)]
pub(super) struct Secrets(Vec<Form>);

/// One form of a secret, and the name of the shell variable that stands for it.
struct Form {
    text: String,
    variable: String,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it is.
    Text(String),
    /// A secret: what the shell variable of this name holds.
    Secret(String),
}

impl Secrets {
    /// Those that `settings` give a plugin which takes these, and `more`.
    pub(super) fn of(docs: &[SettingDoc], settings: &[(String, String)], more: &[String]) -> Self {
        let secret = |name: &str| docs.iter().any(|doc| doc.secret && doc.takes(name));
        let given = settings.iter().filter(|(name, _)| secret(name));
        let given = given.map(|(name, value)| (name.clone(), value));
        let more = more.iter().enumerate().map(|(place, value)| {
            let named = settings.iter().find(|(_, given)| given == value);
            (named.map_or(format!("secret{}", place + 1), |(name, _)| name.clone()), value)
        });
        let all = given.chain(more).filter(|(_, value)| value.len() >= SHORTEST);
        let mut forms: Vec<Form> = all.flat_map(|(name, value)| forms(&name, value)).collect();
        // A form that contains another one has to go first.
        forms.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
        Self(forms)
    }

    /// `text` in pieces.
    pub(super) fn split(&self, text: &str) -> Vec<Piece> {
        let found = self.0.iter().find_map(|form| Some((form, text.split_once(&form.text)?)));
        let Some((form, (before, after))) = found else {
            return if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.to_owned())] };
        };
        let mut pieces = self.split(before);
        pieces.push(Piece::Secret(form.variable.clone()));
        pieces.extend(self.split(after));
        pieces
    }

    /// `text` without them.
    pub(super) fn hide(&self, text: &str) -> String {
        let shown = self.split(text).into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Secret(_) => MASK.to_owned(),
        });
        shown.collect()
    }

    /// The request without them, for people to read.
    pub(super) fn hidden(&self, request: &Request) -> Request {
        let body = match std::str::from_utf8(&request.body) {
            Ok(text) => self.hide(text).into_bytes(),
            Err(_) => request.body.clone(),
        };
        let header = |(name, value): &(String, String)| (name.clone(), self.hide(value));
        Request {
            url: self.hide(&request.url),
            headers: request.headers.iter().map(header).collect(),
            body,
            tag: request.tag.as_deref().map(|tag| self.hide(tag)),
            ..request.clone()
        }
    }
}

/// As it is, and as it stands in a URL, in a form and in JSON.
fn forms(name: &str, value: &str) -> Vec<Form> {
    let variable: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let variable = match variable.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("_{variable}"),
        _ => variable,
    };
    let named = |text: String| {
        let encoded = if text == value { "" } else { "_ENCODED" };
        Form { variable: format!("{variable}{encoded}"), text }
    };
    spellings(value).into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets(forms("api-key", "a b\"c/"))
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_it_travels() {
        for text in ["x=a b\"c/", "x=a%20b%22c%2F", "x=a+b%22c%2F", "x=a b\\\"c/"] {
            assert_eq!(secrets().hide(text), "x=***", "{text}");
        }
    }

    #[test]
    fn a_secret_may_be_one_of_many_with_the_same_beginning() {
        let docs = [SettingDoc {
            name: "header.*".to_owned(),
            help: String::new(),
            default: None,
            required: false,
            secret: true,
        }];
        let given = [("header.x-key".to_owned(), "hunter22".to_owned())];
        assert_eq!(Secrets::of(&docs, &given, &[]).hide("x-key: hunter22"), "x-key: ***");
    }

    #[test]
    fn what_came_from_elsewhere_is_hidden_whatever_setting_it_is_a_part_of() {
        let given = [
            ("body".to_owned(), "{\"token\": \"hunter22\"}".to_owned()),
            ("query.key".to_owned(), "hunter33".to_owned()),
        ];
        let secrets = Secrets::of(&[], &given, &["hunter22".to_owned(), "hunter33".to_owned()]);
        let secret = |name: &str| Piece::Secret(name.to_owned());
        let pieces = [secret("SECRET1"), Piece::Text("&k=".to_owned()), secret("QUERY_KEY")];
        assert_eq!(secrets.split("hunter22&k=hunter33"), pieces);
    }

    #[test]
    fn what_is_encoded_is_another_variable() {
        let pieces = secrets().split("k=a b\"c/&e=a%20b%22c%2F");
        let text = |text: &str| Piece::Text(text.to_owned());
        let secret = |name: &str| Piece::Secret(name.to_owned());
        assert_eq!(pieces, [text("k="), secret("API_KEY"), text("&e="), secret("API_KEY_ENCODED")]);
    }
}
