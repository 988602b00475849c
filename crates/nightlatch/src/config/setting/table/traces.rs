//! The entries of traces, under the names that OpenTelemetry gives them.
//!
//! In a file of its own for the length of the table alone.

use super::super::Fallback::{Preset, Unset};
use super::super::Form::{Secret, Text, Words};
use super::super::{Setting, WhenWrong};

pub(super) const TRACES: &[Setting] = &[
    Setting::new(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Text("URL, such as http://127.0.0.1:4318"),
        Unset("none: nothing is traced"),
        "The collector of OpenTelemetry that traces go to, over HTTP; `/v1/traces` is added. \
         [Which spans there are](traces.md).",
    ),
    Setting::new(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        Words(&["http/protobuf"]),
        Preset("http/protobuf"),
        "How it is spoken to. gRPC and JSON are not spoken.",
    ),
    Setting::new(
        "OTEL_EXPORTER_OTLP_HEADERS",
        Secret("name=value pairs, separated by commas; values percent-encoded"),
        Unset("none"),
        "What is sent with each export, such as an API key.",
    ),
    Setting::new(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        Text("file"),
        Unset("the authorities that the machine believes"),
        "The certificate authorities (PEM) that are believed of an https collector.",
    ),
    Setting::new("OTEL_SERVICE_NAME", Text("text"), Preset("nightlatch"), "What traces call us."),
    Setting::new(
        "OTEL_TRACES_SAMPLER",
        Words(&[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]),
        Preset("parentbased_always_on"),
        "Which requests are traced. With `parentbased` those that one of TRUSTED_PROXIES traces are, \
         and those that it does not trace are not.",
    )
    .wrong(WhenWrong::Strict("always_off")),
    Setting::new(
        "OTEL_TRACES_SAMPLER_ARG",
        Text("number from 0 to 1"),
        Preset("1"),
        "Of the samplers with `traceidratio`: what part of the requests.",
    ),
];
