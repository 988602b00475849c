//! What is pasted around a Redis URL: quotes, a name, a command, blanks.
//!
//! Told apart for the server, which says what was meant, and for doctor, which corrects the line.

/// What stands around a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Blanks,
    Quotes,
    /// Some readers take these off.
    Backticks,
    Name,
    Command,
}

impl Wrapping {
    /// As the end of a sentence that begins with the value.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Blanks => "has blanks around it",
            Self::Quotes | Self::Backticks => "stands in quotes",
            Self::Name => "begins with its own name",
            Self::Command => "is a command",
        }
    }

    /// The finding that it is.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Blanks => "value-padded",
            Self::Quotes | Self::Backticks => "value-quoted",
            Self::Name => "value-prefixed",
            Self::Command => "value-command",
        }
    }
}

/// How many layers are taken off.
const LAYERS_MAX: usize = 5;

/// All that stands around a URL, the outermost first, and what is left.
pub(crate) fn unwrapped(text: &str) -> (Vec<Wrapping>, &str) {
    let (mut layers, mut bare) = (Vec::new(), text);
    while layers.len() < LAYERS_MAX
        && let Some((layer, inner)) = outermost(bare)
    {
        layers.push(layer);
        bare = inner;
    }
    (layers, bare)
}

fn outermost(text: &str) -> Option<(Wrapping, &str)> {
    const QUOTES: [(char, char); 5] =
        [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('`', '`')];
    let bare = text.trim();
    if bare.len() < text.len() {
        return Some((Wrapping::Blanks, bare));
    }
    let quoted = QUOTES.iter().find_map(|(open, close)| {
        let inner = bare.strip_prefix(*open)?.strip_suffix(*close)?;
        Some((if *open == '`' { Wrapping::Backticks } else { Wrapping::Quotes }, inner))
    });
    quoted
        .or_else(|| after_name(bare).map(|rest| (Wrapping::Name, rest)))
        .or_else(|| within_command(bare).map(|url| (Wrapping::Command, url)))
        .map(|(layer, inner)| (layer, inner.trim()))
}

fn after_name(text: &str) -> Option<&str> {
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    let (name, rest) = text.split_once(['=', ':'])?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let is_url = rest.trim_start_matches(['"', '\'', ' ']).contains("://");
    (is_name && is_url && !rest.trim().contains(' ')).then_some(rest)
}

fn within_command(text: &str) -> Option<&str> {
    let is_client = |word: &str| word.ends_with("redis-cli") || word.ends_with("valkey-cli");
    let is_url = |word: &&str| word.contains("redis://") || word.contains("rediss://");
    if !text.split_whitespace().any(is_client) {
        return None;
    }
    text.split_whitespace().find(is_url).map(|url| url.trim_matches(['"', '\'']))
}
