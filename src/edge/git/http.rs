//! The HTTP client of a git remote: certificates, proxy, credentials, and what its errors mean.

use std::{error::Error, fs, io::Read, path::Path, time::Duration};

use reqwest::{Certificate, Client, Proxy, RequestBuilder, Url, redirect};

use super::{GitSettings, error::GitError};
use crate::config::{Auth, SecretText};

/// Forges that look at the client's name expect git's; GitHub answers others with a page.
const USER_AGENT: &str = concat!("git/2.0 (portcullis/", env!("CARGO_PKG_VERSION"), ")");
/// The user name that goes with a token. Forges that take a token as password look at the token alone, and
/// GitHub's application tokens want this name.
const TOKEN_USER: &str = "x-access-token";
/// Bytes that a file with certificates may have.
const MOST_FILE: u64 = 1 << 20;
const CONNECT: Duration = Duration::from_secs(15);

/// A client for one server. `source.caFile` is trusted besides the system's authorities; redirects are the
/// caller's business; proxies come from `source.proxy` alone.
pub(super) fn client(base: &Url, settings: &GitSettings) -> Result<Client, GitError> {
    // The first one installed in a process stays; ours is the same everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT.min(settings.timeout))
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        builder = builder.proxy(parse_proxy(proxy)?);
    }
    if base.scheme() == "http" {
        // Without TLS there is nothing to verify, and a machine without authorities must do.
        builder = builder.tls_certs_only([]);
    } else if let Some(file) = &settings.ca_file {
        builder = builder.tls_certs_merge(certificates(file)?);
    }
    builder.build().map_err(|error| GitError::Certificate { url: base.to_string(), source: error.into() })
}

/// Checks `source.proxy`, which may hold no password.
pub(super) fn parse_proxy(text: &str) -> Result<Proxy, GitError> {
    let refused = |reason: &str, hint| GitError::Setting { key: "proxy", reason: reason.to_owned(), hint };
    let wrong = || refused("expected http://host:port, found something else", "write http://host:port");
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(wrong)?;
    if url.password().is_some() {
        return Err(refused(
            "it holds a password, which would end up in logs and backups",
            "use a proxy that needs none",
        ));
    }
    Proxy::all(url).map_err(|_| wrong())
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, GitError> {
    let failed = |source: super::error::Cause| GitError::CaFile { path: file.to_owned(), source };
    let bytes = read_bounded(file).map_err(|error| failed(error.into()))?;
    let certificates = Certificate::from_pem_bundle(&bytes).map_err(|error| failed(error.into()))?;
    if certificates.is_empty() {
        return Err(failed("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)".into()));
    }
    Ok(certificates)
}

/// A user name and a secret, for one conversation. Not `Debug`: it must not be printed.
pub(super) struct Credentials {
    user: String,
    secret: SecretText,
}

impl Credentials {
    /// Reads them from where they lie; they may have changed since the last time.
    pub(super) fn read(auth: &Auth) -> Result<Self, GitError> {
        let (user, secret) = match auth {
            Auth::Token(token) => (TOKEN_USER, token),
            Auth::Basic { username, password } => (username.as_str(), password),
        };
        let text = secret.read().map_err(|error| GitError::Credentials { source: error.into() })?;
        if text.expose().chars().any(char::is_control) {
            let why = format!("{secret} has more than one line, or control characters");
            return Err(GitError::Credentials { source: why.into() });
        }
        Ok(Self { user: user.to_owned(), secret: text })
    }

    /// Adds them to a request.
    pub(super) fn attach(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.user, Some(self.secret.expose()))
    }
}

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(MOST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_FILE {
        return Err(std::io::Error::other(format!("it is larger than {MOST_FILE} bytes")));
    }
    Ok(bytes)
}

/// What an error of the client means. Its text would repeat the URL, so that is taken out.
pub(super) fn refused(url: &str, error: reqwest::Error) -> GitError {
    let url = url.to_owned();
    if is_certificate(&error) {
        return GitError::Certificate { url, source: error.without_url().into() };
    }
    GitError::Unreachable { url, source: error.without_url().into() }
}

fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return matches!(
                tls,
                rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
            );
        }
        // An io::Error names as its source not what it wraps but the source of that.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
