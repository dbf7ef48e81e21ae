//! A remote that speaks git's smart HTTP protocol, version 0: one request for the branches, one for a pack.
//! See gitprotocol-http(5) and gitprotocol-pack(5).
//!
//! It is spoken here, over rustls, and not by libgit2: libgit2's certificate file, time-outs and proxy are
//! settings of the whole process, its HTTPS brings a second TLS library, and it reads the configuration of
//! whoever runs it. Neither git's configuration nor proxy variables of the environment act here.

use git2::Oid;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, LOCATION},
};
use tokio::runtime::Runtime;

use super::{
    GitSettings,
    advertisement::Advertisement,
    error::{Bound, GitError},
    http::{self, Credentials},
    pack::{self, PackSink},
    pkt::{self, Decoder, Packet},
    watch::Watch,
};

/// Bytes that the list of references may have; a repository of 100,000 references needs about 10 MiB.
const MOST_ADVERTISED: u64 = 32 << 20;
const MOST_REDIRECTS: usize = 5;

/// One conversation with a server. Blocks; must not be used on a thread that drives futures.
pub(super) struct SmartRemote {
    runtime: Runtime,
    client: Client,
    credentials: Option<Credentials>,
    base: Url,
    watch: Watch,
}

impl SmartRemote {
    /// Reads certificates and credentials from their files; no request is made yet.
    pub(super) fn open(base: &Url, settings: &GitSettings, watch: &Watch) -> Result<Self, GitError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| GitError::Unreachable { url: watch.url().to_owned(), source: error.into() })?;
        Ok(Self {
            runtime,
            client: http::client(base, settings)?,
            credentials: settings.auth.as_ref().map(Credentials::read).transpose()?,
            base: base.clone(),
            watch: watch.clone(),
        })
    }

    /// Asks for the branches. A redirect on the same server is followed, also by what comes after.
    pub(super) fn advertise(&mut self) -> Result<Advertisement, GitError> {
        let (base, seen) = self.runtime.block_on(self.watch.bound(self.ask()))?;
        self.base = base;
        Ok(seen)
    }

    /// Asks for what `want` reaches and `haves` do not.
    pub(super) fn download(
        &self,
        seen: &Advertisement,
        want: Oid,
        haves: &[Oid],
        sink: &mut PackSink<'_>,
    ) -> Result<(), GitError> {
        let request = request(seen, want, haves).map_err(|detail| self.protocol(&detail))?;
        self.runtime.block_on(self.watch.bound(self.receive(request, sink)))
    }

    async fn ask(&self) -> Result<(Url, Advertisement), GitError> {
        let mut base = self.base.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut url = below(&base, "info/refs");
            url.set_query(Some("service=git-upload-pack"));
            let request = self.client.get(url.clone()).header("Pragma", "no-cache");
            let response = self.send(request).await?;
            if response.status().is_redirection() {
                base = self.redirected(&url, &response)?;
                continue;
            }
            self.expect(&response, "application/x-git-upload-pack-advertisement")?;
            return Ok((base, self.read_advertisement(response).await?));
        }
        Err(self.server("too many redirects".to_owned(), false))
    }

    async fn read_advertisement(&self, mut response: Response) -> Result<Advertisement, GitError> {
        let mut decoder = Decoder::default();
        let mut seen = Advertisement::default();
        let mut received = 0;
        // The first section names the service, the second lists the references.
        let mut section = 0;
        while let Some(piece) =
            response.chunk().await.map_err(|error| http::refused(self.watch.url(), error))?
        {
            received += piece.len() as u64;
            if received > MOST_ADVERTISED {
                return Err(GitError::TooLarge {
                    what: Bound::Advertisement,
                    found: received,
                    limit: MOST_ADVERTISED,
                });
            }
            decoder.feed(&piece);
            while let Some(packet) = decoder.next().map_err(|error| self.protocol(&error.to_string()))? {
                match packet {
                    Packet::Flush => section += 1,
                    Packet::Data(line) => {
                        if let Some(message) = line.strip_prefix(b"ERR ") {
                            return Err(self.server(printable(message), false));
                        }
                        if section == 0 && line.starts_with(b"# service=") {
                            continue;
                        }
                        seen.take_line(&line).ok_or_else(|| {
                            self.protocol(&format!("expected a reference, found {:?}", printable(&line)))
                        })?;
                        // Some servers leave the first section out.
                        section = section.max(1);
                    }
                }
            }
        }
        if section < 2 || !decoder.is_empty() {
            return Err(self.cut_off("the list of branches"));
        }
        if seen.can("object-format=sha256") {
            return Err(
                self.protocol("the repository uses SHA-256 object names, which are not supported yet")
            );
        }
        Ok(seen)
    }

    async fn receive(&self, request: Vec<u8>, sink: &mut PackSink<'_>) -> Result<(), GitError> {
        let post = self
            .client
            .post(below(&self.base, "git-upload-pack"))
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .header("Accept", "application/x-git-upload-pack-result")
            .body(request);
        let mut response = self.send(post).await?;
        if response.status().is_redirection() {
            return Err(self.server("a redirect in the middle of a fetch".to_owned(), true));
        }
        self.expect(&response, "application/x-git-upload-pack-result")?;
        let mut decoder = Decoder::default();
        let mut received = 0;
        let mut has_pack = false;
        let mut is_complete = false;
        while let Some(piece) =
            response.chunk().await.map_err(|error| http::refused(self.watch.url(), error))?
        {
            received += piece.len() as u64;
            pack::check_received(received)?;
            decoder.feed(&piece);
            while let Some(packet) = decoder.next().map_err(|error| self.protocol(&error.to_string()))? {
                // Before the pack come lines that acknowledge what is here already; they start with a letter,
                // the pieces of the pack with the number of their band.
                match packet {
                    Packet::Flush => is_complete = has_pack,
                    Packet::Data(data) => match data.split_first() {
                        Some((1, piece)) => {
                            has_pack = true;
                            sink.write(piece)?;
                        }
                        Some((3, message)) => return Err(self.server(printable(message), true)),
                        // A reference that moved between the two requests ends here; the next fetch sees it.
                        _ => {
                            if let Some(message) = data.strip_prefix(b"ERR ") {
                                return Err(self.server(printable(message), true));
                            }
                        }
                    },
                }
            }
        }
        if is_complete { Ok(()) } else { Err(self.cut_off("the pack")) }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, GitError> {
        let request = match &self.credentials {
            Some(credentials) => credentials.attach(request),
            None => request,
        };
        request.send().await.map_err(|error| http::refused(self.watch.url(), error))
    }

    /// The base that a redirect of `info/refs` points to, which must be on the same server: credentials go
    /// nowhere else, and neither does trust.
    fn redirected(&self, from: &Url, response: &Response) -> Result<Url, GitError> {
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(mut to) = target.and_then(|target| from.join(target).ok()) else {
            return Err(self.server(format!("{} without a place to go to", response.status()), false));
        };
        let _ = (to.set_username(""), to.set_password(None));
        to.set_query(None);
        to.set_fragment(None);
        let place = |url: &Url| {
            (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
        };
        let path = to.path().strip_suffix("/info/refs").map(str::to_owned);
        if place(&to) != place(from) {
            to.set_path(path.as_deref().unwrap_or(to.path().to_owned().as_str()));
            return Err(GitError::Redirect { url: self.watch.url().to_owned(), to: to.to_string() });
        }
        let Some(path) = path else {
            return Err(GitError::NotARepository {
                url: self.watch.url().to_owned(),
                detail: format!("it redirects to {to}"),
            });
        };
        to.set_path(&path);
        Ok(to)
    }

    fn expect(&self, response: &Response, content_type: &str) -> Result<(), GitError> {
        let url = || self.watch.url().to_owned();
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(GitError::Authentication {
                    url: url(),
                    status: status.as_u16(),
                    given: self.credentials.is_some(),
                });
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(GitError::NotARepository {
                    url: url(),
                    detail: format!("the server answered {status}"),
                });
            }
            _ => {
                let transient = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                return Err(self.server(status.to_string(), transient));
            }
        }
        let found =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        let found = found.split(';').next().unwrap_or_default().trim();
        if found.eq_ignore_ascii_case(content_type) {
            return Ok(());
        }
        Err(GitError::NotARepository {
            url: url(),
            detail: format!(
                "expected an answer of type {content_type}, found {}",
                printable(found.as_bytes())
            ),
        })
    }

    fn server(&self, message: String, transient: bool) -> GitError {
        GitError::Server { url: self.watch.url().to_owned(), message, transient }
    }

    fn protocol(&self, detail: &str) -> GitError {
        GitError::Protocol { url: self.watch.url().to_owned(), detail: detail.to_owned() }
    }

    fn cut_off(&self, what: &str) -> GitError {
        let cause = std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            format!("the answer ended in the middle of {what}"),
        );
        GitError::Unreachable { url: self.watch.url().to_owned(), source: cause.into() }
    }
}

/// The body of the request for a pack: what is wanted, what is here, and that there is no more to say.
fn request(seen: &Advertisement, want: Oid, haves: &[Oid]) -> Result<Vec<u8>, String> {
    if !seen.can("side-band-64k") {
        return Err("expected a server that can side-band-64k".to_owned());
    }
    let mut capabilities = vec!["side-band-64k"];
    for wished in ["multi_ack_detailed", "ofs-delta", "no-progress"] {
        if seen.can(wished) {
            capabilities.push(wished);
        }
    }
    let mut body = Vec::new();
    pkt::write_line(&mut body, &format!("want {want} {}", capabilities.join(" ")));
    pkt::write_flush(&mut body);
    for have in haves {
        pkt::write_line(&mut body, &format!("have {have}"));
    }
    pkt::write_line(&mut body, "done");
    Ok(body)
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// A server's words without control characters, cut to a line's length.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::{below, printable, request};
    use crate::edge::git::advertisement::Advertisement;
    use git2::Oid;

    #[test]
    fn a_request_asks_only_for_what_the_server_can() {
        let id = Oid::from_str("1234567890123456789012345678901234567890").unwrap();
        let mut seen = Advertisement {
            capabilities: vec!["ofs-delta".into(), "thin-pack".into()],
            ..Default::default()
        };
        assert!(request(&seen, id, &[]).unwrap_err().contains("side-band-64k"));
        seen.capabilities.push("side-band-64k".into());
        let body = String::from_utf8(request(&seen, id, &[id]).unwrap()).unwrap();
        assert_eq!(body, format!("004awant {id} side-band-64k ofs-delta\n00000032have {id}\n0009done\n"));
    }

    #[test]
    fn paths_are_appended_with_one_slash() {
        assert_eq!(
            below(&"https://h/a/b.git".parse().unwrap(), "info/refs").as_str(),
            "https://h/a/b.git/info/refs"
        );
        assert_eq!(below(&"https://h".parse().unwrap(), "info/refs").as_str(), "https://h/info/refs");
    }

    #[test]
    fn a_server_cannot_write_to_the_terminal() {
        assert_eq!(printable(b"\x1b[31mred\n"), " [31mred");
    }
}
