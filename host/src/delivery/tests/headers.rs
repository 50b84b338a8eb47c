//! What plugins put into headers and URLs, and what arrives.

use super::*;

fn with_headers(url: &str, headers: Vec<(String, String)>) -> Claimed {
    let mut claimed = claimed(url);
    claimed.request.headers = headers;
    claimed
}

fn one(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[tokio::test]
async fn headers_that_are_not_the_plugins_never_reach_the_wire() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    let client = client(&rig, &endpoint("crm"), &resolver::system());
    let names = [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "proxy-connection",
        "Webhook-Id",
        "webhook-signature",
        "webhook-anything",
        "X-Callhook-Attempt",
        "traceparent",
        "",
        "a b",
        "a:b",
        "a\r\nhost",
        "\u{e9}",
        "a\0",
    ];
    let mut wrong: Vec<_> = names.into_iter().map(|name| one(name, "1")).collect();
    for value in ["a\r\nhost: evil", "a\nb", "a\0b", "a\rb"] {
        wrong.push(one("x-name", value));
    }
    wrong.push((0..65).map(|at| (format!("x-{at}"), String::new())).collect());
    wrong.push(one("x-name", &"v".repeat(16 * 1024)));
    for headers in wrong {
        let request = with_headers(&receiver.url("/"), headers.clone());
        let failure = client.send(&request).await.unwrap_err();
        assert!(matches!(failure, SendFailure::Unsendable(_)), "{headers:?}: {failure:?}");
        assert!(!failure.to_string().contains('\n'), "{failure}");
    }
    assert_eq!(receiver.seen().len(), 0);
    let most = (0..64).map(|at| (format!("x-{at}"), "v".to_owned())).collect();
    client.send(&with_headers(&receiver.url("/"), most)).await.unwrap();
}

#[tokio::test]
async fn a_plugin_authorizes_itself_only_where_the_operator_does_not() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let other = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    let with = |credentials| {
        let mut settings = like(|config| config.credentials = credentials);
        settings.url = Url::parse(&receiver.url("/")).unwrap();
        client(&rig, &settings, &resolver::system())
    };
    let secret = crate::config::Secret::new("secret");
    let key = crate::config::Credentials::Header { name: "x-key".to_owned(), value: secret };
    for (client, header, sent) in [
        (with(crate::config::Credentials::None), "authorization", true),
        (with(key.clone()), "authorization", false),
        (with(key.clone()), "X-Key", false),
    ] {
        let request = with_headers(&receiver.url("/"), one(header, "mine"));
        assert_eq!(client.send(&request).await.is_ok(), sent, "{header}");
    }
    let request = with_headers(&other.url("/"), one("authorization", "mine"));
    with(key).send(&request).await.unwrap();
    assert_eq!(other.seen()[0].header("authorization"), "mine");
}

#[tokio::test]
async fn no_path_changes_the_host() {
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    let rig = Rig::new();
    let mut settings = endpoint("crm");
    settings.url = Url::parse(&receiver.url("/")).unwrap();
    settings.delivery.allow_hosts.clear();
    let client = client(&rig, &settings, &resolver::system());
    for path in ["//evil.example/", "/../../", "/@evil.example", "/%2e%2e/%0d%0ahost:x", "/a\\b"] {
        // What arrives, arrives here.
        client.send(&claimed(&receiver.url(path))).await.ok();
    }
    assert!(receiver.seen().len() >= 4);
    let host = settings.url.authority();
    assert!(receiver.seen().iter().all(|seen| seen.header("host") == host));
}

#[tokio::test]
async fn no_failure_tells_the_query_the_credentials_or_the_user() {
    const CANARY: &str = "canary7";
    let receiver = Receiver::start(|seen| match seen.target.as_str() {
        target if target.starts_with("/moved") => {
            let to = format!("https://{CANARY}:x@crm.example/to?token={CANARY}#{CANARY}");
            Answer::Headers(302, vec![("location", to)])
        }
        target if target.starts_with("/close") => Answer::Close,
        target if target.starts_with("/gone") => Answer::Status(410),
        _ => Answer::Status(418),
    })
    .await;
    let gone = Receiver::start(|_| Answer::Status(200)).await.stop().await;
    let rig = Rig::new();
    let secret = crate::config::Secret::new(CANARY);
    let mut settings = like(|config| {
        config.credentials = crate::config::Credentials::Bearer(secret);
    });
    settings.url = Url::parse(&receiver.url("/")).unwrap();
    let client = client(&rig, &settings, &resolver::system());
    let own = receiver.url("");
    for (url, header) in [
        (format!("{own}/moved?q={CANARY}"), ""),
        (format!("{own}/close?q={CANARY}"), ""),
        (format!("{own}/gone?q={CANARY}"), ""),
        (format!("{own}/other?q={CANARY}"), ""),
        (format!("{own}/?q={CANARY}"), "authorization"),
        (format!("{own}/?q={CANARY}"), "x-bad"),
        (format!("{own}/?q={CANARY} x"), ""),
        (format!("http://{gone}/?q={CANARY}"), ""),
        (format!("https://{gone}/?q={CANARY}"), ""),
        (format!("http://name.invalid/?q={CANARY}"), ""),
        (format!("http://evil.example/?q={CANARY}"), ""),
        (format!("http://169.254.169.254/?q={CANARY}"), ""),
        (format!("http://{CANARY}:{CANARY}@127.0.0.1/?q={CANARY}"), ""),
        (format!("https://{}/?q={CANARY}", own.trim_start_matches("http://")), ""),
        (format!("ftp://x/?q={CANARY}"), ""),
    ] {
        let mut request = claimed(&url);
        if !header.is_empty() {
            request.request.headers = one(header, &format!("{CANARY}\n"));
        }
        let failure = match client.send(&request).await {
            Ok(reply) => reply.failure(&[]),
            Err(failure) => Some(failure),
        };
        let said = format!("{0} {0:?}", failure.unwrap());
        assert!(!said.contains(CANARY), "{url}: {said}");
    }
}
