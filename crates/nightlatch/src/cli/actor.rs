//! Who runs a command, for the audit log.
//!
//! By the user that the system says the command runs as: what a shell's variables say, anybody can set.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use nightlatch_core::Actor;
use rustix::process::getuid;

/// Where the system's users are listed, on machines that list them.
const PASSWD: &str = "/etc/passwd";

/// Enough for the users of any machine that keeps them in a file.
const PASSWD_BYTES_MAX: u64 = 1 << 20;

/// Somebody at the command line.
pub(super) fn actor() -> Actor {
    let uid = getuid().as_raw();
    let named = File::open(PASSWD).ok().and_then(|file| name_of(uid, file));
    Actor::command(&named.unwrap_or_else(|| format!("uid {uid}")))
}

/// The name of a user in a list as that of passwd(5).
fn name_of(uid: u32, listed: impl Read) -> Option<String> {
    let uid = uid.to_string();
    let lines = BufReader::new(listed.take(PASSWD_BYTES_MAX)).lines().map_while(Result::ok);
    lines.into_iter().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(uid.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_as_the_system_names_them() {
        let listed =
            "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nolga:x:1000:1000::/srv/olga:\nbroken";
        for (uid, name) in [(0, Some("root")), (1000, Some("olga")), (7, None), (100, None)] {
            assert_eq!(name_of(uid, listed.as_bytes()).as_deref(), name, "{uid}");
        }
    }
}
