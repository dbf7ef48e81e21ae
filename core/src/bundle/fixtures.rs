//! Which files are fixtures of suites, found before anything else is read.

use std::collections::BTreeMap;

use super::{
    SourceFile,
    findings::Findings,
    read::{self, Raw, Sort},
    suites::{self, Role},
};
use crate::document::Limits;

/// Fixture files with the suite that names each.
pub(super) fn find(files: &[&SourceFile], limits: &Limits) -> BTreeMap<String, String> {
    let mut roles: BTreeMap<String, (Role, String)> = BTreeMap::new();
    for file in files {
        // Reading every file twice would cost as much as the rest: only what names the group is read here.
        if !contains(&file.bytes, b"test.gatekeeper.sh") {
            continue;
        }
        let mut unheard = Findings::default();
        for raw in read::documents(file, limits, &mut unheard) {
            if raw.sort() == Sort::Suite {
                for named in suites::named(&suites::suite(&raw)) {
                    let entry = roles.entry(named.path).or_insert_with(|| (named.role, place(&raw)));
                    if named.role < entry.0 {
                        *entry = (named.role, place(&raw));
                    }
                }
            }
        }
    }
    roles
        .into_iter()
        .filter(|(_, (role, _))| *role == Role::Fixture)
        .map(|(path, (_, suite))| (path, suite))
        .collect()
}

fn place(raw: &Raw) -> String {
    raw.location.file.clone()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
