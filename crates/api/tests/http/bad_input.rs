//! Whatever is sent, the answer is an OperationOutcome with the right status.

use crate::harness::{FHIR, PATIENT, World};
use api::Config;
use axum::body::{Body, Bytes};
use std::io::Write;
use std::time::Duration;

#[tokio::test]
async fn bad_resources() {
    let world = World::new();
    let deep = format!("{{\"resourceType\":\"Patient\",\"extension\":{}", "[".repeat(100_000));
    let cases: &[(&str, &[u8], u16)] = &[
        ("empty", b"", 400),
        ("not JSON", b"{\"resourceType\":\"Patient\",}", 400),
        ("not an object", b"[]", 400),
        ("no type", b"{}", 400),
        ("another type", b"{\"resourceType\":\"Observation\"}", 400),
        ("unknown element", b"{\"resourceType\":\"Patient\",\"nmae\":[]}", 422),
        ("wrong kind", b"{\"resourceType\":\"Patient\",\"active\":\"yes\"}", 422),
        ("wrong cardinality", b"{\"resourceType\":\"Patient\",\"name\":{}}", 422),
        ("wrong code", b"{\"resourceType\":\"Patient\",\"gender\":\"blue\"}", 422),
        ("duplicate key", b"{\"resourceType\":\"Patient\",\"active\":true,\"active\":true}", 400),
        ("invalid UTF-8", b"{\"resourceType\":\"Patient\",\"language\":\"\xff\"}", 400),
        ("lone surrogate", b"{\"resourceType\":\"Patient\",\"language\":\"\\ud800\"}", 400),
        ("depth bomb", deep.as_bytes(), 400),
    ];
    for (name, body, status) in cases {
        let reply = world.ask("POST", "/fhir/Patient", &[FHIR], body.to_vec()).await;
        assert_eq!(reply.status.as_u16(), *status, "{name}: {}", reply.text());
        assert!(reply.text().starts_with("{\"resourceType\":\"OperationOutcome\""), "{name}: {}", reply.text());
        assert!(!reply.text().contains("blue"), "no value of a resource in a message");
    }
    assert_eq!(world.get("/fhir/Patient").await.total().as_deref(), Some("0"));
}

#[tokio::test]
async fn bad_addresses_and_methods() {
    let world = World::new();
    let cases = [
        ("GET", "/fhir/Patint", 404, "Patient"),
        ("GET", "/fhir/patient/1", 404, "Patient"),
        ("GET", "/fhir/Patient/$evrything", 404, "metadata"),
        ("GET", "/fhir/fhir/Patient", 404, "fhir"),
        ("GET", "/fhir/Patient/1/_history/1/2", 404, "metadata"),
        ("GET", "/nowhere", 404, "/fhir"),
        ("POST", "/healthz", 405, "GET"),
        ("POST", "/fhir/Patient/1", 405, "PUT"),
        ("PUT", "/fhir/metadata", 405, "GET"),
        ("DELETE", "/fhir", 405, "POST"),
        ("GET", "/fhir/Patient/_search", 405, "POST"),
    ];
    for (method, path, status, hint) in cases {
        let reply = world.ask(method, path, &[FHIR], "").await.is(status);
        assert!(reply.text().contains(hint), "{method} {path}: {}", reply.text());
        if status == 405 {
            assert!(reply.header("allow").contains(hint), "{method} {path}: {}", reply.header("allow"));
        }
    }
    let long = "x".repeat(65);
    for id in [long.as_str(), "a_b", "a%20b", "..%2f..%2fetc", "%00"] {
        for method in ["GET", "PUT", "DELETE"] {
            let reply = world.ask(method, &format!("/fhir/Patient/{id}"), &[FHIR], PATIENT).await;
            assert!(matches!(reply.status.as_u16(), 400 | 404), "{method} {id}: {}", reply.status);
            assert!(reply.text().contains("OperationOutcome"));
        }
    }
}

#[tokio::test]
async fn bad_media() {
    let world = World::new();
    for media in ["application/fhir+xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let reply = world.ask("POST", "/fhir/Patient", &[("content-type", media)], PATIENT).await.is(415);
        assert!(reply.text().contains("application/fhir+json"), "{media}");
    }
    let latin = ("content-type", "application/fhir+json; charset=iso-8859-1");
    world.ask("POST", "/fhir/Patient", &[latin], PATIENT).await.is(415);
    world
        .ask("POST", "/fhir/Patient", &[("content-type", "Application/FHIR+JSON; charset=\"UTF-8\"")], PATIENT)
        .await
        .is(201);
    world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "br")], PATIENT).await.is(415);
    world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "gzip")], PATIENT).await.is(400);
}

#[tokio::test]
async fn bodies_are_bounded_before_they_fill_memory() {
    let world = World::with(Config { body_bytes_max: 1 << 20, ..Config::default() });
    let announced = [FHIR, ("content-length", "104857600")];
    world.ask("POST", "/fhir/Patient", &announced, "").await.is(413);

    // 100 MB in pieces, without a length: refused after the first MB.
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = taken.clone();
    let body = Body::new(Pieces { left: 1_600, counter, endless: false });
    world.ask("POST", "/fhir/Patient", &[FHIR], body).await.is(413);
    assert!(taken.load(std::sync::atomic::Ordering::Relaxed) <= 18);

    // A bomb: 50 MB of spaces in 50 KB.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 50 << 20]).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100_000);
    world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "gzip")], bomb).await.is(413);
}

/// Pieces of 64 KiB that count how many were taken; an endless one then waits for ever.
struct Pieces {
    left: usize,
    counter: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    endless: bool,
}

impl axum::body::HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return if self.endless { std::task::Poll::Pending } else { std::task::Poll::Ready(None) };
        }
        self.left -= 1;
        self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let piece = Bytes::from_static(&[b' '; 1 << 16]);
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(piece))))
    }
}

#[tokio::test]
async fn compressed_bodies_are_taken() {
    let world = World::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(PATIENT.as_bytes()).unwrap();
    let body = gzip.finish().unwrap();
    world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "gzip")], body).await.is(201);
    let body = zstd::encode_all(PATIENT.as_bytes(), 1).unwrap();
    world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "zstd")], body).await.is(201);

    // The window is memory that the sender chooses.
    for (window_log, status) in [(23, 201), (27, 400)] {
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        zstd.window_log(window_log).unwrap();
        zstd.write_all(PATIENT.as_bytes()).unwrap();
        zstd.flush().unwrap();
        let body = zstd.finish().unwrap();
        world.ask("POST", "/fhir/Patient", &[FHIR, ("content-encoding", "zstd")], body).await.is(status);
    }
}

#[tokio::test]
async fn overload_is_said_not_suffered() {
    let world = World::with(Config { in_flight_max: 0, ..Config::default() });
    let busy = world.get("/fhir/Patient").await.is(503);
    assert_eq!(busy.header("retry-after"), "1");
    world.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let world = World::with(Config { request_timeout: Duration::from_millis(60), ..Config::default() });
    let endless = Body::new(Pieces { left: 1, counter: Default::default(), endless: true });
    let late = world.ask("POST", "/fhir/Patient", &[FHIR], endless).await.is(503);
    assert_eq!(late.header("retry-after"), "5");
    assert!(late.text().contains("nothing was changed"), "{}", late.text());
    assert_eq!(world.metrics.snapshot().in_flight, 0);
}

#[tokio::test]
async fn a_write_that_is_given_up_may_have_been_stored() {
    let world = World::with(Config { request_timeout: Duration::ZERO, ..Config::default() });
    let late = world.send("POST", "/fhir/Patient", PATIENT).await.is(503);
    assert!(late.text().contains("may have been stored"), "{}", late.text());
    assert!(late.text().contains("If-None-Exist"), "{}", late.text());
    assert_eq!(late.header("retry-after"), "", "nobody shall do it twice unasked");
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let bytes_max = 200_000;
    let world = World::with(Config { body_bytes_max: bytes_max, bodies_bytes_max: bytes_max, ..Config::default() });
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let endless = Body::new(Pieces { left: 3, counter: taken.clone(), endless: true });
    let router = world.router.clone();
    let request = axum::http::Request::post("/fhir/Patient").header(FHIR.0, FHIR.1).body(endless).unwrap();
    let held = tokio::spawn(tower::ServiceExt::oneshot(router, request));
    while taken.load(std::sync::atomic::Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    let large = || vec![b' '; 10_000];
    let busy = world.ask("POST", "/fhir/Patient", &[FHIR], large()).await.is(503);
    assert_eq!(busy.header("retry-after"), "1");
    world.send("POST", "/fhir/Patient", PATIENT).await.is(201);
    held.abort();
    drop(held.await);
    world.ask("POST", "/fhir/Patient", &[FHIR], large()).await.is(400);
}
