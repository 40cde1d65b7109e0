//! What a connection's bytes go through: the socket itself, or TLS on it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The first byte of a TLS connection: a record that holds a handshake (RFC 8446, section 5.1).
/// No HTTP request begins with it.
const HANDSHAKE: u8 = 22;

/// The two ends of a conversation.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What came of opening a connection.
pub(super) enum Opened {
    /// It can be talked on.
    Ready(Stream),
    /// The peer speaks no TLS where TLS is spoken.
    NotTls(TcpStream),
    /// The peer left, or the handshake failed.
    Gone,
}

impl Stream {
    /// Shakes hands on `socket`, if `tls` says so. May take for ever.
    pub(super) async fn open(socket: TcpStream, tls: Option<&TlsAcceptor>) -> Opened {
        let Some(tls) = tls else { return Opened::Ready(Self::Plain(socket)) };
        let mut first = [0];
        match socket.peek(&mut first).await {
            Ok(1..) if first == [HANDSHAKE] => {}
            Ok(1..) => return Opened::NotTls(socket),
            _ => return Opened::Gone,
        }
        match tls.accept(socket).await {
            Ok(stream) => Opened::Ready(Self::Tls(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Opened::Gone
            }
        }
    }
}

impl Stream {
    /// Fails once the connection is broken, and wakes `cx` when that happens. While an event stream
    /// has nothing to say nothing else would notice: hyper neither reads nor writes then.
    pub(super) fn check(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        match socket.poll_read_ready(cx) {
            Poll::Pending => Ok(()),
            // There is something to read, or the peer has ended its side, or this.
            Poll::Ready(ready) => ready.and(socket.take_error()?.map_or(Ok(()), Err)),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
