//! The files in `deploy/` and `compose.yaml`, held against the program: what they name exists, and what they promise holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::process::folder::Folder;
use crate::support::program::{Service, command, finish, run};

/// What a drain takes beyond its settings at most: see docs/configuration.md.
const MARGIN: Duration = Duration::from_secs(5);

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    let mut documents =
        YamlLoader::load_from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(documents.len(), 1, "{path}");
    json(documents.swap_remove(0))
}

/// The same as JSON, with `<<` merged.
fn json(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => value.into(),
        Yaml::Integer(value) => value.into(),
        Yaml::String(value) => value.into(),
        Yaml::Array(values) => values.into_iter().map(json).collect(),
        Yaml::Hash(entries) => {
            let mut merged = serde_json::Map::new();
            let mut own = serde_json::Map::new();
            for (name, value) in entries {
                match (name.as_str().unwrap(), json(value)) {
                    ("<<", Value::Object(shared)) => merged.extend(shared),
                    (name, value) => drop(own.insert(name.to_owned(), value)),
                }
            }
            merged.extend(own);
            Value::Object(merged)
        }
        other => panic!("{other:?} has no place in these files"),
    }
}

fn manifest(kind: &str) -> Value {
    let file = match kind {
        "ConfigMap" => "config.yaml",
        "Secret" => "secret.example.yaml",
        "Job" => "migrate.yaml",
        "Deployment" => "deployment.yaml",
        "Service" => "service.yaml",
        "PodDisruptionBudget" => "poddisruptionbudget.yaml",
        other => panic!("no file for {other}"),
    };
    let manifest = yaml(&format!("deploy/kubernetes/{file}"));
    assert_eq!(manifest["kind"], kind);
    manifest
}

/// Settings of the pods, but for the secret.
fn configured() -> BTreeMap<String, String> {
    let data = manifest("ConfigMap")["data"].take();
    let data = data.as_object().unwrap();
    data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Settings of the service in `compose.yaml`, merged with what all services share.
fn composed() -> BTreeMap<String, String> {
    let environment = yaml("compose.yaml")["services"]["service"]["environment"].take();
    let environment = environment.as_object().unwrap();
    assert!(environment.contains_key("DATABASE_URL"), "merged: {environment:?}");
    environment.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// The variables that `serve` takes, with their defaults.
async fn settings() -> BTreeMap<String, Option<String>> {
    let help = run(&Folder::empty(), &["serve", "--help"]).await.succeeded();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut settings = BTreeMap::new();
    for part in words.split("[env: ").skip(1) {
        // `[env: NAME=value]`, or without the value where it is a secret.
        let (name, rest) = part.split_at(part.find(['=', ']']).unwrap());
        let default = rest.split_once("] [default: ").filter(|(before, _)| !before.contains('['));
        let default = default.map(|(_, after)| after.split(']').next().unwrap().to_owned());
        settings.insert(name.to_owned(), default);
    }
    settings
}

fn seconds(time: &str) -> Duration {
    Duration::from_secs(time.strip_suffix('s').unwrap().parse().unwrap())
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn container(workload: &Value) -> &Value {
    &pod(workload)["containers"][0]
}

/// Whether a selector chooses these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(name, value)| &labels[name] == value)
}

#[tokio::test]
async fn every_variable_is_a_setting_and_every_value_is_one_that_it_takes() {
    let settings = settings().await;
    assert!(settings.contains_key("INKBOX_LISTEN") && settings.contains_key("DATABASE_URL"), "{settings:?}");
    for (from, environment) in [("config.yaml", configured()), ("compose.yaml", composed())] {
        let folder = Folder::empty();
        let mut serve = command(&folder, &["serve"]);
        for (name, value) in environment {
            assert!(settings.contains_key(&name), "{from}: {name} is no setting");
            serve.env(name, value);
        }
        // Everything else is read before this is found to be none.
        serve.env("DATABASE_URL", "nonsense");
        finish(serve).await.failed(2, "DATABASE_URL does not begin with");
    }
    for kind in ["Job", "Deployment"] {
        let env = container(&manifest(kind))["env"].clone();
        assert_eq!(env[0]["name"], "DATABASE_URL");
        let from = &env[0]["valueFrom"]["secretKeyRef"];
        let secret = manifest("Secret");
        assert_eq!(from["name"], secret["metadata"]["name"]);
        assert!(secret["stringData"][from["key"].as_str().unwrap()].is_string());
    }
    let from = &container(&manifest("Deployment"))["envFrom"][0]["configMapRef"]["name"].clone();
    assert_eq!(from, &manifest("ConfigMap")["metadata"]["name"]);
}

#[tokio::test]
async fn every_probe_asks_for_an_entry_that_exists_on_the_port_that_is_listened_on() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let deployment = manifest("Deployment");
    let server = container(&deployment);
    let configured = configured();
    let port = |name: &str| {
        let ports = server["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].to_string()
    };
    for (variable, name) in [("INKBOX_LISTEN", "grpc"), ("INKBOX_METRICS_LISTEN", "metrics")] {
        assert!(configured[variable].ends_with(&format!(":{}", port(name))), "{variable}");
        assert!(text("deploy/Dockerfile").lines().any(|line| {
            line.strip_prefix("EXPOSE").is_some_and(|ports| ports.split(' ').any(|open| open == port(name)))
        }));
    }
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = &server[probe]["grpc"];
        assert_eq!(probe["port"].to_string(), port("grpc"));
        let entry = probe["service"].as_str().unwrap_or_default();
        let mut health = command(&folder, &["health", "--service", entry]);
        health.env("INKBOX_LISTEN", service.address.to_string());
        finish(health).await.succeeded();
    }
    // A liveness probe that follows the database would restart every pod when it is down.
    assert_ne!(server["livenessProbe"]["grpc"]["service"].as_str().unwrap_or_default(), "");
    assert_eq!(server["readinessProbe"]["grpc"].get("service"), None);
}

#[tokio::test]
async fn a_pod_has_longer_than_a_drain_takes() {
    let settings = settings().await;
    let drain = |environment: &BTreeMap<String, String>, grace: &str| {
        let limit = environment.get("INKBOX_DRAIN_LIMIT").cloned();
        let limit = seconds(&limit.or_else(|| settings["INKBOX_DRAIN_LIMIT"].clone()).unwrap());
        let grace = seconds(environment.get("INKBOX_DRAIN_GRACE").map_or(grace, String::as_str));
        grace + 2 * limit + MARGIN
    };
    let seconds_of_pod = pod(&manifest("Deployment"))["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(Duration::from_secs(seconds_of_pod) > drain(&configured(), "3s"));
    let grace = yaml("compose.yaml")["services"]["service"]["stop_grace_period"].take();
    assert!(seconds(grace.as_str().unwrap()) > drain(&composed(), "3s"));
}

#[tokio::test]
async fn every_command_is_one_of_the_program() {
    let folder = Folder::empty();
    let compose = yaml("compose.yaml");
    let commands = [
        container(&manifest("Job"))["args"].clone(),
        container(&manifest("Deployment"))["args"].clone(),
        compose["services"]["migrate"]["command"].clone(),
    ];
    for command in commands {
        let command = command[0].as_str().unwrap();
        run(&folder, &[command, "--help"]).await.succeeded();
    }
    let check = &compose["services"]["service"]["healthcheck"]["test"];
    assert_eq!(check, &serde_json::json!(["CMD", "/inkbox-imessage", "health"]));
}

#[test]
fn selectors_choose_the_servers_and_nothing_else() {
    let deployment = manifest("Deployment");
    let servers = &deployment["spec"]["template"]["metadata"]["labels"];
    let job = manifest("Job");
    let migrate = &job["spec"]["template"]["metadata"]["labels"];
    let (service, budget) = (manifest("Service"), manifest("PodDisruptionBudget"));
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &pod(&deployment)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &service["spec"]["selector"],
        &budget["spec"]["selector"]["matchLabels"],
    ] {
        assert!(selects(selector, servers) && !selects(selector, migrate), "{selector}");
    }
    let replicas = deployment["spec"]["replicas"].as_u64().unwrap();
    assert!(replicas >= 2 && budget["spec"]["maxUnavailable"].as_u64().unwrap() < replicas);
}

#[test]
fn every_container_runs_as_the_images_user_without_any_right() {
    let dockerfile = text("deploy/Dockerfile");
    let user = dockerfile.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    for kind in ["Job", "Deployment"] {
        let workload = manifest(kind);
        let context = &pod(&workload)["securityContext"];
        assert_eq!(format!("{}:{}", context["runAsUser"], context["runAsGroup"]), user, "{kind}");
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!(pod(&workload)["automountServiceAccountToken"], false);
        let context = &container(&workload)["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
        assert!(container(&workload)["resources"]["limits"]["memory"].is_string());
    }
}

#[test]
fn the_image_is_built_with_the_toolchain_and_the_files_of_the_repository() {
    let dockerfile = text("deploy/Dockerfile");
    let toolchain = text("rust-toolchain.toml");
    let version = toolchain.split_once("channel = \"").unwrap().1.split('"').next().unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-slim-bookworm AS build")));
    assert!(dockerfile.contains(&format!("RUSTUP_TOOLCHAIN={version} ")));
    // The libc of Debian 12, which is bookworm.
    assert!(dockerfile.contains("FROM gcr.io/distroless/cc-debian12:nonroot"));
    let ignored = text(".dockerignore");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let mut names: Vec<_> = copy.split(' ').collect();
        names.pop();
        for name in names {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(name).exists(), "{name}");
            assert!(
                ignored.lines().any(|line| line == format!("!{name}")),
                "{name} is not in the build's context"
            );
        }
    }
    // Cargo wants every file that the manifest names, whether it is built or not.
    for path in text("Cargo.toml").lines().filter_map(|line| line.strip_prefix("path = \"")) {
        let folder = path.split('/').next().unwrap();
        assert!(dockerfile.contains(&format!("COPY {folder} {folder}\n")), "{path}");
    }
    let (_, entry) = dockerfile.split_once("ENTRYPOINT [\"").unwrap();
    let entry = entry.split('"').next().unwrap();
    assert!(dockerfile.contains(&format!("CMD [\"{entry}\", \"health\"]")));
}
