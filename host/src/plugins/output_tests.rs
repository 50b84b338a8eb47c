//! What is refused, and with which words.

use super::*;

fn request() -> Request {
    Request::draft("https://crm.example/calls?x=1")
}

fn refusal(request: Request) -> (String, String) {
    let (kind, message) = check(vec![request]).unwrap_err();
    (kind.name().to_owned(), message)
}

#[test]
fn an_ordinary_request_passes_and_loses_its_fragment() {
    let mut given = Request::draft("https://crm.example/calls?x=%20#top");
    given.method = "PROPFIND".into();
    given.headers = vec![("Content-Type".into(), "application/json".into())];
    let mut expected = given.clone();
    expected.url = "https://crm.example/calls?x=%20".into();
    assert_eq!(check(vec![given]).unwrap(), [expected]);
    for url in ["http://127.0.0.1:8080", "https://[::1]/x", "https://crm.example?x=1"] {
        check(vec![Request::draft(url)]).unwrap();
    }
}

#[test]
fn urls_that_cannot_be_sent_as_they_stand_are_refused() {
    for (url, message) in [
        ("crm.example/x", "relative URL without a base"),
        ("/x", "relative URL without a base"),
        ("", "relative URL without a base"),
        ("ftp://crm.example/", "the scheme \"ftp\""),
        ("file:///etc/passwd", "the scheme \"file\""),
        ("https://", "empty host"),
        ("https://user@crm.example/", "a user name or password"),
        ("https://user:pw@crm.example/", "a user name or password"),
        ("https://crm.example/a b", "must be percent-encoded"),
        ("https://crm.example/ž", "must be percent-encoded"),
        ("https://crm.example/x\r\nHost: evil", "must be percent-encoded"),
        ("https://crm.exa\tmple/", "must be percent-encoded"),
        (" https://crm.example/", "must be percent-encoded"),
    ] {
        let (kind, text) = refusal(Request::draft(url));
        assert_eq!(kind, "bad-url", "{url}");
        assert!(text.starts_with("request 1: ") && text.contains(message), "{url}: {text}");
        assert!(!text.contains("passwd"), "{text}");
    }
}

#[test]
fn methods_are_tokens_and_never_connect() {
    for method in ["", "GET /", "G\nET", "CONNECT"] {
        let (kind, text) = refusal(Request { method: method.into(), ..request() });
        assert_eq!(kind, "bad-method", "{method}: {text}");
    }
}

#[test]
fn the_hosts_own_headers_and_malformed_ones_are_refused() {
    for (name, value) in [
        ("Host", "x"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "x"),
        ("Proxy-Authorization", "x"),
        ("webhook-signature", "x"),
        ("X-Callhook-Event", "x"),
        ("bad name", "x"),
        ("", "x"),
        ("X-Note", "a\r\nb"),
        ("X-Note", "a\0"),
    ] {
        let headers = vec![(name.into(), value.into())];
        let (kind, text) = refusal(Request { headers, ..request() });
        assert_eq!(kind, "bad-header", "{name}: {text}");
        assert!(text.contains(&format!("{name:?}")), "{text}");
    }
    let headers = vec![("X-A".to_owned(), "1".to_owned()); MAX_HEADERS + 1];
    let told = "request 1: it has 65 headers, more than the 64 allowed".to_owned();
    assert_eq!(refusal(Request { headers, ..request() }), ("bad-header".to_owned(), told));
}

#[test]
fn giants_do_not_come_back_in_messages() {
    let giant = "x y".repeat(100_000);
    let header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..request()
    };
    for nonsense in [
        Request { method: giant.clone(), ..request() },
        Request { url: giant.clone(), ..request() },
        Request { url: format!("{}:x", "x".repeat(100_000)), ..request() },
        header(&giant, "x"),
        header("X-Note", &giant.replace('y', "\n")),
    ] {
        let (_, message) = refusal(nonsense);
        assert!(message.len() < 300, "{}", message.len());
    }
}

#[test]
fn number_and_size_are_bounded() {
    let (kind, text) = check(vec![request(); MAX_REQUESTS + 1]).unwrap_err();
    assert_eq!(kind, FailureKind::TooManyRequests { limit: 64, got: 65 });
    assert_eq!(
        text,
        "returned 65 requests, more than the 64 allowed for one event; look for a loop that adds \
         too many"
    );
    check(vec![request(); MAX_REQUESTS]).unwrap();

    let half = Request { body: vec![0; MAX_OUTPUT / 2], ..request() };
    check(vec![half.clone()]).unwrap();
    let (kind, text) = check(vec![half.clone(), half]).unwrap_err();
    assert_eq!(kind, FailureKind::OutputTooLarge { limit: MAX_OUTPUT });
    assert_eq!(
        text,
        "handed over more than 4 MiB at once, in a result or as arguments of an import; send less \
         data, or in several requests"
    );
}
