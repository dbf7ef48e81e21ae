//! Small changes to a Rego text, and the way back to the places of the text as written.

/// One change: `remove` bytes at byte offset `at` make way for `insert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub at: usize,
    pub remove: usize,
    pub insert: String,
    /// Whether the insertion belongs to what ends at its place.
    pub closes: bool,
}

impl Edit {
    /// Puts a text in at a byte offset.
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { at, remove: 0, insert: text.into(), closes: false }
    }

    /// Puts a text behind what ends at a byte offset.
    pub fn close(at: usize, text: impl Into<String>) -> Self {
        Self { at, remove: 0, insert: text.into(), closes: true }
    }

    /// Whether the change is within a range of bytes.
    pub fn is_within(&self, range: &std::ops::Range<usize>) -> bool {
        if self.closes { range.start < self.at && self.at <= range.end } else { range.contains(&self.at) }
    }

    /// Replaces bytes.
    pub fn replace(at: usize, remove: usize, text: impl Into<String>) -> Self {
        Self { at, remove, insert: text.into(), closes: false }
    }
}

/// A text and the changed one.
#[derive(Clone, Debug)]
pub(super) struct Edited {
    original: String,
    /// The text after all changes.
    pub text: String,
    edits: Vec<Edit>,
}

impl Edited {
    /// Applies changes, which must not overlap; of those at one place, the first given comes first.
    pub fn new(original: &str, mut edits: Vec<Edit>) -> Self {
        edits.sort_by_key(|edit| (edit.at, !edit.closes));
        let mut text = String::with_capacity(original.len());
        let mut at = 0;
        for edit in &edits {
            text.push_str(original.get(at..edit.at).unwrap_or_default());
            text.push_str(&edit.insert);
            at = at.max(edit.at + edit.remove);
        }
        text.push_str(original.get(at..).unwrap_or_default());
        Self { original: original.to_owned(), text, edits }
    }

    /// The place in the original, line and column in characters from 1, of a place in the changed text,
    /// whose columns count a tab as four as the engine does.
    pub fn original_place(&self, line: u32, engine_column: u32) -> (u32, u32) {
        let Some((start, changed_line)) = line_at(&self.text, line) else { return (line, engine_column) };
        let mut column = 1;
        let mut offset = start;
        for c in changed_line.chars() {
            if column >= engine_column {
                break;
            }
            column += if c == '\t' { 4 } else { 1 };
            offset += c.len_utf8();
        }
        place_of(&self.original, self.original_offset(offset))
    }

    /// The byte offset in the original of a byte offset in the changed text.
    pub fn original_offset(&self, offset: usize) -> usize {
        let mut shift: isize = 0;
        for edit in &self.edits {
            let begin = edit.at.saturating_add_signed(shift);
            if offset < begin {
                break;
            }
            if offset < begin + edit.insert.len() {
                return edit.at;
            }
            shift += isize::try_from(edit.insert.len()).unwrap_or_default()
                - isize::try_from(edit.remove).unwrap_or_default();
        }
        offset.saturating_add_signed(-shift)
    }
}

/// Line and column, in characters from 1, of a byte offset.
pub(super) fn place_of(text: &str, offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Byte offset and text of a line, counted from 1.
fn line_at(text: &str, line: u32) -> Option<(usize, &str)> {
    let mut start = 0;
    for (index, content) in text.split_inclusive('\n').enumerate() {
        if index + 1 == line as usize {
            return Some((start, content));
        }
        start += content.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Edit, Edited};

    #[test]
    fn finds_the_way_back() {
        let original = "package é.b\n\tx := [1]\n\t[y] = z\n";
        let edited = Edited::new(
            original,
            vec![
                Edit::replace(8, 4, "template"),
                Edit::insert(original.find("[y]").unwrap(), "; "),
                Edit::insert(original.find("z\n").unwrap(), "\n("),
            ],
        );
        assert_eq!(edited.text, "package template\n\tx := [1]\n\t; [y] = \n(z\n");
        for (engine, place) in
            [((1, 9), (1, 9)), ((2, 5), (2, 2)), ((3, 7), (3, 2)), ((3, 8), (3, 3)), ((4, 2), (3, 8))]
        {
            assert_eq!(edited.original_place(engine.0, engine.1), place, "{engine:?}");
        }
    }
}
