//! Work that comes at a pace, from several at the same time.

use anyhow::Result;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Has `many` do what `work` makes of the numbers below `count`, all of them together `per_s` a second: each takes every
/// `many`th number, one after the other, and stops at its first error. Ends when all are done.
pub(crate) async fn at_pace<F>(
    many: u32,
    per_s: u32,
    count: u32,
    work: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let each = Duration::from_secs(1) * many / per_s;
    let start = |first: u32| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut next = Instant::now() + each * first / many;
            for n in (first..count).step_by(many as usize) {
                sleep_until(next).await;
                next += each;
                work(n).await?;
            }
            anyhow::Ok(())
        })
    };
    for one in (0..many).map(start).collect::<Vec<_>>() {
        one.await??;
    }
    Ok(())
}
