//! Opening the database: where it is, its settings, its schema.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::watch;

use super::{Inner, Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a write waits for another process to finish its own; a large audit run takes seconds.
const BUSY: Duration = Duration::from_mins(1);
const READERS: u32 = 4;
/// How often, and with which pause, a new database that another process sets up is tried again.
const OPENING_TRIES: u32 = 100;
const OPENING_PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Opens the database for reading and writing; makes the file, its folder and its schema where
    /// they are missing. `url` is `sqlite:///absolute/path` or `sqlite://relative/path`.
    ///
    /// # Errors
    ///
    /// `NotSupportedYet` for PostgreSQL, `Url` for anything else that is no SQLite file; `Folder`,
    /// `NotWritable` and `NotADatabase` with the path; `NewerSchema` where a newer release wrote it.
    pub async fn open(url: &str, cluster: &str, instance: &str) -> Result<Self, StoreError> {
        let path = path_of(url)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let options = settings(&path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let writer = writer(&path, &options).await?;
        migrate(&writer, &path).await?;
        let reader = reader(&path).await?;
        Ok(Self::of(Some(writer), reader, path, cluster, instance))
    }

    /// Opens an existing database for reading, beside a daemon that writes it.
    ///
    /// # Errors
    ///
    /// As `open`; `Absent` where there is no such file, `OlderSchema` where it is not up to date.
    pub async fn open_reading(url: &str, cluster: &str, instance: &str) -> Result<Self, StoreError> {
        let path = path_of(url)?;
        if !path.is_file() {
            return Err(StoreError::Absent { path });
        }
        let reader = reader(&path).await?;
        let found: i64 =
            sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success")
                .fetch_one(&reader)
                .await
                .map_err(|source| StoreError::NotADatabase { path: path.clone(), source })?;
        let known = newest_known();
        match found.cmp(&known) {
            std::cmp::Ordering::Greater => Err(StoreError::NewerSchema { path, found, known }),
            std::cmp::Ordering::Less => Err(StoreError::OlderSchema { path, found, known }),
            std::cmp::Ordering::Equal => Ok(Self::of(None, reader, path, cluster, instance)),
        }
    }

    fn of(
        writer: Option<SqlitePool>,
        reader: SqlitePool,
        path: PathBuf,
        cluster: &str,
        instance: &str,
    ) -> Self {
        let (outbox, _) = watch::channel(0);
        Self {
            inner: Arc::new(Inner {
                writer,
                reader,
                cluster: cluster.to_owned(),
                instance: instance.to_owned(),
                path,
                outbox,
            }),
        }
    }
}

fn settings(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .synchronous(SqliteSynchronous::Full)
}

/// The one connection that writes. Switching a new file to its write-ahead log needs it alone for a moment, and
/// SQLite does not wait for that by itself: where another process does the same it is tried again.
async fn writer(path: &Path, options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let connected = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await;
        match connected {
            Err(sqlx::Error::Database(error)) if tries < OPENING_TRIES && is_locked(error.as_ref()) => {
                tokio::time::sleep(OPENING_PAUSE).await;
            }
            connected => return connected.map_err(|error| opening(path, error)),
        }
    }
}

/// `SQLITE_BUSY`, also in its extended forms.
fn is_locked(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

async fn reader(path: &Path) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(settings(path).read_only(true))
        .await
        .map_err(|error| opening(path, error))
}

async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match MIGRATIONS.run(writer).await {
            Ok(()) => return Ok(()),
            Err(MigrateError::VersionMissing(_)) => {
                let found: i64 =
                    sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(writer).await?;
                return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: newest_known() });
            }
            // Two processes that open a new database at once both try to make its tables.
            Err(MigrateError::ExecuteMigration(error, _) | MigrateError::Execute(error)) => {
                match opening(path, error) {
                    StoreError::Database(_) if tries < 3 => {}
                    StoreError::Database(source) => {
                        let source = MigrateError::Execute(source);
                        return Err(StoreError::Migrate { path: path.to_owned(), source });
                    }
                    other => return Err(other),
                }
            }
            Err(source) => return Err(StoreError::Migrate { path: path.to_owned(), source }),
        }
    }
}

fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Sorts the errors of a first contact by what a person can do about them.
fn opening(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    // The low byte of SQLite's extended result codes is the primary one.
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    match code {
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_FULL, SQLITE_CANTOPEN
        Some(3 | 8 | 13 | 14) => StoreError::NotWritable { path, source: Box::new(error) },
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Some(11 | 26) => StoreError::NotADatabase { path, source: error },
        _ => StoreError::Database(error),
    }
}

/// The file a storage URL names.
fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(StoreError::Url { found: url.to_owned() });
    };
    match scheme {
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty()
                || path.contains(['?', '#'])
                || path.contains(":memory:")
                || path.ends_with('/')
            {
                return Err(StoreError::Url { found: url.to_owned() });
            }
            Ok(PathBuf::from(path))
        }
        "postgres" | "postgresql" => Err(StoreError::NotSupportedYet { scheme: scheme.to_owned() }),
        // The rest may hold a password.
        _ => Err(StoreError::Url { found: format!("{scheme}:…") }),
    }
}

#[cfg(test)]
mod tests {
    use super::{StoreError, path_of};
    use std::path::PathBuf;

    #[test]
    fn a_sqlite_url_names_a_file() {
        assert_eq!(path_of("sqlite:///var/lib/p.db").unwrap(), PathBuf::from("/var/lib/p.db"));
        assert_eq!(path_of("sqlite://state/p.db").unwrap(), PathBuf::from("state/p.db"));
        for wrong in ["p.db", "sqlite://", "sqlite::memory:", "sqlite:///p.db?mode=ro", "sqlite:///dir/"] {
            assert!(matches!(path_of(wrong), Err(StoreError::Url { .. })), "{wrong}");
        }
    }

    #[test]
    fn other_databases_are_refused_without_showing_a_password() {
        let postgres = path_of("postgres://me:hunter2@db/portcullis").unwrap_err();
        assert!(matches!(postgres, StoreError::NotSupportedYet { .. }));
        let mysql = path_of("mysql://me:hunter2@db/portcullis").unwrap_err();
        assert!(!format!("{postgres} {mysql}").contains("hunter2"));
    }
}
