//! The way of a request: it arrives, is counted, is read, meets a fault or not, is answered or not.

use crate::arrivals::{Outcome, sha256};
use crate::clock::http_date;
use crate::faults::{Fault, Nature, draw};
use crate::http::{Reply, Request};
use crate::limits::Strain;
use crate::options::Profile;
use crate::state::{Emr, State};
use crate::wire::Breaker;
use crate::{control, openemr, r4};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The connection ends without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated EMR broke the connection")
    }
}

impl std::error::Error for Dropped {}

const MAX_BODY_BYTES: usize = 64 << 20;

/// What the arrival alone has decided.
#[derive(Debug, Clone, Copy)]
struct Gate {
    no: u64,
    strain: Strain,
    refused: bool,
    losses: u64,
}

/// How a request ends.
#[derive(Debug)]
enum End {
    Reply(Reply),
    Close,
    Reset,
    HalfClose,
}

pub(crate) async fn handle(
    emr: Arc<Emr>,
    breaker: Arc<Breaker>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    if request.uri().path().starts_with("/sim") {
        return control::answer(emr, request, false).await;
    }
    let method = request.method().as_str().to_owned();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let gate = arrive(&emr, &method, &target);
    if gate.strain == Strain::Crash {
        emr.crash();
        return Err(Dropped);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else { return Err(Dropped) };
    let mut request = Request::new(method, &target, parts.headers, body.to_bytes());
    request.secure = emr.options.tls.is_some();
    // In a task of its own: a worker of the EMR goes on when its client has gone away.
    let end = tokio::spawn(process(Arc::clone(&emr), gate, request)).await.map_err(|_| Dropped)?;
    match end {
        End::Reply(reply) => Ok(respond(&emr, reply)),
        End::Close => Err(Dropped),
        End::Reset => {
            breaker.reset();
            Err(Dropped)
        }
        // The answer is swallowed: its first byte closes the sending side.
        End::HalfClose => {
            breaker.half_close();
            Ok(respond(&emr, Reply::empty(200)))
        }
    }
}

fn arrive(emr: &Emr, method: &str, target: &str) -> Gate {
    // Before the lock: who waits for it has arrived.
    let (wall_us, mono_us) = (emr.clock.wall_us(), emr.clock.mono_us());
    let mut front = emr.front();
    let no = front.log.arrive(wall_us, mono_us, method.to_owned(), target.to_owned(), kind(target));
    let strain = front.fragile.as_mut().map_or(Strain::None, |fragile| fragile.arrive(mono_us));
    let refused = front.minute.as_mut().is_some_and(|minute| minute.refuses(wall_us));
    Gate { no, strain, refused, losses: emr.losses() }
}

/// What a path is about: the resource type, or the last word that is not an id.
fn kind(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let after = |name: &str| parts.iter().position(|part| *part == name).and_then(|at| parts.get(at + 1));
    let word = match parts.first() {
        Some(&"apis") if parts.get(2) == Some(&"api") => {
            let words = parts[3..].iter().rev();
            words.copied().find(|part| part.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        }
        Some(&"oauth2") => parts.last().copied(),
        _ => after("fhir").copied(),
    };
    word.unwrap_or("other").to_owned()
}

fn nature(request: &Request) -> Nature {
    match (request.method.as_str(), request.segments.last().map(String::as_str)) {
        ("GET" | "HEAD" | "OPTIONS", _) | (_, Some("_search")) => Nature::Read,
        (_, Some("token")) => Nature::Token,
        _ => Nature::Write,
    }
}

async fn process(emr: Arc<Emr>, gate: Gate, request: Request) -> End {
    let outcome = Outcome {
        key: body_key(&request),
        body_hash: if request.body.is_empty() { 0 } else { first_64(sha256(&request.body)) },
        ..Outcome::default()
    };
    if let Strain::Slow(delay) | Strain::Failing(delay) = gate.strain {
        tokio::time::sleep(delay).await;
    }
    // A search through everything takes long, and those who arrive meanwhile must be seen.
    let (task_emr, work) = (Arc::clone(&emr), Work { gate, request, outcome });
    let decided = tokio::task::spawn_blocking(move || (decide(&task_emr, &work), work)).await;
    match decided {
        Ok((Step::End(end), _)) => end,
        Ok((Step::After(delay, reply), _)) => {
            tokio::time::sleep(delay).await;
            End::Reply(reply)
        }
        Ok((Step::Late(delay), work)) => {
            tokio::spawn(late(emr, work, delay));
            End::Close
        }
        Err(_) => End::Reset,
    }
}

/// A request that was read, and what its log entry will say.
#[derive(Debug)]
struct Work {
    gate: Gate,
    request: Request,
    outcome: Outcome,
}

/// What is left to do once the state has been changed.
#[derive(Debug)]
enum Step {
    End(End),
    After(Duration, Reply),
    Late(Duration),
}

fn decide(emr: &Emr, work: &Work) -> Step {
    let mut state = emr.state();
    let state = &mut *state;
    let reply = |reply| Step::End(End::Reply(settle(emr, work, reply)));
    if emr.losses() != work.gate.losses {
        settle(emr, work, Reply::empty(0));
        return Step::End(End::Reset);
    }
    if matches!(work.gate.strain, Strain::Failing(_)) && state.fault_random.chance(0.5) {
        return reply(Reply::error(500, "Server error"));
    }
    if work.gate.refused {
        return reply(Reply::empty(429));
    }
    let faults = emr.front().faults;
    let fault = draw(&faults, nature(&work.request), &mut state.fault_random);
    match fault {
        Fault::None => reply(answer(emr, state, &work.request)),
        Fault::TooMany(retry_after_s) => {
            let refused = Reply::error(429, "Too Many Requests");
            reply(match retry_after_s {
                Some(seconds) => refused.header("retry-after", seconds.to_string()),
                None => refused,
            })
        }
        Fault::ServerError(status) => reply(Reply::error(status, "Server error")),
        Fault::Stall(delay) => Step::After(delay, settle(emr, work, answer(emr, state, &work.request))),
        Fault::HalfClose { done } => {
            if done {
                silent(emr, state, work);
            } else {
                settle(emr, work, Reply::empty(0));
            }
            Step::End(End::HalfClose)
        }
        Fault::Drop { reset } => {
            silent(emr, state, work);
            Step::End(if reset { End::Reset } else { End::Close })
        }
        Fault::Late(delay) => {
            settle(emr, work, Reply::empty(0));
            state.late += 1;
            Step::Late(delay)
        }
    }
}

/// Does what a request asks for, and keeps the answer.
fn silent(emr: &Emr, state: &mut State, work: &Work) {
    let reply = answer(emr, state, &work.request);
    settle(emr, work, Reply { status: 0, ..reply });
}

/// Does what a request asked for after its connection has ended, unless the EMR went down in between.
async fn late(emr: Arc<Emr>, work: Work, delay: Duration) {
    tokio::time::sleep(delay).await;
    let mut state = emr.state();
    state.late -= 1;
    if emr.losses() == work.gate.losses {
        silent(&emr, &mut state, &work);
    }
}

fn answer(emr: &Emr, state: &mut State, request: &Request) -> Reply {
    match emr.options.profile {
        Profile::FhirR4 => r4::answer(emr, state, request),
        _ => openemr::answer(emr, state, request),
    }
}

/// Writes the answer into the log and hands it on.
fn settle(emr: &Emr, work: &Work, reply: Reply) -> Reply {
    let outcome = Outcome {
        key: reply.key.clone().or_else(|| work.outcome.key.clone()),
        status: reply.status,
        committed: reply.committed.clone(),
        body_hash: work.outcome.body_hash,
    };
    emr.front().log.settle(work.gate.no, outcome);
    reply
}

/// The business key that a body carries.
fn body_key(request: &Request) -> Option<String> {
    if request.body.first() != Some(&b'{') {
        return None;
    }
    let body = request.json();
    let column = ["pc_website", "external_id", "pubpid"].into_iter().find_map(|name| body[name].as_str());
    let first = column.map(str::to_owned).or_else(|| {
        let mut identifiers = crate::records::identifiers(&body);
        identifiers.next().map(|(_, value)| value.to_owned())
    });
    first.filter(|key| !key.is_empty())
}

fn first_64(hash: [u8; 32]) -> u64 {
    hash[..8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// `Date` is the EMR's own clock, as in the records.
fn respond(emr: &Emr, reply: Reply) -> Response<Full<Bytes>> {
    let reply = reply.header("date", http_date(emr.clock.wall_us()));
    let headers = reply.header_map();
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn arrivals_are_counted_while_the_records_are_busy() -> std::io::Result<()> {
        let emr = Emr::new(Options::default())?;
        let busy = emr.state();
        let numbers = std::thread::scope(|scope| {
            let arriving = scope.spawn(|| (0..2).map(|_| arrive(&emr, "GET", "/x").no).collect::<Vec<_>>());
            arriving.join().unwrap_or_default()
        });
        drop(busy);
        assert_eq!(numbers, [1, 2]);
        Ok(())
    }

    #[test]
    fn kinds_are_types_and_words() {
        for (target, expected) in [
            ("/apis/default/fhir/Patient?identifier=x", "Patient"),
            ("/apis/default/fhir/Patient/8f14/", "Patient"),
            ("/apis/default/fhir/metadata", "metadata"),
            ("/apis/default/api/patient/12/appointment", "appointment"),
            ("/apis/default/api/patient/12/appointment/9", "appointment"),
            ("/apis/default/api/patient/8f14-2/encounter", "encounter"),
            ("/oauth2/default/token", "token"),
            ("/fhir/Observation/1", "Observation"),
            ("/favicon.ico", "other"),
        ] {
            assert_eq!(kind(target), expected, "{target}");
        }
    }
}
