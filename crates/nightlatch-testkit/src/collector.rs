//! A collector of OpenTelemetry, as far as it takes traces over HTTP in protobuf (OTLP 1, "OTLP/HTTP").
//!
//! What it is sent it reads by the protocol's own messages, and it refuses what a collector refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::listener::serve_each;
use crate::request::{self, Asked, say};

/// The largest export that it takes.
const EXPORT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What it does with an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Takes it.
    Takes,
    /// Takes it but for so many spans.
    Rejects(i64),
    /// Answers with this status.
    Answers(u16),
    /// Says nothing.
    Hangs,
}

/// A span that it was told.
#[derive(Clone, Debug)]
pub struct ToldSpan {
    /// What it stands for.
    pub name: String,
    /// The trace that it is a part of, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// The id of the span above it, in hex; empty: there is none.
    pub parent: String,
    /// As the protocol numbers it: 2 is a server's, 3 a client's.
    pub kind: i32,
    /// Whether it says that something has failed.
    pub is_error: bool,
    /// Nanoseconds since 1970 of its begin and its end.
    pub times: (u64, u64),
    /// What it says.
    pub attributes: BTreeMap<String, String>,
    /// What is said of whoever tells it.
    pub resource: BTreeMap<String, String>,
}

/// The collector. Dropped, it is gone.
pub struct FakeCollector {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

struct State {
    conduct: Conduct,
    exports: Vec<Asked>,
    taken: Vec<ToldSpan>,
}

impl FakeCollector {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Starts it on this port.
    pub async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = State { conduct: Conduct::Takes, exports: Vec::new(), taken: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let mut serving = JoinSet::new();
        let known = Arc::clone(&state);
        serving.spawn(serve_each(listener, move |stream| serve(stream, Arc::clone(&known))));
        Self { address, state, _serving: serving }
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where the paths of the protocol begin.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it does this.
    pub fn set(&self, conduct: Conduct) {
        self.lock().conduct = conduct;
    }

    /// What it was sent, whatever it did with it.
    #[must_use]
    pub fn exports(&self) -> Vec<Asked> {
        self.lock().exports.clone()
    }

    /// The spans that it took.
    #[must_use]
    pub fn spans(&self) -> Vec<ToldSpan> {
        self.lock().taken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl ToldSpan {
    /// What it says under this name; nothing: an empty text.
    #[must_use]
    pub fn says(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn read(span: Span, resource: &BTreeMap<String, String>) -> Self {
        assert!((span.trace_id.len(), span.span_id.len()) == (16, 8), "not as the protocol has it");
        let is_error = span.status.is_some_and(|status| status.code() == StatusCode::Error);
        Self {
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind,
            is_error,
            times: (span.start_time_unix_nano, span.end_time_unix_nano),
            attributes: texts(span.attributes),
            resource: resource.clone(),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufStream::new(stream);
    while let Some(asked) = request::read(&mut stream, EXPORT_BYTES_MAX).await {
        let answer = take(&mut lock(&state), asked);
        let Some((status, body)) = answer else {
            // Until the other side ends it.
            while stream.read_u8().await.is_ok() {}
            return;
        };
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        if !say(&mut stream, &[head.as_bytes(), &body].concat()).await {
            return;
        }
    }
}

/// Status and body of the answer; `None`: there is none.
fn take(state: &mut State, asked: Asked) -> Option<(u16, Vec<u8>)> {
    let spans = match read(&asked) {
        Ok(spans) => spans,
        Err(status) => return Some((status, Vec::new())),
    };
    state.exports.push(asked);
    match state.conduct {
        Conduct::Hangs => None,
        Conduct::Answers(status) => Some((status, Vec::new())),
        Conduct::Takes => {
            state.taken.extend(spans);
            Some((200, ExportTraceServiceResponse::default().encode_to_vec()))
        }
        Conduct::Rejects(rejected_spans) => {
            let error_message = "not all of them".to_owned();
            let partial = ExportTracePartialSuccess { rejected_spans, error_message };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            Some((200, answer.encode_to_vec()))
        }
    }
}

fn read(asked: &Asked) -> Result<Vec<ToldSpan>, u16> {
    match asked.target.as_str() {
        "POST /v1/traces" => {}
        target if target.ends_with(" /v1/traces") => return Err(405),
        _ => return Err(404),
    }
    if asked.header("content-type") != Some("application/x-protobuf") {
        return Err(415);
    }
    let request = ExportTraceServiceRequest::decode(&*asked.body).map_err(|_| 400_u16)?;
    let mut told = Vec::new();
    for of_resource in request.resource_spans {
        let resource = texts(of_resource.resource.map(|it| it.attributes).unwrap_or_default());
        for of_scope in of_resource.scope_spans {
            told.extend(of_scope.spans.into_iter().map(|span| ToldSpan::read(span, &resource)));
        }
    }
    Ok(told)
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
