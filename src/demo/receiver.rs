//! A real HTTP receiver on a free loopback port: it keeps what it is sent and verifies the signature.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// One delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The header `content-type`.
    pub content_type: String,
    /// The CloudEvents type, header `ce-type`.
    pub event_type: String,
    /// The header `webhook-id`.
    pub id: String,
    /// Whether the signature is right for the body and the key.
    pub verified: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// A receiver that runs until it is dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Shared {
    key: Arc<Webhook>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Listens on a free loopback port and verifies with `key`, the form `whsec_…`.
    pub async fn start(key: &str) -> std::io::Result<Self> {
        let key = Webhook::new(key).map_err(|error| std::io::Error::other(error.to_string()))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { key: Arc::new(key), received: Arc::clone(&received) };
        let routes = Router::new().route("/hooks/reports", post(take)).with_state(shared);
        let stop = CancellationToken::new();
        let serving = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { serving.await });
        Ok(Self { address, received, stop })
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    // The demo's clock is moved by days: the age of the timestamp is not what is verified here.
    let (id, signatures) = (text("webhook-id"), text("webhook-signature"));
    let expected = text("webhook-timestamp").parse().ok().and_then(|at| shared.key.sign(&id, at, &body).ok());
    let verified =
        expected.is_some_and(|expected| signatures.split(' ').any(|signature| signature == expected));
    let received = Received {
        content_type: text("content-type"),
        event_type: text("ce-type"),
        id,
        verified,
        body: body.to_vec(),
    };
    shared.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
