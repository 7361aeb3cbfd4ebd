//! Through TLS, with a certificate made for the test.

use crate::connections::{Server, http2_creates_and_reads, start_with};
use crate::harness::World;
use api::Config;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server under TLS, and the certificate that its clients trust.
async fn start(world: &World, config: Config) -> (Server, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["host".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (start_with(world, config, Some(Arc::new(tls))).await, cert.der().clone())
}

async fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(server.at).await?;
    TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("host").unwrap(), stream).await
}

#[tokio::test]
async fn http1_through_tls_has_https_links() {
    let world = World::new();
    let (server, trusted) = start(&world, Config::default()).await;
    let mut stream = connect(&server, &trusted, "http/1.1").await.unwrap();
    let request = "GET /fhir/Patient HTTP/1.1\r\nhost: host\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(text.contains("\"url\":\"https://host/fhir/Patient"), "{text}");
}

#[tokio::test]
async fn http2_is_agreed_on_in_the_handshake() {
    let world = World::new();
    let (server, trusted) = start(&world, Config::default()).await;
    let stream = connect(&server, &trusted, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    http2_creates_and_reads(stream, "https").await;
}

#[tokio::test]
async fn who_does_not_speak_tls_or_hangs_in_the_handshake_is_closed() {
    let world = World::new();
    let config = Config { header_timeout: Duration::from_millis(200), ..Config::default() };
    let (server, trusted) = start(&world, config).await;
    for first in [&b"GET /fhir/Patient HTTP/1.1\r\nhost: host\r\n\r\n"[..], b"\x16\x03", b""] {
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {first:?}");
        assert!(!rest.starts_with(b"HTTP"), "nothing is answered in the clear");
    }
    let (other, untrusted) = start(&world, Config::default()).await;
    assert!(connect(&other, &trusted, "h2").await.is_err(), "another certificate is not accepted by the client");
    assert!(connect(&other, &untrusted, "h2").await.is_ok());
}
