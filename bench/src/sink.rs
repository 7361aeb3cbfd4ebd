//! An EMR for benchmarks: takes every write, notes when, and answers at once.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A request: when it was here, when it was answered, and its path.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) answered: Instant,
    pub(crate) path: String,
    pub(crate) refused: bool,
}

/// Ends with its runtime when dropped.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Sink {
    /// Refuses for good what `refuses` says of a path.
    pub(crate) fn start(refuses: fn(&str) -> bool) -> Result<Sink> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let (address, arrivals) = (listener.local_addr()?, Arc::<Mutex<Vec<Arrival>>>::default());
        let seen = arrivals.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                let service = service_fn(move |request| answer(request, seen.clone(), refuses));
                tokio::spawn(async move {
                    stream.set_nodelay(true).ok();
                    let connection =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // A client that goes away is no error of the measurement.
                    connection.await.ok();
                });
            }
        });
        Ok(Sink { address, arrivals, _runtime: runtime })
    }

    pub(crate) fn arrivals(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    seen: Arc<Mutex<Vec<Arrival>>>,
    refuses: fn(&str) -> bool,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (at, path) = (Instant::now(), request.uri().path().to_owned());
    request.into_body().collect().await?;
    let refused = refuses(&path);
    let answer = hyper::Response::builder().status(if refused { 422 } else { 200 }).body(Full::new(Bytes::from("{}")));
    let answered = Instant::now();
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { at, answered, path, refused });
    Ok(answer.unwrap_or_default())
}
