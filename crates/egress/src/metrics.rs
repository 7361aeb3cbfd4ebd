//! Numbers of each follower for Prometheus.

use crate::{Board, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt::Error;

/// `weir_events_…`, with the labels `tenant` and `sink`.
#[derive(Clone, Debug)]
pub struct Metrics(pub Board);

type Counter = (&'static str, &'static str, fn(&Status) -> u64);

const COUNTERS: [Counter; 3] = [
    ("events_published", "Events that the sink has acknowledged", |status| status.published),
    ("events_repeated", "Events that the sink had already, sent again after a failure", |status| status.repeats),
    ("events_failed_rounds", "Rounds that failed, each tried again", |status| status.failed),
];

const GAUGES: [Counter; 2] = [
    ("events_newest", "Number of the newest acknowledged event", |status| status.newest_no),
    ("events_flowing", "0 while the last round has failed", |status| u64::from(status.error.is_none())),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.0.all();
        if all.is_empty() {
            return Ok(());
        }
        let labels = |key: &(String, String)| [("tenant", key.0.clone()), ("sink", key.1.clone())];
        for (name, help, value) in &COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (key, status) in &all {
                ConstCounter::new(value(status)).encode(family.encode_family(&labels(key))?)?;
            }
        }
        for (name, help, value) in &GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (key, status) in &all {
                ConstGauge::new(value(status) as f64).encode(family.encode_family(&labels(key))?)?;
            }
        }
        Ok(())
    }
}
