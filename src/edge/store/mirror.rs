//! The mirror of each object's rollout state, as it was last acknowledged.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, SqliteConnection};

use super::{Store, StoreError, from_json, millis, timestamp, to_json};

/// The rollout state of one object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorRow {
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `true` for a template, `false` for a constraint or anything else.
    pub is_template: bool,
    /// The state as the caller describes it.
    pub state: Value,
    /// Hash of the manifest that was written, as `put_manifest` gives it.
    pub manifest_hash: Option<String>,
    /// When the decision that led to this state was taken.
    pub decided_at: Timestamp,
}

#[derive(FromRow)]
struct Row {
    kind: String,
    name: String,
    is_template: i64,
    state: String,
    manifest_hash: Option<String>,
    decided_at: i64,
    body: Option<String>,
}

impl Store {
    /// All rows, by kind and name.
    pub async fn mirror(&self) -> Result<Vec<MirrorRow>, StoreError> {
        Ok(self.mirror_with_manifests().await?.into_iter().map(|(row, _)| row).collect())
    }

    /// All rows, by kind and name, each with the manifest it names where the store has it.
    pub async fn mirror_with_manifests(&self) -> Result<Vec<(MirrorRow, Option<Value>)>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT mirror.kind, mirror.name, is_template, state, manifest_hash, decided_at, manifests.body \
             FROM mirror LEFT JOIN manifests ON manifests.cluster = mirror.cluster \
             AND manifests.instance = mirror.instance AND manifests.hash = mirror.manifest_hash \
             WHERE mirror.cluster = $1 AND mirror.instance = $2 ORDER BY mirror.kind, mirror.name",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|Row { kind, name, is_template, state, manifest_hash, decided_at, body }| {
                let row = MirrorRow {
                    kind,
                    name,
                    is_template: is_template != 0,
                    state: from_json("a mirrored state", &state)?,
                    manifest_hash,
                    decided_at: timestamp(decided_at),
                };
                let manifest = body.map(|body| from_json("a manifest", &body)).transpose()?;
                Ok((row, manifest))
            })
            .collect()
    }

    /// Writes one row, outside of any intent (adoption, a rewritten hash form).
    pub async fn upsert_mirror(&self, row: &MirrorRow) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.put_mirror(&mut tx, row).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets one object; nothing happens where there is no such row.
    pub async fn delete_mirror(&self, kind: &str, name: &str) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        self.drop_mirror(&mut tx, kind, name).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn put_mirror(
        &self,
        tx: &mut SqliteConnection,
        row: &MirrorRow,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO mirror (cluster, instance, kind, name, is_template, state, manifest_hash, decided_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (cluster, instance, kind, name) DO UPDATE SET \
             is_template = excluded.is_template, state = excluded.state, \
             manifest_hash = excluded.manifest_hash, decided_at = excluded.decided_at",
        )
        .bind(self.cluster())
        .bind(self.instance())
        .bind(&row.kind)
        .bind(&row.name)
        .bind(i64::from(row.is_template))
        .bind(to_json("a mirrored state", &row.state)?)
        .bind(&row.manifest_hash)
        .bind(millis(row.decided_at))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn drop_mirror(
        &self,
        tx: &mut SqliteConnection,
        kind: &str,
        name: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM mirror WHERE cluster = $1 AND instance = $2 AND kind = $3 AND name = $4")
            .bind(self.cluster())
            .bind(self.instance())
            .bind(kind)
            .bind(name)
            .execute(tx)
            .await?;
        Ok(())
    }
}
