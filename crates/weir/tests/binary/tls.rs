//! `weir serve` with a certificate.

use crate::support::{Server, weir};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client, Version};
use std::process::Output;

struct Files {
    dir: tempfile::TempDir,
    cert: String,
}

/// A certificate for `host` and its key, as PEM files.
fn files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["host".to_owned()]).unwrap();
    std::fs::write(dir.path().join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    Files { dir, cert: cert.pem() }
}

impl Files {
    fn serve(&self, cert: &str, key: &str) -> std::process::Command {
        let mut command = weir(self.dir.path());
        command.env("WEIR__SERVER__TLS_CERT_FILE", self.dir.path().join(cert));
        command.env("WEIR__SERVER__TLS_KEY_FILE", self.dir.path().join(key)).arg("serve");
        command
    }
}

#[test]
fn a_server_with_a_certificate_speaks_http2_and_http1_under_it() {
    let files = files();
    let server = Server::spawn(&mut files.serve("cert.pem", "key.pem"));
    let address: std::net::SocketAddr = server.address.parse().unwrap();
    let certificate = Certificate::from_pem(files.cert.as_bytes()).unwrap();
    let trusting = || Client::builder().tls_certs_only([certificate.clone()]).resolve("host", address);
    let url = format!("https://host:{}/fhir/Patient", address.port());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let body = r#"{"resourceType":"Patient","active":true}"#;
        let request = trusting().build().unwrap().post(&url).header("content-type", "application/fhir+json").body(body);
        let created = request.send().await.unwrap();
        assert_eq!((created.status().as_u16(), created.version()), (201, Version::HTTP_2));
        let location = created.headers()["location"].to_str().unwrap();
        assert!(location.starts_with(&format!("{url}/")), "{location}");
        let read = trusting().http1_only().build().unwrap().get(location).send().await.unwrap();
        assert_eq!((read.status().as_u16(), read.version()), (200, Version::HTTP_11));
        let clear = Client::new().get(format!("http://{address}/fhir/Patient")).send().await;
        assert!(clear.is_err(), "nothing is served in the clear");
    });
}

#[test]
fn a_load_trusts_the_authority_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), cert.pem()).unwrap();
    std::fs::write(path("key.pem"), signing_key.serialize_pem()).unwrap();
    let mut command = weir(dir.path());
    command.env("WEIR__SERVER__TLS_CERT_FILE", path("cert.pem")).env("WEIR__SERVER__TLS_KEY_FILE", path("key.pem"));
    let server = Server::spawn(command.arg("serve"));
    let (_, port) = server.address.rsplit_once(':').unwrap();
    let url = format!("https://localhost:{port}/fhir");
    std::fs::write(path("in.ndjson"), "{\"resourceType\":\"Patient\"}\n").unwrap();
    let load = |more: &[&str]| {
        let mut command = weir(&dir.path().join("elsewhere"));
        command.args(["load", &path("in.ndjson"), "--server", &url]).args(more).output().unwrap()
    };
    assert!(!load(&[]).status.success());
    let trusting = load(&["--ca-file", &path("cert.pem")]);
    assert!(trusting.status.success(), "{}", String::from_utf8_lossy(&trusting.stderr));
    assert!(String::from_utf8_lossy(&trusting.stdout).starts_with("1 resources from 1 documents"));
    for (file, said) in [("key.pem", "key.pem holds no certificate"), ("none.pem", "cannot read")] {
        let refused = load(&["--ca-file", &path(file)]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains(said), "{said}");
    }
}

#[test]
fn wrong_certificate_files_are_named_at_the_start() {
    let files = files();
    let refused = |cert, key| {
        let Output { status, stderr, .. } = files.serve(cert, key).output().unwrap();
        assert_eq!(status.code(), Some(1));
        String::from_utf8(stderr).unwrap()
    };
    assert!(refused("none.pem", "key.pem").contains("none.pem"));
    assert!(refused("cert.pem", "none.pem").contains("none.pem"));
    assert!(refused("cert.pem", "cert.pem").contains("cannot read a key from"));
    assert!(refused("key.pem", "key.pem").starts_with("error: "));
    let CertifiedKey { signing_key, .. } = generate_simple_self_signed(["host".to_owned()]).unwrap();
    std::fs::write(files.dir.path().join("other.pem"), signing_key.serialize_pem()).unwrap();
    assert!(refused("cert.pem", "other.pem").contains("do not go together"));
}
