//! Readers of single values: text in, typed value or the reason and the better text out.

use std::time::Duration;

use super::setting::Form;

/// Why a value cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What is wrong with it, as the end of a sentence that begins with the value.
    pub(crate) why: String,
    /// What was probably meant.
    pub(super) better: Option<String>,
    /// The page of `docs/findings.md`, where it has one of its own.
    pub(crate) id: Option<&'static str>,
}

impl Wrong {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), better: None, id: None }
    }

    pub(super) fn better(self, better: impl Into<String>) -> Self {
        Self { better: Some(better.into()), ..self }
    }

    pub(super) fn id(self, id: &'static str) -> Self {
        Self { id: Some(id), ..self }
    }
}

/// The items of a comma list, blanks cut, empty ones left out.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// One of the words of a [`Form::Words`], in any case.
pub(super) fn word_of(text: &str, form: Form) -> Result<&'static str, Wrong> {
    let Form::Words(words) = form else {
        unreachable!("only settings whose form is words are read as words");
    };
    word(text, words)
}

fn word(text: &str, words: &'static [&'static str]) -> Result<&'static str, Wrong> {
    if let Some(word) = words.iter().find(|word| text.eq_ignore_ascii_case(word)) {
        return Ok(word);
    }
    let wrong = Wrong::new(format!("is none of {}", words.join(", ")));
    let text = text.to_ascii_lowercase();
    let near = words.iter().filter(|word| distance(&text, word) <= WORD_DISTANCE_MAX);
    match near.min_by_key(|word| distance(&text, word)) {
        Some(word) => Err(wrong.better(*word)),
        None => Err(wrong),
    }
}

const WORD_DISTANCE_MAX: usize = 3;

/// on or off, in the words people use for it.
pub(super) fn switch(text: &str, _: Form) -> Result<bool, Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err(Wrong::new("is neither on nor off")),
    }
}

/// Seconds in the bounds of a [`Form::Seconds`], decimals allowed.
pub(super) fn seconds(text: &str, form: Form) -> Result<Duration, Wrong> {
    let Form::Seconds(least, most) = form else {
        unreachable!("only settings whose form is seconds are read as seconds");
    };
    let Some(span) = decimal_seconds(text) else {
        let wrong = Wrong::new(format!("is not a number of seconds from {least} to {most}"));
        return Err(match with_unit(text) {
            Some(seconds) => wrong.better(seconds.to_string()),
            None => wrong,
        });
    };
    let (least, most) = (u64::from(least), u64::from(most));
    if span < Duration::from_secs(least) {
        return Err(Wrong::new(format!("is less than {least} s")).better(least.to_string()));
    }
    if span > Duration::from_secs(most) {
        return Err(Wrong::new(format!("is more than {most} s")).better(most.to_string()));
    }
    Ok(span)
}

fn decimal_seconds(text: &str) -> Option<Duration> {
    // f64 reads "inf" and "1e9" too, which nobody means.
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// What "24h" would be in seconds, for the corrected line.
fn with_unit(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..unit_at].parse().ok()?;
    let unit = match text[unit_at..].trim() {
        "s" | "sec" | "seconds" => 1,
        "m" | "min" | "minutes" => 60,
        "h" | "hours" => 3600,
        "d" | "days" => 86_400,
        _ => return None,
    };
    count.checked_mul(unit)
}

/// How many letters two words are apart (Levenshtein; a swap of neighbours counts as one).
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_numbers_within_bounds_and_units_are_corrected() {
        let form = Form::Seconds(1, 86_400);
        assert_eq!(seconds("1", form), Ok(Duration::from_secs(1)));
        assert_eq!(seconds("2.5", form), Ok(Duration::from_millis(2500)));
        for (text, better) in [
            ("24h", Some("86400")),
            ("5 min", Some("300")),
            ("0", Some("1")),
            ("90000", Some("86400")),
            ("99999999999999999999999999", None),
            ("-1", None),
            ("inf", None),
            ("1e3", None),
            ("1.2.3", None),
            ("", None),
            ("99999999999999999999d", None),
            ("ü", None),
        ] {
            let wrong = seconds(text, form).expect_err(text);
            assert_eq!(wrong.better.as_deref(), better, "{text}");
        }
    }

    #[test]
    fn a_misspelt_word_is_told_the_nearest_one() {
        let words: &[&str] = &["development", "staging", "production"];
        assert_eq!(word("Production", words), Ok("production"));
        for (text, better) in
            [("prodution", Some("production")), ("stagign", Some("staging")), ("live", None)]
        {
            assert_eq!(word(text, words).expect_err(text).better.as_deref(), better);
        }
    }

    #[test]
    fn distance_counts_changes_and_swaps() {
        for (a, b, expected) in
            [("", "", 0), ("ab", "", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected);
        }
    }
}
