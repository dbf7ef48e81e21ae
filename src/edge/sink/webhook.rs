//! A webhook: one POST, signed, as a CloudEvent in binary mode.

use std::{path::PathBuf, sync::Once, time::Duration};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::{
    Certificate, Client, Proxy, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use sha2::{Digest, Sha256};

use super::{
    Accepted, DeliveryFailure, FailureKind, SigningKeys,
    redact::{Redactor, excerpt, origin},
};
use crate::{
    config::{Secret, SinkUrl},
    edge::store::Delivery,
};

const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// As much of an answer as is read.
const MAX_ANSWER: usize = 4096;

/// An HTTP receiver. Address, keys and certificates are read anew for each attempt.
#[derive(Clone, Debug)]
pub struct WebhookSink {
    /// The address, `http` or `https`.
    pub url: SinkUrl,
    /// The signing keys, see `SigningKeys`; without them deliveries are not signed.
    pub secret: Option<Secret>,
    /// PEM certificates to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The URL of an HTTP proxy; the environment is not asked.
    pub proxy: Option<String>,
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
}

impl WebhookSink {
    /// A receiver at this address, unsigned, with 30 seconds for each attempt.
    pub fn new(url: SinkUrl) -> Self {
        Self { url, secret: None, ca_file: None, proxy: None, timeout: TIMEOUT }
    }

    /// The same, signed.
    #[must_use]
    pub fn signed(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// What could be wrong with it without anything being sent: the address, the keys, the certificates.
    ///
    /// # Errors
    ///
    /// What is wrong, without secrets.
    pub fn check(&self) -> Result<(), DeliveryFailure> {
        let url = self.address()?;
        self.keys(&mut Redactor::default())?;
        self.client(&url, &Redactor::default())?;
        Ok(())
    }

    pub(super) fn fingerprint(&self, salt: &str) -> Option<String> {
        let url = self.address().ok()?;
        let digest = Sha256::new().chain_update(salt).chain_update(url.as_str()).finalize();
        Some(digest.iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}")))
    }

    pub(super) async fn deliver(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Accepted, DeliveryFailure> {
        let url = self.address()?;
        let mut redactor = Redactor::default();
        redactor.hide_url(&url);
        if let Some(proxy) = self.proxy.as_deref().and_then(|proxy| Url::parse(proxy).ok()) {
            redactor.hide(proxy.username());
            redactor.hide(proxy.password().unwrap_or_default());
        }
        let keys = self.keys(&mut redactor)?;
        let headers = headers(delivery, now, keys.as_ref())?;
        let client = self.client(&url, &redactor)?;
        let origin = origin(&url);

        let request = client.post(url).headers(headers).body(delivery.body.clone());
        let mut answer =
            request.send().await.map_err(|error| failed(error, &origin, self.timeout, &redactor))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Accepted { status: Some(status.as_u16()), file: None });
        }

        let mut body = Vec::new();
        while body.len() < MAX_ANSWER {
            match answer.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(MAX_ANSWER);
        let kind = match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                FailureKind::Rejected
            }
            StatusCode::GONE => FailureKind::Gone,
            status if status.is_redirection() => FailureKind::Redirect,
            _ => FailureKind::Status,
        };
        let said = match (kind, answer.headers().get(LOCATION).and_then(|value| value.to_str().ok())) {
            (FailureKind::Redirect, Some(location)) => {
                let place = Url::parse(location)
                    .map_or_else(|_| "another path".to_owned(), |url| super::redact::origin(&url));
                format!("it points to {place}; redirects are not followed, give the sink the final address")
            }
            // Whole secrets are taken out before the text is cut.
            _ => excerpt(&redactor.apply(&String::from_utf8_lossy(&body))),
        };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Err(DeliveryFailure {
            kind,
            status: Some(status.as_u16()),
            retry_after: answer.headers().get(RETRY_AFTER).and_then(|value| retry_after(value, now)),
            message: format!("{origin} answered {status}{said}"),
        })
    }

    fn address(&self) -> Result<Url, DeliveryFailure> {
        let url = match &self.url {
            SinkUrl::Given(url) => return Ok(url.clone()),
            SinkUrl::Secret(secret) => {
                let text = secret
                    .read()
                    .map_err(|error| DeliveryFailure::local(with_cause("the sink has no address", &error)))?;
                let url = Url::parse(text.expose()).ok();
                url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(
                    || {
                        DeliveryFailure::local(format!(
                            "{secret}: expected an http or https URL, found something else"
                        ))
                    },
                )?
            }
        };
        Ok(url)
    }

    fn keys(&self, redactor: &mut Redactor) -> Result<Option<SigningKeys>, DeliveryFailure> {
        let Some(place) = &self.secret else { return Ok(None) };
        let unsigned = |error: &dyn std::error::Error| {
            let message = format!("{place}: no signing key, and nothing is sent unsigned");
            DeliveryFailure::local(with_cause(&message, error))
        };
        let text = place.read().map_err(|error| unsigned(&error))?;
        let text = text.expose();
        for line in text.lines() {
            redactor.hide(line.trim());
            redactor.hide(line.trim().trim_start_matches("whsec_"));
        }
        SigningKeys::parse(text).map(Some).map_err(|error| unsigned(&error))
    }

    fn client(&self, url: &Url, redactor: &Redactor) -> Result<Client, DeliveryFailure> {
        install_crypto();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .timeout(self.timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .no_proxy();
        let mut certificates = Vec::new();
        if let Some(path) = &self.ca_file {
            let wrong = |error: &dyn std::error::Error| {
                DeliveryFailure::local(with_cause(
                    &format!("caFile {} cannot be used", path.display()),
                    error,
                ))
            };
            let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
            certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
            if certificates.is_empty() {
                return Err(DeliveryFailure::local(format!(
                    "caFile {}: expected PEM certificates, found none",
                    path.display()
                )));
            }
        }
        let secure = |url: &Url| url.scheme() == "https";
        let mut needs_trust = secure(url);
        if let Some(proxy) = &self.proxy {
            needs_trust |= Url::parse(proxy).is_ok_and(|proxy| secure(&proxy));
            let proxy = Proxy::all(proxy)
                .map_err(|_| DeliveryFailure::local("proxy: expected a URL, found something else"))?;
            builder = builder.proxy(proxy);
        }
        // The system's certificates are loaded only where they are asked, so that a plain receiver can
        // be reached on a machine that has none.
        builder = if needs_trust {
            builder.tls_certs_merge(certificates)
        } else {
            builder.tls_certs_only(certificates)
        };
        builder.build().map_err(|error| {
            let message = redactor.apply(&with_cause("no client for this address", &error.without_url()));
            DeliveryFailure::local(format!("{message}; caFile names certificates to trust"))
        })
    }
}

/// Everything but the body. Nothing here differs between attempts but timestamp and signature.
fn headers(
    delivery: &Delivery,
    now: Timestamp,
    keys: Option<&SigningKeys>,
) -> Result<HeaderMap, DeliveryFailure> {
    let row = &delivery.row;
    let seconds = now.as_second();
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value)
            .map_err(|_| DeliveryFailure::local(format!("the header {name} cannot be written")))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, DeliveryFailure>(())
    };
    put("content-type", &row.content_type)?;
    put("webhook-id", &row.webhook_id)?;
    put("webhook-timestamp", &seconds.to_string())?;
    if let Some(keys) = keys {
        let signature = keys
            .sign(&row.webhook_id, seconds, &delivery.body)
            .map_err(|error| DeliveryFailure::local(error.to_string()))?;
        put("webhook-signature", &signature)?;
    }
    put("ce-specversion", "1.0")?;
    put("ce-id", &attribute(&row.webhook_id))?;
    put("ce-source", &attribute(&row.source))?;
    put("ce-type", &attribute(&row.event_type))?;
    put("ce-time", &row.created.to_string())?;
    Ok(headers)
}

/// A CloudEvents attribute as a header, after section 3.1.3.2 of its HTTP binding: white space, quotes,
/// per cent and whatever is not printable ASCII are percent-encoded.
fn attribute(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for c in value.chars() {
        if c.is_ascii_graphic() && c != '"' && c != '%' {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Timestamp> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return now.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok();
    }
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn failed(error: reqwest::Error, origin: &str, timeout: Duration, redactor: &Redactor) -> DeliveryFailure {
    let error = error.without_url();
    let (kind, message) = if error.is_timeout() && !error.is_connect() {
        (FailureKind::Timeout, format!("{origin} did not answer within {} s", timeout.as_secs_f64()))
    } else {
        (FailureKind::Connection, with_cause(&format!("cannot reach {origin}"), &error))
    };
    DeliveryFailure { kind, status: None, retry_after: None, message: redactor.apply(&message) }
}

/// A message and the innermost cause, which says most.
fn with_cause(message: &str, error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("{message}: {cause}")
}

/// rustls is built without a default for its cryptography; the first who needs it says which.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where somebody has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::{attribute, retry_after};
    use jiff::Timestamp;
    use reqwest::header::HeaderValue;

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let read = |text: &'static str| retry_after(&HeaderValue::from_static(text), now);
        assert_eq!(read("120"), Some("2026-03-01T08:02:00Z".parse().unwrap()));
        assert_eq!(read("Sun, 01 Mar 2026 09:00:00 GMT"), Some("2026-03-01T09:00:00Z".parse().unwrap()));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }

    #[test]
    fn attributes_are_percent_encoded_where_the_binding_says_so() {
        assert_eq!(attribute("/clusters/prod eu/ö\"%"), "/clusters/prod%20eu/%C3%B6%22%25");
    }
}
