//! A real nginx: its own folder, its own port, gone with the test.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::installed::assert_installed;
use crate::process::{ServerProcess, free_port, give_to_server, unprivileged};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// An nginx that speaks TLS to the outside and HTTP to a port of 127.0.0.1.
pub struct Nginx {
    _process: ServerProcess,
    port: u16,
    /// Last: the server has ended when its files go.
    _folder: TempDir,
}

/// What it serves.
struct Site<'a> {
    /// Behind the port.
    listen: &'a str,
    /// With `TARGET` for the port that it is in front of.
    inside: &'a str,
    target: u16,
}

impl Nginx {
    /// Starts one in front of a port, with a certificate and its key as PEM.
    #[must_use]
    pub fn in_front_of(target: u16, certificate: &str, key: &str) -> Self {
        let tls = "ssl_certificate cert.pem; ssl_certificate_key key.pem;
                   location / { proxy_pass http://127.0.0.1:TARGET; proxy_http_version 1.1; }";
        Self::start(&Site { listen: " ssl", inside: tls, target }, certificate, key)
    }

    /// Starts one in front of a port that keeps answers and gives them to everybody, whoever they were for:
    /// a mistake that people make.
    #[must_use]
    pub fn caching_for_everybody(target: u16) -> Self {
        let cache = "location / {
                         proxy_pass http://127.0.0.1:TARGET; proxy_cache kept; proxy_cache_valid 200 1m;
                         proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
                     }";
        Self::start(&Site { listen: "", inside: cache, target }, "", "")
    }

    fn start(site: &Site<'_>, certificate: &str, key: &str) -> Self {
        assert_installed(Command::new("nginx").arg("-v"), "nginx");
        (0..PORT_TRIES)
            .find_map(|_| Self::try_start(site, certificate, key))
            .expect("nginx starts on one of several ports")
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn try_start(site: &Site<'_>, certificate: &str, key: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let port = free_port();
        let root = folder.path().display();
        let Site { listen, target, .. } = site;
        let inside = site.inside.replace("TARGET", &target.to_string());
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log stderr notice;
             events {{ worker_connections 256; }}
             http {{
                 access_log off;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                 proxy_cache_path {root}/cache keys_zone=kept:1m;
                 server {{ listen 127.0.0.1:{port}{listen}; {inside} }}
             }}"
        );
        for (name, contents) in
            [("nginx.conf", config.as_str()), ("cert.pem", certificate), ("key.pem", key)]
        {
            fs::write(folder.path().join(name), contents).expect("our folder takes a file");
        }
        give_to_server(folder.path());
        let mut command = unprivileged("/usr/sbin/nginx".as_ref());
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        command.args(["-e", "stderr"]);
        let process = ServerProcess::spawn(command);
        let has_started = process.wait_for_line("start worker process", START_LIMIT);
        has_started.is_ok().then_some(Self { _process: process, port, _folder: folder })
    }
}
