//! Addresses and forms, with everything escaped that has to be.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as a part of a path, or as a name or a value in a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// `base` with parameters appended: after its own query, if it has one, and without its fragment.
pub fn with_query<'a>(base: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = without_fragment(base).to_owned();
    let mut separator = match url.find('?') {
        None => "?",
        Some(_) if url.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    for (name, value) in pairs {
        url.push_str(separator);
        url.extend(utf8_percent_encode(name, ESCAPED));
        url.push('=');
        url.extend(utf8_percent_encode(value, ESCAPED));
        separator = "&";
    }
    url
}

/// `base` with one more segment at the end of its path, such as the name of a method. Its query
/// stays behind it, its fragment does not.
pub fn with_segment(base: &str, segment: &str) -> String {
    let base = without_fragment(base);
    let (path, query) = base.split_at(base.find('?').unwrap_or(base.len()));
    format!("{}/{}{query}", path.trim_end_matches('/'), encode(segment))
}

/// The fields of a form, as browsers send them (`application/x-www-form-urlencoded`).
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// `text` as a name or a value of a form.
pub fn encode_form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_appended_to_whatever_address_is_given() {
        let add = |base| with_query(base, [("a", "1")]);
        assert_eq!(add("https://crm.example"), "https://crm.example?a=1");
        assert_eq!(add("https://crm.example/x?key=v"), "https://crm.example/x?key=v&a=1");
        assert_eq!(add("https://crm.example/x?"), "https://crm.example/x?a=1");
        assert_eq!(add("https://crm.example/x?key=v&"), "https://crm.example/x?key=v&a=1");
        assert_eq!(add("https://crm.example/x#part?no"), "https://crm.example/x?a=1");
    }

    #[test]
    fn names_and_values_are_percent_encoded_as_utf_8() {
        let url = with_query("https://crm.example/", [("t[]", "Žluťoučký kůň & 100% +~-._/")]);
        assert_eq!(
            url,
            "https://crm.example/?t%5B%5D=%C5%BDlu%C5%A5ou%C4%8Dk%C3%BD%20k%C5%AF%C5%88%20%26%20\
             100%25%20%2B~-._%2F"
        );
    }

    #[test]
    fn a_segment_goes_to_the_end_of_the_path() {
        let add = |base| with_segment(base, "crm.lead add");
        assert_eq!(add("https://crm.example"), "https://crm.example/crm.lead%20add");
        assert_eq!(add("https://crm.example/1/"), "https://crm.example/1/crm.lead%20add");
        assert_eq!(
            add("https://crm.example/1?a=b/#c"),
            "https://crm.example/1/crm.lead%20add?a=b/"
        );
    }
}
