//! Applies what was pulled: what it refers to comes first.

use super::super::pull::Step;
use super::super::search::read;
use super::kept::Why;
use super::{Course, FollowError, Follower, Report};
use crate::sync::{Applied, Pulled};
use crate::turns::Turns;
use delivery::{Async, Intent, Remote};
use fhir::defs::r4;
use fhir::json::Value;

/// How far a chain of references is followed before one of them keeps its address.
const DEPTH_MAX: usize = 8;

/// Records that are being applied, each because of the one before it.
type Chain<'a> = &'a [&'a str];

impl Follower {
    /// Applies what a step has found, then keeps how far it is.
    pub(super) async fn take(&self, mut step: Step, turns: &dyn Turns, report: &mut Report) -> Result<(), FollowError> {
        let of_sync = |one: super::super::Pulled| {
            let remote = Remote { id: one.remote_id, more: Vec::new() };
            Some(Pulled { ty: r4().resource_by_name(&one.ty)?, remote, resource: one.resource })
        };
        let found = std::mem::take(&mut step.pulled).into_iter().filter_map(of_sync).collect();
        self.settle_all(found, turns, report).await?;
        Ok(self.kept.step(step).await?)
    }

    /// Applies what was just read.
    pub(super) async fn settle_all(
        &self,
        found: Vec<Pulled>,
        turns: &dyn Turns,
        report: &mut Report,
    ) -> Result<(), FollowError> {
        let doubtful = self.sync.doubtful().await?;
        for pulled in &found {
            self.settle(pulled, &doubtful, turns, &[], report).await?;
        }
        Ok(())
    }

    /// Records that were put off: with each round those that may have been ours, with each sweep the others too.
    pub(super) async fn settle_later(
        &self,
        course: Course,
        turns: &dyn Turns,
        report: &mut Report,
    ) -> Result<(), FollowError> {
        let due = |why: Why| why == Why::InDoubt || course == Course::Sweep;
        for (place, why) in self.kept.laters().await? {
            let Some((name, id)) = place.split_once('/').filter(|_| due(why)) else { continue };
            self.sync.set_absent(&place, false);
            let found = read(&self.emr, turns, name, id).await?;
            let doubtful = self.sync.doubtful().await?;
            self.kept.later(&place, None).await?;
            if let Some(pulled) = found.and_then(pulled) {
                if why == Why::Reference {
                    self.sync.forget_seen(&pulled).await?;
                }
                self.settle(&pulled, &doubtful, turns, &[], report).await?;
            }
        }
        Ok(())
    }

    /// Boxed: it calls itself for what a record refers to.
    fn settle<'a>(
        &'a self,
        pulled: &'a Pulled,
        doubtful: &'a [Intent],
        turns: &'a dyn Turns,
        chain: Chain<'a>,
        report: &'a mut Report,
    ) -> Async<'a, Result<(), FollowError>> {
        Box::pin(async move {
            report.read += 1;
            let place = format!("{}/{}", r4().ty(pulled.ty).name, pulled.remote.id);
            self.sync.set_absent(&place, pulled.resource.is_none());
            if self.is_our_form(pulled).await? {
                report.unchanged += 1;
                return Ok(());
            }
            if self.sync.is_in_doubt(pulled, doubtful).await? {
                report.postponed += 1;
                return Ok(self.kept.later(&place, Some(Why::InDoubt)).await?);
            }
            let mut looked_for: Option<String> = None;
            loop {
                match self.sync.apply(pulled).await? {
                    Applied::Waits(other) => {
                        let is_open = looked_for.as_ref() == Some(&other);
                        if is_open || chain.len() >= DEPTH_MAX || chain.contains(&other.as_str()) || other == place {
                            // It stands for itself until the next sweep.
                            self.kept.later(&place, Some(Why::Reference)).await?;
                            self.sync.set_absent(&other, true);
                            looked_for = None;
                            continue;
                        }
                        let chain: Vec<&str> = chain.iter().copied().chain([place.as_str()]).collect();
                        self.fetch(&other, turns, &chain, report).await?;
                        looked_for = Some(other);
                    }
                    applied => {
                        report.count(&applied);
                        return Ok(());
                    }
                }
            }
        })
    }

    /// Reads and applies what another record refers to.
    async fn fetch(
        &self,
        place: &str,
        turns: &dyn Turns,
        chain: Chain<'_>,
        report: &mut Report,
    ) -> Result<(), FollowError> {
        let (name, id) = place.split_once('/').unwrap_or_default();
        match read(&self.emr, turns, name, id).await?.and_then(pulled) {
            Some(pulled) => {
                let doubtful = self.sync.doubtful().await?;
                self.settle(&pulled, &doubtful, turns, chain, report).await
            }
            None => {
                self.sync.set_absent(place, true);
                Ok(())
            }
        }
    }
}

pub(super) fn pulled(resource: Value) -> Option<Pulled> {
    let ty = r4().resource_by_name(resource.str("resourceType")?)?;
    let remote = Remote { id: resource.str("id")?.to_owned(), more: Vec::new() };
    Some(Pulled { ty, remote, resource: Some(resource) })
}
