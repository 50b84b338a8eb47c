//! Receivers whose TLS is faulty: each fault is told by its name, and none gets the request.

use std::path::PathBuf;

use promises::tls::{Authority, Faulty, faults, named};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::config::ClientCertificate;

/// Sends a request to a receiver, where `ours` is trusted.
async fn send(
    receiver: &Faulty,
    ours: &Authority,
    change: impl FnOnce(&mut DeliveryConfig),
) -> Result<u16, SendFailure> {
    let rig = Rig::new();
    let mut settings = like(|config| {
        config.ca_file = Some(file(&rig, "ca.pem", &ours.pem()));
        config.connect_timeout = Duration::from_secs(3);
        change(config);
    });
    settings.url = Url::parse(&receiver.url()).unwrap();
    let mut request = claimed(settings.url.as_str());
    request.request.method = "POST".to_owned();
    request.request.body = b"canary".to_vec();
    let sent = client(&rig, &settings, &resolver::system()).send(&request).await;
    sent.map(|reply| reply.status.as_u16())
}

fn file(rig: &Rig, name: &str, text: &str) -> PathBuf {
    let path = rig.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn each_fault_is_told_by_its_name_and_gets_nothing() {
    let ours = Authority::new("ours");
    for fault in faults(&ours).await {
        let name = fault.name;
        let failure = send(&fault.receiver, &ours, |_| {}).await.unwrap_err();
        assert!(matches!(failure, SendFailure::Tls(_)), "{name}: {failure:?}");
        assert!(failure.to_string().contains(fault.said), "{name}: {failure}");
        let arrived = fault.receiver.arrived();
        assert!(!arrived.contains("canary") && !arrived.contains("POST"), "{name}: {arrived}");
    }
}

#[tokio::test]
async fn a_reply_that_is_cut_off_is_no_reply() {
    let ours = Authority::new("ours");
    let reply = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much";
    let receiver = Faulty::tls(ours.server(), reply).await;
    let failure = send(&receiver, &ours, |_| {}).await.unwrap_err();
    assert!(failure.to_string().starts_with("the exchange broke off: "), "{failure}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign(&named("callhook"));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let reply = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
        let receiver = Faulty::tls(ours.server_that_asks(version), reply).await;
        let rig = Rig::new();
        let shown = ClientCertificate {
            certificate: file(&rig, "client.pem", &pem_of(&certificate)),
            key: file(&rig, "client.key", &key.serialize_pem()),
        };
        let sent = send(&receiver, &ours, |config| config.client_certificate = Some(shown)).await;
        assert_eq!(sent.unwrap(), 204);
    }
}

fn pem_of(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
