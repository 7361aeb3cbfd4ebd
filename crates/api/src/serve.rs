//! Connections: TLS, slow clients, and a shutdown that finishes what it has begun.

use crate::Config;
use crate::opening::Opening;
use crate::router::OverTls;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves `router` until `shutdown` completes; open requests then get `config.shutdown_timeout` to finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    tls: Option<Arc<ServerConfig>>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let graceful = GracefulShutdown::new();
    let router = if tls.is_some() { router.layer(axum::Extension(OverTls)) } else { router };
    let acceptor = tls.map(TlsAcceptor::from);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(config.header_timeout);
    let builder = Arc::new(builder);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: the next one may be free soon.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        // Without it, small answers wait for the client's acknowledgement.
        drop(stream.set_nodelay(true));
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
    drop(listener);
    if tokio::time::timeout(config.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("open requests were cut off after the shutdown timeout");
    }
    Ok(())
}
