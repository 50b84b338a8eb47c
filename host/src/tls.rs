//! TLS towards others, for everything that connects out: one set of rules, one crypto provider.
//!
//! A peer is trusted if the operating system trusts it, or if one of the certificates in the
//! configured file does; the file adds to the system's trust and does not replace it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error,
    PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

/// Accepts any certificate for any name: what `insecure` asks for.
#[derive(Debug)]
struct AcceptAnyone {
    /// Signatures are still checked, so that a broken peer is told from an unknown one.
    provider: Arc<CryptoProvider>,
}

/// Trusts whom the operating system trusts, and certificates of the settings: those that signed the
/// peer's, and the peer's own.
#[derive(Debug)]
struct Trusting {
    usual: Verifier,
    own: Vec<CertificateDer<'static>>,
}

impl Trusting {
    fn new(
        own: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> anyhow::Result<Self> {
        let usual = Verifier::new_with_extra_roots(own.clone(), Arc::clone(provider))
            .context("no usable CA certificates: install the system's or set ca_file")?;
        Ok(Self { usual, own })
    }
}

/// A file of the settings that cannot be used; goes with the error that says why.
#[derive(Debug)]
pub struct Unusable {
    /// The setting that names it.
    pub setting: &'static str,
    doing: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)
    }
}

/// What we show of ourselves, both in PEM format.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The certificate, and those that lead to its root.
    pub certificate: &'a Path,
    /// Its private key.
    pub key: &'a Path,
}

/// How to connect out: with the certificates in the PEM file `ca_file` trusted in addition to the
/// system's, or, if `insecure`, with whatever certificate the peer shows.
///
/// Fails if a file cannot be read or holds no certificate, if the key is not the certificate's, or
/// if nothing at all is trusted.
pub fn client_config(
    ca_file: Option<&Path>,
    insecure: bool,
    identity: Option<Identity<'_>>,
) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let extra = ca_file.map(|file| certificates(file, "ca_file")).transpose()?.unwrap_or_default();
    let verifier: Arc<dyn ServerCertVerifier> = if insecure {
        Arc::new(AcceptAnyone { provider: Arc::clone(&provider) })
    } else {
        Arc::new(Trusting::new(extra, &provider)?)
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("while choosing TLS versions")?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(Identity { certificate, key }) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key_unusable = |doing| Unusable { setting: "client_key", doing };
    let secret = PrivateKeyDer::from_pem_file(key).with_context(|| {
        key_unusable(format!("while reading the client's key in {}", key.display()))
    })?;
    let chain = certificates(certificate, "client_certificate")?;
    builder.with_client_auth_cert(chain, secret).with_context(|| {
        let (certificate, key) = (certificate.display(), key.display());
        key_unusable(format!("while matching {certificate} with the key in {key}"))
    })
}

/// What is wrong, in words that say what to do about it where that is known.
pub fn explain(error: &Error) -> String {
    let hint = match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "nobody who is trusted signed the certificate; if the receiver is right, set ca_file"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the receiver's certificate has expired, or the clock here is wrong"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the receiver's certificate is not valid yet, or the clock here is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the receiver's certificate is for somebody else"
            }
            _ => "the receiver's certificate is not accepted",
        },
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the receiver wants a certificate of ours; set client_certificate"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the receiver speaks no version of TLS since 1.2"
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the receiver and we have no cipher in common, or it wants a certificate of ours"
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the receiver does not speak HTTP/1.1"
        }
        Error::InvalidMessage(_) => "what the receiver speaks is not TLS",
        _ => return error.to_string(),
    };
    format!("{hint} ({error})")
}

/// The certificates in a file that this setting names.
fn certificates(
    file: &Path,
    setting: &'static str,
) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || {
        let found: Vec<_> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect)?;
        ensure!(!found.is_empty(), "{} holds no certificate in PEM format", file.display());
        Ok(found)
    };
    let doing = || format!("while reading the certificates in {}", file.display());
    read().with_context(|| Unusable { setting, doing: doing() })
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match usual {
            // It was refused for being able to sign others too, as what `openssl req -x509` makes
            // is, after its dates were found right.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if why.to_string() == "CaUsedAsEndEntity"
                    && self.own.iter().any(|own| own == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

impl ServerCertVerifier for AcceptAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    fn file_with(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn an_extra_ca_is_taken_from_a_pem_file() {
        let made = rcgen::generate_simple_self_signed(["pbx.example".to_owned()]).unwrap();
        let file = file_with(&made.cert.pem());
        assert!(client_config(Some(file.path()), false, None).is_ok());
    }

    #[test]
    fn a_certificate_that_could_sign_others_is_trusted_if_it_is_in_the_file() {
        const DAY: Duration = Duration::from_hours(24);
        let made = |name: &str| {
            let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let (own, stranger) = (made("pbx.example"), made("pbx.example"));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let trusting = Trusting::new(vec![own.clone()], &provider).unwrap();
        // Of 2026.
        let summer = 20_625 * DAY;
        let years = [20_625 + 365, 20_625 - 365].map(|day| day * DAY);
        let verify = |shown: &CertificateDer<'_>, name: &'static str, at: Duration| {
            let (name, at) = (ServerName::try_from(name).unwrap(), UnixTime::since_unix_epoch(at));
            trusting.verify_server_cert(shown, &[], &name, &[], at).map(drop)
        };
        assert_eq!(verify(&own, "pbx.example", summer), Ok(()));
        for refused in [
            verify(&own, "crm.example", summer),
            verify(&own, "pbx.example", years[0]),
            verify(&own, "pbx.example", years[1]),
            verify(&stranger, "pbx.example", summer),
        ] {
            assert!(matches!(refused, Err(Error::InvalidCertificate(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused_by_name() {
        let file = file_with("not a certificate\n");
        let error = client_config(Some(file.path()), false, None).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("holds no certificate in PEM format"), "{said}");
        assert!(said.contains(&file.path().display().to_string()), "{said}");
    }

    #[test]
    fn a_missing_ca_file_is_an_error_even_when_insecure() {
        assert!(client_config(Some(Path::new("/nonexistent/ca.pem")), true, None).is_err());
    }

    #[test]
    fn insecure_needs_no_ca() {
        assert!(client_config(None, true, None).is_ok());
    }
}
