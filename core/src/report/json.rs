//! The report as JSON, the form that others read.

use super::Report;

/// The report as indented JSON with a final line break; fields come in the order of the model.
pub fn render_json(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}

/// The JSON schema (draft 2020-12) of [`render_json`], as `docs/schema/report.schema.json` has it.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".to_owned(), "https://portcullis.dev/schema/report.schema.json".into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::{Report, render_json, schema};
    use crate::report::samples;

    const COMMITTED: &str = include_str!("../../../docs/schema/report.schema.json");

    #[test]
    fn the_committed_schema_is_the_one_of_the_model() {
        let committed: serde_json::Value = serde_json::from_str(COMMITTED).unwrap();
        assert!(
            committed == schema(),
            "the model changed: run `cargo test -p portcullis-core -- --ignored write_the_schema`"
        );
    }

    #[test]
    #[ignore = "writes docs/schema/report.schema.json"]
    #[allow(clippy::disallowed_methods)]
    fn write_the_schema() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/report.schema.json");
        std::fs::write(path, serde_json::to_string_pretty(&schema()).unwrap() + "\n").unwrap();
    }

    #[test]
    fn what_is_written_conforms_to_the_schema_and_reads_back() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for input in [samples::empty(), samples::realistic()] {
            let report = Report::build(input);
            let text = render_json(&report);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
            assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        }
    }

    #[test]
    fn a_small_report_as_json() {
        insta::assert_snapshot!(render_json(&Report::build(samples::realistic())));
    }
}
