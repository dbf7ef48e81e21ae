//! Secrets: where they lie, and their text, which shows up nowhere.

use std::{fmt, path::PathBuf};

/// Where a secret lies. It is read anew each time it is needed, so that it can be rotated.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// The text of a secret; shown as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing, not readable or not text.
    #[error("cannot read the secret file {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The variable is not set or not text.
    #[error("the environment variable {name} is not set")]
    Env {
        /// Its name.
        name: String,
    },
    /// There is nothing in it.
    #[error("{place} is empty")]
    Empty {
        /// The file or the variable.
        place: String,
    },
    /// It is larger than any secret.
    #[error("the secret file {} has more than 64 KiB", path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
    },
}

const MAX_BYTES: u64 = 64 << 10;

impl Secret {
    /// Reads it, without white space around it.
    ///
    /// # Errors
    /// `File` and `Env` where it cannot be read, `Empty` where nothing is there.
    pub fn read(&self) -> Result<SecretText, SecretError> {
        let text = match self {
            Self::File(path) => {
                let fail = |source| SecretError::File { path: path.clone(), source };
                if std::fs::metadata(path).map_err(fail)?.len() > MAX_BYTES {
                    return Err(SecretError::TooLarge { path: path.clone() });
                }
                std::fs::read_to_string(path).map_err(fail)?
            }
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env { name: name.clone() })?,
        };
        match text.trim() {
            "" => Err(SecretError::Empty { place: self.to_string() }),
            text => Ok(SecretText(text.to_owned())),
        }
    }
}

impl fmt::Display for Secret {
    /// The place, never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl SecretText {
    /// Wraps a text that must not be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretError};

    #[test]
    fn a_secret_is_read_trimmed_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        let secret = Secret::File(path.clone());
        let text = secret.read().unwrap();
        assert_eq!(text.expose(), "hunter2");
        assert!(!format!("{secret} {secret:?} {text:?}").contains("hunter2"));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(secret.read(), Err(SecretError::Empty { .. })));
    }

    #[test]
    fn a_missing_secret_is_named_by_its_place() {
        let error = Secret::Env("PORTCULLIS_TEST_NOT_SET".to_owned()).read().unwrap_err();
        assert_eq!(error.to_string(), "the environment variable PORTCULLIS_TEST_NOT_SET is not set");
        let error = Secret::File("/nonexistent/token".into()).read().unwrap_err();
        assert_eq!(error.to_string(), "cannot read the secret file /nonexistent/token");
    }
}
