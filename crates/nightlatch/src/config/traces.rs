//! Traces: where they go, and what is traced.
//!
//! The names are those that OpenTelemetry gives to every program, so what people know of them holds here.
//! Nothing of it is needed for a login: what makes no sense is reported, and nothing is traced.

use std::path::PathBuf;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use super::WebOrigin;
use super::percent::{is_percent_encoded, percent_decoded};
use super::reader::Reader;
use super::setting::Form;
use super::value::{self, Wrong};

/// Where traces go, and what is traced.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// The collector.
    pub origin: WebOrigin,
    /// Where it takes traces.
    pub path: String,
    /// What is sent with each export.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whose certificates are believed; `None`: those that the machine believes.
    pub ca_file: Option<PathBuf>,
    /// What we are called.
    pub service_name: String,
    /// Which requests are traced.
    pub sampling: Sampling,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What part of those that nobody has decided about.
    pub ratio: f64,
    /// Whether a trusted proxy decides about those that come through it.
    pub is_parent_based: bool,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";
const ENDPOINT_EXAMPLE: &str = "http://127.0.0.1:4318";

/// Where collectors take gRPC, which people copy from examples in other languages.
const GRPC_PORT: u16 = 4317;

/// Headers that are ours to write.
const OURS: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// The most headers that are sent along.
const HEADERS_MAX: usize = 16;

impl TracesConfig {
    /// `None`: nothing is traced.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let endpoint = reader.optional(ENDPOINT, |text, _| Endpoint::parse(text));
        reader.required("OTEL_EXPORTER_OTLP_PROTOCOL", value::word_of);
        let headers = reader.optional(HEADERS, |text, _| headers(text)).unwrap_or_default();
        let ca_file = reader.optional(CERTIFICATE, |text, _| Ok(PathBuf::from(text)));
        let service_name = reader.required("OTEL_SERVICE_NAME", service_name);
        let sampling = Sampling::read(reader);
        let Endpoint { origin, path } = endpoint?;
        if origin.port() == GRPC_PORT {
            let why =
                "names port 4317, where collectors take gRPC: over HTTP they take traces at 4318";
            let better = format!("{}://{}:4318", origin.scheme().as_str(), origin.host());
            reader.remark(ENDPOINT, Wrong::new(why).better(better));
        }
        if !headers.is_empty() && !origin.is_https() && !origin.is_of_this_machine() {
            let why = "sends OTEL_EXPORTER_OTLP_HEADERS in plain text";
            let better = format!("https://{}", origin.authority());
            reader.remark(ENDPOINT, Wrong::new(why).better(better));
        }
        if let Some(file) = ca_file.as_deref().filter(|file| !file.is_file()) {
            let why = format!("names the file {}, which is not there", file.display());
            reader.remark(CERTIFICATE, Wrong::new(why).better("/path/to/ca.pem"));
        }
        Some(Self { origin, path, headers, ca_file, service_name, sampling })
    }
}

impl Sampling {
    fn read(reader: &mut Reader) -> Self {
        let sampler = reader.required(SAMPLER, value::word_of);
        let ratio = reader.required(RATIO, ratio);
        let (is_parent_based, root) = match sampler.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, sampler),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            _ => ratio,
        };
        Self { ratio, is_parent_based }
    }
}

/// Where the collector takes traces.
struct Endpoint {
    origin: WebOrigin,
    path: String,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |why: &str| {
            let why = format!("is no URL of a collector: {why}; nothing is traced");
            Wrong::new(why).better(ENDPOINT_EXAMPLE)
        };
        let (origin, base) = WebOrigin::split(text).map_err(|error| wrong(&error.to_string()))?;
        let base = base.trim_end_matches('/');
        let is_plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}?#".contains(c);
        if !base.chars().all(is_plain) {
            return Err(wrong("it holds a query, or what must be percent-encoded"));
        }
        Ok(Self { origin, path: format!("{base}/v1/traces") })
    }
}

/// Nothing of a list that holds a mistake is quoted: it holds secrets.
fn headers(list: &str) -> Result<Vec<(HeaderName, HeaderValue)>, Wrong> {
    let headers: Result<Vec<_>, _> = value::items(list).map(header).collect();
    let headers = headers?;
    if headers.len() > HEADERS_MAX {
        return Err(Wrong::new(format!("holds more than {HEADERS_MAX} headers")));
    }
    Ok(headers)
}

fn header(item: &str) -> Result<(HeaderName, HeaderValue), Wrong> {
    let wrong = || Wrong::new("is no list of name=value pairs, separated by commas");
    let (name, value) = item.split_once('=').ok_or_else(wrong)?;
    let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
    if OURS.contains(&name) {
        return Err(Wrong::new(format!("sets {name}, which is not for it to set")));
    }
    let value = value.trim();
    if !is_percent_encoded(value) {
        return Err(Wrong::new("holds a `%` that begins no code: write `%25`"));
    }
    let mut value = HeaderValue::from_str(&percent_decoded(value)).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn service_name(text: &str, _: Form) -> Result<String, Wrong> {
    const BYTES_MAX: usize = 128;
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if text.len() <= BYTES_MAX && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new("holds others than printable ASCII characters, or too many")
        .better("nightlatch"))
}

fn ratio(text: &str, _: Form) -> Result<f64, Wrong> {
    let is_decimal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let ratio = if is_decimal { text.parse().ok() } else { None };
    match ratio {
        Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(Wrong::new("is no number from 0 to 1").better("0.1")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(values: &[(&str, &str)]) -> (Option<TracesConfig>, Vec<String>) {
        let loaded = Config::from_values(values.iter().copied()).expect("none of it is fatal");
        let problems = loaded.report.problems.iter().map(ToString::to_string).collect();
        (loaded.config.traces, problems)
    }

    #[test]
    fn nothing_is_traced_without_a_collector() {
        for values in [
            &[][..],
            &[(SAMPLER, "always_on"), (HEADERS, "a=b")][..],
            &[(ENDPOINT, "otel:4318")][..],
            &[(ENDPOINT, "http://otel:4318/?a=b")][..],
            &[(ENDPOINT, "http://u:p@otel:4318")][..],
        ] {
            let (traces, problems) = read(values);
            assert!(traces.is_none(), "{values:?}");
            let is_wrong = values.iter().any(|(name, _)| *name == ENDPOINT);
            assert_eq!(problems.len(), usize::from(is_wrong), "{problems:?}");
        }
    }

    #[test]
    fn an_endpoint_is_where_the_paths_of_the_protocol_begin() {
        for (endpoint, authority, path) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/traces"),
            ("https://otlp.example.com/", "otlp.example.com", "/v1/traces"),
            ("https://example.com/otlp/", "example.com", "/otlp/v1/traces"),
        ] {
            let (traces, problems) = read(&[(ENDPOINT, endpoint)]);
            let traces = traces.expect("a collector");
            assert_eq!(
                (traces.origin.authority().as_str(), traces.path.as_str()),
                (authority, path)
            );
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(traces.sampling, Sampling { ratio: 1.0, is_parent_based: true });
        }
    }

    #[test]
    fn samplers_are_those_of_opentelemetry() {
        for (sampler, arg, ratio, is_parent_based) in [
            ("always_on", "0.5", 1.0, false),
            ("always_off", "0.5", 0.0, false),
            ("traceidratio", "0.5", 0.5, false),
            ("parentbased_always_off", "0.5", 0.0, true),
            ("parentbased_traceidratio", "0.25", 0.25, true),
            ("parentbased_traceidratio", "50%", 1.0, true),
            // Not everything is traced that somebody may have meant to leave out.
            ("parentbased_traceidratoi", "0.25", 0.0, false),
        ] {
            let values = [(ENDPOINT, ENDPOINT_EXAMPLE), (SAMPLER, sampler), (RATIO, arg)];
            let sampling = read(&values).0.expect("a collector").sampling;
            assert_eq!(sampling, Sampling { ratio, is_parent_based }, "{sampler} {arg}");
        }
    }

    #[test]
    fn headers_are_decoded_and_never_shown() {
        let list = "authorization=Basic%20aHVudGVyMg==, x-key = hunter2";
        let (traces, problems) = read(&[(ENDPOINT, ENDPOINT_EXAMPLE), (HEADERS, list)]);
        let traces = traces.expect("a collector");
        let values: Vec<_> =
            traces.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected = [("authorization", &b"Basic aHVudGVyMg=="[..]), ("x-key", &b"hunter2"[..])];
        assert_eq!(values, expected);
        assert!(problems.is_empty() && !format!("{traces:?}").contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn what_will_not_work_is_said_and_secrets_are_not() {
        for (name, value, says) in [
            (HEADERS, "hunter2", "no list of name=value pairs"),
            (HEADERS, "a=%hunter2", "begins no code"),
            (HEADERS, "content-type=hunter2", "not for it to set"),
            (ENDPOINT, "http://otel:4317", "gRPC"),
            (ENDPOINT, "grpc://otel:4317", "https:// nor http://"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
            (CERTIFICATE, "/nowhere/ca.pem", "not there"),
            ("OTEL_SERVICE_NAME", "a\nb", "printable"),
        ] {
            let mut values = vec![(ENDPOINT, "https://otel.example.com")];
            values.retain(|(known, _)| *known != name);
            values.push((name, value));
            let (_, problems) = read(&values);
            let [problem] = &problems[..] else { panic!("{name}={value}: {problems:?}") };
            assert!(problem.contains(says) && !problem.contains("hunter2"), "{problem}");
        }
        let values = [(ENDPOINT, "http://otel.example.com:4318"), (HEADERS, "x-key=hunter2")];
        let (_, problems) = read(&values);
        assert!(problems.len() == 1 && problems[0].contains("plain text"), "{problems:?}");
    }
}
