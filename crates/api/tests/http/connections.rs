//! Through real sockets: slow clients, keep-alive, and a shutdown that finishes what it has begun.

use crate::harness::{FHIR, PATIENT, World};
use api::Config;
use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
}

async fn start(world: &World, config: Config) -> Server {
    start_with(world, config, None).await
}

pub(crate) async fn start_with(world: &World, config: Config, tls: Option<Arc<ServerConfig>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = world.router.clone();
    let done =
        tokio::spawn(async move { api::serve(listener, router, &config, tls, async { drop(stopped.await) }).await });
    Server { at, stop, done }
}

const GET: &[u8] = b"GET /fhir/Patient HTTP/1.1\r\nhost: host\r\n\r\n";

/// Reads one answer with a Content-Length.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after {text}");
        bytes.extend_from_slice(&piece[..count]);
    }
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let world = World::new();
    let server = start(&world, Config::default()).await;
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let world = World::new();
    let server = start(&world, Config::default()).await;
    let stream = TcpStream::connect(server.at).await.unwrap();
    http2_creates_and_reads(stream, "http").await;
}

/// Two requests at once on one HTTP/2 connection after a create on it.
pub(crate) async fn http2_creates_and_reads<S>(stream: S, scheme: &str)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let ask = async |method: &str, path: &str, body: &'static str| {
        let request = Request::builder()
            .method(method)
            .uri(format!("{scheme}://host{path}"))
            .header(FHIR.0, FHIR.1)
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        let response = sender.clone().send_request(request).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        let location = response.headers().get("location").map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, location, String::from_utf8(bytes.to_vec()).unwrap())
    };
    let (status, location, body) = ask("POST", "/fhir/Patient", PATIENT).await;
    assert_eq!(status, 201, "{body}");
    assert!(location.starts_with(&format!("{scheme}://host/fhir/Patient/")), "{location}");
    let path = location.split_once("host").unwrap().1.split_once("/_history").unwrap().0;
    let (read, search) = tokio::join!(ask("GET", path, ""), ask("GET", "/fhir/Patient?family=ito", ""));
    assert_eq!((read.0, search.0), (200, 200));
    assert!(
        read.2.contains("Aiko") && search.2.contains(&format!("\"fullUrl\":\"{scheme}://host{path}\"")),
        "{search:?}"
    );
    drop(sender);
    driver.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_closed() {
    let world = World::new();
    let config = Config { header_timeout: Duration::from_millis(200), ..Config::default() };
    let server = start(&world, config).await;
    for half in [&b"GET /fhir/Patient HT"[..], b"GET /fhir/Patient HTTP/1.1\r\nhost: host\r\n", b"", b"PRI * HT"] {
        let mut stream = TcpStream::connect(server.at).await.unwrap();
        stream.write_all(half).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "still open after {:?}", String::from_utf8_lossy(half));
    }
}

#[tokio::test]
async fn shutdown_finishes_what_it_has_begun() {
    let world = World::new();
    let server = start(&world, Config::default()).await;
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    let body = crate::harness::PATIENT;
    let head = format!(
        "POST /fhir/Patient HTTP/1.1\r\nhost: host\r\ncontent-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..20]).await.unwrap();
    while world.metrics.snapshot().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    while TcpStream::connect(server.at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&body.as_bytes()[20..]).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 201 Created"));
    server.done.await.unwrap().unwrap();
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("1"));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let world = World::new();
    let config = Config { shutdown_timeout: Duration::from_millis(50), ..Config::default() };
    let server = start(&world, config).await;
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    let head =
        b"POST /fhir/Patient HTTP/1.1\r\nhost: host\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head).await.unwrap();
    while world.metrics.snapshot().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.send(()).unwrap();
    server.done.await.unwrap().unwrap();
}
