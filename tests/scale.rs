//! Many policies, many objects, many findings: what the daemon takes for them stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the functions that tests share fail as tests do"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::generated::{self, Objects, Reach};

/// What the daemon may take at its peak.
const PEAK_KIB: u64 = 300 << 10;

/// A build without optimisation takes minutes for the 20,000 that the release build is measured with.
const WORKLOADS: usize = if cfg!(debug_assertions) { 5_000 } else { 20_000 };

/// A daemon of its own process, killed when the test is over.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one sync and the audit after it came to.
struct Round {
    peak_kib: u64,
    audit: serde_json::Value,
}

/// Lets a daemon sync and audit once, and reads its peak memory.
fn round(config: &Path) -> Round {
    let child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["run", "--config"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut daemon = Daemon(child);
    let log = BufReader::new(daemon.0.stderr.take().unwrap());
    let mut said = Vec::new();
    for line in log.lines() {
        let line = line.unwrap();
        if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line)
            && event["message"] == "audited"
        {
            let status = fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
            return Round { peak_kib: peak(&status), audit: event };
        }
        said.push(line);
    }
    panic!("the daemon ended without an audit: {said:#?}");
}

fn peak(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn count(audit: &serde_json::Value, what: &str) -> u64 {
    audit[what].as_u64().unwrap_or_else(|| panic!("no {what} in {audit}"))
}

#[test]
fn a_thousand_policy_documents_and_many_objects_stay_below_300_mib() {
    let folder = tempfile::tempdir().unwrap();
    let files = generated::policies(200, 4, Reach::OneNamespace);
    assert_eq!(files.len(), 1_001);
    let config = generated::installation(folder.path(), &files, WORKLOADS, Objects::Mixed);
    let round = round(&config);
    assert_eq!(count(&round.audit, "objects"), (WORKLOADS + generated::NAMESPACES) as u64);
    assert_eq!(round.audit["complete"], true);
    assert!(count(&round.audit, "findings") > WORKLOADS as u64 / 4, "{}", round.audit);
    assert!(round.peak_kib < PEAK_KIB, "{} MiB at the peak", round.peak_kib >> 10);
}
