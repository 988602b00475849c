//! Files that no program here reads are held against the program, and against each other.

use std::collections::BTreeSet;
use std::fs;

use nightlatch::config::setting::find_or_file;
use nightlatch_testkit::shipped::{Shipped, repository};
use nightlatch_testkit::yaml;
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where servers listen in containers, and where their metrics are.
const PORT: u64 = 8080;
const METRICS_PORT: u64 = 9464;

fn text_of(path: &str) -> String {
    Shipped::at(&repository().join(path)).text().to_owned()
}

/// Each is a setting of ours, or one that is read from a file.
#[track_caller]
fn assert_settings<'n>(file: &str, names: impl IntoIterator<Item = &'n str>) {
    let names: Vec<&str> = names.into_iter().collect();
    assert!(names.len() >= 4, "{file} sets more than {names:?}");
    for name in names {
        assert!(find_or_file(name).is_some(), "{file}: {name} is no setting");
    }
}

/// The words between quotes that come after `key`.
fn quoted<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let after = text.split(key).skip(1);
    after.filter_map(|rest| rest.split_once('\'')?.1.split('\'').next()).collect()
}

fn all_yaml(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(repository().join(folder)).expect("it is there").flatten() {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            all_yaml(&path, found);
        } else if entry.path().extension().is_some_and(|it| it == "yml" || it == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_yaml_file_is_yaml() {
    let mut files = Vec::new();
    all_yaml("deploy", &mut files);
    all_yaml(".github", &mut files);
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let documents = yaml::documents(&text_of(&file));
        assert!(documents.iter().all(Value::is_object), "{file}: {documents:?}");
    }
}

#[test]
fn the_image_is_built_by_our_toolchain_and_runs_as_nobody() {
    let dockerfile = text_of("Dockerfile");
    let toolchain = text_of("rust-toolchain.toml");
    let channel = toolchain.split("channel = \"").nth(1).and_then(|rest| rest.split('"').next());
    let channel = channel.expect("it names one");
    let image = format!("rust:{channel}-bookworm");
    assert!(dockerfile.contains(&image), "{image}");
    assert!(text_of(".github/workflows/release.yml").contains(&image), "{image}");
    let last = dockerfile.rsplit_once("\nFROM ").expect("two stages").1;
    for line in [
        "USER 65532:65532",
        "EXPOSE 8080",
        "NIGHTLATCH_LISTEN=0.0.0.0:8080",
        "ENTRYPOINT [\"/usr/bin/nightlatch\"]",
        "CMD [\"serve\"]",
        "CMD [\"/usr/bin/nightlatch\", \"health\"]",
    ] {
        assert!(last.contains(line), "{line}");
    }
    let environment = last.split("ENV ").nth(1).expect("it sets some");
    let environment = environment.split("\nVOLUME").next().expect("it ends");
    let names = environment.split_whitespace().filter_map(|word| word.split_once('='));
    for (name, _) in names {
        assert!(find_or_file(name).is_some(), "{name} is no setting");
    }
}

#[test]
fn no_secret_and_no_build_goes_into_the_image() {
    let ignored = text_of(".dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.first(), Some(&"*"), "what is not named does not go in");
    for never in ["**/target", "**/*.db", "**/*.keys", "**/.env"] {
        let at = lines.iter().position(|line| *line == never);
        let last = lines.iter().rposition(|line| line.starts_with('!'));
        assert!(at > last && at.is_some(), "{never} comes last, and wins");
    }
    for kept in lines.iter().filter_map(|line| line.strip_prefix('!')) {
        assert!(repository().join(kept).exists(), "{kept} is not there");
    }
}

#[test]
fn compose_sets_what_there_is() {
    let compose = Shipped::read("compose/compose.yaml").yaml().remove(0);
    for service in ["nightlatch-1", "nightlatch-2"] {
        let service = &compose["services"][service];
        let environment = service["environment"].as_object().expect("it has one");
        assert_settings("compose.yaml", environment.keys().map(String::as_str));
        let image = service["image"].as_str().expect("one");
        assert!(image.ends_with(&format!(":{VERSION}}}")), "{image}");
        let example = text_of("deploy/compose/.env.example");
        assert!(example.contains(&format!("nightlatch:{VERSION}\n")), "{example}");
    }
}

#[test]
fn kubernetes_manifests_agree_with_each_other_and_with_the_image() {
    let documents = Shipped::read("kubernetes/nightlatch.yaml").yaml();
    let of_kind = |kind: &str| {
        let mut found = documents.iter().filter(|it| it["kind"] == kind);
        found.next().unwrap_or_else(|| panic!("a {kind}"))
    };
    let labels = &of_kind("Deployment")["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &of_kind("Deployment")["spec"]["selector"]["matchLabels"],
        &of_kind("Service")["spec"]["selector"],
        &of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], format!("ghcr.io/nightlatch/nightlatch:{VERSION}"));
    let map = of_kind("ConfigMap")["data"].as_object().expect("settings");
    let own: Vec<_> = container["env"].as_array().expect("some").iter().collect();
    let names = own.iter().filter_map(|it| it["name"].as_str());
    assert_settings("nightlatch.yaml", map.keys().map(String::as_str).chain(names));

    let ports = container["ports"].as_array().expect("ports");
    let port = |name: &str| {
        let port = ports.iter().find(|port| port["name"] == name);
        port.and_then(|port| port["containerPort"].as_u64())
    };
    assert_eq!((port("http"), port("metrics")), (Some(PORT), Some(METRICS_PORT)));
    assert_eq!(map["NIGHTLATCH_LISTEN"], format!("0.0.0.0:{PORT}"));
    assert_eq!(map["NIGHTLATCH_METRICS_LISTEN"], format!("0.0.0.0:{METRICS_PORT}"));
    for (probe, path) in [("startup", "live"), ("liveness", "live"), ("readiness", "ready")] {
        let probe = &container[format!("{probe}Probe")]["httpGet"];
        assert_eq!(
            (&probe["path"], &probe["port"]),
            (&format!("/health/{path}").into(), &"http".into())
        );
    }
    let keys = Shipped::read("kubernetes/secret.example.yaml").yaml().remove(0);
    let keys = keys["stringData"].as_object().expect("secrets");
    let mount = container["volumeMounts"][0]["mountPath"].as_str().expect("a folder");
    for file in own.iter().filter_map(|it| it["value"].as_str()) {
        let key = file.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/'));
        assert!(key.is_some_and(|key| keys.contains_key(key)), "{file} is no secret");
    }
    let stop = &container["lifecycle"]["preStop"]["sleep"]["seconds"];
    let stop = stop.as_u64().expect("seconds") + 10 + 2;
    assert!(pod["terminationGracePeriodSeconds"].as_u64().expect("seconds") > stop);
}

#[test]
fn azure_sets_what_there_is_and_fetches_what_it_uses() {
    let bicep = text_of("deploy/azure/main.bicep");
    let environment = bicep.split("env: [").nth(1).expect("one").split("\n          ]").next();
    let names = quoted(environment.expect("it ends"), "{ name: ");
    assert_settings("main.bicep", names);
    let used: BTreeSet<&str> = quoted(&bicep, "secretRef: ").into_iter().collect();
    let listed = bicep.split("secrets: [").nth(1).expect("some").split("\n      ]").next();
    let fetched: BTreeSet<&str> =
        quoted(listed.expect("it ends"), "{ name: ").into_iter().collect();
    assert_eq!(used, fetched);
    for secret in fetched {
        assert!(bicep.contains(&format!("secrets/{secret}'")), "{secret} comes from the vault");
        assert!(
            text_of("deploy/azure/README.md").contains(&format!("--name {secret} ")),
            "{secret}"
        );
    }
    assert!(bicep.contains(&format!("ghcr.io/nightlatch/nightlatch:{VERSION}'")));
    assert!(bicep.contains(&format!("targetPort: {PORT}\n")));
    assert_eq!(bicep.matches(&format!("port: {PORT} }}")).count(), 3, "three probes");
    let balance = |open: char, close: char| {
        assert_eq!(bicep.matches(open).count(), bicep.matches(close).count(), "{open}{close}");
    };
    balance('{', '}');
    balance('[', ']');
    balance('(', ')');
}

#[test]
fn render_sets_what_there_is() {
    let blueprint = Shipped::read("render/render.yaml").yaml().remove(0);
    let web = &blueprint["services"][0];
    assert_eq!(web["image"]["url"], format!("ghcr.io/nightlatch/nightlatch:{VERSION}"));
    let variables = web["envVars"].as_array().expect("variables");
    let value = |name: &str| {
        let found = variables.iter().find(|it| it["key"] == name);
        found.unwrap_or_else(|| panic!("{name} is set")).clone()
    };
    // The platform's own.
    assert_eq!(value("PORT")["value"], PORT.to_string());
    assert_eq!(value("NIGHTLATCH_LISTEN")["value"], format!("0.0.0.0:{PORT}"));
    let names = variables.iter().filter_map(|it| it["key"].as_str());
    assert_settings("render.yaml", names.filter(|name| *name != "PORT"));
    let database = &value("DATABASE_URL")["fromDatabase"]["name"];
    assert_eq!(database, &blueprint["databases"][0]["name"]);
    let redis = &value("REDIS_URL")["fromService"]["name"];
    assert_eq!(redis, &blueprint["services"][1]["name"]);
}

#[test]
fn each_way_says_what_of_it_is_not_checked() {
    for folder in ["compose", "systemd", "debian", "kubernetes", "azure", "render"] {
        let readme = text_of(&format!("deploy/{folder}/README.md"));
        assert!(readme.contains("**Checked by tests**"), "{folder}");
        assert!(readme.contains("**Not checked**"), "{folder}");
    }
}
