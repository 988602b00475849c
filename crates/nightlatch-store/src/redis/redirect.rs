//! What a server of a Cluster answers that does not have a key:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use redis::Value;

use super::connect::HostAndPort;

/// Who has the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) to: HostAndPort,
    /// For this command alone: the key's slot is on its way there.
    pub(super) is_for_once: bool,
}

impl Redirect {
    /// What an answer of the server at `from` says; `None`: it is no redirection, or `from` is in no
    /// Cluster.
    pub(super) fn read(answer: &Value, from: Option<&HostAndPort>) -> Option<Self> {
        let (Value::ServerError(error), Some(from)) = (answer, from) else { return None };
        let is_for_once = match error.code() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (_slot, to) = error.details()?.split_once(' ')?;
        let (host, port) = to.rsplit_once(':')?;
        // Without a host it is the one that was asked.
        let host = if host.is_empty() { &from.0 } else { host };
        Some(Self { to: (host.to_owned(), port.parse().ok()?), is_for_once })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_is_read_from_what_servers_say() {
        let from = ("h".to_owned(), 1);
        for (answer, expected) in [
            ("-MOVED 3999 127.0.0.1:6381\r\n", Some(("127.0.0.1", 6381, false))),
            ("-ASK 3999 ::1:6381\r\n", Some(("::1", 6381, true))),
            ("-MOVED 3999 :6381\r\n", Some(("h", 6381, false))),
            ("-MOVED 3999 h:99999\r\n", None),
            ("-MOVED\r\n", None),
            ("-ERR 3999 h:1\r\n", None),
            ("+MOVED 3999 h:1\r\n", None),
        ] {
            let value = redis::parse_redis_value(answer.as_bytes()).expect("it is an answer");
            let expected = expected.map(|(host, port, is_for_once)| Redirect {
                to: (host.to_owned(), port),
                is_for_once,
            });
            assert_eq!(Redirect::read(&value, Some(&from)), expected, "{answer}");
            assert_eq!(Redirect::read(&value, None), None, "{answer} of one server");
        }
    }
}
