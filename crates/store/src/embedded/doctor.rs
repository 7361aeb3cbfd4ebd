//! Checks everything that can be checked and rebuilds what can be derived.

use super::Shared;
use super::read::{self, COLUMNS};
use crate::{Report, StoreError};
use fhir::json::{Document, Limits};
use rusqlite::params;
use std::sync::Arc;

const STEP: i64 = 1_000;

impl Shared {
    /// Checks the file, the log, the current versions and everything that is sealed. With `rebuild`, the index is
    /// thrown away and made again from the log.
    pub(crate) fn doctor(self: &Arc<Self>, rebuild: bool) -> Result<Report, StoreError> {
        let mut report = Report::default();
        self.check_file(&mut report)?;
        self.check_log(&mut report)?;
        self.check_bodies(&mut report)?;
        self.check_audit(&mut report)?;
        let (checked, damaged) = self.check_side_state()?;
        report.checked.push(format!("{checked} claims, queue messages, kept values, blobs, counters and events open"));
        report.problems.extend(damaged);
        if rebuild {
            self.index().clear()?;
            self.reading(|connection| read::replay(self, connection))?;
            self.index().flush()?;
            report.repaired.push(format!("index rebuilt from {} changes", self.last_seq()));
        }
        self.check_index(&mut report)?;
        Ok(report)
    }

    fn check_file(&self, report: &mut Report) -> Result<(), StoreError> {
        let lines: Vec<String> = self.reading(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        report.checked.push("file structure".into());
        report.problems.extend(lines.into_iter().filter(|line| line != "ok").map(|line| format!("file: {line}")));
        Ok(())
    }

    fn check_log(&self, report: &mut Report) -> Result<(), StoreError> {
        let checks = [
            ("change numbers are dense", "SELECT count(*) <> coalesce(max(seq), 0) FROM log"),
            (
                "current versions point into the log",
                "SELECT count(*) FROM res LEFT JOIN log ON log.seq = res.seq AND log.ty = res.ty AND log.id = res.id AND log.ver = res.ver WHERE log.seq IS NULL",
            ),
            (
                "every resource of the log has a current version",
                "SELECT count(*) FROM (SELECT ty, id, max(ver) AS ver FROM log GROUP BY ty, id) AS l LEFT JOIN res ON res.ty = l.ty AND res.id = l.id AND res.ver = l.ver WHERE res.seq IS NULL",
            ),
            (
                "versions follow each other",
                "SELECT count(*) FROM log AS l LEFT JOIN log AS p ON p.seq = l.prev WHERE l.ver > 1 AND (p.seq IS NULL OR p.id <> l.id OR p.ver <> l.ver - 1)",
            ),
            (
                "commit times never run backwards",
                "SELECT count(*) FROM log AS l JOIN log AS p ON p.seq = l.seq - 1 WHERE p.at_us > l.at_us",
            ),
            ("audit numbers are dense", "SELECT coalesce(sum(n), 0) <> coalesce(max(first + n - 1), 0) FROM audit"),
        ];
        for (name, sql) in checks {
            let wrong: i64 = self.reading(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))?;
            report.checked.push(name.into());
            if wrong > 0 {
                report.problems.push(format!("{name}: {wrong} wrong"));
            }
        }
        Ok(())
    }

    fn check_bodies(&self, report: &mut Report) -> Result<(), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM log WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let mut after = 0_u64;
        let mut bodies = 0_u64;
        loop {
            let step = self.reading(|connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(params![after, STEP])?;
                let mut last = None;
                while let Some(row) = rows.next()? {
                    let seq: u64 = row.get(0)?;
                    last = Some(seq);
                    bodies += 1;
                    if let Some(problem) = self.body_problem(row) {
                        report.problems.push(format!("change {seq}: {problem}"));
                    }
                }
                Ok(last)
            })?;
            match step {
                Some(seq) => after = seq,
                None => break,
            }
        }
        report.checked.push(format!("{bodies} bodies open and are JSON"));
        Ok(())
    }

    fn check_audit(&self, report: &mut Report) -> Result<(), StoreError> {
        let damaged = self.reading(|connection| super::audit::damaged_blocks(&self.codec, connection))?;
        report.checked.push("audit blocks open".into());
        report.problems.extend(damaged.iter().map(|first| format!("audit records from {first} on are damaged")));
        Ok(())
    }

    fn body_problem(&self, row: &rusqlite::Row<'_>) -> Option<String> {
        let stored = match self.stored(row) {
            Ok(stored) => stored,
            Err(error) => return Some(error.to_string()),
        };
        let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
        let deleted = stored.op == crate::Op::Delete;
        match (deleted, Document::parse(&stored.body, &limits)) {
            (false, Err(_)) => Some("body is not JSON".into()),
            (true, _) if !stored.body.is_empty() => Some("a deletion has a body".into()),
            _ => None,
        }
    }

    /// The index knows exactly the resources that are current in the table.
    fn check_index(&self, report: &mut Report) -> Result<(), StoreError> {
        for (ty, indexed) in self.index().counts() {
            let current: u64 = self.reading(|connection| {
                let sql = "SELECT count(*) FROM res JOIN log ON log.seq = res.seq WHERE res.ty = ?1 AND log.op < 2";
                Ok(connection.query_row(sql, [self.codec.numbers.disk(ty)], |row| row.get(0))?)
            })?;
            if indexed != current {
                let name = fhir::defs::r4().ty(ty).name;
                report.problems.push(format!(
                    "index of {name} knows {indexed} resources, there are {current}: run with --rebuild"
                ));
            }
        }
        report.checked.push("index counts".into());
        Ok(())
    }
}
