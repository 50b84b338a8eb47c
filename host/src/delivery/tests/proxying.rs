//! An HTTP proxy on the way.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A proxy that remembers the beginnings of what it was sent and passes tunnels on.
async fn proxy(answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let to = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let tunnel = head.starts_with("CONNECT");
            all.lock().unwrap().push(head);
            stream.write_all(answer.as_bytes()).await.ok();
            if tunnel && answer.contains(" 200 ") {
                let mut target = TcpStream::connect(to).await.unwrap();
                tokio::spawn(async move {
                    copy_bidirectional(&mut stream, &mut target).await.ok();
                });
            }
        }
    });
    (address, seen)
}

fn through(proxy: &str, url: &str, ca: Option<&std::path::Path>) -> EndpointSettings {
    let mut settings = like(|config| {
        let url = Url::parse(&format!("http://{proxy}")).unwrap();
        let user = Some(("joe".to_owned(), Secret::new("s&cret")));
        config.proxy = Some(crate::config::Proxy { url, user });
        config.ca_file = ca.map(std::path::Path::to_owned);
    });
    settings.url = Url::parse(url).unwrap();
    settings
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_is_verified_at_its_end() {
    let (receiver, pem) = Receiver::start_tls(|_| Answer::Status(204)).await;
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(pem.as_bytes()).unwrap();
    let (address, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let rig = Rig::new();
    let settings = through(&address, &receiver.url("/"), Some(ca.path()));
    let client = client(&rig, &settings, &resolver::system());
    client.send(&claimed(&receiver.url("/in?q=1"))).await.unwrap();
    let head = seen.lock().unwrap().pop().unwrap();
    let host = settings.url.authority();
    assert!(head.starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("Basic am9lOnMmY3JldA=="), "{head}");
    let seen = format!("{:?}", receiver.seen());
    assert!(!seen.contains("proxy-authorization"), "{seen}");
}

#[tokio::test]
async fn http_is_handed_to_the_proxy_with_the_whole_url() {
    let (address, seen) = proxy("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let rig = Rig::new();
    let settings = through(&address, "http://crm.invalid/", None);
    let client = client(&rig, &settings, &resolver::system());
    client.send(&claimed("http://crm.invalid/in?q=1")).await.unwrap();
    let head = seen.lock().unwrap().pop().unwrap();
    assert!(head.starts_with("GET http://crm.invalid/in?q=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic am9lOnMmY3JldA=="), "{head}");
}

#[tokio::test]
async fn a_proxy_helps_nobody_to_forbidden_addresses() {
    let (address, seen) = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let rig = Rig::new();
    let mut settings = through(&address, "https://crm.invalid/", None);
    settings.delivery.allow_hosts = vec!["169.254.169.254".to_owned(), "10.0.0.1".to_owned()];
    let client = client(&rig, &settings, &resolver::system());
    for url in ["http://169.254.169.254/", "https://10.0.0.1/", "http://evil.example/"] {
        let failure = client.send(&claimed(url)).await.unwrap_err();
        assert!(matches!(failure, SendFailure::Refused(_)), "{url}: {failure:?}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_not_taken_for_the_receiver() {
    let (address, _) = proxy("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n").await;
    let rig = Rig::new();
    let settings = through(&address, "http://crm.invalid/", None);
    let client = client(&rig, &settings, &resolver::system());
    let failure = client.send(&claimed("http://crm.invalid/")).await.unwrap_err();
    assert!(matches!(&failure, SendFailure::Connect(why) if why.contains("407")), "{failure:?}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let rig = Rig::new();
    for (answer, why) in [
        ("HTTP/1.1 407 No\r\n\r\n", "proxy authorization required"),
        ("HTTP/1.1 502 No\r\n\r\n", "unsuccessful"),
    ] {
        let (address, _) = proxy(answer).await;
        let settings = through(&address, "https://crm.invalid/", None);
        let client = client(&rig, &settings, &resolver::system());
        let failure = client.send(&claimed("https://crm.invalid/")).await.unwrap_err();
        let said = format!("no connection: the proxy http://{address}/: tunnel error: {why}");
        assert_eq!(failure.to_string(), said);
    }
}
