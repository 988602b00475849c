//! Where a login may lead: our own pages, or an exact host that the operator named.
//!
//! Everything else is an open redirect: a link to our login that ends at somebody else's copy of it.

use crate::config::{Scheme, WebOrigin};
use crate::http::app::Settings;

/// The longest target that is looked at.
const TARGET_BYTES_MAX: usize = 2048;

/// The target if it is safe, else the configured one.
pub(crate) fn target<'a>(settings: &'a Settings, next: Option<&'a str>) -> &'a str {
    next.filter(|next| is_safe(settings, next)).unwrap_or(&settings.login_redirect)
}

pub(crate) fn is_safe(settings: &Settings, next: &str) -> bool {
    // Browsers drop tabs and line breaks and read `\` as `/`: what they would see is not what we
    // checked, so nothing of the kind passes.
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\' || !c.is_ascii();
    if next.len() > TARGET_BYTES_MAX || next.contains(odd) {
        return false;
    }
    if let Some(path) = next.strip_prefix('/') {
        // `//host` is another host.
        return !path.starts_with('/');
    }
    match WebOrigin::split(next) {
        Ok((origin, _)) if origin == settings.public_origin => true,
        Ok((origin, _)) => {
            origin.scheme() == Scheme::Https && settings.redirect_hosts.contains(&origin)
        }
        Err(_) => false,
    }
}
