//! The HTTP server: `/healthz` and `/readyz`.

mod readiness;

pub use readiness::{Part, Readiness};

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A server that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// `server.listen`.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connections cannot be served any more.
    #[error("the HTTP server stopped")]
    Serve(#[source] std::io::Error),
}

/// A server that runs.
#[derive(Debug)]
pub struct HttpServer {
    /// The address it listens on, with the port that was taken where 0 was asked for.
    pub address: SocketAddr,
    task: JoinHandle<Result<(), HttpError>>,
}

/// Binds the address and serves until `stop`; requests that are being answered are finished.
///
/// # Errors
/// `Bind` where the address is taken, not this machine's, or not allowed.
pub async fn start(
    listen: SocketAddr,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<HttpServer, HttpError> {
    let bind = |source| HttpError::Bind { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let serving = axum::serve(listener, routes(readiness)).with_graceful_shutdown(stop.cancelled_owned());
    let task = tokio::spawn(async move { serving.await.map_err(HttpError::Serve) });
    Ok(HttpServer { address, task })
}

impl HttpServer {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// `Serve` where it did not end because it was told to.
    pub async fn wait(self) -> Result<(), HttpError> {
        match self.task.await {
            Ok(result) => result,
            Err(error) => Err(HttpError::Serve(std::io::Error::other(error))),
        }
    }
}

fn routes(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(readiness)
}

/// 200 while the process lives.
async fn healthz() -> Response {
    answer(StatusCode::OK, serde_json::json!({"status": "ok"}))
}

/// 200 once every part is ready, else 503 with the reasons.
async fn readyz(State(readiness): State<Readiness>) -> Response {
    let reasons = readiness.reasons();
    if reasons.is_empty() {
        return answer(StatusCode::OK, serde_json::json!({"status": "ready"}));
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"status": "not ready", "reasons": reasons}))
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
