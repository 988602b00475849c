//! YAML as far as compose files need it: scalars, lists and maps, each with its line.
//!
//! Nothing is copied for an alias, and everything is counted, since ten lines of aliases can stand for
//! billions of values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use nightlatch_core::Secret;
use saphyr_parser::{Event, Parser, Tag};

/// How deep, how long and how referential a file may be.
const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 50_000;
const ALIASES_MAX: usize = 500;

/// A value, and where it begins.
pub(super) struct Node {
    pub(super) line: usize,
    kind: Kind,
}

enum Kind {
    Scalar(Secret<String>),
    List(Vec<Rc<Node>>),
    Map(Vec<(String, Rc<Node>)>),
}

/// The first document. `None`: it is no YAML, or it goes beyond what can be judged here.
pub(super) fn parse(text: &str) -> Option<Rc<Node>> {
    let mut builder = Builder::default();
    // Bounded by the text and by what the builder takes.
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        if let Some(root) = builder.take(event, span.start.line()).ok()? {
            return Some(root);
        }
    }
    None
}

impl Node {
    /// The value of a key, its own before one that `<<` merges in.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        let find = |key: &str| entries.iter().rev().find(|(name, _)| name == key);
        if let Some((_, value)) = find(key) {
            return Some(value);
        }
        let (_, merged) = find(MERGE)?;
        match &merged.kind {
            Kind::List(items) => items.iter().find_map(|item| item.own(key)),
            Kind::Scalar(_) | Kind::Map(_) => merged.own(key),
        }
    }

    /// Without what is merged in there, too.
    fn own(&self, key: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    pub(super) fn text(&self) -> Option<&Secret<String>> {
        match &self.kind {
            Kind::Scalar(text) => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Rc<Self>]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar(_) | Kind::Map(_) => None,
        }
    }

    /// Names and values, with those that are merged in before them.
    pub(super) fn entries(&self) -> Vec<(&str, &Self)> {
        let Kind::Map(entries) = &self.kind else { return Vec::new() };
        let merged = entries.iter().filter(|(name, _)| name == MERGE);
        let merged = merged.flat_map(|(_, node)| match &node.kind {
            Kind::List(items) => items.iter().rev().flat_map(|item| item.own_entries()).collect(),
            Kind::Scalar(_) | Kind::Map(_) => node.own_entries().iter().collect::<Vec<_>>(),
        });
        let own = entries.iter().filter(|(name, _)| name != MERGE);
        merged.chain(own).map(|(name, node)| (name.as_str(), &**node)).collect()
    }

    fn own_entries(&self) -> &[(String, Rc<Self>)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }
}

/// The key whose value is merged into the map.
const MERGE: &str = "<<";

/// A list or map that has not ended.
struct Open {
    line: usize,
    anchor: usize,
    kind: Kind,
    key: Option<String>,
}

/// Nothing can be made of the file.
struct Unfit;

/// Puts events together.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    nodes: usize,
    aliases: usize,
}

impl Builder {
    /// Takes an event; the root, once it is whole.
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<Option<Rc<Node>>, Unfit> {
        let whole = match event {
            Event::Scalar(text, _, anchor, tag) => {
                refuse_of_compose(tag)?;
                let kind = Kind::Scalar(Secret::new(text.into_owned()));
                self.whole(line, anchor, kind)?
            }
            Event::Alias(anchor) => {
                self.aliases += 1;
                let known = self.anchors.get(&anchor).filter(|_| self.aliases <= ALIASES_MAX);
                known.ok_or(Unfit)?.clone()
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_of_compose(tag)?;
                return self.begin(line, anchor, Kind::List(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                refuse_of_compose(tag)?;
                return self.begin(line, anchor, Kind::Map(Vec::new()));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { line, anchor, kind, .. } = self.open.pop().ok_or(Unfit)?;
                self.whole(line, anchor, kind)?
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return Ok(None),
        };
        self.add(whole)
    }

    fn begin(&mut self, line: usize, anchor: usize, kind: Kind) -> Result<Option<Rc<Node>>, Unfit> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Unfit);
        }
        self.open.push(Open { line, anchor, kind, key: None });
        Ok(None)
    }

    fn whole(&mut self, line: usize, anchor: usize, kind: Kind) -> Result<Rc<Node>, Unfit> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Unfit);
        }
        let node = Rc::new(Node { line, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Puts it into what is open; the node itself, if nothing is.
    fn add(&mut self, node: Rc<Node>) -> Result<Option<Rc<Node>>, Unfit> {
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        match (&mut open.kind, open.key.take()) {
            (Kind::List(items), _) => items.push(node),
            (Kind::Map(entries), Some(key)) => entries.push((key, node)),
            (Kind::Map(_), None) => {
                open.key = Some(node.text().ok_or(Unfit)?.expose().clone());
            }
            (Kind::Scalar(_), _) => return Err(Unfit),
        }
        Ok(None)
    }
}

/// `!reset` and `!override` change how files are merged: what comes out is not known here.
fn refuse_of_compose(tag: Option<Cow<'_, Tag>>) -> Result<(), Unfit> {
    let is_known = |tag: &Tag| ["reset", "override"].contains(&tag.suffix.as_str());
    if tag.is_some_and(|tag| is_known(&tag)) { Err(Unfit) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_with_their_lines() {
        let text = "x: &x\n  a: 1\n  b: [2, 'three']\ny:\n  <<: *x\n  a: 4\nz: *x\n";
        let root = parse(text).expect("it is YAML");
        let y = root.get("y").expect("it is there");
        let text = |node: &Node| node.text().map(|text| text.expose().clone());
        assert_eq!(y.get("a").and_then(text).as_deref(), Some("4"));
        assert_eq!(y.get("b").map(|b| b.line), Some(3));
        let items = y.get("b").and_then(Node::items).expect("a list");
        assert_eq!(text(&items[1]).as_deref(), Some("three"));
        let names: Vec<_> = y.entries().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert!(root.get("z").is_some_and(|z| z.get("a").is_some()));
    }

    #[test]
    fn what_goes_too_far_is_left_alone() {
        for text in [
            "[".repeat(10_000),
            "{a: ".repeat(300),
            "- ".repeat(10_000),
            format!("[{}]", "a,".repeat(NODES_MAX)),
            format!("a: &a b\nc: [{}]", "*a,".repeat(ALIASES_MAX + 1)),
            "a: !reset []\n".to_owned(),
            "a: [\n".to_owned(),
            "a: b: c\n".to_owned(),
            "*a".to_owned(),
            String::new(),
        ] {
            assert!(parse(&text).is_none(), "{text:.40}");
        }
        // Each line doubles what it stands for.
        let line = |n: usize| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1);
        let bomb = (1..100).map(line).collect::<Vec<_>>().concat();
        assert!(parse(&format!("a0: &a0 x\n{bomb}")).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s)[ -~\n\t\\PC]{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_looks_like_yaml_is_read_without_a_panic(
            text in "([ ]{0,4}[a-c\\-?:&*!|>'\"#%@`{}\\[\\],]{1,6}( |\n|: )){0,40}",
        ) {
            let _ = parse(&text);
        }
    }
}
