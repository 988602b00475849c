//! Prose of the document: paragraphs with `code` and **weight** in them, the part of `CommonMark` that it uses.

/// A piece of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Plain(String),
    Code(String),
    Strong(String),
}

/// A sentence, or some.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<Piece>);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut pieces = Vec::new();
        for (at, part) in text.split('`').enumerate() {
            if at % 2 == 1 {
                pieces.push(Piece::Code(part.to_owned()));
                continue;
            }
            for (at, part) in part.split("**").enumerate().filter(|(_, part)| !part.is_empty()) {
                let part = part.replace('\n', " ");
                pieces.push(if at % 2 == 1 { Piece::Strong(part) } else { Piece::Plain(part) });
            }
        }
        Self(pieces)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What blank lines set apart.
pub(super) fn paragraphs(text: &str) -> Vec<Words> {
    text.split("\n\n").filter(|part| !part.trim().is_empty()).map(Words::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_weight_are_told_apart_from_prose() {
        let words = paragraphs("Send `a**b` now.\n\n**Never** twice,\nplease.");
        let plain = |text: &str| Piece::Plain(text.to_owned());
        let first = vec![plain("Send "), Piece::Code("a**b".to_owned()), plain(" now.")];
        let second = vec![Piece::Strong("Never".to_owned()), plain(" twice, please.")];
        assert_eq!(words, [Words(first), Words(second)]);
        assert!(Words::of("").is_empty());
    }
}
