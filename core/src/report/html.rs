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
