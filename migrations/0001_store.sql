-- One set of statements for SQLite and PostgreSQL: TEXT, BIGINT and REAL only, times as integer
-- milliseconds since 1970 (UTC), truth as 0 and 1, JSON as TEXT. Every table is keyed by the cluster
-- and the instance that owns the row.

-- The last number given out, by what it numbers.
CREATE TABLE counters (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    value    BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, name)
);

-- Bodies by their hash: bundles, ledgers, findings, lists of subjects, reports. Those that nothing
-- refers to any more are removed with the rows that did.
CREATE TABLE contents (
    cluster  TEXT NOT NULL,
    instance TEXT NOT NULL,
    hash     TEXT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (cluster, instance, hash)
);

-- Manifests by their hash; never removed, since rollout states refer to them in their own words.
CREATE TABLE manifests (
    cluster  TEXT NOT NULL,
    instance TEXT NOT NULL,
    hash     TEXT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (cluster, instance, hash)
);

-- The revision in force: one row.
CREATE TABLE accepted (
    cluster     TEXT   NOT NULL,
    instance    TEXT   NOT NULL,
    revision    TEXT   NOT NULL,
    bundle_hash TEXT,
    at          BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance)
);

CREATE TABLE syncs (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    id       BIGINT NOT NULL,
    revision TEXT,
    outcome  TEXT   NOT NULL,
    reasons  TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, id)
);

-- The rollout state of each object as it was last acknowledged.
CREATE TABLE mirror (
    cluster       TEXT   NOT NULL,
    instance      TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    is_template   BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    manifest_hash TEXT,
    decided_at    BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, kind, name)
);

CREATE TABLE decisions (
    cluster    TEXT   NOT NULL,
    instance   TEXT   NOT NULL,
    id         BIGINT NOT NULL,
    intent     TEXT,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    revision   TEXT,
    from_stage TEXT,
    to_stage   TEXT,
    hash       TEXT,
    who        TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    evidence   TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    why        TEXT   NOT NULL,
    PRIMARY KEY (cluster, instance, id)
);
CREATE INDEX decisions_by_object ON decisions (cluster, instance, kind, name, id);
CREATE INDEX decisions_by_intent ON decisions (cluster, instance, intent);

-- What is about to be written to the cluster; state is open, done or dropped.
CREATE TABLE intents (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    position BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    decision TEXT   NOT NULL,
    mirror   TEXT   NOT NULL,
    manifest_hash TEXT,
    state    TEXT   NOT NULL,
    why      TEXT   NOT NULL,
    begun    BIGINT NOT NULL,
    ended    BIGINT,
    PRIMARY KEY (cluster, instance, id)
);
CREATE INDEX intents_by_state ON intents (cluster, instance, state, position);

-- Audit runs; state is running, finished or abandoned, seq the order in which they finished.
CREATE TABLE runs (
    cluster     TEXT   NOT NULL,
    instance    TEXT   NOT NULL,
    id          BIGINT NOT NULL,
    cause       TEXT   NOT NULL,
    by_daemon   BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    started     BIGINT NOT NULL,
    finished    BIGINT,
    seq         BIGINT,
    complete    BIGINT NOT NULL,
    objects     BIGINT NOT NULL,
    findings    BIGINT NOT NULL,
    errors      BIGINT NOT NULL,
    exempt      BIGINT NOT NULL,
    appeared    BIGINT NOT NULL,
    fixed       BIGINT NOT NULL,
    regressed   BIGINT NOT NULL,
    ledger_hash TEXT,
    summary     TEXT   NOT NULL,
    PRIMARY KEY (cluster, instance, id)
);
CREATE INDEX runs_by_seq ON runs (cluster, instance, seq);

-- A finding and the unbroken row of finished runs that saw exactly it.
CREATE TABLE spans (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    hash     TEXT   NOT NULL,
    copy     BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, hash, copy, from_seq)
);
CREATE INDEX spans_by_end ON spans (cluster, instance, to_seq);

-- What a run changed: fingerprints that are new, fixed or regressed in it.
CREATE TABLE changes (
    cluster     TEXT   NOT NULL,
    instance    TEXT   NOT NULL,
    run         BIGINT NOT NULL,
    fingerprint TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    PRIMARY KEY (cluster, instance, run, fingerprint),
    FOREIGN KEY (cluster, instance, run) REFERENCES runs (cluster, instance, id) ON DELETE CASCADE
);

-- What an unbroken row of finished runs says, all the same, about one version of one constraint.
CREATE TABLE evidence (
    cluster       TEXT   NOT NULL,
    instance      TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    slot          TEXT   NOT NULL,
    hash          TEXT   NOT NULL,
    stage         TEXT   NOT NULL,
    complete      BIGINT NOT NULL,
    errors        BIGINT NOT NULL,
    violations    BIGINT NOT NULL,
    subjects_hash TEXT   NOT NULL,
    from_seq      BIGINT NOT NULL,
    to_seq        BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, kind, name, slot, from_seq)
);
CREATE INDEX evidence_by_end ON evidence (cluster, instance, to_seq);

-- Every finding ever seen and not yet forgotten, by its identity across runs.
CREATE TABLE known (
    cluster         TEXT   NOT NULL,
    instance        TEXT   NOT NULL,
    fingerprint     TEXT   NOT NULL,
    constraint_kind TEXT   NOT NULL,
    constraint_name TEXT   NOT NULL,
    first_seen      BIGINT NOT NULL,
    last_seen       BIGINT NOT NULL,
    status          TEXT   NOT NULL,
    finding         TEXT   NOT NULL,
    PRIMARY KEY (cluster, instance, fingerprint)
);

CREATE TABLE reports (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    run      BIGINT,
    created  BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, id)
);

CREATE TABLE report_bodies (
    cluster   TEXT NOT NULL,
    instance  TEXT NOT NULL,
    report    TEXT NOT NULL,
    format    TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    PRIMARY KEY (cluster, instance, report, format),
    FOREIGN KEY (cluster, instance, report) REFERENCES reports (cluster, instance, id) ON DELETE CASCADE
);

-- The newest slot of each scheduled report that was served.
CREATE TABLE slots (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    slot     BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, name)
);

-- The outbox; state is waiting, delivering, delivered, dead, orphaned, dropped or expired.
CREATE TABLE deliveries (
    cluster      TEXT   NOT NULL,
    instance     TEXT   NOT NULL,
    id           BIGINT NOT NULL,
    sink         TEXT   NOT NULL,
    webhook_id   TEXT   NOT NULL,
    event_type   TEXT   NOT NULL,
    source       TEXT   NOT NULL,
    content_type TEXT   NOT NULL,
    file_name    TEXT   NOT NULL,
    body_hash    TEXT   NOT NULL,
    report       TEXT,
    created      BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    rejections   BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    claimed_by   TEXT,
    lease_until  BIGINT,
    last_error   TEXT   NOT NULL,
    ended        BIGINT,
    PRIMARY KEY (cluster, instance, id)
);
CREATE UNIQUE INDEX deliveries_by_webhook_id ON deliveries (cluster, instance, webhook_id);
CREATE INDEX deliveries_by_turn ON deliveries (cluster, instance, sink, state, next_at);

CREATE TABLE attempts (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    id       BIGINT NOT NULL,
    delivery BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    outcome  TEXT   NOT NULL,
    status   BIGINT,
    error    TEXT   NOT NULL,
    millis   BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, id),
    FOREIGN KEY (cluster, instance, delivery) REFERENCES deliveries (cluster, instance, id) ON DELETE CASCADE
);
CREATE INDEX attempts_by_delivery ON attempts (cluster, instance, delivery, id);

-- Sinks that their receiver has closed (410), until they are enabled again or have another URL. The
-- URL itself is never stored, only a hash of it with a salt of its own.
CREATE TABLE closed_sinks (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    sink     TEXT   NOT NULL,
    salt     TEXT   NOT NULL,
    url_hash TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (cluster, instance, sink)
);

-- What an operator asked for on the command line; state is pending or consumed.
CREATE TABLE actions (
    cluster  TEXT   NOT NULL,
    instance TEXT   NOT NULL,
    id       BIGINT NOT NULL,
    action   TEXT   NOT NULL,
    who      TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    state    TEXT   NOT NULL,
    outcome  TEXT   NOT NULL,
    ended    BIGINT,
    PRIMARY KEY (cluster, instance, id)
);
