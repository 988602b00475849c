//! GET /api/docs: the document as a page for people, whole without JavaScript and without another host.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::view::ReferenceView;
use super::{CACHED, document};
use crate::http::pages;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// GET /api/docs
pub(super) async fn page() -> impl IntoResponse {
    static PAGE: LazyLock<String> = LazyLock::new(html);
    ([(CONTENT_TYPE, HTML), (CACHE_CONTROL, CACHED)], PAGE.as_str())
}

fn html() -> String {
    let document = serde_json::to_value(document()).unwrap_or_default();
    pages::html(&ReferenceView::of(&document))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind each of these marks, up to the closing quote.
    fn behind<'a>(page: &'a str, mark: &str) -> Vec<&'a str> {
        page.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_link_of_the_page_leads_to_a_place_that_is_there_once() {
        let page = html();
        let ids = behind(&page, " id=\"");
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{id} twice");
        }
        let links = behind(&page, "href=\"#");
        assert!(links.len() > 100, "{}", links.len());
        for link in links {
            assert!(ids.contains(&link), "#{link} leads nowhere");
        }
    }

    #[test]
    fn every_operation_of_the_document_has_its_place() {
        let page = html();
        let ids = behind(&page, " id=\"");
        let document = serde_json::to_value(document()).unwrap();
        let items = document["paths"].as_object().unwrap().values();
        let mut count = 0;
        for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.contains(&id), "{id}");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn nothing_is_run_styled_or_loaded_from_within_or_elsewhere() {
        let page = html();
        for forbidden in
            ["<script", "<style", " style=", " onclick=", "javascript:", "<img src=\"http"]
        {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for address in behind(&page, "href=\"").into_iter().chain(behind(&page, "src=\"")) {
            assert!(address.starts_with(['/', '#']) && !address.starts_with("//"), "{address}");
        }
    }
}
