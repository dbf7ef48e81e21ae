//! Bodies kept once each, by the hash of what they say.

use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

use super::{Store, StoreError, from_json};

impl Store {
    /// Keeps a manifest and returns its hash, `sha256:<64 hex digits>` over its JSON with sorted keys.
    pub async fn put_manifest(&self, manifest: &Value) -> Result<String, StoreError> {
        let mut tx = self.write().await?;
        let hash = self.put_manifest_in(&mut tx, manifest).await?;
        tx.commit().await?;
        Ok(hash)
    }

    pub(super) async fn put_manifest_in(
        &self,
        tx: &mut SqliteConnection,
        manifest: &Value,
    ) -> Result<String, StoreError> {
        let body = canonical(manifest);
        let hash = hash_of(&body);
        sqlx::query(
            "INSERT INTO manifests (cluster, instance, hash, body) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (cluster, instance, hash) DO NOTHING",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&hash)
        .bind(body)
        .execute(tx)
        .await?;
        Ok(hash)
    }

    /// The manifest with that hash, where the store has it.
    pub async fn manifest(&self, hash: &str) -> Result<Option<Value>, StoreError> {
        let body: Option<String> = sqlx::query_scalar(
            "SELECT body FROM manifests WHERE cluster = $1 AND instance = $2 AND hash = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(hash)
        .fetch_optional(self.reader())
        .await?;
        body.map(|body| from_json("a manifest", &body)).transpose()
    }

    pub(super) async fn put_content(
        &self,
        tx: &mut SqliteConnection,
        value: &Value,
    ) -> Result<String, StoreError> {
        self.put_body(tx, &canonical(value)).await
    }

    pub(super) async fn put_body(&self, tx: &mut SqliteConnection, body: &str) -> Result<String, StoreError> {
        let hash = hash_of(body);
        sqlx::query(
            "INSERT INTO contents (cluster, instance, hash, body) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (cluster, instance, hash) DO NOTHING",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&hash)
        .bind(body)
        .execute(tx)
        .await?;
        Ok(hash)
    }

    pub(super) async fn content(&self, hash: &str) -> Result<Option<Value>, StoreError> {
        self.body(hash).await?.map(|body| from_json("a stored body", &body)).transpose()
    }

    /// A kept body as it was written.
    pub(super) async fn body(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let body = sqlx::query_scalar(
            "SELECT body FROM contents WHERE cluster = $1 AND instance = $2 AND hash = $3",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(hash)
        .fetch_optional(self.reader())
        .await?;
        Ok(body)
    }
}

/// JSON with sorted keys and no spaces.
pub(super) fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// `sha256:<64 hex digits>` of a text.
pub(super) fn hash_of(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold(String::from("sha256:"), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::{canonical, hash_of};
    use serde_json::json;

    #[test]
    fn the_canonical_form_sorts_keys_at_every_depth() {
        let value = json!({"b": [{"d": 1, "c": null}], "a": "é\"\n"});
        assert_eq!(canonical(&value), r#"{"a":"é\"\n","b":[{"c":null,"d":1}]}"#);
        assert_eq!(hash_of(""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
