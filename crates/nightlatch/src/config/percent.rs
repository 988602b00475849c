//! Percent-encoding (RFC 3986, 2.1), as far as URLs of databases need it.

/// Whether every `%` begins a code.
pub(crate) fn is_percent_encoded(text: &str) -> bool {
    let mut codes = text.split('%').skip(1);
    codes.all(|code| code.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()))
}

/// Decodes `%XX`; the text was checked before.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(hex, 16).ok());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
