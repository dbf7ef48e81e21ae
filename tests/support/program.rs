//! The program as a person runs it: the real binary in a folder of its own, with a configuration, a policy
//! repository and a folder that stands for a cluster.

#![allow(dead_code, reason = "one vocabulary for all tests, of which each uses a part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use portcullis_core::document::{Limits, yaml};
use serde_json::Value;

use super::repo::TestRepo;

/// Far more than anything takes, even on a machine that is busy.
const BOUND: Duration = Duration::from_secs(120);

/// The program in its folder.
pub struct Program {
    pub folder: tempfile::TempDir,
    pub repo: TestRepo,
}

/// What a run of the program came to.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless it ended with this code and said all of this, on whichever stream.
    pub fn ended(self, code: i32, phrases: &[&str]) -> Self {
        let said = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{said}");
        for phrase in phrases {
            assert!(said.contains(phrase), "expected `{phrase}` in:\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }
}

/// The binary without anybody's environment.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// Runs the binary with these arguments alone.
pub fn run(args: &[&str]) -> Ran {
    Ran::of(binary().args(args).output().unwrap())
}

impl Program {
    /// A folder with an empty repository and the usual configuration; `more` are further lines of it.
    pub fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = TestRepo::at(&folder.path().join("policies.git"));
        let made = Self { folder, repo };
        fs::create_dir_all(made.path("cluster/objects")).unwrap();
        made.configure("source: {url: policies.git, branch: main, interval: 1s}\nstate: state\n", more);
        made
    }

    /// Writes another configuration: `base` has source and state, `more` the rest.
    pub fn configure(&self, base: &str, more: &str) {
        let text = format!(
            "apiVersion: portcullis.dev/v1alpha1\nkind: PortcullisConfig\n\
             cluster: {{name: test, directory: cluster}}\ninstance: platform\n{base}{more}\n"
        );
        fs::write(self.path("portcullis.yaml"), text).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The command, with the configuration in the environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command.args(args).env("PORTCULLIS_CONFIG", self.path("portcullis.yaml"));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Starts the daemon; its log goes to the end of the file `log`.
    pub fn start(&self) -> Daemon {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = self.command(&["run"]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Daemon { child: Some(child), log: self.path("log") }
    }

    /// Writes a file of live resources.
    pub fn object(&self, path: &str, text: &str) {
        let path = self.path("cluster/objects").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Everything in `policies/`, by path without its ending: whole YAML files and nothing else.
    pub fn in_force(&self) -> BTreeMap<String, Value> {
        in_force(&self.path("cluster/policies"))
    }

    /// `Kind/name` to `enforcementAction`.
    pub fn stages(&self) -> BTreeMap<String, String> {
        let constraints = self.in_force().into_iter().filter_map(|(path, manifest)| {
            let name = path.strip_prefix("constraints/")?.to_owned();
            Some((name, manifest["spec"]["enforcementAction"].as_str().unwrap().to_owned()))
        });
        constraints.collect()
    }
}

/// Everything in a folder `policies/`, by path without its ending. No other file may be there.
pub fn in_force(root: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap();
            // A file may go between being listed and being read.
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            let documents = yaml::read(&bytes, &Limits::default()).unwrap();
            assert_eq!(documents.len(), 1, "{path}");
            let name = path.strip_suffix(".yaml").unwrap_or_else(|| panic!("{path} is no policy"));
            found.insert(name.to_owned(), documents[0].to_json());
        }
    }
    found
}

/// A daemon that runs; dropped, it is killed.
pub struct Daemon {
    child: Option<Child>,
    log: PathBuf,
}

impl Daemon {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Tells it to stop and waits for its exit code.
    pub fn terminate(mut self) -> (i32, Duration) {
        let mut child = self.child.take().unwrap();
        let began = Instant::now();
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let status = child.wait().unwrap();
        (status.code().unwrap_or(-1), began.elapsed())
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something can be observed; fails with `what` where it cannot within far more than it takes.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < BOUND, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
