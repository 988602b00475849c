//! A real nginx: its own folder, its own port, gone with the test.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::installed::assert_installed;
use crate::process::{ServerProcess, free_port, give_to_server, unprivileged};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often another port is tried when somebody was faster.
const PORT_TRIES: u32 = 5;

/// An nginx in front of ports of 127.0.0.1.
pub struct Nginx {
    process: ServerProcess,
    port: u16,
    /// Last: the server has ended when its files go.
    folder: TempDir,
}

/// Where an nginx lives.
pub struct Place {
    /// The port to listen on.
    pub port: u16,
    /// Its folder.
    pub root: String,
}

impl Nginx {
    /// Starts one in front of a port, with a certificate and its key as PEM.
    #[must_use]
    pub fn in_front_of(target: u16, certificate: &str, key: &str) -> Self {
        let site = |place: &Place| {
            format!(
                "server {{
                     listen 127.0.0.1:{} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
                     location / {{ proxy_pass http://127.0.0.1:{target}; proxy_http_version 1.1; }}
                 }}",
                place.port
            )
        };
        Self::serving(site, &[("cert.pem", certificate), ("key.pem", key)])
    }

    /// Starts one in front of a port that keeps answers and gives them to everybody, whoever they were for:
    /// a mistake that people make.
    #[must_use]
    pub fn caching_for_everybody(target: u16) -> Self {
        let site = |Place { port, root }: &Place| {
            format!(
                "proxy_cache_path {root}/cache keys_zone=kept:1m;
                 server {{
                     listen 127.0.0.1:{port};
                     location / {{
                         proxy_pass http://127.0.0.1:{target}; proxy_cache kept;
                         proxy_cache_valid 200 1m;
                         proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
                     }}
                 }}"
            )
        };
        Self::serving(site, &[])
    }

    /// Starts one with what stands inside of `http { }`, and files of its folder.
    #[must_use]
    pub fn serving(site: impl Fn(&Place) -> String, files: &[(&str, &str)]) -> Self {
        assert_installed(Command::new("nginx").arg("-v"), "nginx");
        (0..PORT_TRIES)
            .find_map(|_| Self::try_serve(&site, files))
            .expect("nginx starts on one of several ports")
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    fn try_serve(site: &impl Fn(&Place) -> String, files: &[(&str, &str)]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let port = free_port();
        let root = folder.path().display().to_string();
        let site = site(&Place { port, root: root.clone() });
        let config = format!(
            "daemon off; worker_processes 1; pid {root}/pid; error_log stderr notice;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                 {site}
             }}"
        );
        for (name, contents) in files.iter().chain(&[("nginx.conf", config.as_str())]) {
            fs::write(folder.path().join(name), contents).expect("our folder takes a file");
        }
        give_to_server(folder.path());
        let mut command = unprivileged("/usr/sbin/nginx".as_ref());
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        command.args(["-e", "stderr"]);
        let process = ServerProcess::spawn(command);
        let has_started = process.wait_for_line("start worker process", START_LIMIT);
        has_started.is_ok().then_some(Self { process, port, folder })
    }
}
