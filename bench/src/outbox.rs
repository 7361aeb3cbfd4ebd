//! What it costs a create that its resource is delivered: the same creates without a destination, and with one that receives
//! 100 a second meanwhile.

use crate::baseline::Echo;
use crate::create::{CONNECTIONS, measure};
use crate::options::Options;
use crate::report::{Report, Target};
use crate::stores::Stores;
use anyhow::Result;

pub(crate) fn run(options: &Options, stores: &mut Stores, report: &mut Report) -> Result<()> {
    let echo = Echo::start()?;
    let config = format!(
        "[[destination]]\nname = \"sink\"\nurl = \"http://{}/fhir\"\nmode = \"put\"\ntypes = [\"Observation\"]\nper_second = 100\n",
        echo.address
    );
    let (without, rss_mib, disk) = measure(options, stores, "")?;
    report.rate("outbox: creates, no destination", CONNECTIONS, &without, rss_mib, Some(disk));
    let (with, rss_mib, disk) = measure(options, stores, &config)?;
    report.rate("outbox: creates, one destination", CONNECTIONS, &with, rss_mib, Some(disk));
    let ratio = without.per_second() / with.per_second().max(1.0);
    report.figure("outbox: cost of a destination for creates", ratio, "x", Target::AtMost(1.3));
    Ok(())
}
