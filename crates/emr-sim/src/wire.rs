//! A connection that can break in the ways that connections break.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What a request may do to its connection.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    reset: AtomicBool,
    half: AtomicBool,
}

impl Breaker {
    /// The connection ends with a reset instead of an orderly close.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }

    /// The sending side is closed at the next occasion to write, reading goes on, and nothing more is sent.
    pub(crate) fn half_close(&self) {
        self.half.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    breaker: Arc<Breaker>,
    /// Whether the sending side has been closed.
    shut: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, breaker: Arc<Breaker>) -> Wire {
        Wire { stream, breaker, shut: false }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.breaker.reset.load(Ordering::SeqCst) {
            // If it fails, the connection closes in order instead: also a way to break.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if self.breaker.half.load(Ordering::SeqCst) {
            if !self.shut {
                std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                self.shut = true;
            }
            // The bytes are swallowed, so that the server keeps the connection and reads on.
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if self.breaker.half.load(Ordering::SeqCst) {
            let first = parts.iter().find(|part| !part.is_empty());
            return self.poll_write(context, first.map_or(&[][..], |part| part));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
