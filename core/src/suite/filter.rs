//! Which tests and cases are run: gator's `--run`.

use regex::Regex;

use super::{assertion::go_regex, read::Test};

/// A choice of tests and cases by their names.
#[derive(Clone, Debug, Default)]
pub struct Filter(Rule);

#[derive(Clone, Debug, Default)]
enum Rule {
    #[default]
    All,
    /// The name of the test or of the case.
    Either(Regex),
    /// The name of the test and that of the case.
    Both(Regex, Regex),
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// More than one `//`.
    #[error("expected at most one `//` between the names of tests and of cases, found {0}")]
    Parts(usize),
    /// A part is no regular expression.
    #[error("`{pattern}` is not a regular expression")]
    Regex {
        /// The part.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
}

impl Filter {
    /// Reads a filter: `TESTS//CASES` takes cases that match within tests that match, an expression
    /// without `//` whatever matches by the name of the test or of the case; the empty text takes all.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let regex = |pattern: &str| {
            go_regex(pattern).map_err(|source| FilterError::Regex { pattern: pattern.to_owned(), source })
        };
        let parts: Vec<&str> = text.split("//").collect();
        Ok(Self(match parts.as_slice() {
            [""] => Rule::All,
            [either] => Rule::Either(regex(either)?),
            [of_test, of_case] => Rule::Both(regex(of_test)?, regex(of_case)?),
            more => return Err(FilterError::Parts(more.len() - 1)),
        }))
    }

    pub(super) fn takes_test(&self, test: &Test) -> bool {
        match &self.0 {
            Rule::All => true,
            Rule::Either(regex) => {
                regex.is_match(&test.name) || test.cases.iter().any(|case| regex.is_match(&case.name))
            }
            Rule::Both(regex, _) => regex.is_match(&test.name),
        }
    }

    pub(super) fn takes_case(&self, test: &str, case: &str) -> bool {
        match &self.0 {
            Rule::All => true,
            Rule::Either(regex) => regex.is_match(test) || regex.is_match(case),
            Rule::Both(of_test, of_case) => of_test.is_match(test) && of_case.is_match(case),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, FilterError};

    #[test]
    fn names_of_tests_and_cases_choose() {
        let takes = |filter: &str| {
            let filter = Filter::parse(filter).unwrap();
            [("labels", "missing"), ("labels", "there"), ("limits", "missing")]
                .map(|(test, case)| filter.takes_case(test, case))
        };
        assert_eq!(takes(""), [true, true, true]);
        assert_eq!(takes("missing"), [true, false, true]);
        assert_eq!(takes("^labels$"), [true, true, false]);
        assert_eq!(takes("lab//mis"), [true, false, false]);
        assert_eq!(takes("//there"), [false, true, false]);
        assert_eq!(takes("limits//"), [false, false, true]);
    }

    #[test]
    fn broken_filters_are_refused() {
        assert_eq!(Filter::parse("a//b//c").unwrap_err(), FilterError::Parts(2));
        assert!(
            matches!(Filter::parse("a//(").unwrap_err(), FilterError::Regex { pattern, .. } if pattern == "(")
        );
    }
}
