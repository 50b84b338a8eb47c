//! Replies that are hostile or broken: none holds an exchange longer than its deadline, none is
//! kept beyond a few kibibytes, none leads elsewhere.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::delivery::resolver;

const DEADLINE: Duration = Duration::from_millis(300);

/// Writes a reply in its own way; what it returns does not matter.
type Writer = fn(TcpStream) -> futures_util::future::BoxFuture<'static, ()>;

/// A server that reads a request's head and then hands over to `writer`.
async fn serve(writer: Writer) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok() {
                    writer(stream).await;
                }
            });
        }
    });
    (url, connections)
}

async fn repeat(mut stream: TcpStream, first: &'static [u8], again: &'static [u8]) {
    if stream.write_all(first).await.is_err() {
        return;
    }
    while stream.write_all(again).await.is_ok() {}
}

async fn exchange(writer: Writer) -> Result<Reply, SendFailure> {
    let (url, _) = serve(writer).await;
    let rig = Rig::new();
    let client = client(&rig, &like(|d| d.timeout = DEADLINE), &resolver::system());
    client.send(&claimed(&url)).await
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_sixteen_kibibytes() {
    let reply = exchange(|stream| {
        Box::pin(async move {
            repeat(stream, b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 8192]).await;
        })
    })
    .await
    .unwrap();
    assert!(reply.truncated);
    assert_eq!(reply.body.len(), 16 * 1024);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_by_us() {
    static CLOSED: AtomicBool = AtomicBool::new(false);
    let (url, _) = serve(|mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            CLOSED.store(matches!(stream.read(&mut [0]).await, Ok(0)), Ordering::Relaxed);
        })
    })
    .await;
    let rig = Rig::new();
    let client = client(&rig, &like(|_| {}), &resolver::system());
    client.send(&claimed(&url)).await.unwrap();
    until(|| CLOSED.load(Ordering::Relaxed)).await;
    drop(client);
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_read_anyway() {
    let reply = exchange(|mut stream| {
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = stream.write_all(&[b'x'; 16 * 1024]).await;
            std::future::pending::<()>().await;
        })
    })
    .await
    .unwrap();
    assert_eq!(reply.body.len(), 16 * 1024);
}

#[tokio::test]
async fn a_reply_that_drips_ends_with_the_deadline() {
    let body: Writer =
        |stream| Box::pin(drip(stream, "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"));
    let header: Writer = |stream| Box::pin(drip(stream, "HTTP/1.1 200 OK\r\nx: "));
    for writer in [body, header] {
        assert_eq!(exchange(writer).await.unwrap_err(), SendFailure::Timeout(DEADLINE));
    }
}

async fn drip(mut stream: TcpStream, head: &'static str) {
    stream.write_all(head.as_bytes()).await.ok();
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if stream.write_all(b"x").await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn headers_without_end_break_the_exchange() {
    let failure = exchange(|stream| {
        Box::pin(repeat(stream, b"HTTP/1.1 200 OK\r\n", b"x-noise: 0123456789012345\r\n"))
    })
    .await
    .unwrap_err();
    assert!(matches!(failure, SendFailure::Broken(_)), "{failure:?}");
}

#[tokio::test]
async fn interim_replies_without_end_end_with_the_deadline() {
    let failure = exchange(|stream| {
        Box::pin(repeat(stream, b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"))
    })
    .await
    .unwrap_err();
    assert_eq!(failure, SendFailure::Timeout(DEADLINE));
}

#[tokio::test]
async fn a_content_length_that_promises_too_much_breaks_the_exchange() {
    let failure = exchange(|mut stream| {
        Box::pin(async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nfew").await.ok();
        })
    })
    .await
    .unwrap_err();
    assert!(matches!(failure, SendFailure::Broken(_)), "{failure:?}");
}

#[tokio::test]
async fn what_follows_a_short_content_length_is_no_reply_to_the_next_request() {
    let (url, connections) = serve(|mut stream| {
        Box::pin(async move {
            let smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n";
            stream.write_all(smuggled).await.ok();
            let _next = stream.read(&mut [0; 4096]).await;
        })
    })
    .await;
    let rig = Rig::new();
    let client = client(&rig, &endpoint("crm"), &resolver::system());
    for _ in 0..3 {
        let reply = client.send(&claimed(&url)).await.unwrap();
        assert_eq!((reply.status.as_u16(), &*reply.body), (200, b"ok".as_slice()));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn both_a_length_and_chunks_do_not_confuse() {
    let reply = exchange(|mut stream| {
        Box::pin(async move {
            let both =
                b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
                5\r\nhello\r\n0\r\n\r\n";
            stream.write_all(both).await.ok();
        })
    })
    .await;
    // RFC 9112, section 6.3: the chunks count, or the message is refused.
    match reply {
        Ok(reply) => assert_eq!(reply.body, b"hello"),
        Err(failure) => assert!(matches!(failure, SendFailure::Broken(_)), "{failure:?}"),
    }
}

#[tokio::test]
async fn nothing_is_unpacked() {
    // A gzip member of a mebibyte of zeros begins like this.
    const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d\x00";
    let receiver = Receiver::start(|seen| {
        assert!(!seen.has("accept-encoding"));
        Answer::Packed(PACKED)
    })
    .await;
    let rig = Rig::new();
    let client = client(&rig, &endpoint("crm"), &resolver::system());
    let reply = client.send(&claimed(&receiver.url("/"))).await.unwrap();
    assert_eq!(reply.body, PACKED);
}

#[tokio::test]
async fn a_connection_is_left_when_it_is_old() {
    for (age, expected) in [(Duration::from_hours(1), 1), (Duration::ZERO, 3)] {
        let receiver = Receiver::start(|_| Answer::Status(200)).await;
        let rig = Rig::new();
        let client = client(&rig, &like(|d| d.connection_age = age), &resolver::system());
        for _ in 0..3 {
            client.send(&claimed(&receiver.url("/"))).await.unwrap();
        }
        assert_eq!(receiver.connections(), expected, "{age:?}");
    }
}

#[tokio::test]
async fn a_signature_comes_along_when_there_is_a_key() {
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let rig = Rig::new();
    let signing = |keys: &[&str]| {
        let keys = keys.iter().map(|key| Secret::new(*key)).collect();
        client(&rig, &like(|d| d.signing_keys = keys), &resolver::system())
    };
    let request = claimed(&receiver.url("/"));
    signing(&[]).send(&request).await.unwrap();
    signing(&["whsec_c2VjcmV0", "c2VjcmV0Mg=="]).send(&request).await.unwrap();
    let seen = receiver.seen();
    assert!(!seen[0].has("webhook-signature"));
    let signatures = seen[1].header("webhook-signature");
    assert_eq!(signatures.split(' ').filter(|one| one.starts_with("v1,")).count(), 2);
    assert!(seen[1].header("webhook-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
}
