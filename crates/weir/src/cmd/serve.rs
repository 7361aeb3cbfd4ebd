//! `weir serve`

use crate::alerting::Alerting;
use crate::config::Config;
use crate::delivering::Delivering;
use crate::publishing::Publishing;
use crate::{control, tracking, wiring};
use anyhow::{Context, Result, bail};
use axum::Router;
use engine::Engine;
use registry::Registry;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;

pub(crate) fn run(config: &Config) -> Result<ExitCode> {
    let api_config = wiring::api_config(config)?;
    let address = address(config, &api_config)?;
    let tls = tls(config)?;
    let alerting = Alerting::new(&config.alerts)?;
    let store = wiring::store(config)?;
    let (engine, registry) = wiring::engine(config, store.clone())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = bind(address).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let ready = format!("weir serves FHIR R4 at {scheme}://{}/fhir", listener.local_addr()?);
        let delivering = Delivering::default();
        let metrics =
            api::Metrics::default().with(web::ops::Metrics(delivering.desk.clone(), delivering.roster.clone()));
        let board = egress::Board::default();
        let metrics = Arc::new(metrics.with(egress::Metrics(board.clone())));
        let router = api::router(engine.clone(), registry.clone(), api_config.clone(), metrics.clone());
        let sessions = tracking::open(config, &registry, &engine).await?;
        delivering.start(&config.destinations, &engine, &registry).await?;
        let publishing = Publishing::start(&config.event_sinks, &engine, &board).await?;
        let shutdown_timeout = api_config.shutdown_timeout;
        tokio::spawn(tracking::run(config.clone(), registry.clone(), engine.clone(), sessions));
        tokio::spawn(alerting.run(delivering.roster.clone()));
        let data_dir = config.store.dir.clone();
        let store = store.clone();
        let service = Service {
            listener,
            router,
            tls,
            data_dir,
            store,
            engine,
            registry,
            metrics,
            delivering,
            config: api_config,
        };
        let served = service.serve(|| eprintln!("{ready}"), stop_signal()).await;
        publishing.stop(shutdown_timeout).await;
        served
    })?;
    store.close();
    Ok(ExitCode::SUCCESS)
}

/// Everything that answers requests.
pub(crate) struct Service {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) data_dir: PathBuf,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<api::Metrics>,
    pub(crate) delivering: Delivering,
    pub(crate) config: api::Config,
}

impl Service {
    /// Serves the network and the machine's own commands until `stop` completes. `ready` is called when both can be reached.
    pub(crate) async fn serve(self, ready: impl FnOnce(), stop: impl Future<Output = ()>) -> Result<()> {
        let socket = control::bind(&self.data_dir)?;
        ready();
        // Who can open the socket can read the files: there is nothing to prove.
        let local = api::Config { bearer_token: None, ..self.config.clone() };
        let (tell, told) = tokio::sync::watch::channel(());
        let ops = web::ops::router(
            self.delivering.desk.clone(),
            self.delivering.roster.clone(),
            self.engine.clone(),
            told.clone(),
        );
        let registry = self.registry;
        let pages = ops.merge(web::tracker::router(self.engine.clone(), registry.clone(), told.clone()));
        let router = self.router.merge(api::guard(pages.clone(), &self.config));
        let engine = self.engine.clone();
        let api =
            api::router(self.engine, registry.clone(), local.clone(), self.metrics).merge(api::guard(pages, &local));
        let commands = control::router(self.store, engine, registry, api);
        let mut also_told = told.clone();
        let stopping = async {
            stop.await;
            drop(tell);
        };
        let mut told = told;
        // Both end when the sender is dropped.
        let (network, machine, ()) = tokio::join!(
            api::serve(self.listener, router, &self.config, self.tls, async { drop(told.changed().await) }),
            api::serve_local(socket, commands, &local, async { drop(also_told.changed().await) }),
            stopping
        );
        self.delivering.stop(self.config.shutdown_timeout).await;
        control::unbind(&self.data_dir);
        network.and(machine).context("server failed")
    }
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
