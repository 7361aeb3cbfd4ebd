//! The `weir` binary: started, watched and stopped.

use crate::http::Client;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(60);
/// What Linux counts in `/proc/PID/stat` on every common architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// A serving process; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    pub(crate) ready: Duration,
}

/// `weir` on the store in `dir`.
pub(crate) fn weir(binary: &Path, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("WEIR__STORE__DIR", dir).env("WEIR__STORE__MASTER_KEY_FILE", dir.with_extension("key"));
    command.env("WEIR__SERVER__LISTEN", "127.0.0.1:0").env("WEIR__LOG__LEVEL", "warn");
    command
}

impl Server {
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Server> {
        Server::start_with(binary, dir, "")
    }

    /// With a configuration file of this content.
    pub(crate) fn start_with(binary: &Path, dir: &Path, config: &str) -> Result<Server> {
        let mut command = weir(binary, dir);
        let file = dir.with_extension("toml");
        std::fs::write(&file, config)?;
        command.arg("--config").arg(file);
        let started = Instant::now();
        let mut child = command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), ready: Duration::ZERO };
        server.address = address(BufReader::new(stderr))?;
        wait_ready(server.address, started)?;
        server.ready = started.elapsed();
        Ok(server)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB.
    pub(crate) fn rss_mib(&self) -> Result<f64> {
        memory_mib(self.child.id(), "VmRSS:").context("the server is gone")
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(asked.success(), "cannot stop the server");
        ensure!(self.child.wait()?.success(), "the server did not stop cleanly");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of a process so far.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("the server is gone")?;
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// A line of `/proc/PID/status` that counts KiB, in MiB.
pub(crate) fn memory_mib(process: u32, name: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Waits for the line that names the address, then passes everything else on.
pub(crate) fn address(mut lines: impl BufRead + Send + 'static) -> Result<SocketAddr> {
    let mut text = String::new();
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if let Some((_, after)) = line.split_once("http://") {
            let address = after.split('/').next().unwrap_or_default().trim().parse()?;
            std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(|line| eprintln!("  {line}")));
            return Ok(address);
        }
        text.push_str(&std::mem::take(&mut line));
    }
    bail!("the server did not start: {text}")
}

fn wait_ready(address: SocketAddr, started: Instant) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        loop {
            let mut client = Client::connect(address, "").await?;
            if client.send("GET", "/readyz", "").await?.status == 200 {
                return Ok(());
            }
            ensure!(started.elapsed() < START_MAX, "not ready after {START_MAX:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}
