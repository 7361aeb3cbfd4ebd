//! Which fault meets a request.

use crate::options::Faults;
use crate::random::Random;
use std::time::Duration;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// 429, with a Retry-After of so many seconds or without.
    TooMany(Option<u32>),
    ServerError(u16),
    /// Done, answered late.
    Stall(Duration),
    /// The sending side is closed without an answer.
    HalfClose {
        done: bool,
    },
    /// Done, then the connection ends, by a reset or orderly.
    Drop {
        reset: bool,
    },
    /// The connection ends, done later.
    Late(Duration),
}

/// What a request is to the faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    Read,
    Write,
    Token,
}

/// Draws the fault of one request. Every fault is drawn every time: the order of draws does not depend on the settings.
pub(crate) fn draw(faults: &Faults, nature: Nature, random: &mut Random) -> Fault {
    let too_many = random.chance(faults.too_many);
    let server_error = random.chance(faults.server_error);
    let stall = random.chance(faults.stall);
    let half_close = random.chance(faults.half_close);
    let drop = random.chance(if nature == Nature::Token { faults.token_drop } else { faults.commit_then_drop });
    let late = random.chance(faults.late_commit);
    let detail = random.next();
    let coin = detail & 1 == 1;
    let delay_ms = (detail >> 8) % faults.late_commit_max_ms.max(1);
    match nature {
        _ if too_many => Fault::TooMany(coin.then_some(1 + (detail >> 8) as u32 % 3)),
        _ if server_error => Fault::ServerError([500, 502, 503, 504][(detail >> 8) as usize % 4]),
        Nature::Write | Nature::Token if drop => Fault::Drop { reset: coin },
        Nature::Write if late => Fault::Late(Duration::from_millis(delay_ms)),
        _ if half_close => Fault::HalfClose { done: coin },
        _ if stall => Fault::Stall(Duration::from_millis(faults.stall_ms)),
        _ => Fault::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_tokens_are_never_committed_late_and_429_comes_with_and_without_retry_after() {
        let faults = Faults { late_commit: 1.0, ..Faults::default() };
        let mut random = Random::new(7);
        assert_eq!(draw(&faults, Nature::Read, &mut random), Fault::None);
        assert_eq!(draw(&faults, Nature::Token, &mut random), Fault::None);
        assert!(matches!(draw(&faults, Nature::Write, &mut random), Fault::Late(_)));
        let faults = Faults { too_many: 1.0, ..Faults::default() };
        let drawn: Vec<Fault> = (0..200).map(|_| draw(&faults, Nature::Read, &mut random)).collect();
        let without = drawn.iter().filter(|fault| **fault == Fault::TooMany(None)).count();
        assert!((60..140).contains(&without), "{without} of 200 without Retry-After");
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = Faults { commit_then_drop: 0.3, too_many: 0.2, ..Faults::default() };
        let run = || {
            let mut random = Random::new(42);
            (0..50).map(|_| draw(&faults, Nature::Write, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
