//! Paths that suites write, taken from the suite's folder.

/// A path relative to the folder of a file, without `.` and `..`; one that leaves the root keeps its
/// leading `..`. An absolute path is taken from the folder too, as gator does.
pub(super) fn beside(file: &str, relative: &str) -> String {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let root = if file.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn paths_are_taken_from_the_folder() {
        assert_eq!(beside("a/b/suite.yaml", "samples/x.yaml"), "a/b/samples/x.yaml");
        assert_eq!(beside("a/b/suite.yaml", "../c/./x.yaml"), "a/c/x.yaml");
        assert_eq!(beside("suite.yaml", "x.yaml"), "x.yaml");
        assert_eq!(beside("suite.yaml", "../x.yaml"), "../x.yaml");
        assert_eq!(beside("../s/suite.yaml", "../../x.yaml"), "../../x.yaml");
        assert_eq!(beside("/p/suite.yaml", "/x.yaml"), "/p/x.yaml");
    }
}
