//! What can go wrong with the store.

use std::{io, path::PathBuf};

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL comes later.
    #[error("storage.url: {scheme} is not supported yet; use sqlite:///path/to/portcullis.db")]
    NotSupportedYet {
        /// The URL's scheme.
        scheme: String,
    },
    /// Not a URL of a SQLite file.
    #[error("storage.url: expected sqlite:///path/to/portcullis.db, found {found}")]
    Url {
        /// What was found, without what may be secret.
        found: String,
    },
    /// There is no database yet.
    #[error("there is no database at {}; portcullis run, sync or audit makes it", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder of the database cannot be made.
    #[error("the folder {} cannot be made; storage.url needs a folder that can be written", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file or its folder cannot be written.
    #[error("the database {} cannot be written; it and its folder must be writable", path.display())]
    NotWritable {
        /// The database file.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is something else, or is damaged.
    #[error("{} is not a usable database; move it away to start with an empty one", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A newer release has written the database.
    #[error(
        "the database {} has schema {found}, this release knows {known}; use the release that wrote it, or a newer one",
        path.display()
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The newest schema known.
        known: i64,
    },
    /// An older release has written the database, and it was opened for reading alone.
    #[error(
        "the database {} has schema {found}, expected {known}; portcullis run brings it up to date",
        path.display()
    )]
    OlderSchema {
        /// The database file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The schema expected.
        known: i64,
    },
    /// A step from one schema to the next failed.
    #[error("the database {} could not be brought up to date", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A read or write failed.
    #[error("the database could not be read or written")]
    Database(#[from] sqlx::Error),
    /// The store was opened for reading.
    #[error("the database was opened for reading alone")]
    ReadOnly,
    /// A value could not be written as JSON or read back.
    #[error("{what} could not be kept as JSON")]
    Json {
        /// What it was.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A stored word is none of those expected.
    #[error("the database holds an unknown {what}: {found}")]
    Word {
        /// What it should have been.
        what: &'static str,
        /// What it is.
        found: String,
    },
    /// Something named does not exist.
    #[error("there is no {what}")]
    Missing {
        /// What was asked for, with its name.
        what: String,
    },
    /// A delivery's state does not allow what was asked for.
    #[error("delivery {id} is {state}; {advice}")]
    NotNow {
        /// The delivery.
        id: i64,
        /// Its state.
        state: &'static str,
        /// What is possible.
        advice: &'static str,
    },
}
