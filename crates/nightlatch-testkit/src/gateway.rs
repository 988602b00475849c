//! Real proxies that ask Nightlatch about every request, with the configuration that we ship.
//!
//! Of the files in `deploy/forward-auth/` only ports and the paths of certificates are changed: what is
//! tested is what people run.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::authority::Authority;
use crate::curl::Curl;
use crate::installed::assert_installed;
use crate::process::{ServerProcess, free_port, give_to_server, unprivileged};
use crate::shipped::Shipped;

/// How many looks a start may take, and the time between two of them.
const LOOKS_MAX: u32 = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// For how many days the certificate is good.
const DAYS: i32 = 2;

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nginx, by `auth_request`.
    Nginx,
    /// Caddy, by `forward_auth`.
    Caddy,
    /// `HAProxy`, by our Lua script.
    HaProxy,
}

/// A proxy in front of `login.example.org`, `app.example.org` and `staff.example.org`, over TLS.
pub struct Gateway {
    _process: ServerProcess,
    port: u16,
    authority: Authority,
    /// Last: the proxy has ended when its files go.
    _folder: TempDir,
}

impl Gateway {
    /// Starts one in front of a Nightlatch and an application on ports of 127.0.0.1.
    #[must_use]
    pub fn launch(kind: Kind, nightlatch: u16, application: u16) -> Self {
        Self::launch_broken(kind, (nightlatch, application), ("", ""))
    }

    /// The same with other words in its files, to show that a test notices.
    #[must_use]
    pub fn launch_broken(kind: Kind, ports: (u16, u16), change: (&str, &str)) -> Self {
        let program = kind.program();
        assert_installed(Command::new(program).arg(kind.version_flag()), program);
        (0..PORT_TRIES)
            .find_map(|_| Self::try_launch(kind, ports, change))
            .expect("the proxy starts on one of several ports")
    }

    /// Somebody with cookies of their own, who goes through it.
    #[must_use]
    pub fn visitor(&self) -> Curl {
        Curl::new(self.port, self.authority.path("ca.pem"))
    }

    fn try_launch(kind: Kind, ports: (u16, u16), (from, to): (&str, &str)) -> Option<Self> {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let authority = Authority::new();
        let (certificate, key) = authority.issue("*.example.org", DAYS);
        let port = free_port();
        let put = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("our folder takes a file");
        };
        put("cert.pem", &certificate);
        put("key.pem", &key);
        put("both.pem", &format!("{certificate}{key}"));
        let files = kind.files(folder.path(), port, ports);
        assert!(files.iter().any(|(_, text)| text.contains(from)), "`{from}` is no longer there");
        for (name, text) in files {
            put(name, &if from.is_empty() { text } else { text.replace(from, to) });
        }
        give_to_server(folder.path());
        let process = ServerProcess::spawn(kind.command(folder.path()));
        let accepts = (0..LOOKS_MAX).find_map(|_| {
            // Ends at once when the process does.
            let has_ended = process.has_ended_within(LOOK_EVERY);
            (has_ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(!has_ended)
        });
        assert!(accepts.is_some(), "it does not listen: {}", process.log());
        accepts?.then_some(Self { _process: process, port, authority, _folder: folder })
    }
}

impl Kind {
    const fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::HaProxy => "haproxy",
        }
    }

    const fn version_flag(self) -> &'static str {
        match self {
            Self::Nginx | Self::HaProxy => "-v",
            Self::Caddy => "version",
        }
    }

    /// The files of its folder.
    fn files(
        self,
        folder: &Path,
        port: u16,
        (nightlatch, application): (u16, u16),
    ) -> Vec<(&'static str, String)> {
        let root = folder.display();
        let to_nightlatch = ("127.0.0.1:8080", format!("127.0.0.1:{nightlatch}"));
        let to_application = ("127.0.0.1:3000", format!("127.0.0.1:{application}"));
        let (certificate, key) = (format!("{root}/cert.pem"), format!("{root}/key.pem"));
        match self {
            Self::Nginx => {
                let site = Shipped::read("forward-auth/nginx.conf").with(&[
                    to_nightlatch,
                    to_application,
                    ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
                    ("/etc/nginx/tls/example.org.pem", certificate),
                    ("/etc/nginx/tls/example.org.key", key),
                ]);
                let around = format!(
                    "daemon off; worker_processes 1; pid {root}/pid; error_log stderr notice;
                     events {{ worker_connections 256; }}
                     http {{
                         access_log off;
                         client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                         fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                         include {root}/site.conf;
                     }}"
                );
                vec![("nginx.conf", around), ("site.conf", site)]
            }
            Self::Caddy => {
                let tls = format!("\ttls {certificate} {key}\n");
                let site = |host| format!("{host}.example.org {{\n{tls}");
                let sites = Shipped::read("forward-auth/Caddyfile").with(&[
                    to_nightlatch,
                    to_application,
                    ("app.example.org {\n", site("app")),
                    ("staff.example.org {\n", site("staff")),
                    ("login.example.org {\n", site("login")),
                ]);
                let ours = format!(
                    "{{\n\tadmin off\n\tauto_https disable_redirects\n\thttps_port {port}\n\
                     \tdefault_bind 127.0.0.1\n\tstorage file_system {root}/kept\n}}\n"
                );
                vec![("Caddyfile", ours + &sites)]
            }
            Self::HaProxy => {
                let settings = Shipped::read("forward-auth/haproxy.cfg").with(&[
                    to_nightlatch,
                    to_application,
                    ("bind :443", format!("bind 127.0.0.1:{port}")),
                    ("/etc/haproxy/example.org.pem", format!("{root}/both.pem")),
                    ("/etc/haproxy/nightlatch.lua", format!("{root}/nightlatch.lua")),
                ]);
                let script = Shipped::read("forward-auth/nightlatch.lua");
                let script = script.with(&[("PORT = \"127.0.0.1\", 8080", {
                    format!("PORT = \"127.0.0.1\", {nightlatch}")
                })]);
                vec![("haproxy.cfg", settings), ("nightlatch.lua", script)]
            }
        }
    }

    fn command(self, folder: &Path) -> Command {
        let mut command = unprivileged(match self {
            Self::Nginx => "/usr/sbin/nginx".as_ref(),
            Self::Caddy => "/usr/bin/caddy".as_ref(),
            Self::HaProxy => "/usr/sbin/haproxy".as_ref(),
        });
        match self {
            Self::Nginx => {
                command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
                command.args(["-e", "stderr"]);
            }
            Self::Caddy => {
                command.env("HOME", folder).env("XDG_CONFIG_HOME", folder).arg("run");
                command.args(["--adapter", "caddyfile", "--config"]).arg(folder.join("Caddyfile"));
            }
            Self::HaProxy => {
                command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
            }
        }
        command
    }
}
