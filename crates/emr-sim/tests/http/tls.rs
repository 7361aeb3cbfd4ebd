//! TLS and how it fails.

use crate::client::{FHIR, patient, send, start};
use emr_sim::{Faults, Options, Sim, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client};

/// A certificate for a host, and the root that trusts it.
fn certificate(host: &str) -> (Tls, Certificate) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let root = Certificate::from_pem(cert.pem().as_bytes()).expect("a root");
    (Tls { certificate_pem: cert.pem().into_bytes(), key_pem: signing_key.serialize_pem().into_bytes() }, root)
}

fn trusting(root: Certificate) -> Client {
    let client = Client::builder().tls_certs_only([root]).no_proxy().pool_max_idle_per_host(0);
    client.build().expect("a client")
}

#[tokio::test]
async fn https_is_answered_and_named_and_breaks_as_http_does() {
    let (tls, root) = certificate("127.0.0.1");
    let emr = start(Options { tls: Some(tls), oauth_required: false, ..Options::default() }).await;
    let http = trusting(root);
    let url = format!("https://{}{FHIR}/Patient", emr.sim.address());
    let post = || http.post(&url).body(patient("k1").to_string());
    assert_eq!(send(post()).await.expect("an answer").status, 201);
    let bundle = send(http.get(&url)).await.expect("an answer").json();
    assert_eq!(bundle["link"][0]["url"], url.as_str());
    for faults in
        [Faults { commit_then_drop: 1.0, ..Faults::default() }, Faults { half_close: 1.0, ..Faults::default() }]
    {
        emr.sim.set_faults(faults);
        assert!(send(post()).await.is_err(), "{faults:?}");
    }
    assert_eq!(emr.sim.state().arrivals, 4);
}

#[tokio::test]
async fn bad_tls_ends_the_handshake_and_nothing_arrives() {
    let (tls, root) = certificate("127.0.0.1");
    let emr = start(Options { tls: Some(tls), oauth_required: false, ..Options::default() }).await;
    let http = trusting(root);
    let url = format!("https://{}{FHIR}/metadata", emr.sim.address());
    emr.sim.set_faults(Faults { bad_tls: 1.0, ..Faults::default() });
    assert!(send(http.get(&url)).await.is_err_and(|error| error.is_connect()));
    assert_eq!(emr.sim.state().arrivals, 0);
    emr.sim.set_faults(Faults::default());
    assert_eq!(send(http.get(&url)).await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_foreign_certificate_is_the_clients_to_refuse() {
    let (tls, root) = certificate("elsewhere");
    let emr = start(Options { tls: Some(tls), ..Options::default() }).await;
    let url = format!("https://{}{FHIR}/metadata", emr.sim.address());
    assert!(send(trusting(root).get(&url)).await.is_err_and(|error| error.is_connect()));
    assert_eq!(emr.sim.state().arrivals, 0);
}

#[tokio::test]
async fn a_wrong_certificate_is_an_error_at_the_start() {
    let (tls, _) = certificate("127.0.0.1");
    let (other, _) = certificate("127.0.0.1");
    let mixed = Tls { key_pem: other.key_pem, ..tls };
    let error = Sim::start(Options { tls: Some(mixed), ..Options::default() }).await.err();
    assert_eq!(error.map(|error| error.to_string()).as_deref(), Some("certificate and key do not go together"));
}
