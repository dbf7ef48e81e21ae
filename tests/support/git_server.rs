//! A git server for tests: `git http-backend` behind HTTP or HTTPS on a free port of this machine, with basic
//! authentication, a record of what was asked, and answers other than git's where a test wants them.

#![allow(dead_code, reason = "one vocabulary for all tests, of which each uses a part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// What was asked: method, path and query, and the header `Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub authorization: Option<String>,
}

/// A test's own answer to a request: the raw bytes of an HTTP response, `None` to let git answer.
pub type Answer = Box<dyn Fn(&Asked) -> Option<Vec<u8>> + Send + Sync>;

/// How the server behaves.
#[derive(Default)]
pub struct Behaviour {
    /// HTTPS with a certificate of the server's own authority.
    pub tls: bool,
    /// The header `Authorization` that is asked for.
    pub authorization: Option<String>,
    /// Answers of the test's own.
    pub answer: Option<Answer>,
}

/// A running server; dropped, it stops.
pub struct GitServer {
    address: SocketAddr,
    tls: bool,
    authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    behaviour: Behaviour,
    tls: Option<Arc<ServerConfig>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Whether this machine has git with its HTTP server; where not, one line says which test is left out.
pub fn has_http_backend(test: &str) -> bool {
    let found = git().arg("--exec-path").output().is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&path).join("git-http-backend").exists()
    });
    if !found {
        eprintln!("{test} is left out: git http-backend is not installed");
    }
    found
}

/// The `git` binary, without anybody's configuration.
pub fn git() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", "/nonexistent");
    command
}

impl GitServer {
    /// Serves the repositories in the folder `root`.
    pub fn start(root: &Path, behaviour: Behaviour) -> Self {
        let (tls, authority) = if behaviour.tls {
            let (config, authority) = certificates();
            (Some(Arc::new(config)), authority)
        } else {
            (None, String::new())
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut made =
            Self { address, tls: tls.is_some(), authority, asked: Arc::clone(&asked), stop, thread: None };
        let shared = Arc::new(Shared { root: root.to_owned(), behaviour, tls, asked });
        let stop = Arc::clone(&made.stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A client that goes away in the middle is a thing clients do.
                    let _ = shared.serve(stream);
                });
            }
        });
        made.thread = Some(thread);
        made
    }

    /// The URL of a repository in the root folder.
    pub fn url(&self, name: &str) -> String {
        format!("{}://{}/{name}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        match &self.tls {
            None => {
                let mut reader = BufReader::new(stream);
                self.converse(&mut reader)?;
                reader.into_inner().shutdown(Shutdown::Both)
            }
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
                let mut reader = BufReader::new(StreamOwned::new(connection, stream));
                self.converse(&mut reader)?;
                let mut stream = reader.into_inner();
                stream.conn.send_close_notify();
                stream.flush()
            }
        }
    }

    /// One request, one answer, and the connection is closed.
    fn converse<S: Read + Write>(&self, reader: &mut BufReader<S>) -> std::io::Result<()> {
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut words = first.split_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
        let (mut length, mut content_type, mut authorization) = (0, String::new(), None);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "content-type" => value.trim().clone_into(&mut content_type),
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let asked = Asked { method: method.to_owned(), target: target.to_owned(), authorization };
        self.asked.lock().unwrap().push(asked.clone());
        let answer = match self.behaviour.answer.as_ref().and_then(|answer| answer(&asked)) {
            Some(answer) => answer,
            None if self.behaviour.authorization.is_some()
                && self.behaviour.authorization != asked.authorization =>
            {
                response("401 Unauthorized", "WWW-Authenticate: Basic realm=\"git\"\r\n", b"no")
            }
            None => self.ask_git(&asked, &content_type, &body),
        };
        let stream = reader.get_mut();
        stream.write_all(&answer)?;
        stream.flush()
    }

    fn ask_git(&self, asked: &Asked, content_type: &str, body: &[u8]) -> Vec<u8> {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let mut child = git()
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("REQUEST_METHOD", &asked.method)
            .env("CONTENT_TYPE", content_type)
            .env("CONTENT_LENGTH", body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let body = body.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&body));
        let output = child.wait_with_output().unwrap().stdout;
        let _ = writer.join();
        let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let headers = String::from_utf8_lossy(&output[..end]).into_owned();
        let content = &output[end + 4..];
        let mut status = "200 OK".to_owned();
        let mut rest = String::new();
        for line in headers.lines() {
            match line.strip_prefix("Status: ") {
                Some(found) => found.clone_into(&mut status),
                None => rest.extend([line, "\r\n"]),
            }
        }
        response(&status, &rest, content)
    }
}

/// The bytes of a response; each of `headers` ends with `\r\n`.
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn certificates() -> (ServerConfig, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    (config, pem)
}
