//! The configuration: what it means, and what is said of one that is wrong.

use std::path::{Path, PathBuf};

use portcullis::config::{Auth, Config, Drift, Loaded, LogFormat, Probe, Secret, Sink, SinkUrl, shape};
use portcullis_core::{document::Duration, identity::Stage, problem::Problem};

const DOCUMENTED: &str = include_str!("config/documented.yaml");

const MINIMAL: &str = "\
apiVersion: portcullis.dev/v1alpha1
kind: PortcullisConfig
cluster: {name: test, directory: ./cluster}
source: {url: ./policies}
";

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(text.as_bytes(), Path::new("/etc/portcullis/config.yaml"), env)
}

fn load(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|problems| panic!("{}", lines(&problems).join("\n"))).config
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems
        .iter()
        .map(|problem| {
            let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let file = Path::new(&problem.file).file_name().unwrap().to_string_lossy();
            let place = match problem.span.line {
                0 => file.into_owned(),
                line => format!("{line}:{}", problem.span.column),
            };
            format!("{place} {} {}{hint}", problem.code, problem.message)
        })
        .collect()
}

/// What is said of the minimal configuration with these lines added.
fn problems(added: &str) -> Vec<String> {
    lines(&load_with(&format!("{MINIMAL}{added}"), &[]).expect_err(added))
}

/// What is said of a minimal configuration with another `source`.
fn source_problems(source: &str) -> Vec<String> {
    let text = MINIMAL.replace("{url: ./policies}", source);
    lines(&load_with(&text, &[]).expect_err(source))
}

#[test]
fn the_documented_configuration_is_refused_for_exactly_what_is_not_supported_yet() {
    let problems = load_with(DOCUMENTED, &[]).unwrap_err();
    assert_eq!(
        lines(&problems),
        [
            "6:15 PC0510 `cluster.kubernetes` is not supported yet (set `cluster.directory`: a folder then \
             stands for the cluster)",
            "20:11 PC0510 `source.verify` is not supported yet (remove it: signatures would not be verified)",
            "50:33 PC0510 the sink type `slack` (`sinks[].type`) is not supported yet (use `webhook` or `file`)",
            "53:70 PC0510 `server.hooks` is not supported yet (remove it: the remote is asked every \
             `source.interval`)",
        ]
    );
}

#[test]
fn the_documented_configuration_means_what_it_says_where_it_is_supported() {
    let text = DOCUMENTED
        .replace("kubernetes: {}  ", "directory: ./c")
        .replace("type: slack", "type: webhook")
        .replace(", hooks: {git: {provider: github, secretFile: /secrets/push}}", "");
    let text: String =
        text.lines().filter(|line| !line.contains("verify:")).flat_map(|line| [line, "\n"]).collect();
    let Loaded { config, notices } = load_with(&text, &[]).unwrap();
    let defaults = load(MINIMAL);
    assert_eq!(config.cluster.directory, Path::new("/etc/portcullis/./c"));
    assert_eq!((config.instance.as_str(), config.cluster.labels["env"].as_str()), ("platform", "prod"));
    assert_eq!(config.source.auth, Some(Auth::Token(Secret::File("/secrets/token".into()))));
    assert_eq!(config.source.paths, ["policies"]);
    // What it spells out are the defaults.
    assert_eq!(config.apply, defaults.apply);
    assert_eq!(config.audit, defaults.audit);
    assert_eq!(config.storage, defaults.storage);
    assert_eq!(config.source.limits, defaults.source.limits);
    assert_eq!((config.lease, config.log), (defaults.lease, defaults.log));
    assert_eq!(config.gatekeeper, defaults.gatekeeper);
    assert_eq!(config.reports[0].schedule.as_ref().unwrap().to_string(), "0 8 * * MON Europe/Berlin");
    assert_eq!(config.notifications[0].on.len(), 6);
    let Some(Sink::Webhook(sink)) = config.sink("security-team") else { panic!("{:?}", config.sinks) };
    assert_eq!(sink.url, SinkUrl::Secret(Secret::File("/secrets/hook-url".into())));
    assert_eq!(config.server.unwrap().listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        notices,
        [
            "`lease` is accepted and has no effect yet (/etc/portcullis/config.yaml:53)",
            "`gatekeeper` is accepted and has no effect yet (/etc/portcullis/config.yaml:9)",
            "`rollout.probe` is accepted and has no effect yet (/etc/portcullis/config.yaml:27)",
            "`apply.qps` is accepted and has no effect yet (/etc/portcullis/config.yaml:25)",
        ]
    );
}

#[test]
fn what_is_left_out_takes_its_documented_default() {
    let Loaded { config, notices } = load_with(MINIMAL, &[]).unwrap();
    assert_eq!(notices, Vec::<String>::new());
    assert_eq!(config.cluster.directory, Path::new("/etc/portcullis/./cluster"));
    assert_eq!(config.instance, "default");
    assert_eq!(config.source.url, "/etc/portcullis/./policies");
    assert_eq!(
        (config.source.branch.as_str(), config.source.paths.as_slice()),
        ("main", &[".".to_owned()][..])
    );
    assert_eq!(config.source.interval, Duration::from_secs(60));
    assert!(!config.source.allow_rewrite && !config.source.atomic);
    assert_eq!(config.source.limits.files, 20_000);
    assert_eq!(config.source.limits.file_size, 1 << 20);
    assert_eq!(config.source.limits.total_size, 64 << 20);
    assert_eq!((config.apply.prune.max_objects, config.apply.prune.max_percent), (5, 25));
    assert_eq!((config.apply.drift, config.apply.qps), (Drift::Correct, 20));
    assert_eq!(config.apply.timeout, Duration::from_secs(120));
    assert_eq!(config.rollout.probe, Probe::Webhook);
    let stages: Vec<Stage> = config.rollout.default.stages.iter().map(|stage| stage.action).collect();
    assert_eq!(stages, [Stage::Dryrun, Stage::Warn, Stage::Deny]);
    assert_eq!(config.audit.schedule.to_string(), "*/15 * * * * UTC");
    assert_eq!(config.audit.evaluation_timeout, Duration::from_millis(500));
    assert_eq!((config.audit.on_sync, config.audit.workers, config.audit.page_size), (true, 0, 500));
    assert_eq!(config.audit.exclude_kinds, ["Event", "Lease", "EndpointSlice"]);
    assert_eq!(config.storage.path, Path::new("/var/lib/portcullis/portcullis.db"));
    assert_eq!(config.storage.url, "sqlite:///var/lib/portcullis/portcullis.db");
    assert_eq!(config.storage.retention, Duration::from_secs(400 * 86_400));
    assert_eq!((config.server, config.log.format), (None, LogFormat::Text));
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let added = "state: data\nstorage: {url: \"sqlite://data/p.db\"}\nserver: {tokenFile: token, listen: \"[::1]:0\"}\n\
                 sinks: [{name: f, type: file, path: out}, {name: w, type: webhook, url: 'http://127.0.0.1:9/x', \
                 secretFile: key, caFile: ca.pem}]\n";
    let config = load(&format!("{MINIMAL}{added}"));
    let here = |path: &str| PathBuf::from("/etc/portcullis").join(path);
    assert_eq!((config.state.clone(), config.storage.path.clone()), (here("data"), here("data/p.db")));
    assert_eq!(config.server.unwrap().token, Some(Secret::File(here("token"))));
    let Sink::File(file) = &config.sinks[0] else { panic!() };
    let Sink::Webhook(webhook) = &config.sinks[1] else { panic!() };
    assert_eq!(file.path, here("out"));
    assert_eq!(webhook.secret, Some(Secret::File(here("key"))));
    assert_eq!(webhook.ca_file, Some(here("ca.pem")));
}

#[test]
fn a_word_that_yaml_takes_for_a_boolean_is_the_word_it_is() {
    let config = load(&format!(
        "{MINIMAL}rollout: {{probe: Off, default: {{demotion: Off, stages: [{{action: dryrun}}, {{action: deny}}]}}}}\n\
         notifications: [{{on: [hold], to: [f]}}]\nsinks: [{{name: f, type: file, path: out}}]\n"
    ));
    assert_eq!(config.rollout.probe, Probe::Off);
    assert_eq!(config.notifications.len(), 1);
}

#[test]
fn each_mistake_is_said_with_its_line_and_a_hint() {
    let bad: &[(&str, &[&str])] = &[
        (
            "audit: {shedule: '* * * * *'}",
            &[
                "5:9 PC0502 unknown field `shedule` (did you mean `schedule`? known: evaluationTimeout, excludeKinds, \
             onSync, pageSize, schedule, timezone, workers)",
            ],
        ),
        (
            "audit: {schedule: '*/15 * * * MOON', timezone: Europe/Berln}",
            &[
                "5:19 PC0503 the day of week field `MOON` is wrong: expected 0 to 7 (0 and 7 are Sunday), or SUN to SAT \
             (write a number, a range `1-5`, a list `1,15` or a step `*/10`)",
                "5:48 PC0503 unknown time zone `Europe/Berln` (did you mean `Europe/Berlin`?)",
            ],
        ),
        (
            "audit: {schedule: '0 0 31 2 *'}",
            &["5:19 PC0503 `0 0 31 2 *` never comes (choose a day that the month has)"],
        ),
        (
            "audit: {evaluationTimeout: 0s, workers: -1}",
            &[
                "5:28 PC0503 expected at least 1ms, found 0s (write `1ms` or more)",
                "5:41 PC0502 expected at least 0, found -1",
            ],
        ),
        (
            "apply: {timeout: 30, prune: {maxPercent: 101}}",
            &[
                "5:18 PC0502 expected a duration such as 30s, 5m or 14d, found 30 (write `30s` for 30 seconds)",
                "5:42 PC0502 expected at most 100, found 101",
            ],
        ),
        (
            "apply: {drift: correct}",
            &["5:16 PC0502 expected one of `Correct`, `Report`, found `correct` (did you mean `Correct`?)"],
        ),
        (
            "storage: {url: 'postgres://db/portcullis'}",
            &[
                "5:16 PC0510 `storage.url` with PostgreSQL is not supported yet (use sqlite://, or leave it out)",
            ],
        ),
        (
            "storage: {url: 'mysql://x', retention: 0s}",
            &[
                "5:16 PC0503 expected sqlite:// and a path (write `sqlite:///var/lib/portcullis/portcullis.db`, or leave \
             it out)",
                "5:40 PC0503 expected at least 1s, found 0s (write `1s` or more)",
            ],
        ),
        (
            "server: {listen: 'localhost', token: abc}",
            &[
                "5:18 PC0503 expected an address and a port, found `localhost` (write `127.0.0.1:8080`, or \
             `0.0.0.0:8080` to be reached from other machines)",
                "5:31 PC0505 unknown field `token` (a secret is never written here: use `tokenFile` or `tokenEnv`)",
            ],
        ),
        ("log: {format: logfmt}", &["5:15 PC0502 expected one of `text`, `json`, found `logfmt`"]),
        (
            "log: {level: warning}",
            &[
                "5:14 PC0502 expected one of `error`, `warn`, `info`, `debug`, `trace`, found `warning` (did you mean \
             `warn`?)",
            ],
        ),
        (
            "reports: [{name: r, to: [x]}, {name: r, to: [x]}]\nsinks: [{name: out, type: file, path: o}]",
            &[
                "5:26 PC0504 no sink is called `x` (known: out)",
                "5:38 PC0504 another report is called `r` (give each its own name)",
                "5:46 PC0504 no sink is called `x` (known: out)",
            ],
        ),
        (
            "sinks: [{name: a, type: webhook}, {name: a, type: file, url: 'http://h/'}]",
            &[
                "5:9 PC0504 the sink `a` has no URL (add `urlFile` or `urlEnv`, or `url` where the address is not secret)",
                "5:35 PC0504 the sink `a` has no folder (add `path`)",
                "5:42 PC0504 another sink is called `a` (give each its own name)",
                "5:62 PC0504 `url` means nothing to a sink of type `file` (remove it)",
            ],
        ),
        (
            "sinks: [{name: a, type: webhook, url: 'https://me:pw@h/'}, {name: b, type: webhook, url: 'ftp://h/'}]",
            &[
                "5:39 PC0505 the URL holds credentials (a secret is never written here: put the whole URL into a file \
             and use `urlFile`)",
                "5:90 PC0503 expected http:// or https://, found ftp: (write `https://host/path`)",
            ],
        ),
        (
            "sinks: [{name: y, type: file, path: 5}]",
            &[
                "5:16 PC0502 expected text, found true (put quotes around it: YAML reads y, yes, on, n, no and off as \
             true and false)",
                "5:37 PC0502 expected text, found 5 (put quotes around it)",
            ],
        ),
        (
            "sinks: [{name: a, type: webhook, secret: x, url: 'http://h/'}]",
            &[
                "5:34 PC0505 unknown field `secret` (a secret is never written here: use `secretFile` or `secretEnv`)",
            ],
        ),
        (
            "cluster: {name: b}",
            &["5:1 PC0501 the key `cluster` stands here and on line 3 column 1 (keep one of the two)"],
        ),
        (
            "---\nkind: Other",
            &["6:1 PC0501 expected one document, found another after `---` (remove what follows)"],
        ),
        (
            "rollout: {default: {stages: [{action: warn}, {action: deny}, {action: dryrun}]}}",
            &[
                "5:39 PC0503 the first stage is warn, expected dryrun (list dryrun first, then warn and deny or one of \
             them)",
                "5:71 PC0503 the stage dryrun comes after deny (list dryrun first, then warn and deny or one of them)",
            ],
        ),
        (
            "rollout: {default: {stages: [{action: dryrun, gate: {maxAuditAge: 10m}}, {action: dryrun}]}}",
            &[
                "5:67 PC0504 maxAuditAge 10m is shorter than the audit interval: up to 15m pass between two slots of \
             `*/15 * * * *` (write `15m` or more, or audit more often)",
                "5:83 PC0503 the stage dryrun is listed twice (list dryrun first, then warn and deny or one of them)",
            ],
        ),
        (
            "rollout: {default: {approval: BeforeDeny, windows: [{cron: '0 9 * * *', duration: 1h}], demotion: \
             {distinctOwners: 1, distinctNamespaces: 1, within: 1m, to: warn}, stages: [{action: dryrun, rings: \
             [All]}]}}",
            &[
                "5:31 PC0510 `rollout.default.approval` is not supported yet (remove it)",
                "5:52 PC0510 `rollout.default.windows` is not supported yet (remove it)",
                "5:99 PC0510 `rollout.default.demotion` is not supported yet (remove it)",
                "5:198 PC0510 `rollout.default.stages[].rings` is not supported yet (remove it)",
            ],
        ),
    ];
    for (added, expected) in bad {
        assert_eq!(problems(added), *expected, "{added}");
    }
}

#[test]
fn each_mistake_in_the_source_is_said_with_its_line_and_a_hint() {
    let branches = "keep one of branch, tag, semver and commit";
    let bad: &[(&str, &[&str])] = &[
        (
            "{url: 'https://me:hunter2@h/x'}",
            &[
                "4:15 PC0505 the URL holds credentials (remove them, and use `source.auth` with `tokenFile` or \
             `passwordFile`)",
            ],
        ),
        (
            "{url: 'ssh://git@h/x', auth: {sshKeyFile: k}}",
            &[
                "4:15 PC0510 `source.url` with ssh is not supported yet (use https:// with `source.auth`, or a local path)",
                "4:51 PC0510 `source.auth.sshKeyFile` is not supported yet (use `tokenFile`, or `username` and \
             `passwordFile`)",
            ],
        ),
        (
            "{url: 'git@github.com:org/x.git'}",
            &[
                "4:15 PC0510 `source.url` with ssh is not supported yet (use https:// with `source.auth`, or a local path)",
            ],
        ),
        (
            "{url: 'http://git.example.com/x'}",
            &[
                "4:15 PC0503 http:// neither encrypts nor authenticates: it is accepted for this machine only (use \
             https://)",
            ],
        ),
        (
            "{url: 'svn://h/x'}",
            &[
                "4:15 PC0503 expected https://, file:// or a path (write `https://host/path`, `file:///path`, or a path)",
            ],
        ),
        (
            "{url: x, branch: a, tag: v1}",
            &[
                &format!("4:34 PC0504 both `branch` and `tag` are given ({branches})"),
                "4:34 PC0510 `source.tag` is not supported yet (follow a `branch`)",
            ],
        ),
        (
            "{url: x, semver: '>=1'}",
            &["4:26 PC0510 `source.semver` is not supported yet (follow a `branch`)"],
        ),
        (
            "{url: x, branch: 'a b'}",
            &["4:26 PC0503 `a b` cannot be the name of a branch (write it as `git branch` shows it)"],
        ),
        (
            "{url: x, paths: ['../up', /abs]}",
            &[
                "4:26 PC0503 expected a folder in the repository, found `../up` (write it from the root of the \
             repository, such as `policies` or `clusters/prod`)",
                "4:35 PC0503 expected a folder in the repository, found `/abs` (write it from the root of the \
             repository, such as `policies` or `clusters/prod`)",
            ],
        ),
        (
            "{url: x, interval: 100ms}",
            &["4:28 PC0503 expected at least 1s, found 100ms (write `1s` or more)"],
        ),
        (
            "{url: x, limits: {fileSize: 1 megabyte, totalSize: 0B}}",
            &[
                "4:37 PC0502 expected a size such as 512KiB or 64MiB, found `1 megabyte`",
                "4:60 PC0503 expected more than 0 bytes (write a size such as `1MiB`)",
            ],
        ),
        (
            "{url: x, auth: {password: abc, username: u}}",
            &["4:25 PC0505 unknown field `password` (a secret is never written here: use `passwordFile` or \
             `passwordEnv`)"],
        ),
        (
            "{url: x, auth: {username: u}}",
            &["4:24 PC0504 a user name without a password (add `passwordFile`, or use `tokenFile` alone)"],
        ),
        (
            "{url: x, auth: {tokenFile: a, tokenEnv: B}}",
            &["4:49 PC0504 both `tokenFile` and `tokenEnv` are given (keep one of them)"],
        ),
        ("{branch: main}", &["4:9 PC0502 missing field `url`"]),
    ];
    for (source, expected) in bad {
        assert_eq!(source_problems(source), *expected, "{source}");
    }
}

#[test]
fn mistakes_in_every_section_are_said_at_once() {
    let text = "\
apiVersion: portcullis.dev/v2
kind: PortcullisConfig
cluster: {}
source: {branch: main}
audit: {timezone: Mars}
sinks: [{name: a, type: webhok}]
reports: [{name: r, to: [a], schedule: nope}]
";
    assert_eq!(
        lines(&load_with(text, &[]).unwrap_err()),
        [
            "1:13 PC0502 expected `portcullis.dev/v1alpha1`, found `portcullis.dev/v2` (did you mean \
             `portcullis.dev/v1alpha1`?)",
            "3:10 PC0510 a cluster without `directory` (`cluster.kubernetes`) is not supported yet (set \
             `cluster.directory`: a folder then stands for the cluster)",
            "4:9 PC0502 missing field `url`",
            "5:19 PC0503 unknown time zone `Mars` (write a name of the IANA database, such as UTC or Europe/Berlin)",
            "6:25 PC0502 expected one of `webhook`, `file`, `slack`, `teams`, `alertmanager`, `pagerduty`, found \
             `webhok` (did you mean `webhook`?)",
            "7:40 PC0503 expected five fields, or six with the seconds first, found 1 (write minute, hour, day of \
             month, month, day of week, such as `*/15 * * * *`)",
        ]
    );
    assert_eq!(
        lines(&load_with("", &[]).unwrap_err()),
        [
            "config.yaml PC0501 the configuration is empty (begin with `apiVersion: portcullis.dev/v1alpha1` and \
          `kind: PortcullisConfig`)"
        ]
    );
}

#[test]
fn variables_override_scalars_without_case() {
    let Loaded { config, notices } = load_with(
        &format!("{MINIMAL}audit: {{workers: 3}}\n"),
        &[
            ("PORTCULLIS__SOURCE__ALLOWREWRITE", "true"),
            ("PORTCULLIS__source__Limits__FileSize", "2MiB"),
            ("PORTCULLIS__AUDIT__WORKERS", "7"),
            ("PORTCULLIS__AUDIT__SCHEDULE", "0 * * * *"),
            ("PORTCULLIS__CLUSTER__NAME", "12"),
            ("PORTCULLIS__CLUSTER__LABELS__ENV", "prod"),
            ("PORTCULLIS__ROLLOUT__PROBE", "Off"),
            ("PORTCULLIS__STATE", "elsewhere"),
            ("PORTCULLIS_PORT", "tcp://10.0.0.1:80"),
            ("PORTCULLIS_SERVICE_HOST", "10.0.0.1"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert!(config.source.allow_rewrite);
    assert_eq!(config.source.limits.file_size, 2 << 20);
    assert_eq!((config.audit.workers, config.audit.schedule.expression()), (7, "0 * * * *"));
    assert_eq!((config.cluster.name.as_str(), config.cluster.labels["env"].as_str()), ("12", "prod"));
    assert_eq!(config.rollout.probe, Probe::Off);
    assert_eq!(config.state, Path::new("/etc/portcullis/elsewhere"));
    assert_eq!(notices, ["`rollout.probe` is accepted and has no effect yet (PORTCULLIS__ROLLOUT__PROBE)"]);
}

#[test]
fn a_variable_that_overrides_nothing_is_named() {
    let problems = load_with(
        MINIMAL,
        &[
            ("PORTCULLIS__SOURCE__BRANCHH", "x"),
            ("PORTCULLIS__SOURCE", "x"),
            ("PORTCULLIS__SOURCE__PATHS", "x"),
            ("PORTCULLIS__SINKS__0__URL", "x"),
            ("PORTCULLIS__AUDIT__WORKERS", "many"),
            ("PORTCULLIS__AUDIT__TIMEZONE", "Europe/Berln"),
            ("PORTCULLIS__STATE__FOLDER", "x"),
        ],
    )
    .unwrap_err();
    assert_eq!(
        lines(&problems),
        [
            "environment PC0502 PORTCULLIS__AUDIT__WORKERS: expected a whole number, found the text `many`",
            "environment PC0503 PORTCULLIS__AUDIT__TIMEZONE: unknown time zone `Europe/Berln` (did you mean \
             `Europe/Berlin`?)",
            "environment PC0506 PORTCULLIS__SINKS__0__URL: `sinks` is a list, and lists are not overridden (write it \
             in the file)",
            "environment PC0506 PORTCULLIS__SOURCE: `source` is a section, expected one of its keys (write \
             PORTCULLIS__SOURCE__KEY)",
            "environment PC0506 PORTCULLIS__SOURCE__BRANCHH matches no key of the configuration (did you mean \
             PORTCULLIS__SOURCE__BRANCH?)",
            "environment PC0506 PORTCULLIS__SOURCE__PATHS: `source.paths` is a list, and lists are not overridden \
             (write it in the file)",
            "environment PC0506 PORTCULLIS__STATE__FOLDER matches no key of the configuration (`state` has no keys)",
        ]
    );
}

#[test]
fn no_message_repeats_a_secret() {
    for text in [
        MINIMAL.replace("./policies", "'https://me:hunter2@h/x'"),
        MINIMAL.replace("./policies", "'https://hunter2@h/x'"),
        MINIMAL.replace("./policies", "'https://me:hunter2@h:port/x'"),
        format!("{MINIMAL}sinks: [{{name: a, type: webhook, url: 'https://me:hunter2@h/'}}]\n"),
        format!("{MINIMAL}sinks: [{{name: a, type: webhook, secret: hunter2, urlFile: u}}]\n"),
        format!("{MINIMAL}server: {{token: hunter2}}\n"),
    ] {
        let problems = load_with(&text, &[]).unwrap_err();
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn the_schema_in_the_documentation_is_the_one_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/config.schema.json");
    let printed = shape().schema_json();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == printed, "run `portcullis config schema > docs/schema/config.schema.json`");
}

#[test]
fn the_documentation_names_every_key() {
    let text = include_str!("../docs/configuration.md");
    let mut missing = Vec::new();
    let defs = shape().schema()["$defs"].as_object().unwrap();
    for definition in std::iter::once(shape().schema()).chain(defs.values()) {
        for key in definition["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
            if !text.contains(&format!("{key}`")) && !text.contains(&format!("`{key}")) {
                missing.push(key.clone());
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

mod command {
    //! The commands, as a person calls them.

    use super::MINIMAL;
    use crate::support::repo::TestRepo;

    /// The program with nothing of our own environment.
    fn portcullis() -> assert_cmd::Command {
        let mut command = assert_cmd::Command::cargo_bin("portcullis").unwrap();
        command.env_clear();
        command
    }

    fn check(folder: &std::path::Path, text: &str) -> (Option<i32>, String, String) {
        std::fs::write(folder.join("config.yaml"), text).unwrap();
        let output = portcullis()
            .args(["config", "check", "--config"])
            .arg(folder.join("config.yaml"))
            .output()
            .unwrap();
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder.display().to_string(), "…");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    #[test]
    fn check_lists_what_it_tried_and_what_failed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("cluster/objects")).unwrap();
        std::fs::write(folder.path().join("url"), "https://hooks.example.com/x\n").unwrap();
        let added = "state: state\nsinks:\n\
                     - {name: good, type: webhook, urlFile: url}\n\
                     - {name: bad, type: webhook, urlFile: url, secretFile: missing}\n";
        let (code, out, err) = check(folder.path(), &format!("{MINIMAL}{added}"));
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(out.contains("✓ cluster"), "{out}");
        assert!(out.contains("good has a valid URL, in the file …/url"), "{out}");
        assert!(out.contains("✗ sinks          cannot read the secret file …/missing"), "{out}");
        assert!(err.contains("failed"), "{err}");
        assert!(!folder.path().join("state").exists(), "a check changes nothing");
    }

    #[test]
    fn check_asks_the_remote_for_its_branch() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("cluster/objects")).unwrap();
        let repo = TestRepo::at(&folder.path().join("policies"));
        let head = repo.commit("first", &[("a.yaml", "{}")]);
        let text =
            format!("{MINIMAL}state: state\nlease: {{duration: 10s}}\nserver: {{listen: '127.0.0.1:0'}}\n");
        let (code, out, err) = check(folder.path(), &text);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains(&format!("…/./policies has the branch main, at {}", head.short())), "{out}");
        assert!(out.contains("· configuration  `lease` is accepted and has no effect yet"), "{out}");
        assert!(out.contains("✓ server         can listen on 127.0.0.1:0"), "{out}");
        assert!(!folder.path().join("state").exists(), "a check changes nothing");

        let (code, out, err) = check(folder.path(), &text.replace("policies}", "policies, branch: prod}"));
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(out.contains("✗ source") && out.contains("prod"), "{out}");
        assert!(err.contains("1 check failed"), "{err}");
    }

    #[test]
    fn check_prints_problems_with_place_code_and_hint() {
        let folder = tempfile::tempdir().unwrap();
        let (code, _, err) = check(folder.path(), &format!("{MINIMAL}audit: {{timezone: Berlin}}\n"));
        assert_eq!(code, Some(2));
        assert!(err.contains("PC0503"), "{err}");
        assert!(err.contains("config.yaml:5:19"), "{err}");
        assert!(err.contains("did you mean `Europe/Berlin`?"), "{err}");
        assert!(err.contains("audit: {timezone: Berlin}"), "{err}");
    }

    #[test]
    fn check_does_not_show_a_line_that_holds_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let text = MINIMAL.replace("{url: ./policies}", "{url: 'https://me:hunter2@h/x', interval: 5}");
        let (code, out, err) = check(folder.path(), &text);
        assert_eq!(code, Some(2));
        assert!(err.contains("the URL holds credentials") && err.contains("config.yaml:4:15"), "{err}");
        assert!(err.contains("expected a duration"), "{err}");
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{err}");
    }

    #[test]
    fn without_a_configuration_the_error_says_how_to_name_one() {
        let output = portcullis().args(["config", "check"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("give --config FILE, or set PORTCULLIS_CONFIG"), "{err}");
    }
}

mod server {
    //! The health routes, over a socket.

    use std::net::SocketAddr;

    use portcullis::edge::http::{HttpError, Part, Readiness, start};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use tokio_util::sync::CancellationToken;

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[tokio::test]
    async fn ready_means_the_first_sync_ended_and_the_store_answers() {
        let readiness = Readiness::new();
        let stop = CancellationToken::new();
        let server = start("127.0.0.1:0".parse().unwrap(), readiness.clone(), stop.clone()).await.unwrap();
        let address = server.address;
        assert_ne!(address.port(), 0);
        assert_eq!(get(address, "/healthz").await.0, 200);
        let (status, body) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(
            body,
            r#"{"reasons":["the first sync has not ended","the database has not answered"],"status":"not ready"}"#
        );
        readiness.ready(Part::Sync);
        assert_eq!(get(address, "/readyz").await.0, 503);
        readiness.ready(Part::Store);
        readiness.wait().await;
        assert_eq!(get(address, "/readyz").await.0, 200);
        readiness.not_ready(Part::Store, "the database is locked");
        let (status, body) = get(address, "/readyz").await;
        assert_eq!((status, body.contains("the database is locked")), (503, true));
        assert_eq!(get(address, "/metrics").await.0, 404);
        stop.cancel();
        server.wait().await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_an_error_that_names_it() {
        let stop = CancellationToken::new();
        let first = start("127.0.0.1:0".parse().unwrap(), Readiness::new(), stop.clone()).await.unwrap();
        let error = start(first.address, Readiness::new(), stop.clone()).await.unwrap_err();
        assert!(matches!(error, HttpError::Bind { address, .. } if address == first.address));
        stop.cancel();
        first.wait().await.unwrap();
    }
}
