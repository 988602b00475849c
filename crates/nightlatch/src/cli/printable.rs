//! Text from outside, fit for a terminal.
//!
//! A name that holds a line break must not look like two rows, and none may drive the terminal of
//! the operator who lists it.

use std::borrow::Cow;

use crate::telemetry::is_dangerous;

/// The text with everything escaped that breaks lines, drives terminals or turns the order of
/// what is read.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_play_with_a_terminal_is_escaped_and_the_rest_is_not() {
        assert_eq!(printable("Ünal \u{4e2d}'s"), "Ünal \u{4e2d}'s");
        assert_eq!(printable("a\x1b[2J\nb\u{202e}"), "a\\u{1b}[2J\\nb\\u{202e}");
    }
}
