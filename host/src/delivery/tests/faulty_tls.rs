//! Receivers whose TLS is faulty: each fault is told by its name, and none gets the request.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    SanType, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::ClientCertificate;

type Ca = CertifiedIssuer<'static, KeyPair>;

/// What arrived in clear or, where there was a handshake, after it.
type Arrived = Arc<Mutex<Vec<u8>>>;

/// A receiver at this port, and what it got to read.
struct Faulty {
    port: u16,
    arrived: Arrived,
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ca::self_signed(params, key()).unwrap()
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// A certificate that `ca` signed, with its key.
fn signed(ca: &Ca, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
    let key = key();
    (params.signed_by(&key, ca).unwrap().der().clone(), key)
}

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

impl Faulty {
    async fn start<F>(serve: impl Fn(TcpStream, Arrived) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrived = Arrived::default();
        let all = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all)));
            }
        });
        Self { port, arrived }
    }

    /// Shakes hands as `config` says, then answers `reply` to whatever comes, and hangs up.
    async fn tls(config: ServerConfig, reply: &'static str) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |stream, arrived| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, reply, arrived).await;
                }
            }
        })
        .await
    }

    /// Says `bytes` after the client's hello, and then nothing more.
    async fn raw(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream, arrived| {
            let bytes = bytes.clone();
            async move {
                let mut hello = vec![0; 16 * 1024];
                let _hello = stream.read(&mut hello).await;
                stream.write_all(&bytes).await.ok();
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.ok();
                arrived.lock().unwrap().extend(rest);
            }
        })
        .await
    }

    /// Sends a request and tells why that failed.
    async fn failure(&self, trusted: &[&Ca], change: impl FnOnce(&mut DeliveryConfig)) -> String {
        match self.send(trusted, change).await {
            Err(failure @ (SendFailure::Tls(_) | SendFailure::Broken(_))) => failure.to_string(),
            other => panic!("{other:?}"),
        }
    }

    async fn send(
        &self,
        trusted: &[&Ca],
        change: impl FnOnce(&mut DeliveryConfig),
    ) -> Result<u16, SendFailure> {
        let rig = Rig::new();
        let pem: String = trusted.iter().map(|ca| ca.pem()).collect();
        let mut settings = like(|config| {
            if !pem.is_empty() {
                config.ca_file = Some(file(&rig, "ca.pem", &pem));
            }
            change(config);
        });
        settings.url = Url::parse(&format!("https://localhost:{}/", self.port)).unwrap();
        let mut request = claimed(settings.url.as_str());
        request.request.method = "POST".to_owned();
        request.request.body = b"canary".to_vec();
        let sent = client(&rig, &settings, &resolver::system()).send(&request).await;
        sent.map(|reply| reply.status.as_u16())
    }

    fn assert_nothing_arrived(&self) {
        let arrived = self.arrived.lock().unwrap();
        let text = String::from_utf8_lossy(&arrived);
        assert!(!text.contains("canary") && !text.contains("POST"), "{text}");
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: &str, arrived: Arrived) {
    let mut bytes = vec![0; 16 * 1024];
    if let Ok(count) = stream.read(&mut bytes).await {
        arrived.lock().unwrap().extend(&bytes[..count]);
        stream.write_all(reply.as_bytes()).await.ok();
        stream.flush().await.ok();
    }
}

fn file(rig: &Rig, name: &str, text: &str) -> PathBuf {
    let path = rig.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A record with an alert in it.
fn alert(description: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, description]
}

/// A record with a `ServerHello` in it: of this version, with these extensions.
fn server_hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    // No session, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression.
    body.extend([0, 0xc0, 0x2f, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 3];
    record.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
    record.extend([2, 0]);
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_told_apart() {
    let (ours, theirs) = (ca("ours"), ca("theirs"));
    let localhost = || named("localhost");
    let mut expired = localhost();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut future = localhost();
    future.not_before = date_time_ymd(4000, 1, 1);
    let own_key = key();
    let self_signed = localhost().self_signed(&own_key).unwrap().der().clone();
    for ((certificate, key), said) in [
        (signed(&ours, &expired), "certificate has expired"),
        (signed(&ours, &future), "certificate is not valid yet"),
        (signed(&ours, &named("crm.example")), "certificate is for somebody else"),
        ((self_signed, own_key), "nobody who is trusted signed the certificate"),
        (signed(&theirs, &localhost()), "nobody who is trusted signed the certificate"),
    ] {
        let faulty = Faulty::tls(server(vec![certificate], &key), "").await;
        let failure = faulty.failure(&[&ours], |_| {}).await;
        assert!(failure.starts_with("no secure connection: "), "{failure}");
        assert!(failure.contains(said), "{said}: {failure}");
        faulty.assert_nothing_arrived();
    }
}

#[tokio::test]
async fn receivers_that_cannot_speak_tls_as_we_do_are_told_apart() {
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0xff, 1, 0, 1, 0];
    for (bytes, said) in [
        (alert(70), "the receiver speaks no version of TLS since 1.2"),
        (server_hello([3, 2], &[]), "the receiver speaks no version of TLS since 1.2"),
        (alert(40), "no cipher in common, or it wants a certificate of ours"),
        (server_hello([3, 3], &alpn), "SelectedUnofferedApplicationProtocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "what the receiver speaks is not TLS"),
    ] {
        let faulty = Faulty::raw(bytes).await;
        let failure = faulty.failure(&[&ca("ours")], |_| {}).await;
        assert!(failure.starts_with("no secure connection: "), "{failure}");
        assert!(failure.contains(said), "{said}: {failure}");
        faulty.assert_nothing_arrived();
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_http_2_alone_is_told() {
    let ours = ca("ours");
    let (certificate, key) = signed(&ours, &named("localhost"));
    let mut config = server(vec![certificate], &key);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let faulty = Faulty::tls(config, "").await;
    let failure = faulty.failure(&[&ours], |_| {}).await;
    assert!(failure.contains("the receiver does not speak HTTP/1.1"), "{failure}");
    faulty.assert_nothing_arrived();
}

#[tokio::test]
async fn a_handshake_that_stalls_or_breaks_off_ends_in_time() {
    let stalled = Faulty::raw(Vec::new()).await;
    let within = Duration::from_millis(50);
    let failure = stalled.failure(&[&ca("ours")], |config| config.connect_timeout = within).await;
    assert_eq!(failure, "no secure connection: the handshake did not end within 50ms");
    stalled.assert_nothing_arrived();

    let broken = Faulty::start(|mut stream, _| async move {
        let mut hello = vec![0; 16 * 1024];
        let _hello = stream.read(&mut hello).await;
        stream.write_all(&[22, 3, 3, 0, 90]).await.ok();
    })
    .await;
    let failure = broken.failure(&[&ca("ours")], |_| {}).await;
    assert!(failure.starts_with("no secure connection: the handshake broke off"), "{failure}");
}

#[tokio::test]
async fn a_huge_chain_is_not_read() {
    let ours = ca("ours");
    let mut params = named("localhost");
    let names = (0..1_000).map(|at| format!("a-rather-long-name-{at}.crm.example"));
    params.subject_alt_names.extend(names.map(|name| SanType::DnsName(name.try_into().unwrap())));
    let (certificate, key) = signed(&ours, &params);
    let faulty = Faulty::tls(server(vec![certificate; 20], &key), "").await;
    let failure = faulty.failure(&[&ours], |_| {}).await;
    assert!(failure.starts_with("no secure connection: "), "{failure}");
    faulty.assert_nothing_arrived();
}

#[tokio::test]
async fn a_reply_that_is_cut_off_is_no_reply() {
    let ours = ca("ours");
    let (certificate, key) = signed(&ours, &named("localhost"));
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much";
    let faulty = Faulty::tls(server(vec![certificate], &key), reply).await;
    let failure = faulty.failure(&[&ours], |_| {}).await;
    assert!(failure.starts_with("the exchange broke off: "), "{failure}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let ours = ca("ours");
    let (certificate, server_key) = signed(&ours, &named("localhost"));
    let mut roots = RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let (client_certificate, client_key) = signed(&ours, &named("callhook"));
    let pem = pem_of(&client_certificate);
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let server_key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(
                Arc::<dyn rustls::server::danger::ClientCertVerifier>::clone(&verifier),
            )
            .with_single_cert(vec![certificate.clone()], server_key)
            .unwrap();
        let faulty =
            Faulty::tls(config, "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").await;
        let failure = faulty.failure(&[&ours], |_| {}).await;
        assert!(failure.starts_with("no secure connection: the receiver"), "{failure}");
        assert!(failure.contains("a certificate of ours"), "{failure}");
        faulty.assert_nothing_arrived();

        let rig = Rig::new();
        let shown = ClientCertificate {
            certificate: file(&rig, "client.pem", &pem),
            key: file(&rig, "client.key", &client_key.serialize_pem()),
        };
        let sent = faulty.send(&[&ours], |config| config.client_certificate = Some(shown)).await;
        assert_eq!(sent.unwrap(), 204);
    }
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
