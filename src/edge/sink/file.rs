//! A folder as a sink: one file for each delivery, whole or not at all, never overwritten.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::Builder;

use super::{Accepted, DeliveryFailure};
use crate::edge::store::Delivery;

/// A folder that deliveries are written to as `<name>-<time>.<extension>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSink {
    /// The folder; made when absent.
    pub path: PathBuf,
}

impl FileSink {
    /// Writes the delivery's file, or finds it written by an attempt whose end nobody saw.
    pub(super) async fn deliver(&self, delivery: &Delivery) -> Result<Accepted, DeliveryFailure> {
        let folder = self.path.clone();
        let names = names(delivery);
        let body = delivery.body.clone();
        let written = tokio::task::spawn_blocking(move || write(&folder, &names, body.as_bytes())).await;
        match written {
            Ok(Ok(file)) => Ok(Accepted { status: None, file: Some(file) }),
            Ok(Err(error)) => {
                Err(DeliveryFailure::local(format!("cannot write to {}: {error}", self.path.display())))
            }
            Err(_) => Err(DeliveryFailure::local(format!("writing to {} was cut off", self.path.display()))),
        }
    }
}

/// The file's name, and the one it takes where something else is there already.
fn names(delivery: &Delivery) -> [String; 2] {
    let row = &delivery.row;
    let stem = clean(&row.file_name);
    let time = row.created.strftime("%Y%m%dT%H%M%SZ");
    let extension = match row.content_type.split(';').next().unwrap_or_default().trim() {
        "text/html" => "html",
        "text/markdown" => "md",
        "text/csv" => "csv",
        "application/xml" | "text/xml" => "xml",
        media if media == "application/json" || media.ends_with("+json") => "json",
        _ => "txt",
    };
    let id = clean(&row.webhook_id);
    [format!("{stem}-{time}.{extension}"), format!("{stem}-{time}-{id}.{extension}")]
}

/// A name that is one harmless part of a path.
fn clean(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let clean: String = name.chars().take(100).map(keep).collect();
    let clean = clean.trim_start_matches('.');
    if clean.is_empty() { "delivery".to_owned() } else { clean.to_owned() }
}

fn write(folder: &Path, names: &[String], body: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder.prefix(".portcullis-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As for any new file; the umask narrows it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(body)?;
    file.as_file().sync_all()?;
    for name in names {
        let path = folder.join(name);
        match file.persist_noclobber(&path) {
            Ok(_) => {
                // The name is on the disk once the folder is.
                File::open(folder)?.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read(&path)? == body {
                    return Ok(path);
                }
                file = error.file;
            }
            Err(error) => return Err(error.error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file of that name holds something else"))
}

#[cfg(test)]
mod tests {
    use super::{clean, write};

    #[test]
    fn names_are_one_harmless_part_of_a_path() {
        assert_eq!(clean("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(clean("weekly-compliance"), "weekly-compliance");
        assert_eq!(clean(".."), "delivery");
    }

    #[test]
    fn nothing_is_overwritten_and_the_same_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.json".to_owned(), "a-id.json".to_owned()];
        let first = write(folder.path(), &names, b"one").unwrap();
        assert_eq!(write(folder.path(), &names, b"one").unwrap(), first);
        let second = write(folder.path(), &names, b"two").unwrap();
        assert_eq!(second, folder.path().join("a-id.json"));
        assert_eq!(std::fs::read(first).unwrap(), b"one");
        assert!(write(folder.path(), &names, b"three").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
