//! TLS, and the ways in which it is bad.

use crate::options::Tls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// What accepts connections with this certificate.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    let invalid = |message: &str| Error::new(ErrorKind::InvalidInput, message.to_owned());
    let certificates: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&tls.certificate_pem).collect();
    let certificates = certificates.map_err(|_| invalid("the certificate is no PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key_pem).map_err(|_| invalid("the key is no PEM"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|_| invalid("certificate and key do not go together"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A fatal alert of TLS 1.2: `internal_error`.
const ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50];

/// Ends a handshake that has just begun.
pub(crate) async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    // The first byte is enough to know that the client began.
    stream.read_u8().await?;
    stream.write_all(&ALERT).await?;
    stream.shutdown().await
}
