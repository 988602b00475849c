//! A source file with its comments, its literals and its tests told apart.
//!
//! The rules look for words. Without this they would find them in comments and strings, and hold
//! tests to what only the product has to keep. Rust's lexical grammar is small enough for a
//! scanner of one page; a parser would cost every build a dependency and know no comments.

use std::ops::Range;

/// A tracked file.
pub(crate) struct Source {
    /// Its path from the root of the repository.
    pub(crate) path: String,
    /// What it says; empty if it is not text.
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked. Same length, same lines.
    pub(crate) code: String,
    /// The text with comments alone blanked.
    pub(crate) literals: String,
    /// The comments alone.
    pub(crate) comments: String,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, literals, comments) = if is_rust(path) {
            split(text)
        } else {
            (text.to_owned(), text.to_owned(), text.to_owned())
        };
        let tests = if !is_rust(path) {
            Vec::new()
        } else if is_test_path(path) {
            std::iter::once(0..text.len()).collect()
        } else {
            test_items(&code)
        };
        Self { path: path.to_owned(), text: text.to_owned(), code, literals, comments, tests }
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether the whole file is a test.
    pub(crate) fn is_test(&self) -> bool {
        self.tests.first().is_some_and(|test| *test == (0..self.text.len()))
    }

    /// Says that the whole file is a test: its parent declares it as one.
    pub(crate) fn declare_test(&mut self) {
        self.tests = std::iter::once(0..self.text.len()).collect();
    }

    /// The paths, without `.rs`, of the modules in other files that this one declares as tests.
    pub(crate) fn declared_tests(&self) -> Vec<String> {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let directory = match stem.rsplit_once('/') {
            Some((directory, "lib" | "main")) => directory,
            _ => stem,
        };
        let declared = self.tests.iter().filter_map(|item| {
            let item = self.code[item.clone()].strip_suffix(';')?;
            item.rsplit_once("mod ").map(|(_, name)| format!("{directory}/{}", name.trim()))
        });
        declared.collect()
    }

    /// Whether the byte at `offset` belongs to a test.
    pub(crate) fn in_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The number of the line with the byte at `offset`, from 1.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// How many lines there are outside tests.
    pub(crate) fn lines_outside_tests(&self) -> usize {
        let inside: usize =
            self.tests.iter().map(|range| self.text[range.clone()].lines().count()).sum();
        self.text.lines().count().saturating_sub(inside)
    }
}

/// The offsets at which `word` stands alone in `code`.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).map(|before| code.as_bytes()[before]);
        let after = code.as_bytes().get(at + word.len()).copied();
        !before.is_some_and(is_word_byte) && !after.is_some_and(is_word_byte)
    })
}

/// The offset just after the bracket that closes the one at `open`; the end if none does.
pub(crate) fn after_closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The offset of the `{` or `;` that ends an item's head beginning at `from`.
pub(crate) fn end_of_head(code: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'{' | b';' => return Some(at),
            b'(' | b'[' => at = after_closing(code, at),
            _ => at += 1,
        }
    }
    None
}

pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_rust(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "rs")
}

fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let file = parts.next().unwrap_or_default();
    file == "tests.rs" || parts.any(|directory| directory == "tests" || directory == "benches")
}

/// The items that are compiled for tests alone, attribute included.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for attribute in TEST_ATTRIBUTES {
        for (start, _) in code.match_indices(attribute) {
            let Some(head_end) = end_of_head(code, start + attribute.len()) else { continue };
            let end = match code.as_bytes()[head_end] {
                b'{' => after_closing(code, head_end),
                _ => head_end + 1,
            };
            items.push(start..end);
        }
    }
    // An item inside another would be counted twice.
    items.sort_by_key(|item| (item.start, std::cmp::Reverse(item.end)));
    let mut outer: Vec<Range<usize>> = Vec::new();
    for item in items {
        if outer.last().is_none_or(|last| item.start >= last.end) {
            outer.push(item);
        }
    }
    outer
}

const TEST_ATTRIBUTES: &[&str] = &["#[cfg(test)]", "#[cfg(all(test", "#[test]", "#[tokio::test"];

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// The text thrice: code alone, code and literals, comments alone.
fn split(text: &str) -> (String, String, String) {
    let parts = parts(text.as_bytes());
    let keep = |wanted: &[Part]| {
        let bytes: Vec<u8> = text
            .bytes()
            .zip(&parts)
            .map(|(byte, part)| if byte == b'\n' || wanted.contains(part) { byte } else { b' ' })
            .collect();
        String::from_utf8(bytes).expect("characters are blanked whole")
    };
    (keep(&[Part::Code]), keep(&[Part::Code, Part::Literal]), keep(&[Part::Comment]))
}

/// What every byte belongs to. The quotes of a literal are code, what is between them is not.
fn parts(text: &[u8]) -> Vec<Part> {
    let mut parts = vec![Part::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let after_word = at > 0 && is_word_byte(text[at - 1]);
        let (part, inside) = if rest.starts_with(b"//") {
            (Part::Comment, at..at + line_length(rest))
        } else if rest.starts_with(b"/*") {
            (Part::Comment, at..at + block_comment_length(rest))
        } else if rest[0] == b'"' {
            (Part::Literal, at + 1..at + string_length(rest) - 1)
        } else if let Some((head, tail)) = raw_string(rest).filter(|_| !after_word) {
            (Part::Literal, at + head..at + tail)
        } else if rest[0] == b'\'' {
            let length = char_length(rest);
            (Part::Literal, at + 1..at + length.max(2) - 1)
        } else {
            at += 1;
            continue;
        };
        let end = inside.end.min(text.len());
        parts[inside.start.min(end)..end].fill(part);
        // Past the closing quote; of a raw string its hashes follow as code.
        at = if part == Part::Comment { end } else { end + 1 };
    }
    parts
}

fn line_length(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())
}

fn block_comment_length(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len() + 1
}

/// Where the inside of the raw string that `text` begins with starts and ends.
fn raw_string(text: &[u8]) -> Option<(usize, usize)> {
    let prefix = [&b"r"[..], b"br", b"cr"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let hashes = text[prefix.len()..].iter().take_while(|byte| **byte == b'#').count();
    let head = prefix.len() + hashes + 1;
    if text.get(head - 1) != Some(&b'"') {
        return None;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let inside = text[head..].windows(closing.len()).position(|window| window == closing);
    Some((head, inside.map_or(text.len(), |inside| head + inside)))
}

/// The length of the character literal that `text` begins with; 1 if it is a lifetime.
fn char_length(text: &[u8]) -> usize {
    match text {
        [_, b'\\', _, rest @ ..] => {
            rest.iter().position(|byte| *byte == b'\'').map_or(1, |at| at + 4)
        }
        // A character takes at most four bytes.
        [_, first, rest @ ..] if *first != b'\'' => {
            let width = rest.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
            if rest.get(width) == Some(&b'\'') { width + 3 } else { 1 }
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let cases = [
            ("a // b\nc", "a     \nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e", "a                   e"),
            (r#"f("x // y", z)"#, r#"f("      ", z)"#, r#"f("x // y", z)"#),
            (r#""a\"b" c"#, r#""    " c"#, r#""a\"b" c"#),
            (r##"r#"a"b"# c"##, r##"r#"   "# c"##, r##"r#"a"b"# c"##),
            (r#"b"x" y"#, r#"b" " y"#, r#"b"x" y"#),
            ("'\"' x", "' ' x", "'\"' x"),
            ("'\\'' x", "'  ' x", "'\\'' x"),
            ("'\\u{1F600}' x", "'         ' x", "'\\u{1F600}' x"),
            ("'ä' x", "'  ' x", "'ä' x"),
            ("&'a str", "&'a str", "&'a str"),
            ("<'a, 'b>", "<'a, 'b>", "<'a, 'b>"),
            ("r#type: var\"", "r#type: var\"", "r#type: var\""),
            ("\"open", "\"    ", "\"open"),
        ];
        for (text, code, literals) in cases {
            let source = Source::new("a.rs", text);
            assert_eq!(source.code, code, "code of {text}");
            assert_eq!(source.literals, literals, "literals of {text}");
        }
        assert_eq!(Source::new("a.rs", "a // b").comments, "  // b");
    }

    #[test]
    fn tests_are_told_from_the_rest() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("src/a.rs", text);
        let at = |word: &str| text.find(word).expect("the word is there");
        assert!(!source.in_test(at("fn a")));
        assert!(source.in_test(at("fn b")));
        assert!(!source.in_test(at("fn c")));
        assert_eq!(source.lines_outside_tests(), 2);
        assert_eq!(source.line_of(at("fn c")), 7);
        for path in ["crates/a/tests/it/main.rs", "crates/a/src/b/tests.rs"] {
            assert!(Source::new(path, text).in_test(0), "{path}");
        }
        let declared = "#[cfg(test)]\npub(crate) mod wire;\nfn a() {}\n";
        let source = Source::new("src/a.rs", declared);
        assert_eq!(source.lines_outside_tests(), 1);
        assert_eq!(source.declared_tests(), ["src/a/wire"]);
        assert_eq!(Source::new("src/lib.rs", declared).declared_tests(), ["src/wire"]);
    }

    #[test]
    fn a_word_is_found_only_where_it_stands_alone() {
        let found: Vec<usize> = words("tokio::a tokio_util my_tokio (tokio)", "tokio").collect();
        assert_eq!(found, [0, 30]);
    }

    #[test]
    fn an_item_ends_where_its_bracket_closes() {
        let code = "fn a(b: [u8; 2]) -> C { { } } fn";
        let open = end_of_head(code, 0).expect("it has a body");
        assert_eq!(&code[open..after_closing(code, open)], "{ { } }");
    }
}
