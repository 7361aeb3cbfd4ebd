//! What the server counts about itself.

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    interaction: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TypeLabel {
    resource: &'static str,
}

/// Upper bounds of latency, in microseconds, for quick percentiles without a lock.
const BOUNDS_US: [u64; 16] = [
    100, 200, 400, 700, 1_000, 2_000, 4_000, 7_000, 10_000, 20_000, 40_000, 70_000, 100_000, 200_000, 500_000,
    1_000_000,
];

/// Counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    resources: Family<TypeLabel, Gauge>,
    store_pending: Gauge,
    store_disk: Gauge,
    store_segments: Gauge,
    total: AtomicU64,
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
}

/// Numbers for a start page; percentiles are upper bounds of the bucket they fall in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests since the start; the difference of two snapshots is a rate.
    pub requests: u64,
    pub in_flight: i64,
    pub p50_us: u64,
    pub p99_us: u64,
}

fn histogram() -> Histogram {
    Histogram::new(BOUNDS_US.map(|bound| bound as f64 / 1e6))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("weir"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            resources: Family::default(),
            store_pending: Gauge::default(),
            store_disk: Gauge::default(),
            store_segments: Gauge::default(),
            total: AtomicU64::new(0),
            buckets: Default::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Requests by interaction and class of status", metrics.requests.clone());
        registry.register_with_unit("http_request", "Time to answer", Unit::Seconds, metrics.seconds.clone());
        registry.register("http_in_flight", "Requests in work", metrics.in_flight.clone());
        registry.register("resources", "Current resources of the default tenant by type", metrics.resources.clone());
        registry.register("store_pending", "Changes that no index segment holds yet", metrics.store_pending.clone());
        registry.register("store_segments", "Index segments of the default tenant", metrics.store_segments.clone());
        registry.register_with_unit(
            "store_disk",
            "Size of the default tenant",
            Unit::Bytes,
            metrics.store_disk.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// With what another crate measures; names get the prefix `weir_`.
    pub fn with(mut self, collector: impl Collector) -> Metrics {
        self.registry.register_collector(Box::new(collector));
        self
    }

    /// Counts a request in; the answer is the number now in work.
    pub(crate) fn begin(&self) -> i64 {
        self.in_flight.inc() + 1
    }

    pub(crate) fn end(&self) {
        self.in_flight.dec();
    }

    pub(crate) fn record(&self, interaction: &'static str, status: StatusCode, took: Duration) {
        let class = match status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        let labels = Labels { interaction, status: class };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.total.fetch_add(1, Ordering::Relaxed);
        let us = took.as_micros() as u64;
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Snapshot {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let percentile = |part: f64| {
            let mut seen = 0;
            let at = counts.iter().position(|count| {
                seen += count;
                seen as f64 >= all as f64 * part
            });
            let last = BOUNDS_US[BOUNDS_US.len() - 1];
            at.filter(|_| all > 0).map_or(0, |at| BOUNDS_US.get(at).copied().unwrap_or(last))
        };
        Snapshot {
            requests: self.total.load(Ordering::Relaxed),
            in_flight: self.in_flight.get(),
            p50_us: percentile(0.5),
            p99_us: percentile(0.99),
        }
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self, stats: Option<&store::Stats>) -> String {
        if let Some(stats) = stats {
            let defs = fhir::defs::r4();
            for (ty, count) in &stats.counts {
                let label = TypeLabel { resource: defs.ty(*ty).name };
                self.resources.get_or_create(&label).set(*count as i64);
            }
            self.store_pending.set(stats.pending as i64);
            self.store_disk.set(stats.disk_bytes as i64);
            self.store_segments.set(stats.segments as i64);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_come_from_the_buckets() {
        let metrics = Metrics::default();
        assert_eq!(metrics.snapshot().p99_us, 0);
        for _ in 0..98 {
            metrics.record("read", StatusCode::OK, Duration::from_micros(150));
        }
        metrics.record("read", StatusCode::NOT_FOUND, Duration::from_secs(9));
        metrics.record("read", StatusCode::NOT_FOUND, Duration::from_secs(9));
        let snapshot = metrics.snapshot();
        assert_eq!((snapshot.requests, snapshot.p50_us, snapshot.p99_us), (100, 200, 1_000_000));
        assert!(metrics.text(None).contains("weir_http_requests_total{interaction=\"read\",status=\"4xx\"} 2"));
    }
}
