//! Tells people by webhook and e-mail when an EMR needs them, and when it is over.

use crate::config::Alerts;
use crate::wiring::{SystemClock, secret};
use anyhow::{Context, Result, ensure};
use emr::{Alert, Roster};
use jiff::Timestamp;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::header::CONTENT_TYPE;
use seal::Secret;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use store::Clock;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Notices that wait for a receiver which does not answer; of more, the oldest go.
const WAITING_MAX: usize = 1_000;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Notice {
    alert: &'static str,
    /// `firing` or `resolved`.
    state: &'static str,
    tenant: String,
    destination: String,
    /// When it was noticed, RFC 3339.
    at: String,
    text: String,
}

/// Who is told.
#[derive(Debug)]
pub(crate) struct Alerting(Vec<Receiver>);

/// One who is told, and what he does not know yet.
#[derive(Debug)]
struct Receiver {
    way: Way,
    waiting: VecDeque<Notice>,
}

#[derive(Debug)]
enum Way {
    Webhook { client: reqwest::Client, url: String, token: Option<Secret> },
    Mail { transport: Box<AsyncSmtpTransport<Tokio1Executor>>, from: Mailbox, to: Vec<Mailbox> },
}

impl Alerting {
    /// Wrong settings are errors.
    pub(crate) fn new(alerts: &Alerts) -> Result<Alerting> {
        let webhook = (!alerts.webhook_url.is_empty()).then(|| webhook(alerts)).transpose()?;
        let mail = (!alerts.smtp_url.is_empty()).then(|| mail(alerts)).transpose()?;
        let ways = webhook.into_iter().chain(mail);
        Ok(Alerting(ways.map(|way| Receiver { way, waiting: VecDeque::new() }).collect()))
    }

    /// Looks and tells until the process ends.
    pub(crate) async fn run(mut self, roster: Roster) {
        let mut told = Told::default();
        loop {
            let notices = told.changes(&roster);
            for Notice { alert, state, destination, .. } in &notices {
                tracing::warn!(alert, state, delivery.destination = destination, "alert");
            }
            for receiver in &mut self.0 {
                receiver.tell(&notices).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

impl Receiver {
    /// Sends what waits, in order; what fails stays for the next time.
    async fn tell(&mut self, notices: &[Notice]) {
        self.waiting.extend(notices.iter().cloned());
        let too_many = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..too_many);
        while let Some(notice) = self.waiting.front() {
            if let Err(error) = self.way.send(notice).await {
                let error = format!("{error:#}");
                tracing::warn!(error, "an alert could not be told, tried again");
                return;
            }
            self.waiting.pop_front();
        }
    }
}

/// Alerts that people know of.
#[derive(Debug, Default)]
struct Told(BTreeMap<(String, String), Vec<Alert>>);

impl Told {
    fn changes(&mut self, roster: &Roster) -> Vec<Notice> {
        let mut notices = Vec::new();
        for watched in roster.all() {
            let now = watched.witness.alerts();
            let before = self.0.insert((watched.tenant.clone(), watched.name.clone()), now.clone()).unwrap_or_default();
            let at = Timestamp::from_microsecond(SystemClock.now_us()).unwrap_or_default();
            let notice = |alert: Alert, state: &'static str| Notice {
                alert: alert.code(),
                state,
                tenant: watched.tenant.clone(),
                destination: watched.name.clone(),
                at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                text: match state {
                    "firing" => format!("{}: {}", watched.name, alert.text()),
                    _ => format!("{}: over: {}", watched.name, alert.text()),
                },
            };
            let is_in = |list: &[Alert], alert: &Alert| list.contains(alert);
            notices.extend(now.iter().filter(|alert| !is_in(&before, alert)).map(|alert| notice(*alert, "firing")));
            notices.extend(before.iter().filter(|alert| !is_in(&now, alert)).map(|alert| notice(*alert, "resolved")));
        }
        notices
    }
}

fn webhook(alerts: &Alerts) -> Result<Way> {
    let url = alerts.webhook_url.clone();
    let is_http = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    ensure!(is_http, "alerts.webhook_url must begin with http:// or https://");
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
    let token = match alerts.webhook_token_file.as_os_str().is_empty() {
        true => None,
        false => Some(secret(&alerts.webhook_token_file).context("alerts.webhook_token_file")?),
    };
    Ok(Way::Webhook { client, url, token })
}

fn mail(alerts: &Alerts) -> Result<Way> {
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&alerts.smtp_url).context("alerts.smtp_url")?;
    let mut transport = transport.timeout(Some(TIMEOUT));
    if !alerts.smtp_user.is_empty() {
        let password = secret(&alerts.smtp_password_file).context("alerts.smtp_password_file")?;
        transport = transport.credentials(Credentials::new(alerts.smtp_user.clone(), password.expose().to_owned()));
    }
    let mailbox = |text: &String| text.parse::<Mailbox>().with_context(|| format!("{text} is no mail address"));
    ensure!(!alerts.mail_to.is_empty(), "alerts.mail_to is empty");
    Ok(Way::Mail {
        transport: Box::new(transport.build()),
        from: mailbox(&alerts.mail_from).context("alerts.mail_from")?,
        to: alerts.mail_to.iter().map(mailbox).collect::<Result<_>>().context("alerts.mail_to")?,
    })
}

impl Way {
    async fn send(&self, notice: &Notice) -> Result<()> {
        match self {
            Way::Webhook { client, url, token } => {
                let body = serde_json::to_vec(notice)?;
                let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(body);
                if let Some(token) = token {
                    request = request.bearer_auth(token.expose());
                }
                let answer = request.send().await.map_err(reqwest::Error::without_url)?;
                ensure!(answer.status().is_success(), "the webhook answers {}", answer.status());
            }
            Way::Mail { transport, from, to } => {
                let subject = format!("weir: {} {} at {}", notice.alert, notice.state, notice.destination);
                let message = Message::builder().from(from.clone()).subject(subject);
                let message = to.iter().fold(message, |message, to| message.to(to.clone()));
                transport.send(message.body(notice.body())?).await.context("the mail server")?;
            }
        }
        Ok(())
    }
}

impl Notice {
    fn body(&self) -> String {
        let Notice { alert, state, tenant, destination, at, text } = self;
        format!("{text}\n\nDestination: {destination}\nTenant: {tenant}\nAlert: {alert}, {state}\nNoticed: {at}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emr::{Watched, Witness};
    use std::sync::Arc;

    #[test]
    fn an_alert_is_told_once_when_it_begins_and_once_when_it_ends() {
        let roster = Roster::default();
        let witness = Witness::new(Arc::new(SystemClock));
        roster.put(Watched { tenant: "default".into(), name: "emr".into(), witness: witness.clone(), follower: None });
        let mut told = Told::default();
        assert_eq!(told.changes(&roster), []);
        witness.ran(false);
        let begins = told.changes(&roster);
        assert_eq!((begins.len(), begins[0].alert, begins[0].state), (1, "run-failed", "firing"));
        assert_eq!(told.changes(&roster), []);
        witness.ran(true);
        assert_eq!(told.changes(&roster)[0].state, "resolved");
        assert_eq!(told.changes(&roster), []);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let alerts = |change: fn(&mut Alerts)| {
            let mut alerts = crate::config::parse("x", "", &[]).unwrap().alerts;
            change(&mut alerts);
            Alerting::new(&alerts).err().map_or_else(|| "works".to_owned(), |error| format!("{error:#}"))
        };
        assert_eq!(alerts(|_| {}), "works");
        assert!(alerts(|alerts| alerts.webhook_url = "ftp://x".into()).contains("webhook_url"));
        assert!(alerts(|alerts| alerts.smtp_url = "smtp://mail".into()).contains("mail_to"));
        let mail = |alerts: &mut Alerts| {
            alerts.smtp_url = "smtp://mail".into();
            alerts.mail_from = "weir@example.org".into();
            alerts.mail_to = vec!["nobody".into()];
        };
        assert!(alerts(mail).contains("mail_to"));
    }
}
