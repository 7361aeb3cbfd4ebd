//! Numbers of each destination for Prometheus.

use delivery::{Desk, Status};
use emr::{Alert, Roster};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::fmt::Error;

/// `weir_delivery_…`, `weir_sync_…` and `weir_alert`, with the labels `tenant` and `destination`.
#[derive(Clone, Debug)]
pub struct Metrics(pub Desk, pub Roster);

/// `None`: not known now.
type Gauge = (&'static str, &'static str, Option<Unit>, fn(&Status) -> Option<f64>);
type Counter = (&'static str, &'static str, fn(&Status) -> u64);

const GAUGES: [Gauge; 8] = [
    ("delivery_backlog", "Resources with changes that are not there yet", None, |status| Some(status.depth as f64)),
    ("delivery_oldest_age", "How long the oldest of them has waited", Some(Unit::Seconds), |status| {
        let age_us = status.oldest_since_us.filter(|_| status.depth > 0).map_or(0, |since| status.as_of_us - since);
        Some(age_us as f64 / 1e6)
    }),
    ("delivery_eta", "Until all is delivered; missing while that cannot be told", Some(Unit::Seconds), |status| {
        status.eta_s
    }),
    ("delivery_rate_per_second", "Calls a second, over the last ten seconds", None, |status| Some(status.rate_per_s)),
    ("delivery_rate_allowed_per_second", "Calls a second that limits and health allow", None, |status| {
        Some(status.allowed_per_s)
    }),
    ("delivery_dead", "Resources refused for good", None, |status| Some(status.dead as f64)),
    ("delivery_paused", "1 while an operator has paused it", None, |status| Some(f64::from(u8::from(status.paused)))),
    ("delivery_running", "0 once its dispatcher has ended", None, |status| Some(f64::from(u8::from(status.running)))),
];

const COUNTERS: [Counter; 2] = [
    ("delivery_delivered", "Resources delivered", |status| status.delivered),
    ("delivery_failed", "Attempts that failed for a reason that passes", |status| status.failed),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.alerts(&mut encoder)?;
        self.syncs(&mut encoder)?;
        let all = self.0.statuses();
        if all.is_empty() {
            return Ok(());
        }
        let labels =
            |tenant: &str, status: &Status| [("tenant", tenant.to_owned()), ("destination", status.name.clone())];
        for (name, help, unit, value) in &GAUGES {
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for (tenant, status) in &all {
                if let Some(value) = value(status) {
                    ConstGauge::new(value).encode(family.encode_family(&labels(tenant, status))?)?;
                }
            }
        }
        for (name, help, value) in &COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (tenant, status) in &all {
                ConstCounter::new(value(status)).encode(family.encode_family(&labels(tenant, status))?)?;
            }
        }
        Ok(())
    }
}

impl Metrics {
    fn alerts(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.1.all();
        if all.is_empty() {
            return Ok(());
        }
        let mut family =
            encoder.encode_descriptor("alert", "1 while an EMR needs somebody", None, MetricType::Gauge)?;
        for watched in all {
            let now = watched.witness.alerts();
            for alert in Alert::ALL {
                let labels =
                    [("tenant", watched.tenant.as_str()), ("destination", &watched.name), ("alert", alert.code())];
                let value = f64::from(u8::from(now.contains(&alert)));
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn syncs(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let all =
            self.1.all().into_iter().filter_map(|watched| Some((watched.tenant, watched.name, watched.follower?)));
        let all: Vec<_> = all.map(|(tenant, name, follower)| (tenant, name, follower.state())).collect();
        if all.is_empty() {
            return Ok(());
        }
        let help = "Records of synchronisation by what became of them";
        let mut family = encoder.encode_descriptor("sync_records", help, None, MetricType::Counter)?;
        for (tenant, name, state) in &all {
            for (result, count) in state.total.numbers() {
                let labels = [("tenant", tenant.as_str()), ("destination", name), ("result", result)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family =
            encoder.encode_descriptor("sync_runs", "Rounds and sweeps that have ended", None, MetricType::Counter)?;
        for (tenant, name, state) in &all {
            for (result, count) in [("done", state.runs - state.runs_failed), ("failed", state.runs_failed)] {
                let labels = [("tenant", tenant.as_str()), ("destination", name), ("result", result)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
