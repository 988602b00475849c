//! Every page with friendly and with hostile content: escaping, size, and what people with a
//! keyboard, a screen reader or a password manager rely on.

use std::time::Duration;

use nightlatch_core::Timestamp;

use super::*;
use crate::http::pages::asset::{FORM_SCRIPT, MARK, NIGHT, REFERENCE_STYLE, SESSION_SCRIPT, STYLE};
use crate::http::pages::moment;
use crate::http::pages::operator::view as operator;

const HOSTILE: &str = "<script>alert(1)</script>\"'>&amp;\0\u{1b}\u{202e}שלום";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn moment(ago: i64) -> Moment {
    Moment::new(at(1_795_255_428 - ago), at(1_795_255_428))
}

fn account(section: Section) -> Account {
    Account { csrf_token: "q5Vd0b7yLw3mZ8tXc1Rk2nP4sJ6hG9fAeUiTo".to_owned(), section }
}

/// Every page, with `text` wherever somebody else's text can stand, and with every error.
fn pages(text: &str) -> Vec<(&'static str, String)> {
    let own = |text: &str| text.to_owned();
    let door = || Frame { flash: Some(Flash::LoginNeeded), account: None };
    let room = |section| Frame { flash: Some(Flash::LoggedIn), account: Some(account(section)) };
    let login = LoginView {
        frame: door(),
        form: Form::login(own(text), Some(own(text)))
            .typed("username", text)
            .fault("username", text)
            .fault("password", text)
            .stopped(text, text),
        remember: true,
        registration_open: true,
    };
    let register = ["username", "email", "name", "password"]
        .iter()
        .fold(Form::register(own(text), Some(own(text))), |form, name| {
            form.typed(name, text).fault(name, text)
        });
    let register = RegisterView { frame: door(), form: register };
    let profile = ProfileView {
        frame: room(Section::Profile),
        user: UserView {
            username: own(text),
            name: own(text),
            email: Some(own(text)),
            email_verified: false,
            groups: vec![own(text), own(text)],
            created: moment(86_400 * 400),
        },
        expires: moment(-86_400),
        idle_expires: Some(moment(-3_600)),
        form: Form::change_password(own(text)).fault("new_password", text),
    };
    let devices = (0..40).map(|n| device(n, text)).collect();
    let sessions =
        SessionsView::new(room(Section::Devices), own(text), devices, SessionsView::SHORT_LIST);
    let problem = ProblemView {
        frame: Frame::default(),
        status: 503,
        title: own(text),
        what: own(text),
        advice: own(text),
        wait: Some(moment::in_words(Duration::from_millis(1_500))),
        request_id: own(text),
    };
    vec![
        ("login", html(&login)),
        ("register", html(&register)),
        ("profile", html(&profile)),
        ("sessions", html(&sessions)),
        ("problem", html(&problem)),
    ]
    .into_iter()
    .chain(pages_of_operators(text))
    .collect()
}

fn pages_of_operators(text: &str) -> [(&'static str, String); 3] {
    let own = |text: &str| text.to_owned();
    let room =
        || Frame { flash: Some(Flash::UserEnabled), account: Some(account(Section::Operators)) };
    let line = || operator::LineView {
        path: "/operator/users/019a2f6e-7c1b-7d11-8a55-000000000001".to_owned(),
        id: own(text),
        username: own(text),
        name: own(text),
        email: Some(own(text)),
        email_verified: false,
        groups: vec![own(text), own(text)],
        enabled: false,
    };
    let entry = |n: u64| operator::EntryView {
        at: moment(86_400),
        action: own(text),
        count: Some(n),
        username: Some(own(text)),
        detail: Some(own(text)),
        by: Some(own(text)),
        address: Some(own(text)),
        request_id: Some(own(text)),
    };
    let login = operator::LoginView {
        frame: Frame { flash: Some(Flash::LoginNeeded), account: None },
        form: Some(Form::login(own(text), Some(own(text))).fault("username", text)),
    };
    let search = operator::SearchView {
        frame: room(),
        typed: own(text),
        found_nobody: true,
        offered: vec![line(), line()],
        entries: (0..3).map(entry).collect(),
    };
    let user = operator::UserView {
        frame: room(),
        csrf_token: own(text),
        path: line().path,
        user: line(),
        created: moment(86_400),
        is_oneself: true,
        sessions: (0..5).map(|n| device(n, text)).collect(),
        hidden: 2,
        is_cut: true,
        entries: (0..3).map(entry).collect(),
    };
    [
        ("operators' login", html(&login)),
        ("operators' search", html(&search)),
        ("operators' user", html(&user)),
    ]
}

fn device(n: usize, text: &str) -> DeviceView {
    DeviceView {
        id: format!("019a2f6e-7c1b-7d11-8a55-0000000000{n:02}"),
        user_agent: text.to_owned(),
        address: "2001:db8:1234:5678:9abc:def0:1234:5678".to_owned(),
        created: moment(86_400 * 30),
        last_seen: moment(3_600 * i64::try_from(n).unwrap()),
        current: n == 3,
    }
}

/// The start and end tags of a page.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    /// What follows each `<` up to its `>`: escaped text holds neither.
    fn list(page: &'a str) -> Vec<Self> {
        let bodies = page.split('<').skip(1).map(|rest| rest.split_once('>').expect("closed").0);
        bodies.filter(|body| !body.starts_with('!')).map(Self::parse).collect()
    }

    fn parse(body: &'a str) -> Self {
        let (name, mut rest) = body.split_once(' ').unwrap_or((body, ""));
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let end = rest.find([' ', '=']).unwrap_or(rest.len());
            let (attribute, tail) = rest.split_at(end);
            if let Some(quoted) = tail.strip_prefix("=\"") {
                let (value, tail) = quoted.split_once('"').expect("quoted");
                attributes.push((attribute, value));
                rest = tail.trim_start();
            } else {
                attributes.push((attribute, ""));
                rest = tail.trim_start();
            }
        }
        Self { name, attributes }
    }

    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn is_visible_input(&self) -> bool {
        self.name == "input"
            && self.attribute("type") != Some("hidden")
            && self.attribute("hidden").is_none()
    }
}

#[test]
fn hostile_text_stays_text() {
    for (name, page) in pages(HOSTILE) {
        assert!(!page.contains("<script>"), "{name}");
        assert!(!page.contains("&#38;lt;") && !page.contains("&amp;lt;"), "{name} escapes twice");
        assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{name}");
        assert!(page.contains("alert(1)"), "{name} shows what was given");
    }
}

#[test]
fn hostile_text_changes_no_tag() {
    let shape = |page: &str| -> Vec<(String, Vec<String>)> {
        let names = |tag: &Tag| tag.attributes.iter().map(|(key, _)| (*key).to_owned()).collect();
        Tag::list(page).iter().map(|tag| (tag.name.to_owned(), names(tag))).collect()
    };
    for ((name, hostile), (_, plain)) in pages(HOSTILE).iter().zip(&pages("plain")) {
        assert_eq!(shape(hostile), shape(plain), "{name}");
    }
}

#[test]
fn a_page_with_style_and_script_is_under_20_kb() {
    for (name, page) in pages("Firefox on a fairly new Linux machine") {
        let images = MARK.len() + NIGHT.len();
        let bytes = page.len() + STYLE.len() + FORM_SCRIPT.len() + SESSION_SCRIPT.len() + images;
        assert!(bytes < 20_000, "{name} has {bytes} bytes");
    }
}

#[test]
fn the_style_of_the_reference_is_under_20_kb() {
    assert!(STYLE.len() + REFERENCE_STYLE.len() < 20_000);
}

#[test]
fn pages_need_neither_inline_script_nor_inline_style() {
    for (name, page) in pages("plain") {
        for tag in Tag::list(&page) {
            assert_ne!(tag.name, "style", "{name}");
            let inline =
                tag.attributes.iter().find(|(key, _)| *key == "style" || key.starts_with("on"));
            assert_eq!(inline, None, "{name}");
            if tag.name == "script" {
                assert!(
                    tag.attribute("src").is_some_and(|src| src.starts_with("/static/")),
                    "{name}"
                );
            }
        }
        assert!(page.contains("</script>\n</head>") && !page.contains("javascript:"), "{name}");
    }
}

#[test]
fn every_tag_is_closed_in_order() {
    const VOID: &[&str] = &["meta", "link", "input", "img", "br"];
    for (name, page) in pages(HOSTILE) {
        let mut open = Vec::new();
        for tag in Tag::list(&page) {
            if let Some(closed) = tag.name.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{name}");
            } else if !VOID.contains(&tag.name) {
                open.push(tag.name);
            }
        }
        assert!(open.is_empty(), "{name} leaves {open:?} open");
    }
}

#[test]
fn every_input_has_a_label_and_tells_password_managers_what_it_is() {
    const KNOWN: &[&str] =
        &["username", "email", "name", "current-password", "new-password", "off"];
    for (name, page) in pages("plain") {
        let tags = Tag::list(&page);
        for input in tags.iter().filter(|tag| tag.is_visible_input()) {
            let id = input.attribute("id").expect("an id for the label");
            let is_label = |tag: &&Tag| tag.name == "label" && tag.attribute("for") == Some(id);
            assert_eq!(tags.iter().filter(is_label).count(), 1, "{name}: {id}");
            let completion = input.attribute("autocomplete").expect("autocomplete");
            assert!(KNOWN.contains(&completion), "{name}: {completion}");
        }
    }
}

#[test]
fn every_reference_leads_to_an_element_and_no_id_is_there_twice() {
    for (name, page) in pages("plain") {
        let tags = Tag::list(&page);
        let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.attribute("id")).collect();
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[..n].contains(id), "{name}: {id} twice");
        }
        for tag in &tags {
            let references = ["aria-describedby", "aria-labelledby", "for"];
            let values = references.iter().filter_map(|key| tag.attribute(key));
            let anchor = tag.attribute("href").and_then(|href| href.strip_prefix('#'));
            for id in values.flat_map(str::split_whitespace).chain(anchor) {
                assert!(ids.contains(&id), "{name}: #{id} leads nowhere");
            }
        }
    }
}

#[test]
fn faults_are_told_beside_their_fields_and_linked_from_the_top() {
    for (name, page) in pages("plain") {
        for input in Tag::list(&page).iter().filter(|tag| tag.attribute("aria-invalid").is_some()) {
            let id = input.attribute("id").unwrap();
            let described = input.attribute("aria-describedby").unwrap();
            assert!(described.starts_with(&format!("{id}-error")), "{name}: {id}");
            assert!(page.contains(&format!("href=\"#{id}\"")), "{name}: {id}");
            assert!(page.contains("<title>Error: "), "{name}");
        }
    }
}

#[test]
fn every_page_has_a_language_a_title_landmarks_a_skip_link_and_one_heading_of_each_rank_above() {
    for (name, page) in pages("plain") {
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        let tags = Tag::list(&page);
        let count = |wanted: &str| tags.iter().filter(|tag| tag.name == wanted).count();
        for once in ["title", "h1", "header", "main"] {
            assert_eq!(count(once), 1, "{name}: {once}");
        }
        let first_link = tags.iter().find(|tag| tag.name == "a").unwrap();
        assert_eq!(first_link.attribute("href"), Some("#main"), "{name}");
        let headings: Vec<&str> = tags
            .iter()
            .map(|tag| tag.name)
            .filter(|name| matches!(*name, "h1" | "h2" | "h3"))
            .collect();
        assert_eq!(headings[0], "h1", "{name}");
        assert!(!headings.contains(&"h3"), "{name}");
    }
}

#[test]
fn this_device_comes_first_and_cannot_be_revoked_by_its_own_button() {
    let (_, page) = pages("plain").into_iter().find(|(name, _)| *name == "sessions").unwrap();
    let (first, _) = page.split_once("</li>").unwrap();
    let (_, first) = first.split_once("<ul").unwrap();
    assert!(first.contains("This device") && !first.contains("<button"));
    assert!(page.contains("Show 28 more"));
    let alone = SessionsView::new(Frame::default(), String::new(), Vec::new(), 12);
    assert!(!html(&alone).contains("value=\"others\""));
}

#[test]
fn links_between_the_doors_keep_where_the_person_wanted_to_go() {
    assert_eq!(href("/auth/login", None), "/auth/login");
    assert_eq!(href("/auth/login", Some("/a?b=c&d=é")), "/auth/login?next=/a%3Fb%3Dc%26d%3D%C3%A9");
}
