//! `source.url`, parsed: a folder on this machine, or a server that speaks git over HTTPS.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use reqwest::Url;

use super::error::GitError;

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A repository on this machine.
    Local(PathBuf),
    /// A server; without user, password, query and fragment, and without a slash at its end.
    Http(Url),
}

impl Address {
    /// Reads `source.url`: a path, `file://`, `https://`, or `http://` to this machine itself.
    pub(super) fn parse(text: &str) -> Result<Self, GitError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(refused("a URL or a path is expected, found nothing", "set source.url"));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return if is_scp_like(text) { Err(ssh()) } else { Ok(Self::Local(PathBuf::from(text))) };
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => Self::file(text),
            "https" | "http" => Self::server(text),
            "ssh" | "git+ssh" | "ssh+git" => Err(ssh()),
            "git" => {
                Err(refused("git:// neither encrypts nor authenticates, so it is refused", "use https://"))
            }
            other => Err(refused(
                &format!("expected https://, file:// or a path, found {}://", printable(other)),
                "use https://, file:// or a path",
            )),
        }
    }

    fn file(text: &str) -> Result<Self, GitError> {
        Url::parse(text).ok().and_then(|url| url.to_file_path().ok()).map(Self::Local).ok_or_else(|| {
            refused(
                "expected file:///absolute/path, found something else after file://",
                "write file:///path",
            )
        })
    }

    fn server(text: &str) -> Result<Self, GitError> {
        // The reason of the parser is not repeated with the text: a broken URL may still hold a password.
        let mut url = Url::parse(text)
            .map_err(|error| refused(&format!("not a URL: {error}"), "write https://host/path"))?;
        if url.password().is_some() {
            return Err(refused(
                "it holds a password, which would end up in logs and backups",
                "put the password into a file and name it in source.auth: {username, passwordFile}, or {tokenFile}",
            ));
        }
        // A user name alone, as in https://git@host/, says nothing that source.auth does not say.
        let _ = url.set_username("");
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(refused(
                "http:// neither encrypts nor authenticates, so it is accepted only for this machine (localhost, 127.0.0.1, [::1])",
                "use https://",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("a repository's URL has no ? and no #", "remove what follows the path"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self::Http(url))
    }
}

/// The form that is shown and that is kept beside the cache; it holds no secret.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Http(url) => url.fmt(f),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `user@host:path` and `host:path`, unless something on disk is called so.
fn is_scp_like(text: &str) -> bool {
    let Some((host, _)) = text.split_once(':') else { return false };
    !host.is_empty() && !host.contains('/') && !Path::new(text).exists()
}

fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(20).collect()
}

fn ssh() -> GitError {
    refused("ssh is not supported yet", "use https:// with source.auth")
}

fn refused(reason: &str, hint: &'static str) -> GitError {
    GitError::Setting { key: "url", reason: reason.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::Address;
    use std::path::PathBuf;

    fn shown(text: &str) -> String {
        Address::parse(text).unwrap().to_string()
    }

    fn reason(text: &str) -> String {
        Address::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn paths_and_file_urls_are_folders() {
        assert_eq!(
            Address::parse("/srv/policies.git").unwrap(),
            Address::Local(PathBuf::from("/srv/policies.git"))
        );
        assert_eq!(
            Address::parse("file:///srv/my%20policies").unwrap(),
            Address::Local(PathBuf::from("/srv/my policies"))
        );
        assert!(reason("file://elsewhere/share").contains("file:///absolute/path"));
    }

    #[test]
    fn servers_lose_user_and_slash() {
        assert_eq!(shown("https://git@git.example.com/a/b.git/"), "https://git.example.com/a/b.git");
        assert_eq!(shown("http://127.0.0.1:8080/a"), "http://127.0.0.1:8080/a");
        assert_eq!(shown("http://[::1]:8080/a"), "http://[::1]:8080/a");
    }

    #[test]
    fn a_password_in_the_url_is_refused_without_being_repeated() {
        let error = Address::parse("https://me:hunter2@git.example.com/a").unwrap_err();
        assert!(error.to_string().contains("holds a password"));
        assert!(!format!("{error:?} {error} {:?}", error.hint()).contains("hunter2"));
        let broken = Address::parse("https://me:hunter2@git.example.com:port/a").unwrap_err();
        assert!(!format!("{broken:?} {broken}").contains("hunter2"));
    }

    #[test]
    fn what_is_not_secure_or_not_there_yet_is_refused() {
        assert!(reason("http://git.example.com/a").contains("accepted only for this machine"));
        assert!(reason("http://localhost.example.com/a").contains("accepted only for this machine"));
        assert!(reason("ssh://git@host/a").contains("not supported yet"));
        assert!(reason("git@host:a/b.git").contains("not supported yet"));
        assert!(reason("git://host/a").contains("refused"));
        assert!(reason("ftp://host/a").contains("found ftp://"));
        assert!(reason("").contains("found nothing"));
    }
}
