//! The documents that keep the results: what stands between its markers is written anew.

use std::path::Path;

use anyhow::Context;

/// Puts `results` between the markers of a document that are called so.
pub(crate) fn write(path: &Path, called: &str, results: &str) -> anyhow::Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {name}"))?;
    let text = replaced(&text, called, results)
        .with_context(|| format!("{name} has no markers `{called}`"))?;
    std::fs::write(path, text).with_context(|| format!("writing {name}"))
}

fn replaced(document: &str, called: &str, results: &str) -> Option<String> {
    let begin = format!("<!-- {called}: begin -->\n");
    let end = format!("<!-- {called}: end -->");
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", results.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let block = |inner: &str| {
            format!(
                "a\n<!-- scale: begin -->\n{inner}<!-- scale: end -->\nb <!-- results: begin -->\n"
            )
        };
        let new = replaced(&block("old\n"), "scale", "new\n").unwrap();
        assert_eq!(new, block("\nnew\n\n"));
        assert_eq!(replaced(&new, "scale", "new").unwrap(), new);
        assert_eq!(replaced(&new, "results", "new"), None);
    }
}
