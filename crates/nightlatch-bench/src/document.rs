//! The document that keeps the results: what stands between its markers is written anew.

use std::path::Path;

use anyhow::Context;

const BEGIN: &str = "<!-- results: begin -->\n";
const END: &str = "<!-- results: end -->";

/// Puts `results` between the markers of a document.
pub(crate) fn write(path: &Path, results: &str) -> anyhow::Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
    let text = replaced(&text, results).with_context(|| format!("{name} has no markers"))?;
    std::fs::write(path, text).with_context(|| format!("writing {name}"))
}

fn replaced(document: &str, results: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", results.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let old = format!("a\n{BEGIN}old\n{END}\nb\n");
        let new = replaced(&old, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n\n{END}\nb\n"));
        assert_eq!(replaced(&new, "new").unwrap(), new);
        assert_eq!(replaced("a\nb\n", "new"), None);
    }
}
