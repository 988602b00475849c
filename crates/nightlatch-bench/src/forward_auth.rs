//! Forward-auth through a real nginx: what asking about each request costs, beside nginx alone and beside
//! Django's own sessions behind the same `auth_request`.
//!
//! nginx and whom it asks share the measured core: what a request takes of it is what an operator pays.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::child::Process;
use crate::cores::Cores;
use crate::load::{Load, Outcome, Requests};
use crate::plan::Plan;
use crate::report::{Row, micros};
use crate::server::Program;
use crate::{people, start};

const CONNECTIONS: usize = 32;

/// How long what stands beside may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

const DJANGO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/beside/django");

/// nginx with a location for each that is asked, in front of an application that answers at once.
const CONFIG: &str = "daemon off; master_process off; pid ROOT/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path ROOT/b; proxy_temp_path ROOT/p; fastcgi_temp_path ROOT/f;
    uwsgi_temp_path ROOT/u; scgi_temp_path ROOT/s;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    upstream application { server unix:ROOT/application; keepalive 64; keepalive_requests 1000000000; }
    upstream nightlatch { server NIGHTLATCH; keepalive 64; keepalive_requests 1000000000; }
    upstream django { server DJANGO; keepalive 64; keepalive_requests 1000000000; }
    server { listen unix:ROOT/application; return 200 \"as it is\\n\"; }
    server {
        listen LISTEN;
        location /nobody { proxy_pass http://application; }
        location /nightlatch { auth_request /.nightlatch; proxy_pass http://application; }
        location /django { auth_request /.django; proxy_pass http://application; }
        location = /.nightlatch {
            internal; proxy_pass http://nightlatch/api/v1/auth/check; proxy_pass_request_body off;
            proxy_set_header Content-Length \"\"; proxy_set_header X-Original-URL $request_uri;
            proxy_set_header Connection \"\";
        }
        location = /.django {
            internal; proxy_pass http://django/check; proxy_pass_request_body off;
            proxy_set_header Content-Length \"\"; proxy_set_header Connection \"\";
        }
    }
}
";

/// Who is asked about a request.
struct Asked<'a> {
    what: &'static str,
    requests: Vec<String>,
    process: Option<&'a Process>,
    outcome: Outcome,
    core: Duration,
}

/// Measures all three by turns.
pub(crate) async fn measure(program: &Program, plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let home = TempDir::new().context("making a temporary directory")?;
    let server = program.start(home.path())?;
    start::become_ready(&server).await?;
    people::register(server.address).await?;
    let checks = people::open_sessions(server.address, plan.sessions).await?;
    let (django, keys) = django(program.cores, home.path(), plan.sessions).await?;
    let nginx = nginx(program.cores, home.path(), (server.address, django.1)).await?;
    let with_path = |path: &str| {
        let of_path = |check: &String| check.replacen("/api/v1/session", path, 1);
        checks.iter().map(of_path).collect::<Vec<_>>()
    };
    let django_requests = keys.iter().map(|key| {
        format!("GET /django HTTP/1.1\r\nhost: localhost\r\ncookie: sessionid={key}\r\n\r\n")
    });
    let asked = |what, requests, process| Asked {
        what,
        requests,
        process,
        outcome: Outcome::default(),
        core: Duration::ZERO,
    };
    let mut all = [
        asked("nginx alone", with_path("/nobody"), None),
        asked("nginx that asks Nightlatch", with_path("/nightlatch"), Some(&server.process)),
        asked("nginx that asks Django (gunicorn)", django_requests.collect(), Some(&django.0)),
    ];
    for _ in 0..plan.turns {
        for one in &mut all {
            one.take_turn(&nginx, plan.check_turn).await?;
        }
    }
    Ok(all.into_iter().map(Asked::row).collect())
}

impl Asked<'_> {
    async fn take_turn(
        &mut self,
        (nginx, address): &(Process, SocketAddr),
        span: Duration,
    ) -> anyhow::Result<()> {
        let load = Load {
            server: *address,
            requests: Requests::new(self.requests.clone()),
            connections: CONNECTIONS,
            every: Duration::ZERO,
        };
        let core = || -> anyhow::Result<Duration> {
            let of_asked = self.process.map_or(Ok(Duration::ZERO), Process::core_time)?;
            Ok(nginx.core_time()? + of_asked)
        };
        let before = core()?;
        let outcome = load.run(span).await?;
        let took = core()?.saturating_sub(before);
        anyhow::ensure!(outcome.refused == 0, "{}: {} refused", self.what, outcome.refused);
        self.core += took;
        self.outcome.append(outcome);
        Ok(())
    }

    fn row(mut self) -> Row {
        let answered = u32::try_from(self.outcome.latencies.len()).unwrap_or(u32::MAX);
        let (rate, each) = (self.outcome.rate(), micros(self.core / answered.max(1)));
        let latencies = &mut self.outcome.latencies;
        let (p50, p99) = (micros(latencies.p50()), micros(latencies.p99()));
        let result = format!("{rate:.0} requests/s, p50 {p50}, p99 {p99}; {each} of the core each");
        Row::new(format!("forward-auth: {}", self.what), result)
    }
}

async fn nginx(
    cores: Cores,
    home: &Path,
    (nightlatch, django): (SocketAddr, SocketAddr),
) -> anyhow::Result<(Process, SocketAddr)> {
    let address = free_address()?;
    let root = home.to_str().context("a temporary directory without a plain name")?;
    let words = [
        ("ROOT", root.to_owned()),
        ("NIGHTLATCH", nightlatch.to_string()),
        ("DJANGO", django.to_string()),
        ("LISTEN", address.to_string()),
    ];
    let config = words.iter().fold(CONFIG.to_owned(), |text, (from, to)| text.replace(from, to));
    let file = home.join("nginx.conf");
    fs::write(&file, config).context("writing the configuration of nginx")?;
    let process = Process::spawn(cores, installed("/usr/sbin/nginx", "nginx")?, |command| {
        command.arg("-p").arg(home).arg("-c").arg(&file).args(["-e", "stderr"]);
    })?;
    wait_for(address).await.context("nginx does not start")?;
    Ok((process, address))
}

/// Django with such sessions, and their keys.
async fn django(
    cores: Cores,
    home: &Path,
    count: usize,
) -> anyhow::Result<((Process, SocketAddr), Vec<String>)> {
    let script = format!("{DJANGO}/check.py");
    let gunicorn = installed("/usr/bin/gunicorn", "gunicorn")?;
    let mut command = Command::new(installed("/usr/bin/python3", "python3-django")?);
    command.args(["-B", &script]).arg(home).arg(count.to_string());
    let made = command.output().context("starting Python")?;
    let said = String::from_utf8_lossy(&made.stderr);
    anyhow::ensure!(
        made.status.success(),
        "no sessions of Django, which Debian's package `python3-django` has: {said}"
    );
    let keys = String::from_utf8(made.stdout)?.lines().map(str::to_owned).collect();
    let address = free_address()?;
    let process = Process::spawn(cores, gunicorn, |command| {
        command.env("FOLDER", home).env("PYTHONPATH", DJANGO).env("PYTHONDONTWRITEBYTECODE", "1");
        command.current_dir(home).args(["--bind", &address.to_string(), "--log-level", "error"]);
        command.args(["--workers", "1", "--worker-class", "gthread", "--threads", "4"]);
        command.args(["--keep-alive", "75", "check:application"]);
    })?;
    wait_for(address).await.context("gunicorn does not start")?;
    Ok(((process, address), keys))
}

/// A program that a package of Debian has, of which nobody should have to guess the name.
fn installed(program: &'static str, package: &str) -> anyhow::Result<&'static Path> {
    let path = Path::new(program);
    anyhow::ensure!(path.exists(), "{program} is not there: install Debian's package `{package}`");
    Ok(path)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

async fn wait_for(address: SocketAddr) -> anyhow::Result<()> {
    let since = Instant::now();
    while TcpStream::connect(address).is_err() {
        anyhow::ensure!(since.elapsed() < START_LIMIT, "nobody listens on {address}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_misses_a_program_is_told_its_package() {
        let missing = installed("/usr/bin/of-nobody", "gunicorn").unwrap_err().to_string();
        assert!(missing.contains("package `gunicorn`"), "{missing}");
    }
}
