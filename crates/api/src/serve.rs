//! Connections: TLS, slow clients, and a shutdown that finishes what it has begun.

use crate::Config;
use crate::opening::Opening;
use crate::router::OverTls;
use axum::Router;
use axum::serve::{Listener, ListenerExt};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Streams without an end listen to it: they would keep a shutdown waiting.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<()>);

impl Stopping {
    /// Completes when the server begins to stop.
    pub(crate) async fn stopped(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Serves `router` until `shutdown` completes; open requests then get `config.shutdown_timeout` to finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    tls: Option<Arc<ServerConfig>>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    // Without it, small answers wait for the client's acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    serve_connections(listener, router, config, tls, shutdown).await
}

/// As [`serve`], on a Unix socket: for programs of this machine whose user may open it.
pub async fn serve_local(
    listener: UnixListener,
    router: Router,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    serve_connections(listener, router, config, None, shutdown).await
}

async fn serve_connections(
    mut listener: impl Listener,
    router: Router,
    config: &Config,
    tls: Option<Arc<ServerConfig>>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let graceful = GracefulShutdown::new();
    let router = if tls.is_some() { router.layer(axum::Extension(OverTls)) } else { router };
    let (stop, stopping) = watch::channel(());
    let router = router.layer(axum::Extension(Stopping(stopping)));
    let acceptor = tls.map(TlsAcceptor::from);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(config.header_timeout);
    let builder = Arc::new(builder);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            // Errors, such as no free file descriptor, are waited out by the listener.
            (stream, _) = listener.accept() => stream,
        };
        let watcher = graceful.watcher();
        let service = TowerToHyperService::new(router.clone());
        let (builder, acceptor, timeout) = (builder.clone(), acceptor.clone(), config.header_timeout);
        tokio::spawn(async move {
            let served = match acceptor {
                Some(acceptor) => match tokio::time::timeout(timeout, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let connection =
                            builder.serve_connection(TokioIo::new(Opening::new(stream, timeout)), service).into_owned();
                        watcher.watch(connection).await
                    }
                    // A handshake that fails or hangs is the client's affair.
                    _ => return,
                },
                None => {
                    let connection =
                        builder.serve_connection(TokioIo::new(Opening::new(stream, timeout)), service).into_owned();
                    watcher.watch(connection).await
                }
            };
            if let Err(error) = served {
                tracing::debug!(error = %error, "connection ended early");
            }
        });
    }
    drop((listener, stop));
    if tokio::time::timeout(config.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("open requests were cut off after the shutdown timeout");
    }
    Ok(())
}
