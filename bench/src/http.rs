//! A keep-alive HTTP/1.1 client with as little cost of its own as possible: it shares the machine with what it measures.

use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    buffer: Vec<u8>,
    headers: &'static str,
}

/// What came back; the body stays in the client until the next request.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) location: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What the head of an answer says.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    length: usize,
    bytes: usize,
}

impl Client {
    /// `headers` are sent with every request: whole lines with their ends.
    pub(crate) async fn connect(address: SocketAddr, headers: &'static str) -> Result<Client> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, out: Vec::new(), buffer: Vec::new(), headers })
    }

    pub(crate) async fn send(&mut self, method: &str, target: &str, body: &str) -> Result<Reply<'_>> {
        use std::io::Write;
        self.out.clear();
        write!(self.out, "{method} {target} HTTP/1.1\r\nhost: weir\r\naccept: application/json\r\n{}", self.headers)?;
        if !body.is_empty() {
            write!(self.out, "content-type: application/fhir+json\r\ncontent-length: {}\r\n", body.len())?;
        }
        write!(self.out, "\r\n{body}")?;
        self.stream.write_all(&self.out).await?;
        self.buffer.clear();
        let head = loop {
            self.more().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < head.bytes + head.length {
            self.more().await?;
        }
        let (first, body) = self.buffer.split_at(head.bytes);
        Ok(Reply { status: head.status, location: header(first, "location"), body })
    }

    async fn more(&mut self) -> Result<()> {
        self.buffer.reserve(16 << 10);
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        Ok(())
    }
}

/// Nothing until the head is complete.
fn head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = &bytes[..end + 4];
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let status = status.context("not an HTTP answer")?;
    let length = match header(head, "content-length") {
        Some(length) => length.parse().context("bad content-length")?,
        None if matches!(status, 204 | 304) => 0,
        None => bail!("an answer of unknown length"),
    };
    Ok(Some(Head { status, length, bytes: head.len() }))
}

/// The value of a header in a complete head.
fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = std::str::from_utf8(head).ok()?.split("\r\n").skip(1);
    lines.filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
}

/// `text` as the value of a query parameter.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_complete() {
        let text = b"HTTP/1.1 201 Created\r\nLocation: /fhir/Patient/1\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(&text[..40]).expect("no error"), None);
        assert_eq!(head(text).expect("a head"), Some(Head { status: 201, length: 2, bytes: text.len() - 2 }));
        assert_eq!(header(text, "location"), Some("/fhir/Patient/1"));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(head(empty).expect("a head").map(|head| head.length), Some(0));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(percent_encode("http://loinc.org|8302-2,a b$gt0"), "http://loinc.org%7C8302-2,a%20b%24gt0");
    }
}
