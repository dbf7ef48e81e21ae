//! Where an address or a key lies, and reading it anew each time it is needed.

use std::{fmt, path::PathBuf};

/// No address and no list of keys is larger.
const MAX_BYTES: u64 = 64 << 10;

/// Where an address or a key lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration itself: not a secret.
    Text(String),
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

/// Why an address or a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file is missing, not readable or not text.
    #[error("cannot read {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any address or list of keys.
    #[error("{} has more than 64 KiB", path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
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
}

impl Place {
    /// Its text as it is now, without white space around it.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or nothing is there.
    pub fn read(&self) -> Result<String, PlaceError> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::File(path) => {
                let fail = |source| PlaceError::File { path: path.clone(), source };
                if std::fs::metadata(path).map_err(fail)?.len() > MAX_BYTES {
                    return Err(PlaceError::TooLarge { path: path.clone() });
                }
                std::fs::read_to_string(path).map_err(fail)?
            }
            Self::Env(name) => std::env::var(name).map_err(|_| PlaceError::Env { name: name.clone() })?,
        };
        match text.trim() {
            "" => Err(PlaceError::Empty { place: self.to_string() }),
            text => Ok(text.to_owned()),
        }
    }
}

impl fmt::Display for Place {
    /// The place, never what lies there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("the text in the configuration"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
