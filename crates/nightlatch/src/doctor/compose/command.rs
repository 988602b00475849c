//! The command of a Redis service: which password and ports it gives the server.

use nightlatch_core::Secret;

/// What a command says. `None` of a port: it is not known.
pub(super) struct Command {
    pub(super) password: Password,
    pub(super) ports: Option<Vec<u16>>,
}

/// What a server wants of its clients.
pub(super) enum Password {
    Nothing,
    Known(Secret<String>),
    /// A file or a program decides.
    Unknown,
}

/// Where Redis listens if its command does not say.
const PORT: u16 = 6379;

impl Command {
    /// Nothing is known.
    pub(super) const fn unknown() -> Self {
        Self { password: Password::Unknown, ports: None }
    }

    /// A server with its defaults.
    pub(super) fn preset() -> Self {
        Self { password: Password::Nothing, ports: Some(vec![PORT]) }
    }

    /// What words say. Those of a shell are looked up in `variable`.
    pub(super) fn of(words: Vec<Secret<String>>, variable: Variable<'_>) -> Self {
        let words = match words.first().map(|word| word.expose().as_str()) {
            Some("sh" | "bash" | "/bin/sh" | "/bin/bash") => in_shell(&words, variable),
            Some(_) => Some(words),
            None => return Self::preset(),
        };
        words.and_then(|words| of_server(&words)).unwrap_or_else(Self::unknown)
    }
}

/// Where a shell of the service finds its variables.
pub(super) type Variable<'a> = &'a dyn Fn(&str) -> Option<Secret<String>>;

/// The words of `sh -c "exec redis-server .."`, if that is all.
fn in_shell(words: &[Secret<String>], variable: Variable<'_>) -> Option<Vec<Secret<String>>> {
    let [_, flag, script] = words else { return None };
    let script = script.expose().trim();
    if flag.expose() != "-c" || script.contains(['&', ';', '|', '`', '>', '<', '(', '\n', '#', '*'])
    {
        return None;
    }
    let script = expanded(script, variable)?;
    let mut words = words_of(script.expose())?;
    if words.first().is_some_and(|word| word.expose() == "exec") {
        words.remove(0);
    }
    Some(words)
}

/// With `$NAME`, `${NAME}` and `"$NAME"` replaced. A value that a shell would take apart is not known.
fn expanded(script: &str, variable: Variable<'_>) -> Option<Secret<String>> {
    let (mut whole, mut rest) = (Secret::new(String::new()), script);
    while let Some((before, after)) = rest.split_once('$') {
        whole.expose_mut().push_str(before);
        let braced = after.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (name, behind) = braced.unwrap_or_else(|| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
        });
        let value = variable(name)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:,@%+=/".contains(c);
        if value.expose().is_empty()
            || !value.expose().chars().all(is_plain)
            || before.contains('\'')
        {
            return None;
        }
        whole.expose_mut().push_str(value.expose());
        rest = behind;
    }
    whole.expose_mut().push_str(rest);
    Some(whole)
}

/// The words of a command that no shell reads, as compose takes them apart.
pub(super) fn words_of(text: &str) -> Option<Vec<Secret<String>>> {
    let (mut words, mut word, mut is_open) = (Vec::new(), Secret::new(String::new()), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                is_open = true;
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => word.expose_mut().push(chars.next()?),
                        other => word.expose_mut().push(other),
                    }
                }
            }
            '\\' => {
                is_open = true;
                word.expose_mut().push(chars.next()?);
            }
            c if c.is_whitespace() => {
                if std::mem::take(&mut is_open) {
                    words.push(std::mem::replace(&mut word, Secret::new(String::new())));
                }
            }
            c => {
                is_open = true;
                word.expose_mut().push(c);
            }
        }
    }
    if is_open {
        words.push(word);
    }
    Some(words)
}

/// What `redis-server [FILE] --name value ..` says. `None`: not enough is known.
fn of_server(words: &[Secret<String>]) -> Option<Command> {
    let mut words: Vec<&str> = words.iter().flat_map(|word| options(word.expose())).collect();
    let program = words.first().map(|word| word.rsplit('/').next().unwrap_or(word))?;
    if ["redis-server", "valkey-server", "redis-stack-server"].contains(&program) {
        words.remove(0);
    } else if !program.starts_with("--") {
        return None;
    }
    let has_file = words.first().is_some_and(|word| !word.starts_with("--"));
    let mut password = if has_file { Password::Unknown } else { Password::Nothing };
    let mut ports = if has_file { None } else { Some(vec![PORT]) };
    let mut tls_port = None;
    for (at, word) in words.iter().enumerate() {
        let value = words.get(at + 1).filter(|value| !value.starts_with("--"));
        match word.to_ascii_lowercase().as_str() {
            "--requirepass" => {
                let value = *value?;
                // No shell has replaced it, or one will: either way another word may be meant.
                password = match value {
                    "" => Password::Nothing,
                    value if value.contains('$') => Password::Unknown,
                    value => Password::Known(Secret::new(value.to_owned())),
                };
            }
            "--port" => ports = Some(vec![value?.parse().ok()?]),
            "--tls-port" => tls_port = Some(value?.parse::<u16>().ok()?),
            "--user" | "--aclfile" | "--include" => return None,
            _ => {}
        }
    }
    if let Some(ports) = &mut ports {
        ports.extend(tls_port);
        ports.retain(|port| *port != 0);
    }
    Some(Command { password, ports })
}

/// A word such as `--requirepass secret`, which the server takes apart itself.
fn options(word: &str) -> Vec<&str> {
    match word.split_once(' ') {
        Some((name, value)) if name.starts_with("--") => vec![name, value.trim()],
        _ => vec![word],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<String>, Option<Vec<u16>>) {
        let variable =
            |name: &str| (name == "PASSWORD").then(|| Secret::new("of-a-variable".to_owned()));
        let words = words_of(text).expect("its quotes are closed");
        let Command { password, ports } = Command::of(words, &variable);
        let password = match password {
            Password::Nothing => Some(String::new()),
            Password::Known(secret) => Some(secret.expose().clone()),
            Password::Unknown => None,
        };
        (password, ports)
    }

    #[test]
    fn commands_say_which_password_and_ports_there_are() {
        for (text, password, ports) in [
            ("", Some(""), Some(&[6379][..])),
            ("redis-server", Some(""), Some(&[6379])),
            ("redis-server --appendonly yes", Some(""), Some(&[6379])),
            ("redis-server --requirepass abc", Some("abc"), Some(&[6379])),
            ("--requirepass 'a b'", Some("a b"), Some(&[6379])),
            ("/usr/local/bin/redis-server --requirepass \"a\\\"b\"", Some("a\"b"), Some(&[6379])),
            ("valkey-server \"--requirepass abc\" --port 7000", Some("abc"), Some(&[7000])),
            ("redis-server --port 0 --tls-port 6380", Some(""), Some(&[6380])),
            ("redis-server --requirepass ''", Some(""), Some(&[6379])),
            ("redis-server /etc/redis.conf", None, None),
            ("redis-server /etc/redis.conf --requirepass abc", Some("abc"), None),
            ("sh -c 'redis-server --requirepass $PASSWORD'", Some("of-a-variable"), Some(&[6379])),
            (
                "sh -c 'exec redis-server --requirepass \"${PASSWORD}\"'",
                Some("of-a-variable"),
                Some(&[6379]),
            ),
            ("sh -c 'redis-server --requirepass $OTHER'", None, None),
            ("sh -c 'sysctl x && redis-server --requirepass abc'", None, None),
            ("redis-server --requirepass $PASSWORD", None, Some(&[6379])),
            ("redis-server --requirepass", None, None),
            ("redis-server --requirepass abc --user x", None, None),
            ("redis-server --aclfile /acl", None, None),
            ("redis-sentinel /etc/s.conf", None, None),
            ("/start.sh", None, None),
        ] {
            let expected = (password.map(str::to_owned), ports.map(<[u16]>::to_vec));
            assert_eq!(read(text), expected, "{text}");
        }
        assert!(words_of("redis-server --requirepass 'abc").is_none());
    }
}
