//! Many who do the same at once.

use crate::server::cpu_seconds;
use anyhow::Result;
use std::time::Instant;

/// What callers answered, and what it took from the first to the last.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    pub(crate) answers: Vec<T>,
    pub(crate) seconds: f64,
    /// Of this process, on all cores.
    pub(crate) cpu_seconds: f64,
}

/// Runs what `caller` makes `count` times at once. The first who fails ends it.
pub(crate) async fn at_once<T, F>(count: usize, caller: impl Fn() -> F) -> Result<Ran<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (started, cpu) = (Instant::now(), cpu_seconds(std::process::id())?);
    let callers: Vec<_> = (0..count).map(|_| tokio::spawn(caller())).collect();
    let mut answers = Vec::new();
    for caller in callers {
        answers.push(caller.await??);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Ran { answers, seconds, cpu_seconds: cpu_seconds(std::process::id())? - cpu })
}
