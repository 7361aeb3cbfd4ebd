//! The followers of all configured event sinks, from start to stop.

use crate::config::event_sink::EventSink;
use crate::wiring::local_session;
use anyhow::{Context, Result};
use egress::Board;
use engine::{Engine, Principal, Role, Session};
use std::time::Duration;
use store::TenantId;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// All followers of a server.
#[derive(Debug)]
pub(crate) struct Publishing {
    tell: watch::Sender<()>,
    tasks: JoinSet<()>,
}

impl Publishing {
    /// Starts a follower for each sink. Wrong settings are errors here; a server that is away is tried again.
    pub(crate) async fn start(sinks: &[EventSink], engine: &Engine, board: &Board) -> Result<Publishing> {
        let (tell, _) = watch::channel(());
        let mut publishing = Publishing { tell, tasks: JoinSet::new() };
        for sink in sinks {
            let started = publishing.follow(sink, engine, board).await;
            started.with_context(|| format!("event_sink {}", sink.name))?;
        }
        Ok(publishing)
    }

    async fn follow(&mut self, sink: &EventSink, engine: &Engine, board: &Board) -> Result<()> {
        let session = Session {
            tenant: TenantId(sink.tenant.clone()),
            who: Principal { id: format!("events/{}", sink.name), role: Role::Admin },
            ..local_session("")
        };
        let feed = engine.feed(&session).await.map_err(|error| anyhow::anyhow!("tenant {}: {error}", sink.tenant))?;
        let (spec, settings) = (sink.spec(), sink.settings()?);
        #[cfg(feature = "nats")]
        {
            let follower = egress::Follower::new(spec, feed, egress::Nats::new(settings), board.clone());
            let mut told = self.tell.subscribe();
            self.tasks.spawn(follower.run(async move { drop(told.changed().await) }));
        }
        // The configuration has been refused before.
        #[cfg(not(feature = "nats"))]
        drop((spec, settings, feed, board));
        Ok(())
    }

    /// Finishes the batches that are under way, for `timeout` at most. What is not finished is sent again at the next start, and
    /// dropped there by its id.
    pub(crate) async fn stop(self, timeout: Duration) {
        let Publishing { tell, mut tasks } = self;
        drop(tell);
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("event sinks were cut off after the shutdown timeout");
        }
    }
}
