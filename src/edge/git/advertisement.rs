//! What a remote says it has: its branches, and what its server can do.

use std::collections::BTreeMap;

use git2::Oid;

use super::error::GitError;

/// How many branches a message names at most.
const NAMED: usize = 5;

/// The branches of a remote.
#[derive(Debug, Default)]
pub(super) struct Advertisement {
    /// Branch name, without `refs/heads/`, to its newest commit.
    pub(super) branches: BTreeMap<String, Oid>,
    /// What the server can do, as it says it; empty for a local repository.
    pub(super) capabilities: Vec<String>,
}

impl Advertisement {
    /// Takes one line of a server's list, `<id> <name>`, the first with `\0` and capabilities behind it.
    /// `None` where it is no such line.
    pub(super) fn take_line(&mut self, line: &[u8]) -> Option<()> {
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let reference = std::str::from_utf8(parts.next()?.trim_ascii_end()).ok();
        if let Some(capabilities) = parts.next() {
            self.capabilities =
                String::from_utf8_lossy(capabilities).split_ascii_whitespace().map(str::to_owned).collect();
        }
        // A name that is not UTF-8 is nothing a configuration can ask for.
        let Some(reference) = reference else { return Some(()) };
        let (id, name) = reference.split_once(' ')?;
        if id == "shallow" {
            return Some(());
        }
        if !id.bytes().all(|digit| digit.is_ascii_hexdigit()) || !matches!(id.len(), 40 | 64) {
            return None;
        }
        // The longer ids are of SHA-256 repositories, which the capabilities name and the caller refuses.
        if let (Some(branch), Ok(id), true) =
            (name.strip_prefix("refs/heads/"), Oid::from_str(id), id.len() == 40)
        {
            self.branches.insert(branch.to_owned(), id);
        }
        Some(())
    }

    /// Whether the server can do this.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|have| have == capability)
    }

    /// The newest commit of a branch.
    pub(super) fn tip(&self, url: &str, branch: &str) -> Result<Oid, GitError> {
        if let Some(id) = self.branches.get(branch) {
            return Ok(*id);
        }
        if self.branches.is_empty() {
            return Err(GitError::Empty { url: url.to_owned() });
        }
        let mut existing: Vec<String> = self.branches.keys().take(NAMED).cloned().collect();
        if self.branches.len() > NAMED {
            existing.push(format!("and {} more", self.branches.len() - NAMED));
        }
        Err(GitError::NoSuchBranch { url: url.to_owned(), branch: branch.to_owned(), existing })
    }
}

#[cfg(test)]
mod tests {
    use super::Advertisement;

    const ID: &str = "1234567890123456789012345678901234567890";

    #[test]
    fn lines_become_branches_and_capabilities() {
        let mut seen = Advertisement::default();
        seen.take_line(format!("{ID} HEAD\0multi_ack side-band-64k\n").as_bytes()).unwrap();
        seen.take_line(format!("{ID} refs/heads/main\n").as_bytes()).unwrap();
        seen.take_line(format!("{ID} refs/tags/v1").as_bytes()).unwrap();
        assert!(seen.can("side-band-64k") && !seen.can("side-band"));
        assert_eq!(seen.tip("u", "main").unwrap().to_string(), ID);
        assert_eq!(seen.tip("u", "v1").unwrap_err().to_string(), "u has no branch v1, only main");
        assert!(seen.take_line(b"<html>").is_none());
        assert!(seen.take_line(b"xyz refs/heads/a").is_none());
    }

    #[test]
    fn a_missing_branch_names_a_few_that_exist() {
        let mut seen = Advertisement::default();
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            seen.take_line(format!("{ID} refs/heads/{name}").as_bytes()).unwrap();
        }
        assert_eq!(
            seen.tip("u", "main").unwrap_err().to_string(),
            "u has no branch main, but a, b, c, d, e, and 2 more"
        );
    }

    #[test]
    fn an_empty_repository_says_so() {
        let mut seen = Advertisement::default();
        seen.take_line(format!("{} capabilities^{{}}\0agent=git/2\n", "0".repeat(40)).as_bytes()).unwrap();
        assert_eq!(
            seen.tip("u", "main").unwrap_err().to_string(),
            "the repository u is empty: it has no branch yet"
        );
    }
}
