//! The colours of the stylesheet, judged as WCAG 2.2 does (1.4.3 for text, 1.4.11 for controls),
//! by day and by night.

use std::collections::HashMap;

use crate::http::pages::asset::STYLE;

/// Text needs 4.5 to 1, what only has to be seen 3 to 1.
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;

/// Every pair of colours that the stylesheet puts together.
const PAIRS: &[(&str, &str, f64)] = &[
    ("ink", "paper", TEXT),
    ("ink", "sheet", TEXT),
    ("ink", "tag", TEXT),
    ("ink", "bad-wash", TEXT),
    ("soft", "paper", TEXT),
    ("soft", "sheet", TEXT),
    ("link", "paper", TEXT),
    ("link", "sheet", TEXT),
    ("act-ink", "act", TEXT),
    ("act-ink", "act-hover", TEXT),
    ("bad", "paper", TEXT),
    ("bad", "sheet", TEXT),
    ("bad", "bad-wash", TEXT),
    ("good", "good-wash", TEXT),
    ("edge", "paper", SHAPE),
    ("edge", "sheet", SHAPE),
    ("act", "paper", SHAPE),
    ("act", "sheet", SHAPE),
    ("focus", "paper", SHAPE),
    ("focus", "sheet", SHAPE),
    ("night-ink", "night", TEXT),
    ("night-ink", "dusk", TEXT),
    ("lamp", "night", TEXT),
    ("lamp", "dusk", TEXT),
];

#[test]
fn colours_have_the_contrast_that_people_need_by_day_and_by_night() {
    let css = std::str::from_utf8(STYLE).unwrap();
    let (_, rest) = css.split_once(":root {").unwrap();
    let (day, rest) = rest.split_once('}').unwrap();
    let (_, night) = rest.split_once(":root {").unwrap();
    let (night, _) = night.split_once('}').unwrap();
    let by_day = colours(day);
    let mut by_night = by_day.clone();
    by_night.extend(colours(night));
    for (scheme, palette) in [("day", by_day), ("night", by_night)] {
        for &(front, back, least) in PAIRS {
            let ratio = contrast(palette[front], palette[back]);
            assert!(ratio >= least, "{front} on {back} by {scheme} is {ratio:.2}, not {least}");
        }
    }
}

#[test]
fn every_colour_is_named_once_so_that_none_escapes_the_check() {
    let css = std::str::from_utf8(STYLE).unwrap();
    for (at, _) in css.match_indices('#') {
        let value: String = css[at + 1..].chars().take_while(char::is_ascii_hexdigit).collect();
        let named = css[..at].trim_end().ends_with(':')
            && css[..at].rsplit([';', '{', '\n']).next().unwrap().trim_start().starts_with("--");
        // White and black with transparency draw the stars, which carry no meaning.
        let is_star = matches!(value.len(), 4) && matches!(&value[..3], "fff" | "000");
        assert!(named || is_star, "#{value} is not in the palette");
    }
}

fn colours(block: &str) -> HashMap<&str, [u8; 3]> {
    let declarations = block.split(';').filter_map(|line| line.split_once(':'));
    declarations
        .filter_map(|(name, value)| {
            Some((name.trim().rsplit("--").next()?, colour(value.trim().strip_prefix('#')?)))
        })
        .collect()
}

fn colour(hex: &str) -> [u8; 3] {
    let digits: Vec<u8> =
        hex.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    match digits.as_slice() {
        [r, g, b] => [r * 17, g * 17, b * 17],
        [r, rr, g, gg, b, bb] => [r * 16 + rr, g * 16 + gg, b * 16 + bb],
        _ => panic!("#{hex} is not an opaque colour"),
    }
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: [u8; 3]) -> f64 {
    let [r, g, b] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[test]
fn the_ratio_is_the_one_of_the_standard() {
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    assert!((contrast([0x77; 3], [255; 3]) - 4.48).abs() < 0.01);
}
