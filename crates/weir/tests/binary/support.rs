//! The real binary on a temporary directory, and a small HTTP client that notices when it dies.

use serde_json::Value;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// A `weir` command whose store is `dir/data` and whose key is `dir/key`.
pub(crate) fn weir(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command
        .env("WEIR__STORE__DIR", dir.join("data"))
        .env("WEIR__STORE__MASTER_KEY_FILE", dir.join("key"))
        .env("WEIR__SERVER__LISTEN", "127.0.0.1:0");
    command
}

/// Runs `weir` with `arguments` to its end.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    weir(dir).args(arguments).output().expect("weir starts")
}

/// A running `weir serve`; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// Collects what it writes to standard error until that is closed.
    reader: Option<JoinHandle<String>>,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Server {
        Server::spawn(weir(dir).arg("serve"))
    }

    /// Waits for the line that names the address.
    pub(crate) fn spawn(command: &mut Command) -> Server {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("weir starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut seen = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("weir ended early: {seen}")).expect("text");
            seen.push_str(&line);
            seen.push('\n');
            let served = line.split_once("serves FHIR R4 at ").and_then(|(_, url)| url.split_once("://"));
            if let Some((_, rest)) = served {
                break rest.trim_end_matches("/fhir").to_owned();
            }
        };
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.push_str(&line);
                seen.push('\n');
            }
            seen
        });
        Server { child, address, reader: Some(reader) }
    }

    /// Everything that it wrote to standard error; to be asked after [`Server::kill`].
    pub(crate) fn log(&mut self) -> String {
        self.reader.take().map(|reader| reader.join().expect("text")).unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.address).expect("weir accepts")
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One keep-alive connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Client {
    pub(crate) fn connect(address: &str) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends a request to `/fhir` + `path` and reads the whole answer; an error means that nothing is known about its fate.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        self.send_root(method, &format!("/fhir{path}"), body)
    }

    pub(crate) fn send_root(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: weir\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut line = String::new();
        self.line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, line.clone()))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            self.line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| Error::from(ErrorKind::InvalidData))?;
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut answer = Vec::new();
        if !chunked {
            answer.resize(length, 0);
            self.stream.read_exact(&mut answer)?;
            return Ok(Answer { status, body: answer });
        }
        loop {
            self.line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            let at = answer.len();
            answer.resize(at + size, 0);
            self.stream.read_exact(&mut answer[at..])?;
            self.line(&mut line)?;
            if size == 0 {
                return Ok(Answer { status, body: answer });
            }
        }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "").expect("an answer")
    }

    fn line(&mut self, line: &mut String) -> std::io::Result<()> {
        line.clear();
        match self.stream.read_line(line)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
