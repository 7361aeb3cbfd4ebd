//! The numbers of all tenants together: persons, not records.

use super::{Done, told, wait};
use anyhow::Result;
use engine::Engine;
use registry::{Count, Denominator, Group, NetworkStats, Registry, StatsQuery};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) programme: String,
    /// Dimensions.
    pub(crate) by: Vec<String>,
    pub(crate) census: bool,
}

impl Network {
    pub(crate) fn run(&self, engine: &Engine, registry: &Registry) -> Result<Done> {
        let session = crate::wiring::local_session("network");
        let denominator = if self.census { Denominator::Census } else { Denominator::Known };
        let (programme, by) = (self.programme.clone(), self.by.clone());
        let query = StatsQuery { programme, by, denominator, suppress: true, as_of: None };
        told(registry.check_query(&query))?;
        let network = wait(async { told(registry.network(engine, &session).await) })?;
        let stats = told(network.stats(&query))?;
        Ok(Done { json: vec![serde_json::to_value(&stats)?], lines: lines(&stats), success: true })
    }
}

fn shown(count: Count) -> String {
    count.map_or_else(|| "hidden".to_owned(), |n| n.to_string())
}

fn lines(NetworkStats { network, stats }: &NetworkStats) -> Vec<String> {
    let mut lines = vec![format!("{}, as of {}", stats.programme.title, stats.as_of)];
    for tenant in &network.tenants {
        let (persons, records) = (shown(tenant.persons), shown(tenant.records));
        lines.push(format!("  tenant {}: {persons} persons of {records} records", tenant.tenant));
    }
    let (persons, joined) = (shown(network.persons), shown(network.joined));
    lines.push(format!("  together {persons} persons, {joined} of them known to several tenants"));
    lines.push(format!("  shares are of: {}", stats.denominator));
    lines.push(row(&stats.total, "all together"));
    lines.extend(stats.groups.iter().map(|group| {
        let values: Vec<&str> =
            group.values.iter().map(|value| if value.is_empty() { "unknown" } else { value }).collect();
        row(group, &values.join(", "))
    }));
    if stats.suppressed {
        lines.push(format!("Counts below {} are hidden, and those that would tell them.", registry::SMALL));
    }
    lines
}

fn row(group: &Group, name: &str) -> String {
    let Some(people) = &group.people else { return format!("{name}: {} doses", shown(group.doses)) };
    let [persons, full, partial, not] = [people.persons, people.full, people.partial, people.not].map(shown);
    let mut text = format!("{name}: {persons} living persons, {full} fully, {partial} partly, {not} not vaccinated");
    if let Some(of) = &people.census {
        text.push_str(&match (of.missing, of.full_percent) {
            (Some(missing), _) => format!("; {missing}"),
            (None, Some(registry::Share::AtLeast95)) => "; 95 % or more fully".to_owned(),
            (None, Some(share)) => format!("; {:.1} % fully", share.percent()),
            (None, None) => String::new(),
        });
    }
    text
}
