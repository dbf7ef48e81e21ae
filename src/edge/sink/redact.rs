//! Takes secrets out of what other people's code says.

use reqwest::Url;

/// Shorter parts of a path are words such as `hooks`, and say nothing.
const SHORTEST_SECRET: usize = 6;

/// What must not be shown: everything of an address but its scheme, host and port, and the keys.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    pub(super) fn hide_url(&mut self, url: &Url) {
        self.hide(url.as_str());
        self.hide(url.path());
        for part in url.path_segments().into_iter().flatten() {
            self.hide(part);
        }
        if let Some(query) = url.query() {
            self.hide(query);
            for (_, value) in url.query_pairs() {
                self.hide(&value);
            }
        }
        self.hide(url.username());
        self.hide(url.password().unwrap_or_default());
    }

    pub(super) fn hide(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            self.secrets.push(secret.to_owned());
            // Longest first: a whole address before its parts.
            self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    pub(super) fn apply(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }
}

/// Scheme, host and port: what may be shown of an address.
pub(super) fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// The beginning of somebody's answer, on one line.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Redactor, excerpt, origin};
    use reqwest::Url;

    #[test]
    fn nothing_but_scheme_host_and_port_is_left_of_an_address() {
        let url =
            Url::parse("https://bob:hunter22@hooks.example.com:8443/services/T0K3N42?key=abcdef1").unwrap();
        let mut redactor = Redactor::default();
        redactor.hide_url(&url);
        let text = redactor.apply(&format!("no route to {url}: bob hunter22 T0K3N42 abcdef1"));
        for secret in ["hunter22", "T0K3N42", "abcdef1"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(origin(&url), "https://hooks.example.com:8443");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("no\r\n\tsuch\x07 thing\n"), "no such thing");
        assert_eq!(excerpt(&"ä".repeat(300)).chars().count(), 201);
    }
}
