//! The GNU Health connector from its settings.

use crate::config::destination::Destination;
use crate::wiring::secret;
use anyhow::{Context, Result, ensure};
use emr::GnuHealth;
use emr::gnu_health::Settings;
use std::time::Duration;

pub(crate) fn connector(destination: &Destination, client: emr::Client, quiesce: Duration) -> Result<GnuHealth> {
    let keys = &destination.gnu_health;
    ensure!(
        !keys.password_file.as_os_str().is_empty(),
        "gnu_health.password_file is empty\nhint: make a user for weir in GNU Health first, see the guide"
    );
    // It becomes a part of the path.
    let is_name = |one: u8| one.is_ascii_alphanumeric() || one == b'-' || one == b'_';
    ensure!(
        !keys.database.is_empty() && keys.database.bytes().all(is_name),
        "gnu_health.database must be of letters, digits, - and _"
    );
    let is_country = keys.country.len() == 3 && keys.country.bytes().all(|one| one.is_ascii_uppercase());
    ensure!(is_country, "gnu_health.country must be three capital letters");
    let settings = Settings {
        base: destination.url.clone(),
        database: keys.database.clone(),
        login: keys.login.clone(),
        password: secret(&keys.password_file).context("gnu_health.password_file")?,
        country: keys.country.clone(),
        quiesce,
    };
    Ok(GnuHealth::new(settings, client))
}
