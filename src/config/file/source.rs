//! The `source` section as it is written.

use std::path::PathBuf;

use portcullis_core::document::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::size::ByteSize;

/// The git repository that holds the policies.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceFile {
    /// `https://…`, `file:///…` or a path (`ssh://…` is not supported yet); never with credentials.
    #[schemars(length(min = 1))]
    pub url: String,
    /// The branch to follow; `main` unless one of `tag`, `semver` and `commit` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A tag to follow. Not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The highest tag within a range such as `>=1.4, <2`. Not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// One commit. Not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Folders in the repository.
    #[serde(default = "paths")]
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// How often the remote is asked, ± 10 %; at least 1s.
    #[serde(default = "interval")]
    pub interval: Duration,
    /// Whether a branch that was rewritten is followed; `false` holds it.
    #[serde(default)]
    pub allow_rewrite: bool,
    /// Whether one error refuses the whole revision; `false` refuses the policy unit it is in.
    #[serde(default)]
    pub atomic: bool,
    /// Constraint kinds whose templates others own.
    #[serde(default)]
    pub external_templates: Vec<String>,
    /// What to show the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthFile>,
    /// PEM certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The URL of an HTTP proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Whose signature a revision must carry. Not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyFile>,
    /// Bounds of what is read from a revision.
    #[serde(default)]
    pub limits: LimitsFile,
}

fn paths() -> Vec<String> {
    vec![".".to_owned()]
}

fn interval() -> Duration {
    Duration::from_secs(60)
}

/// What to show the server: a token, or a user name and a password.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthFile {
    /// A file with an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// An environment variable with an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// The user name of a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A file with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// An environment variable with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// A private SSH key. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key_file: Option<PathBuf>,
    /// The known_hosts file for SSH. Not supported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts_file: Option<PathBuf>,
}

/// Whose signature a revision must carry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyFile {
    /// What must be signed.
    pub require: Require,
    /// An `allowed_signers` file of OpenSSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_signers_file: Option<PathBuf>,
    /// A PGP key ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgp_keys_file: Option<PathBuf>,
}

/// What must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Require {
    /// The commit.
    Commit,
    /// The tag.
    Tag,
    /// Both.
    TagAndCommit,
}

/// Bounds of what is read from a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LimitsFile {
    /// Files below `paths`.
    #[schemars(range(min = 1))]
    pub files: u32,
    /// Bytes of one file.
    pub file_size: ByteSize,
    /// Bytes of all files together.
    pub total_size: ByteSize,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            files: 20_000,
            file_size: ByteSize::from_bytes(1 << 20),
            total_size: ByteSize::from_bytes(64 << 20),
        }
    }
}
