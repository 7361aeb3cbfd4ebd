//! `weir outbox`: what waits for other systems, and the switches, by way of the running server.

use crate::client::Client;
use crate::config::Config;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;
use web::words;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The destination's tenant.
    #[arg(long, global = true, default_value = "default")]
    tenant: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All destinations: what waits, how fast it goes, when it will be done.
    Ls,
    /// When everything will be delivered.
    Eta {
        /// Only this destination.
        name: Option<String>,
    },
    /// One destination with what is in work and what was refused.
    Show {
        name: String,
        /// Only records in this state: pending, in-flight, retry, probe or dead.
        #[arg(long)]
        state: Option<String>,
        /// Records at most.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Send nothing more until it is resumed, also after a restart.
    Pause { name: String },
    /// Send again.
    Resume { name: String },
    /// Send refused records again.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Replay {
        name: String,
        /// Their numbers, as `show` prints them.
        #[arg(group = "which")]
        numbers: Vec<u64>,
        /// All that were refused.
        #[arg(long, group = "which")]
        all: bool,
    },
}

/// What the server says of a destination, as far as people are told.
#[derive(Deserialize)]
struct Destination {
    tenant: String,
    name: String,
    kind: String,
    running: bool,
    paused: bool,
    open: bool,
    depth: u64,
    dead: u64,
    oldest_since_us: Option<i64>,
    delivered: u64,
    failed: u64,
    rate_per_s: f64,
    allowed_per_s: f64,
    breaker: String,
    eta_s: Option<f64>,
    last_problem: Option<(i64, Problem)>,
    as_of_us: i64,
}

#[derive(Deserialize)]
struct Problem {
    status: u16,
    text: String,
}

#[derive(Deserialize)]
struct Intent {
    no: u64,
    key: String,
    state: String,
    attempts: u32,
    since_us: i64,
    problem: Option<Problem>,
}

pub(crate) fn run(config: &Config, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let dir = &config.store.dir;
    ensure!(
        crate::control::socket(dir).exists(),
        "no server has {} open\nhint: start `weir serve`, or name another directory with --config or WEIR__STORE__DIR",
        dir.display()
    );
    let server = Server { client: Client::local(dir)?.below("/ops/api/destinations"), tenant: &arguments.tenant };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(perform(&server, &arguments.action))?;
    if json {
        println!("{answer}");
    } else {
        print!("{}", told(&arguments.action, answer)?);
    }
    Ok(ExitCode::SUCCESS)
}

struct Server<'a> {
    client: Client,
    tenant: &'a str,
}

impl Server<'_> {
    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Value> {
        let answer = self.client.send(method, path, body.as_bytes()).await;
        let answer = answer.context("the running server could not do it")?;
        serde_json::from_slice(&answer).context("the running server is another version of weir")
    }

    fn path(&self, name: &str, rest: &str) -> Result<String> {
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        ensure!(is_name(name) && is_name(self.tenant), "a name has letters, digits, `-`, `.` and `_` only");
        Ok(format!("/{}/{name}{rest}", self.tenant))
    }
}

/// What the server answers; of `show` both the destination and its records.
async fn perform(server: &Server<'_>, action: &Action) -> Result<Value> {
    match action {
        Action::Ls | Action::Eta { name: None } => server.ask(Method::GET, "", "").await,
        Action::Eta { name: Some(name) } => {
            let one = server.ask(Method::GET, &server.path(name, "")?, "").await?;
            Ok(json!({ "destinations": [one] }))
        }
        Action::Show { name, state, limit } => {
            let mut destination = server.ask(Method::GET, &server.path(name, "")?, "").await?;
            let state = state.as_ref().map(|state| format!("&state={state}")).unwrap_or_default();
            let path = server.path(name, &format!("/intents?limit={limit}{state}"))?;
            let mut intents = server.ask(Method::GET, &path, "").await?;
            destination["intents"] = intents["intents"].take();
            Ok(destination)
        }
        Action::Pause { name } => server.ask(Method::POST, &server.path(name, "/pause")?, "").await,
        Action::Resume { name } => server.ask(Method::POST, &server.path(name, "/resume")?, "").await,
        Action::Replay { name, numbers, all } => {
            let which = json!({ "numbers": (!all).then_some(numbers) });
            server.ask(Method::POST, &server.path(name, "/replay")?, &which.to_string()).await
        }
    }
}

fn told(action: &Action, mut answer: Value) -> Result<String> {
    let other = "the running server is another version of weir";
    let mut out = String::new();
    match action {
        Action::Ls | Action::Eta { .. } => {
            let all: Vec<Destination> = serde_json::from_value(answer["destinations"].take()).context(other)?;
            match action {
                _ if all.is_empty() => out.push_str("no destination is set up\n"),
                Action::Ls => out = table(&all),
                _ => all.iter().for_each(|one| {
                    out += &format!("{}/{}: {}\n", one.tenant, one.name, eta(one));
                }),
            }
        }
        Action::Show { .. } => {
            let intents: Vec<Intent> = serde_json::from_value(answer["intents"].take()).context(other)?;
            out = show(&serde_json::from_value(answer).context(other)?, &intents);
        }
        Action::Pause { name } => {
            out = format!("{name} is paused: nothing is sent until `weir outbox resume {name}`\n")
        }
        Action::Resume { name } => out = format!("{name} is resumed\n"),
        Action::Replay { .. } => {
            let count = answer["replayed"].as_u64().context(other)?;
            let records = if count == 1 { "record" } else { "records" };
            out = format!("{} refused {records} will be sent again\n", words::grouped(count));
        }
    }
    Ok(out)
}

fn eta(one: &Destination) -> String {
    words::eta(one.depth, words::Held::new(one.paused, &one.breaker), one.eta_s, one.as_of_us)
}

fn state(one: &Destination) -> &'static str {
    match one {
        Destination { running: false, .. } => "does not run",
        Destination { paused: true, .. } => "paused",
        Destination { open: false, .. } => "closed",
        Destination { breaker, .. } if breaker == "open" => "held back",
        Destination { breaker, .. } if breaker == "half-open" => "trying",
        Destination { depth: 0, dead: 0, .. } => "up to date",
        Destination { depth: 0, .. } => "needs you",
        _ => "sending",
    }
}

fn table(all: &[Destination]) -> String {
    let head = ["TENANT", "NAME", "KIND", "STATE", "WAITING", "REFUSED", "RATE/S", "ALLOWED/S", "DELIVERED BY"];
    let rows = all.iter().map(|one| {
        [
            one.tenant.clone(),
            one.name.clone(),
            one.kind.clone(),
            state(one).to_owned(),
            words::grouped(one.depth),
            words::grouped(one.dead),
            words::rate(one.rate_per_s),
            words::rate(one.allowed_per_s),
            eta(one),
        ]
    });
    let rows: Vec<[String; 9]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> =
        (0..9).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn answer_of(problem: &Problem) -> String {
    words::answer(problem.status, &problem.text)
}

fn show(one: &Destination, intents: &[Intent]) -> String {
    let oldest = one.oldest_since_us.filter(|_| one.depth > 0);
    let problem = one.last_problem.as_ref();
    let facts = [
        ("state", state(one).to_owned()),
        ("waiting", words::grouped(one.depth)),
        ("oldest", oldest.map_or("-".into(), |since| words::span((one.as_of_us - since) as f64 / 1e6))),
        ("delivered by", eta(one)),
        ("rate", format!("{} a second, {} allowed", words::rate(one.rate_per_s), words::rate(one.allowed_per_s))),
        ("delivered", words::grouped(one.delivered)),
        ("failed", words::grouped(one.failed)),
        ("refused", words::grouped(one.dead)),
        (
            "last error",
            problem.map_or("-".into(), |(at, problem)| {
                format!("{} ({})", answer_of(problem), words::instant(*at, one.as_of_us))
            }),
        ),
    ];
    let mut out = format!("{}/{} ({})\n", one.tenant, one.name, one.kind);
    for (name, value) in facts {
        out += &format!("  {name:<13} {value}\n");
    }
    for intent in intents {
        let problem = intent.problem.as_ref().map(|problem| format!("  {}", answer_of(problem))).unwrap_or_default();
        let age = words::span((one.as_of_us - intent.since_us) as f64 / 1e6);
        out += &format!(
            "{:>10}  {:<9}  {}  {age}, attempts: {}{problem}\n",
            intent.no, intent.state, intent.key, intent.attempts
        );
    }
    out
}
