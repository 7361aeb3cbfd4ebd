//! The vaccine tracker as files: its events, and where everybody stands, with the counts to compare with.

use super::{Done, told, wait};
use anyhow::{Context, Result};
use egress::Kind::{Int, Line, Text};
use egress::{Files, Table};
use engine::{Engine, Session};
use registry::{Export, Exported, Registry};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use store::TenantId;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tracker {
    /// A new or empty directory.
    pub(crate) to: PathBuf,
    pub(crate) tenant: String,
    /// Only events after this number. The other tables are always whole.
    pub(crate) since_no: u64,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line, compressed with gzip.
    Ndjson,
    /// Columns, compressed with gzip.
    Parquet,
}

/// Columns of the tables in Parquet. An event has few members of its own in common with others: the rest is in its JSON.
const TABLES: &[Table] = &[
    Table {
        name: "events",
        columns: &[
            ("no", Int),
            ("at", Text),
            ("tenant", Text),
            ("topic", Text),
            ("type", Text),
            ("person", Text),
            ("event", Line),
        ],
    },
    Table { name: "persons", columns: &[("person", Text), ("region", Text), ("sex", Text), ("birth_month", Text)] },
    Table {
        name: "standings",
        columns: &[
            ("person", Text),
            ("programme", Text),
            ("status", Text),
            ("marks", Text),
            ("first_on", Text),
            ("full_on", Text),
            ("boosted_on", Text),
            ("region", Text),
            ("sex", Text),
            ("birth_month", Text),
        ],
    },
    Table {
        name: "doses",
        columns: &[
            ("person", Text),
            ("dose", Text),
            ("cvx", Text),
            ("vaccine", Text),
            ("clinic", Text),
            ("lot", Text),
            ("given_on", Text),
            ("reported_on", Text),
            ("region", Text),
        ],
    },
];

impl Format {
    fn of_files(self) -> egress::Format {
        match self {
            Format::Ndjson => egress::Format::Ndjson,
            Format::Parquet => egress::Format::Parquet(TABLES),
        }
    }
}

impl Tracker {
    pub(crate) fn run(&self, engine: &Engine, registry: &Registry) -> Result<Done> {
        let files = Files::create(&self.to, self.format.of_files());
        let files = files.with_context(|| format!("cannot write to {}", self.to.display()))?;
        wait(self.write(engine, registry, files))
    }

    async fn write(&self, engine: &Engine, registry: &Registry, mut files: Files) -> Result<Done> {
        let session = Session { tenant: TenantId(self.tenant.clone()), ..crate::wiring::local_session("export") };
        let export = registry.export(engine, &session, |row| put(&mut files, &row)).await;
        let export = export.with_context(|| format!("tenant {}", self.tenant))?;
        let feed = told(engine.feed(&session).await)?;
        let topics = [registry::VACCINATION, registry::IDENTITY];
        let event = |message: &egress::Message, day: &str| files.line("events", Some(day), &message.body);
        egress::each_event(&feed, &self.tenant, &topics, self.since_no, export.last_event, event).await?;
        files.document("_counters.json", &json!({ "as_of": export.as_of.to_string(), "tables": export.counters }))?;
        files.document("_manifest.json", &self.manifest(&export, &files))?;
        let written = files.finish().with_context(|| format!("cannot write to {}", self.to.display()))?;
        let lines = written.rows.iter().map(|(table, rows)| format!("{rows:>10} {table}"));
        let last = format!("{} files in {}, up to event {}", written.files, self.to.display(), export.last_event);
        Ok(Done {
            json: vec![json!({ "rows": written.rows, "files": written.files, "last_event": export.last_event })],
            lines: lines.chain([last]).collect(),
            success: true,
        })
    }

    fn manifest(&self, export: &Export, files: &Files) -> serde_json::Value {
        json!({
            "weir": env!("CARGO_PKG_VERSION"), "format": self.format.of_files().name(), "tenant": self.tenant,
            "as_of": export.as_of.to_string(), "since_event": self.since_no, "last_event": export.last_event,
            "rows": files.written().rows, "definitions": export.definitions,
        })
    }
}

fn put(files: &mut Files, row: &Exported<'_>) -> std::io::Result<()> {
    match row {
        Exported::Person(person) => files.row("persons", None, person),
        Exported::Standing(standing) => files.row("standings", None, standing),
        Exported::Dose(dose) => files.row("doses", Some(&dose.given_on), dose),
    }
}
