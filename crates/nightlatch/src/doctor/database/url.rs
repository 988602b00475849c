//! A URL of PostgreSQL with one part of it changed. It was read before, so its form is known.

use percent_encoding::utf8_percent_encode;

use super::super::shown::UNRESERVED;

struct Parts<'a> {
    scheme: &'a str,
    user_info: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let at = base.find('/').unwrap_or(base.len());
        let (authority, path) = base.split_at(at);
        let (user_info, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(info, at)| (Some(info), at));
        Self { scheme, user_info, hosts, path, query }
    }

    fn joined(&self, pairs: &[&str]) -> String {
        let user_info = self.user_info.map_or(String::new(), |info| format!("{info}@"));
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("{}://{user_info}{}{}{query}", self.scheme, self.hosts, self.path)
    }

    /// The parameters but these.
    fn pairs_but(&self, names: &[&str]) -> Vec<&'a str> {
        let name = |pair: &str| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned();
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.filter(|pair| !names.contains(&name(pair).as_str())).collect()
    }
}

/// The same with this parameter, and no other value of it.
pub(super) fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let parts = Parts::of(url);
    let pair = format!("{name}={value}");
    let mut pairs = parts.pairs_but(&[name]);
    pairs.push(&pair);
    parts.joined(&pairs)
}

/// The same at another port of its host. `None`: it says otherwise where its host is, or has several.
pub(super) fn with_port(url: &str, port: u16) -> Option<String> {
    let parts = Parts::of(url);
    let pairs = parts.pairs_but(&["host", "hostaddr", "port"]);
    if parts.hosts.contains(',') || parts.hosts.is_empty() || pairs != parts.pairs_but(&[]) {
        return None;
    }
    let after_address = parts.hosts.rfind(']').map_or(0, |at| at + 1);
    let end = parts.hosts[after_address..].find(':').map(|at| after_address + at);
    let host = &parts.hosts[..end.unwrap_or(parts.hosts.len())];
    Some(Parts { hosts: &format!("{host}:{port}"), ..parts }.joined(&pairs))
}

/// The same with this database.
pub(super) fn with_database(url: &str, name: &str) -> String {
    let parts = Parts::of(url);
    let path = format!("/{}", utf8_percent_encode(name, UNRESERVED));
    let pairs = parts.pairs_but(&["dbname"]);
    Parts { path: &path, ..parts }.joined(&pairs)
}

/// The same with this password between user and host. `None`: it has no user there.
pub(super) fn with_password(url: &str, password: &str) -> Option<String> {
    let parts = Parts::of(url);
    let user = parts.user_info?.split(':').next().filter(|user| !user.is_empty())?;
    let user_info = format!("{user}:{}", utf8_percent_encode(password, UNRESERVED));
    let pairs = parts.pairs_but(&["password"]);
    Some(Parts { user_info: Some(&user_info), ..parts }.joined(&pairs))
}

/// The same at another place.
pub(super) fn at(url: &str, place: &str) -> String {
    let parts = Parts { hosts: place, ..Parts::of(url) };
    parts.joined(&parts.pairs_but(&["host", "hostaddr", "port"]))
}

/// The same without its password.
pub(super) fn without_password(url: &str) -> String {
    let parts = Parts::of(url);
    let user = parts.user_info.map(|info| info.split_once(':').map_or(info, |(user, _)| user));
    let parts = Parts { user_info: user, ..parts };
    parts.joined(&parts.pairs_but(&["password"]))
}

/// The user, as it is written before the host.
pub(super) fn user(url: &str) -> Option<&str> {
    Parts::of(url).user_info?.split(':').next()
}

/// The password between user and host, as it is written there.
pub(super) fn password(url: &str) -> Option<&str> {
    Parts::of(url).user_info?.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_changes_and_the_others_stay() {
        let url = "postgres://u:p%40@a:1,b/db?sslmode=disable&password=q";
        let told = with_parameter(url, "sslmode", "require");
        assert_eq!(told, "postgres://u:p%40@a:1,b/db?password=q&sslmode=require");
        assert_eq!(at(url, "c:2"), "postgres://u:p%40@c:2/db?sslmode=disable&password=q");
        assert_eq!(without_password(url), "postgres://u@a:1,b/db?sslmode=disable");
        let port = |url| with_port(url, 6432);
        assert_eq!(port(url), None);
        assert_eq!(
            port("postgresql://u:p@h/d?a=b").as_deref(),
            Some("postgresql://u:p@h:6432/d?a=b")
        );
        assert_eq!(port("postgres://[::1]:5432/d").as_deref(), Some("postgres://[::1]:6432/d"));
        assert_eq!(port("postgres://h/d?hostaddr=::1"), None);
        let told = with_password("postgres://u:x@h/d?password=y&a=b", "p/@");
        assert_eq!(told.as_deref(), Some("postgres://u:p%2F%40@h/d?a=b"));
        assert_eq!(with_password("postgres://h/d", "p"), None);
        assert_eq!(password(url), Some("p%40"));
        assert_eq!(password("postgres://h/db"), None);
        assert_eq!(with_parameter("postgres:///db", "a", "b"), "postgres:///db?a=b");
        let told = with_database(url, "my shop");
        assert_eq!(told, "postgres://u:p%40@a:1,b/my%20shop?sslmode=disable&password=q");
        assert_eq!(with_database("postgres://h?dbname=x&a=b", "y"), "postgres://h/y?a=b");
    }
}
