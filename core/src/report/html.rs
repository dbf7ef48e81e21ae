//! The report as one self-contained HTML file: no script, no external resource, light and dark, printable.

mod chart;
mod page;

use askama::Template;

use super::Report;

/// The report as HTML. Everything that comes from outside is escaped; a content security policy forbids scripts
/// and loading anything besides.
pub fn render_html(report: &Report) -> String {
    // Writing to a String fails only where a Display implementation does, and the page holds text alone.
    page::Page::new(report).render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::render_html;
    use crate::report::{Report, samples, samples_extreme};

    #[test]
    fn what_comes_from_outside_is_no_markup() {
        let html = render_html(&Report::build(samples_extreme::hostile()));
        assert!(!html.contains("<script"));
        assert!(!html.contains("</td></table><"));
        assert!(html.contains("&#60;script&#62;alert(1)"));
        assert_eq!(html.matches("<table").count(), html.matches("</table>").count());
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let html = render_html(&Report::build(samples::realistic()));
        for forbidden in ["src=", "<link", "<script", "@import", "url(", "href=\"http"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn headings_come_in_order_and_names_once() {
        let html = render_html(&Report::build(samples_extreme::incomplete()));
        let levels: Vec<u32> = html
            .match_indices("<h")
            .filter_map(|(at, _)| html.as_bytes().get(at + 2).copied())
            .filter(u8::is_ascii_digit)
            .map(|digit| u32::from(digit - b'0'))
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
        assert_eq!(levels[0], 1);
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        let mut ids: Vec<&str> =
            html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn every_finding_is_on_the_page() {
        let report = Report::build(samples_extreme::terrible());
        let html = render_html(&report);
        let texts: BTreeSet<&str> = html.split(['<', '>']).collect();
        for finding in &report.findings {
            let subject = &finding.finding.subject;
            assert!(texts.contains(format!("{}/{}", subject.namespace, subject.name).as_str()));
        }
    }
}
