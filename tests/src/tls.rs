//! Receivers whose TLS is faulty, each in its own way, and who signs their certificates.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// As much as is read at once.
const CHUNK: usize = 16 * 1024;

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What arrived in clear or, where there was a handshake, after it.
type Arrived = Arc<Mutex<Vec<u8>>>;

/// A receiver at this port of the loopback, and what it got to read.
pub struct Faulty {
    /// The port.
    pub port: u16,
    arrived: Arrived,
}

/// A receiver, and how it is told from the others.
pub struct Fault {
    /// What is wrong with it.
    pub name: &'static str,
    /// What a good message about it has in it.
    pub said: &'static str,
    /// The receiver.
    pub receiver: Faulty,
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Panics
    ///
    /// If there is no randomness to be had.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("it signs itself"))
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate that it signed, with its key.
    ///
    /// # Panics
    ///
    /// If the certificate is nonsense.
    pub fn sign(&self, params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
        let key = key();
        (params.signed_by(&key, &*self.0).expect("it signs").der().clone(), key)
    }

    /// How a receiver proves to be localhost, and wants to see a certificate of this authority.
    ///
    /// # Panics
    ///
    /// If TLS knows no such version.
    pub fn server_that_asks(&self, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("it is a certificate");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier: Arc<dyn ClientCertVerifier> = verifier.build().expect("there is a root");
        let (certificate, key) = self.sign(&named("localhost"));
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .expect("the version is known")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], private(&key))
            .expect("the key fits")
    }

    /// How a receiver proves to be localhost.
    pub fn server(&self) -> ServerConfig {
        let (certificate, key) = self.sign(&named("localhost"));
        server(vec![certificate], &key)
    }
}

impl Faulty {
    /// Serves each connection so.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn start<F>(serve: impl Fn(TcpStream, Arrived) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
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
    pub async fn tls(config: ServerConfig, reply: &'static str) -> Self {
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

    /// Says `bytes` after the client's hello; then nothing more, or hangs up.
    pub async fn raw(bytes: Vec<u8>, hangs_up: bool) -> Self {
        Self::start(move |mut stream, arrived| {
            let bytes = bytes.clone();
            async move {
                let mut hello = vec![0; CHUNK];
                // Whatever fails from here on, the client is gone.
                let _hello = stream.read(&mut hello).await;
                let _said = stream.write_all(&bytes).await;
                if !hangs_up {
                    let mut rest = Vec::new();
                    let _gone = stream.read_to_end(&mut rest).await;
                    note(&arrived, &rest);
                }
            }
        })
        .await
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    /// What arrived so far.
    pub fn arrived(&self) -> String {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&arrived).into_owned()
    }
}

/// Receivers with all the faults that keep a client from trusting them, where `ours` is trusted.
///
/// # Panics
///
/// If they cannot be started.
pub async fn faults(ours: &Authority) -> Vec<Fault> {
    let mut faults = certificates(ours).await;
    for (name, said, bytes) in [
        ("tls-1-1-only", "the receiver speaks no version of TLS since 1.2", alert(70)),
        ("tls-1-1-chosen", "the receiver speaks no version of TLS since 1.2", hello([3, 2], &[])),
        ("old-ciphers-only", "no cipher in common", alert(40)),
        ("alpn-lie", "SelectedUnofferedApplicationProtocol", hello([3, 3], &ALPN_H2)),
        ("no-tls", "what the receiver speaks is not TLS", b"HTTP/1.1 400 No\r\n\r\n".to_vec()),
        ("stalled", "the handshake did not end within", Vec::new()),
    ] {
        faults.push(Fault { name, said, receiver: Faulty::raw(bytes, false).await });
    }
    let receiver = Faulty::raw(vec![22, 3, 3, 0, 90], true).await;
    faults.push(Fault { name: "broken-off", said: "the handshake broke off", receiver });
    let mut http_2 = ours.server();
    http_2.alpn_protocols = vec![b"h2".to_vec()];
    let receiver = Faulty::tls(http_2, "").await;
    faults.push(Fault { name: "http-2-only", said: "does not speak HTTP/1.1", receiver });
    for (name, version) in [
        ("client-certificate-1-2", &rustls::version::TLS12),
        ("client-certificate-1-3", &rustls::version::TLS13),
    ] {
        let receiver = Faulty::tls(ours.server_that_asks(version), "").await;
        faults.push(Fault { name, said: "a certificate of ours", receiver });
    }
    faults
}

async fn certificates(ours: &Authority) -> Vec<Fault> {
    let localhost = || named("localhost");
    let mut expired = localhost();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut future = localhost();
    future.not_before = date_time_ymd(4000, 1, 1);
    let mut huge = localhost();
    let names = (0..1_000).map(|at| format!("a-rather-long-name-{at}.crm.example"));
    let names = names.map(|name| SanType::DnsName(name.try_into().expect("a name")));
    huge.subject_alt_names.extend(names);
    let own_key = key();
    let own = localhost().self_signed(&own_key).expect("it signs itself").der().clone();
    let unknown = "nobody who is trusted signed the certificate";
    let mut faults = Vec::new();
    for (name, said, times, (certificate, key)) in [
        ("expired", "certificate has expired", 1, ours.sign(&expired)),
        ("not-yet-valid", "certificate is not valid yet", 1, ours.sign(&future)),
        ("wrong-host", "certificate is for somebody else", 1, ours.sign(&named("crm.example"))),
        ("self-signed", unknown, 1, (own, own_key)),
        ("unknown-ca", unknown, 1, Authority::new("theirs").sign(&localhost())),
        ("huge-chain", "no secure connection", 20, ours.sign(&huge)),
    ] {
        let receiver = Faulty::tls(server(vec![certificate; times], &key), "").await;
        faults.push(Fault { name, said, receiver });
    }
    faults
}

/// What a certificate for this host says.
///
/// # Panics
///
/// If it is no host.
pub fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).expect("a key")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_no_client_auth()
        .with_single_cert(chain, private(key))
        .expect("the key fits")
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: &str, arrived: Arrived) {
    let mut bytes = vec![0; CHUNK];
    if let Ok(count) = stream.read(&mut bytes).await {
        note(&arrived, &bytes[..count]);
        // Who has heard enough is gone.
        let _said = stream.write_all(reply.as_bytes()).await;
        let _said = stream.flush().await;
    }
}

fn note(arrived: &Arrived, bytes: &[u8]) {
    arrived.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
}

/// A record with an alert in it.
fn alert(description: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, description]
}

/// Extensions that choose `h2`, which was not offered.
const ALPN_H2: [u8; 14] = [0, 16, 0, 5, 0, 3, 2, b'h', b'2', 0xff, 1, 0, 1, 0];

/// A record with a `ServerHello` in it: of this version, with these extensions.
fn hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).expect("it is short").to_be_bytes();
    let mut body = version.to_vec();
    body.extend([7; 32]);
    // No session, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression.
    body.extend([0, 0xc0, 0x2f, 0]);
    body.extend(length(extensions.len()));
    body.extend(extensions);
    let mut record = vec![22, 3, 3];
    record.extend(length(body.len() + 4));
    record.extend([2, 0]);
    record.extend(length(body.len()));
    record.extend(body);
    record
}
