//! What the program takes for much input: seconds and peak memory of its own commands, as a user runs them.
//! Started by `benches/run`; prints, and asserts nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement that cannot go on may end where it stands"
)]

#[path = "../tests/support/generated.rs"]
mod generated;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use generated::{Objects, Reach};

/// How often the memory of a child is looked at. Its peak only grows, so that the last look tells.
const LOOK: Duration = Duration::from_millis(5);

/// One command, measured.
struct Measured {
    seconds: f64,
    peak_mib: f64,
    output: String,
}

fn measure(program: &Path, arguments: &[&str]) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .env("NO_COLOR", "1")
        .stdout(fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let seconds = loop {
        peak_kib = peak(&status).unwrap_or(0).max(peak_kib);
        if child.try_wait().unwrap().is_some() {
            break start.elapsed().as_secs_f64();
        }
        std::thread::sleep(LOOK);
    };
    let output = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
    Measured { seconds, peak_mib: peak_kib as f64 / 1024.0, output }
}

fn peak(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

fn portcullis(arguments: &[&str]) -> Measured {
    measure(Path::new(env!("CARGO_BIN_EXE_portcullis")), arguments)
}

fn say(what: &str, measured: &Measured, count: Option<(usize, &str)>) {
    let rate = count.map_or_else(String::new, |(count, unit)| {
        format!("{:>10.0} {unit}/s", count as f64 / measured.seconds)
    });
    println!("{what:<58} {:>8.2} s {:>8.1} MiB{rate}", measured.seconds, measured.peak_mib);
}

fn gator() -> Option<PathBuf> {
    let named = std::env::var_os("GATOR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.or_else(|| std::env::split_paths(&path).map(|folder| folder.join("gator")).find(|p| p.is_file()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn findings(output: &str) -> usize {
    serde_json::from_str::<serde_json::Value>(output)
        .ok()
        .and_then(|json| Some(json.get("findings")?.as_array()?.len()))
        .unwrap_or_default()
}

/// Objects against the starter bundle, beside gator where there is one.
fn audit(what: &str, objects: &Path, count: Option<usize>) {
    let starter = generated::starter();
    let ours = portcullis(&[
        "audit",
        "--bundle",
        text(&starter),
        "--objects",
        text(objects),
        "--semantics",
        "gator",
        "-o",
        "json",
    ]);
    let found = findings(&ours.output);
    say(&format!("audit {what}: {found} findings"), &ours, count.map(|count| (count, "objects")));
    let Some(gator) = gator() else { return println!("  no gator; name one in GATOR") };
    let policies: Vec<PathBuf> = ["template.yaml", "constraint.yaml"]
        .iter()
        .flat_map(|file| {
            let folders = fs::read_dir(&starter).unwrap().map(|entry| entry.unwrap().path());
            folders.map(|folder| folder.join(file)).filter(|path| path.is_file()).collect::<Vec<_>>()
        })
        .collect();
    let mut arguments = vec!["test", "-o", "json", "-f", text(objects)];
    arguments.extend(policies.iter().flat_map(|path| ["-f", text(path)]));
    let theirs = measure(&gator, &arguments);
    let found = serde_json::from_str::<Vec<serde_json::Value>>(&theirs.output).map_or(0, |all| all.len());
    say(&format!("  gator test: {found} findings"), &theirs, count.map(|count| (count, "objects")));
    println!(
        "  portcullis takes {:.2} of gator's time and {:.2} of its memory",
        ours.seconds / theirs.seconds,
        ours.peak_mib / theirs.peak_mib
    );
}

/// The same commands on one installation, first and again.
fn installed(what: &str, files: &[(String, String)], count: usize, of: Objects) {
    let folder = tempfile::tempdir().unwrap();
    let config = generated::installation(folder.path(), files, count, of);
    let documents = files.len();
    println!("\n{what}: {documents} policy documents in git, {count} workloads in a directory");
    let config = text(&config);
    say(
        "  sync, first",
        &portcullis(&["sync", "--once", "--config", config]),
        Some((documents, "documents")),
    );
    say("  sync, unchanged", &portcullis(&["sync", "--once", "--config", config]), None);
    for round in ["first", "unchanged"] {
        let run = portcullis(&["audit", "--config", config, "--fail-on", "none"]);
        say(&format!("  audit, {round}"), &run, Some((count, "objects")));
    }
    let summary = portcullis(&["status", "--config", config, "-o", "json"]);
    say("  status", &summary, None);
    say("  rollout status", &portcullis(&["rollout", "status", "--config", config]), None);
    for format in ["json", "html"] {
        let report = portcullis(&["report", "--config", config, "--format", format]);
        say(&format!("  report as {format}, {} KiB", report.output.len() >> 10), &report, None);
    }
}

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    let all = generated::objects(&objects, count, Objects::Mixed, 1);
    audit("of generated workloads, starter bundle", &objects, Some(all));

    let corpus = std::env::var_os("PORTCULLIS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if corpus.is_dir() {
        audit("of the corpus, starter bundle", &corpus, None);
    } else {
        println!("no corpus; name one in PORTCULLIS_CORPUS");
    }

    let many = generated::policies(200, 4, Reach::OneNamespace);
    generated::write(folder.path(), &many);
    let check = portcullis(&["check", text(&folder.path().join("policies"))]);
    say("check of a repository", &check, Some((many.len(), "documents")));
    installed("many policies", &many, count, Objects::Mixed);

    let fat = generated::policies(6, 2, Reach::Everywhere);
    installed("policies that everything violates", &fat, count, Objects::Violating);
}
