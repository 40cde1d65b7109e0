//! A lean caller: one connection, one request at a time, nothing that would be measured as well.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::Outcome;

/// A connection that stays open.
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Caller {
    pub(crate) async fn connect(to: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: to.to_string() })
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Outcome<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::from(body))?).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// The same, where only a success is of use.
    pub(crate) async fn get(&mut self, path: &str) -> Outcome<Bytes> {
        expect(self.ask(Method::GET, path, &[], String::new()).await?, StatusCode::OK)
    }
}

/// The body of an answer with `status`; any other is an error.
pub(crate) fn expect((status, body): (StatusCode, Bytes), wanted: StatusCode) -> Outcome<Bytes> {
    if status == wanted {
        Ok(body)
    } else {
        Err(format!("{status} instead of {wanted}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// `GET path` on a fresh connection, read as JSON.
pub(crate) async fn look(to: SocketAddr, path: &str) -> Outcome<Value> {
    let body = Caller::connect(to).await?.get(path).await?;
    Ok(serde_json::from_slice(&body)?)
}
