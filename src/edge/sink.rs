//! Sinks: where deliveries go. One attempt each; when to try again is the pipeline's to say.

mod file;
mod redact;
mod signature;
mod webhook;

pub use file::FileSink;
pub use signature::{KeyError, SigningKeys};
pub use webhook::WebhookSink;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{config, edge::store::Delivery};

/// Where deliveries go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// An HTTP receiver.
    Webhook(WebhookSink),
    /// A folder.
    File(FileSink),
}

/// A delivery that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The HTTP status.
    pub status: Option<u16>,
    /// The file that was written.
    pub file: Option<PathBuf>,
}

/// What kind of failure it was, by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The receiver will not take this body, ever: 400, 413, 422.
    Rejected,
    /// The receiver wants nothing any more: 410.
    Gone,
    /// It points elsewhere; redirects are not followed.
    Redirect,
    /// Any other answer that is no success.
    Status,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke; a certificate that is not trusted too.
    Connection,
    /// Something here is wrong: a secret, a certificate file, a folder.
    Local,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeliveryFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The time before which the receiver does not want to be asked again.
    pub retry_after: Option<Timestamp>,
    /// What happened, without secrets.
    pub message: String,
}

impl DeliveryFailure {
    fn local(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Local, status: None, retry_after: None, message: message.into() }
    }
}

impl Sink {
    /// The sink that the configuration describes.
    pub fn from_config(sink: &config::Sink) -> Self {
        match sink {
            config::Sink::Webhook(sink) => Self::Webhook(WebhookSink {
                url: sink.url.clone(),
                secret: sink.secret.clone(),
                ca_file: sink.ca_file.clone(),
                proxy: sink.proxy.clone(),
                timeout: webhook::TIMEOUT,
            }),
            config::Sink::File(sink) => Self::File(FileSink { path: sink.path.clone() }),
        }
    }

    /// One attempt at a delivery.
    ///
    /// # Errors
    ///
    /// Whatever is no success, with a message that names no secret.
    pub async fn deliver(&self, delivery: &Delivery, now: Timestamp) -> Result<Accepted, DeliveryFailure> {
        match self {
            Self::Webhook(sink) => sink.deliver(delivery, now).await,
            Self::File(sink) => sink.deliver(delivery).await,
        }
    }

    /// A hash of salt and address, by which a changed address is noticed without keeping it; `None`
    /// where there is none or it cannot be read.
    pub fn fingerprint(&self, salt: &str) -> Option<String> {
        match self {
            Self::Webhook(sink) => sink.fingerprint(salt),
            Self::File(_) => None,
        }
    }
}
