//! A request out of the draft, part by part.

use serde_json::Value;

use crate::{Header, HttpRequest, url};

impl HttpRequest {
    /// With this method.
    #[must_use]
    pub fn with_method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    /// To this address, which is absolute and percent-encoded.
    #[must_use]
    pub fn with_url(self, url: impl Into<String>) -> Self {
        Self { url: url.into(), ..self }
    }

    /// With parameters behind those that the address has.
    #[must_use]
    pub fn with_query<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let url = url::with_query(&self.url, pairs);
        Self { url, ..self }
    }

    /// With a header in the place of any of the same name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|header| !header.name.eq_ignore_ascii_case(name));
        self.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// With this body of this `content-type`.
    #[must_use]
    pub fn with_body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.with_header("content-type", content_type) }
    }

    /// `POST` with JSON.
    #[must_use]
    pub fn post_json(self, body: &Value) -> Self {
        self.with_method("POST").with_body("application/json", body.to_string())
    }

    /// `POST` with the fields of a form.
    #[must_use]
    pub fn post_form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.with_method("POST").with_body("application/x-www-form-urlencoded", url::form(pairs))
    }

    /// With a mark that comes back with the reply.
    #[must_use]
    pub fn with_tag(self, tag: impl Into<String>) -> Self {
        Self { tag: Some(tag.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::draft;

    #[test]
    fn a_post_says_what_it_carries_and_keeps_the_rest_of_the_draft() {
        let mut draft = draft("https://crm.example/x");
        draft.delay_ms = 7;
        let request = draft
            .with_header("Content-Type", "text/plain")
            .post_json(&json!({"name": "Jana \"J\""}))
            .with_tag("register");
        assert_eq!((request.method.as_str(), request.delay_ms), ("POST", 7));
        assert_eq!(request.url, "https://crm.example/x");
        assert_eq!(request.body, br#"{"name":"Jana \"J\""}"#);
        assert_eq!(request.tag.as_deref(), Some("register"));
        let [header] = &request.headers[..] else { panic!("{:?}", request.headers) };
        assert_eq!((&*header.name, &*header.value), ("content-type", "application/json"));
    }

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let request = draft("https://crm.example/x").post_form([("a b", "1&2=3"), ("ů", " +")]);
        assert_eq!(request.body, b"a+b=1%262%3D3&%C5%AF=+%2B");
        assert_eq!(request.headers[0].value, "application/x-www-form-urlencoded");
    }
}
