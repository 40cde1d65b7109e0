//! The socket as hyper sees it: bytes read ahead come first, activity is noted, and the bare
//! answers that hyper writes to heads it cannot read are given a body.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    activity::{Activity, Protocol},
    head_lines::HeadLines,
    refusal::Refusals,
    stream::Stream,
};
use crate::problem::Code;

#[cfg(test)]
mod tests;

/// hyper's bare answers are shorter than this.
const BARE_MAX: usize = 256;

/// A connection's socket with what belongs to it.
pub(super) struct Wire {
    socket: Stream,
    /// Bytes that were read to tell the protocols apart.
    ahead: Vec<u8>,
    /// Bytes to be sent before anything else: an answer of ours in place of a bare one.
    instead: Vec<u8>,
    /// The head that is being read; HTTP/2 has no lines.
    head: Option<HeadLines>,
    misread: bool,
    activity: Arc<Activity>,
    refusals: Refusals,
}

impl Wire {
    pub(super) fn new(
        socket: Stream,
        protocol: Protocol,
        ahead: Vec<u8>,
        activity: Arc<Activity>,
        refusals: Refusals,
    ) -> Self {
        let head = (protocol == Protocol::Http1).then(HeadLines::default);
        Self { socket, ahead, instead: Vec::new(), head, misread: false, activity, refusals }
    }

    pub(super) fn into_socket(self) -> Stream {
        self.socket
    }

    /// Whether the head that was being read ended a line with a bare line feed, and what was read of
    /// it is not to be parsed.
    pub(super) const fn is_misread(&self) -> bool {
        self.misread
    }

    /// Looks at bytes that were read, with which another head `begins`.
    fn look_at(&mut self, bytes: &[u8], begins: bool) -> io::Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        if begins {
            *head = HeadLines::default();
        }
        self.misread = head.has_bare_line_feed(bytes);
        if self.misread { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) }
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.instead))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.activity.wrote(Instant::now());
            self.instead.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() && buf.remaining() > 0 {
            let count = self.ahead.len().min(buf.remaining());
            let bytes: Vec<u8> = self.ahead.drain(..count).collect();
            buf.put_slice(&bytes);
            return Poll::Ready(self.look_at(&bytes, false));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        let begins = !new.is_empty() && self.activity.read(Instant::now());
        Poll::Ready(self.look_at(new, begins))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(cx))?;
        if let Some((before, code)) = bare_answer(buf) {
            self.instead = before.to_vec();
            let answer = self.refusals.answer(code);
            self.instead.extend(answer);
            // Taken as written; the flush that follows sends what stands in its place.
            return Poll::Ready(Ok(buf.len()));
        }
        let sent = ready!(Pin::new(&mut self.socket).poll_write(cx, buf))?;
        self.activity.wrote(Instant::now());
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        Poll::Ready(self.socket.check(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        if self.misread {
            // The refusal comes first.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Whether `buf` ends with one of the answers that hyper writes by itself to a head it cannot
/// read (hyper 1.12, `Server::on_error`): what stands before it, and the code that says it better.
///
/// Such an answer has no body and, unlike every answer of this service, no `x-request-id`.
/// It may follow an answer to an earlier request of the same connection in one write. JSON holds
/// no bare line ends, so none of our bodies can look like one.
fn bare_answer(buf: &[u8]) -> Option<(&[u8], Code)> {
    if !buf.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail_at = buf.len().saturating_sub(BARE_MAX);
    let tail = buf.get(tail_at..)?;
    let found = tail.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let (before, head) = buf.split_at_checked(tail_at + found)?;
    let text = std::str::from_utf8(head).ok()?;
    let code = match text.get(9..12)? {
        "400" => Code::InvalidHeader,
        "414" | "431" => Code::HeadersTooLarge,
        _ => return None,
    };
    let one_head = text.find("\r\n\r\n")? + 4 == text.len();
    let bare = text.contains("\r\ncontent-length: 0\r\n") && !text.contains("\r\nx-request-id:");
    (one_head && bare).then_some((before, code))
}
