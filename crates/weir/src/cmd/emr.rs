//! `weir emr`: enrolment at an OpenEMR.

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use emr::Spaced;
use emr::openemr::enroll::{Enrolment, Registered, reader_scopes};
use seal::Secret;
use seal::jwt::SigningKey;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two requests: enrolment is not in a hurry, and no dispatcher counts it.
const SPACING: Duration = Duration::from_millis(500);
/// Where the browser comes back to. Nothing needs to listen there: the code is in the address bar.
const REDIRECT: &str = "http://localhost:8080/weir-enrolled";
/// Types that the backend service is registered to read.
pub(crate) const READER_TYPES: [&str; 12] = [
    "Patient",
    "Practitioner",
    "Organization",
    "Location",
    "Encounter",
    "Appointment",
    "Immunization",
    "Observation",
    "Condition",
    "AllergyIntolerance",
    "MedicationRequest",
    "DocumentReference",
];

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Register weir at an OpenEMR: makes a key and two clients, which an administrator must then enable.
    Enroll(Site),
    /// Get the first refresh token of the service user, by a code from the browser or by a password.
    Login {
        #[command(flatten)]
        site: Site,
        /// The code in the address that the browser comes back to. Without it and without --user, the address to open is printed.
        #[arg(long, value_name = "CODE", conflicts_with = "user")]
        code: Option<String>,
        /// The service user, for an OpenEMR that allows the password grant.
        #[arg(long, value_name = "NAME", requires = "password_file")]
        user: Option<String>,
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Log the spare service user in: best another person of the EMR, who writes when the first one is locked out.
        #[arg(long)]
        spare: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Site {
    /// The OpenEMR, such as `https://emr.example.org`, without /apis.
    #[arg(long, value_name = "URL")]
    url: String,
    #[arg(long, default_value = "default")]
    site: String,
    /// Where key, ids and secrets are kept; the configuration names the files in it.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(action: &Action) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match action {
            Action::Enroll(site) => enroll(site).await,
            Action::Login { site, code, user, password_file, spare } => {
                let user = user.as_deref().zip(password_file.as_deref());
                login(site, if *spare { "spare" } else { "writer" }, code.as_deref(), user).await
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn enroll(site: &Site) -> Result<()> {
    let key_file = site.dir.join("reader.pem");
    ensure!(!key_file.exists(), "{} exists: weir is registered already\nhint: name another --dir", key_file.display());
    std::fs::create_dir_all(&site.dir).with_context(|| format!("cannot create {}", site.dir.display()))?;
    let (client, turns) = (emr::client(TIMEOUT)?, Spaced::new(SPACING));
    let enrolment = Enrolment { client: &client, base: &site.url, site: &site.site, turns: &turns };
    let scopes = enrolment.writer_scopes().await.context("what this OpenEMR can do")?;
    let key = SigningKey::generate()?;
    let reader = enrolment.register("weir reads", REDIRECT, &reader_scopes(READER_TYPES), Some(&key)).await?;
    let writer = enrolment.register("weir writes", REDIRECT, &scopes, None).await?;
    let spare = enrolment.register("weir writes (spare)", REDIRECT, &scopes, None).await?;
    keep(&key_file, &key.to_pem()?)?;
    for (name, client) in [("writer", &writer), ("spare", &spare)] {
        keep(&site.dir.join(format!("{name}.id")), &client.client_id)?;
        keep(&site.dir.join(format!("{name}.secret")), client.client_secret.expose())?;
    }
    keep(&site.dir.join("writer.scopes"), &scopes.join(" "))?;
    println!(
        "registered {} and {}, and {} as a spare\n\n1. In OpenEMR, enable the clients: Admin > System > API Clients.\n\
         2. Log the service user in: weir emr login --url {} --site {} --dir {}\n3. Add to the configuration:\n",
        reader.client_id,
        writer.client_id,
        spare.client_id,
        site.url,
        site.site,
        site.dir.display()
    );
    println!("{}", snippet(site, &reader.client_id, &writer.client_id)?);
    Ok(())
}

/// The destination that goes with what was registered.
fn snippet(site: &Site, reader: &str, writer: &str) -> Result<String> {
    let dir = std::path::absolute(&site.dir)?;
    let file = |name: &str| dir.join(name).display().to_string();
    Ok(format!(
        "[[destination]]\nname = \"openemr\"\nkind = \"openemr\"\nurl = {:?}\nper_second = 5\n\n[destination.openemr]\nsite = {:?}\n\
         client_id = {reader:?}\nkey_file = {:?}\nwriter_client_id = {writer:?}\nwriter_secret_file = {:?}\nrefresh_token_file = {:?}\n",
        site.url,
        site.site,
        file("reader.pem"),
        file("writer.secret"),
        file("writer.refresh")
    ))
}

async fn login(site: &Site, who: &str, code: Option<&str>, user: Option<(&str, &Path)>) -> Result<()> {
    let read = |name: &str| {
        let path = site.dir.join(name);
        let hint = || format!("cannot read {}\nhint: run weir emr enroll first", path.display());
        Ok::<_, anyhow::Error>(std::fs::read_to_string(&path).with_context(hint)?.trim().to_owned())
    };
    let writer = Registered {
        client_id: read(&format!("{who}.id"))?,
        client_secret: Secret::new(read(&format!("{who}.secret"))?),
    };
    let (client, turns) = (emr::client(TIMEOUT)?, Spaced::new(SPACING));
    let enrolment = Enrolment { client: &client, base: &site.url, site: &site.site, turns: &turns };
    let scopes: Vec<String> = read("writer.scopes")?.split(' ').map(str::to_owned).collect();
    let token = match (code, user) {
        (Some(code), _) => enrolment.by_code(&writer, code, REDIRECT).await,
        (None, Some((user, file))) => {
            enrolment.by_password(&writer, user, &crate::wiring::secret(file)?, &scopes).await
        }
        (None, None) => {
            let url = enrolment.authorize_url(&writer.client_id, REDIRECT, &scopes, "weir");
            println!(
                "Open this address, log in as the service user and agree. The browser then shows an error page: take the code \
                 out of its address bar, and run this command again with --code CODE.\n\n{url}"
            );
            return Ok(());
        }
    };
    let token = token.context("no refresh token\nhint: has an administrator enabled the client?")?;
    let refresh = site.dir.join(format!("{who}.refresh"));
    keep(&refresh, token.expose())?;
    println!("the service user is logged in: {}", refresh.display());
    if who == "spare" {
        let file = |name: &str| Ok::<_, anyhow::Error>(std::path::absolute(site.dir.join(name))?.display().to_string());
        println!(
            "\nAdd to [destination.openemr]:\n\nspare_client_id = {:?}\nspare_secret_file = {:?}\nspare_refresh_token_file = {:?}",
            writer.client_id,
            file("spare.secret")?,
            file("spare.refresh")?
        );
    }
    Ok(())
}

/// Writes a file that only its owner can read.
fn keep(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
