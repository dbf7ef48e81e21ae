//! The store on real files.

mod history;
mod opening;
mod runs;

use std::path::Path;

use jiff::Timestamp;
use portcullis::edge::store::{
    Decision, Intent, MirrorRow, NewDelivery, ReportBody, ReportRecord, RunRecord, Store, Tracked,
};
use portcullis_core::{
    audit::{Class, Finding, ObjectRef, Status, Subject},
    identity::{ConstraintId, Fingerprint, PolicyHash, Revision},
};
use serde_json::json;
use sqlx::Connection as _;

fn url(folder: &Path) -> String {
    format!("sqlite://{}/state/portcullis.db", folder.display())
}

async fn open(folder: &Path) -> Store {
    Store::open(&url(folder), "prod", "platform").await.unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + seconds).unwrap()
}

fn finding(constraint: &str, subject: &str, message: &str) -> Finding {
    Finding {
        constraint: ConstraintId::new("K8sThing", constraint),
        enforcement_action: "dryrun".to_owned(),
        class: Class::Violation,
        operation: String::new(),
        via: String::new(),
        object: ObjectRef {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: subject.to_owned(),
            uid: String::new(),
        },
        subject: subject_of(subject),
        message: message.to_owned(),
        details: json!({"container": "web"}),
        severity: "medium".to_owned(),
        fingerprint: Fingerprint::new(format!("f1:{constraint}-{subject}")),
        exempt_by: String::new(),
        uncounted: false,
        source: String::new(),
    }
}

fn subject_of(name: &str) -> Subject {
    Subject {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn tracked(finding: &Finding, status: Status) -> Tracked {
    Tracked { fingerprint: finding.fingerprint.clone(), status }
}

fn record<'a>(finished: Timestamp, findings: &'a [Finding], tracked: &'a [Tracked]) -> RunRecord<'a> {
    RunRecord {
        complete: true,
        finished,
        objects: 10,
        findings,
        ledger: &[],
        evidence: &[],
        tracked,
        summary: json!({"score": 96.2}),
    }
}

fn decision(seconds: i64) -> Decision {
    Decision {
        at: at(seconds),
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        revision: Some(Revision::new("a".repeat(40))),
        from: Some("dryrun".to_owned()),
        to: Some("deny".to_owned()),
        hash: Some(PolicyHash::new("v1:0")),
        who: "portcullis".to_owned(),
        reason: "soak 14d of 14d".to_owned(),
        evidence: json!({"audits": 31}),
    }
}

fn intent(id: &str, seconds: i64) -> Intent {
    Intent {
        id: id.to_owned(),
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        action: json!({"write": "constraint"}),
        decision: decision(seconds),
    }
}

fn mirror_row(stage: &str) -> MirrorRow {
    MirrorRow {
        kind: "K8sThing".to_owned(),
        name: "all".to_owned(),
        is_template: false,
        state: json!({"stage": stage}),
        manifest_hash: None,
        decided_at: at(0),
    }
}

async fn rows(store: &Store, table: &str) -> i64 {
    let mut connection =
        sqlx::SqliteConnection::connect(&format!("sqlite://{}", store.path().display())).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
}

fn report(id: &str, run: Option<portcullis::edge::store::RunId>) -> ReportRecord {
    ReportRecord {
        id: id.to_owned(),
        name: "weekly".to_owned(),
        run,
        created: at(10),
        bodies: vec![
            ReportBody { format: "html".to_owned(), body: "<p>all well</p>".to_owned() },
            ReportBody { format: "json".to_owned(), body: "{}".to_owned() },
        ],
    }
}

fn delivery(webhook_id: &str) -> NewDelivery {
    NewDelivery {
        sink: "hook".to_owned(),
        webhook_id: webhook_id.to_owned(),
        event_type: "dev.portcullis.report.v1".to_owned(),
        source: "/clusters/prod".to_owned(),
        content_type: "application/json".to_owned(),
        file_name: "weekly".to_owned(),
        body: "{}".to_owned(),
        expires: None,
    }
}
