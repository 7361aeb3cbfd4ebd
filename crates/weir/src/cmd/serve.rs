//! `weir serve`

use crate::config::Config;
use crate::wiring;
use anyhow::{Context, Result, bail};
use axum::Router;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

pub(crate) fn run(config: &Config) -> Result<ExitCode> {
    let api_config = wiring::api_config(config)?;
    let address = address(config, &api_config)?;
    let tls = tls(config)?;
    let store = wiring::store(config)?;
    let engine = wiring::engine(config, store.clone())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = bind(address).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        eprintln!("weir serves FHIR R4 at {scheme}://{}/fhir", listener.local_addr()?);
        let router = api::router(engine, api_config.clone(), Arc::default());
        api::serve(listener, router, &api_config, tls, stop_signal()).await.context("server failed")
    })?;
    store.close();
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}\nhint: is another program there? set server.listen"))
}

/// Refuses to open the store to the network without a token.
fn address(config: &Config, api_config: &api::Config) -> Result<SocketAddr> {
    let listen = &config.server.listen;
    let address: SocketAddr =
        listen.parse().with_context(|| format!("server.listen must be an address and a port, not {listen}"))?;
    if !address.ip().is_loopback() && api_config.bearer_token.is_none() {
        bail!(
            "{address} can be reached from other machines, and weir has no users yet: everybody would be administrator\n\
             hint: set server.token_file to a file with a long random token, or listen on 127.0.0.1"
        );
    }
    Ok(address)
}

fn tls(config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>> {
    let (cert, key) = (&config.server.tls_cert_file, &config.server.tls_key_file);
    if cert.as_os_str().is_empty() {
        return Ok(None);
    }
    let certs: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(|certs| certs.collect())
        .with_context(|| format!("cannot read certificates from {}", cert.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read a key from {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .context("certificate and key do not go together")?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(tls)))
}

/// Completes on SIGINT or SIGTERM.
pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("weir finishes what it has begun and stops");
}

/// Serves a router on a free loopback port or a given one until the process is told to stop.
pub(crate) async fn serve_router(listener: TcpListener, router: Router, config: &api::Config) -> Result<()> {
    api::serve(listener, router, config, None, stop_signal()).await.context("server failed")
}
