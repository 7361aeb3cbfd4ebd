//! What a sink to NATS needs to know.

use seal::Secret;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Which stream, and how it is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `nats://host:4222` or `tls://host:4222`, without a login.
    pub url: String,
    pub tenant: String,
    pub stream: String,
    /// How many servers keep the stream, if it is made.
    pub replicas: usize,
    /// How long the server knows an id again, if the stream is made.
    pub duplicate_window: Duration,
    /// A credentials file of NATS, `user:password`, or a token.
    pub login: Option<Secret>,
    /// Authorities in PEM beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Settings {
    /// Whether events stay on this machine. To another one they go by TLS only: they are about persons.
    pub fn is_local(&self) -> bool {
        let host = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
            None => host.rsplit_once(':').map_or(host, |(host, _)| host),
        };
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_local() {
        let at = |url: &str| Settings {
            url: url.into(),
            tenant: "default".into(),
            stream: "WEIR".into(),
            replicas: 1,
            duplicate_window: Duration::from_secs(120),
            login: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
        };
        for url in ["nats://127.0.0.1:4222", "nats://localhost", "nats://[::1]:4222"] {
            assert!(at(url).is_local(), "{url}");
        }
        for url in ["nats://10.0.0.1:4222", "nats://localhost.example.org:4222", "nats://[fe80::1]:4222", "tls://nats"]
        {
            assert!(!at(url).is_local(), "{url}");
        }
    }
}
