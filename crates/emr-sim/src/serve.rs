//! The port: open, refusing while the EMR is down, and open again.

use crate::control;
use crate::handle::{Dropped, handle};
use crate::state::Emr;
use crate::tls;
use crate::wire::{Breaker, Wire};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How long a failed accept or bind is waited out.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves the EMR until the task is aborted. While the door is shut there is no listener, so that connections are refused.
pub(crate) async fn emr(emr: Arc<Emr>, first: TcpListener, address: SocketAddr, acceptor: Option<TlsAcceptor>) {
    let mut door = emr.door();
    let mut listener = Some(first);
    loop {
        if !*door.borrow_and_update() {
            listener = None;
            if door.changed().await.is_err() {
                return;
            }
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => match TcpListener::bind(address).await {
                Ok(open) => open,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        tokio::select! {
            _ = door.changed() => {}
            accepted = open.accept() => match accepted {
                Ok((stream, _)) => { tokio::spawn(connection(Arc::clone(&emr), stream, acceptor.clone())); }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        listener = Some(open);
    }
}

async fn connection(emr: Arc<Emr>, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
    // Without it, small answers wait for the client's acknowledgement.
    drop(stream.set_nodelay(true));
    let mut door = emr.door();
    let breaker = Arc::new(Breaker::default());
    let wire = Wire::new(stream, Arc::clone(&breaker));
    let served = async {
        let Some(acceptor) = acceptor else { return requests(emr, &breaker, wire).await };
        let bad = {
            let mut front = emr.front();
            let probability = front.faults.bad_tls;
            front.tls_random.chance(probability)
        };
        if bad {
            drop(tls::refuse(wire).await);
        } else if let Ok(wire) = acceptor.accept(wire).await {
            requests(emr, &breaker, wire).await;
        }
    };
    tokio::select! {
        () = served => {}
        _ = door.wait_for(|open| !open) => breaker.reset(),
    }
}

async fn requests(emr: Arc<Emr>, breaker: &Arc<Breaker>, wire: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request: Request<Incoming>| handle(Arc::clone(&emr), Arc::clone(breaker), request));
    // Errors are the client's affair or our own faults.
    drop(http1::Builder::new().serve_connection(TokioIo::new(wire), service).await);
}

/// Serves only the control API and page.
pub(crate) async fn control(emr: Arc<Emr>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let emr = Arc::clone(&emr);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let emr = Arc::clone(&emr);
                async move { control::answer(emr, request, true).await as Result<Response<Full<Bytes>>, Dropped> }
            });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
