//! The files in `deploy/` and `compose.yaml`, held against the program: what they name exists, and what they promise holds.

mod expression;
pub(super) mod manifests;
mod memory;
mod network;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::process::deployment::manifests::{
    PLACEHOLDER, composed, configured, container, manifest, manifests, named, pod, port, seconds, selects,
    settings, text, yaml,
};
use crate::process::folder::Folder;
use crate::process::metrics::address_in;
use crate::support::metrics::http;
use crate::support::program::{Service, command, finish, run};

/// What a drain takes beyond its settings at most: see docs/configuration.md.
const MARGIN: Duration = Duration::from_secs(5);

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
        let secret = named("Secret", &from["name"]);
        assert!(secret["stringData"][from["key"].as_str().unwrap()].is_string());
    }
}

#[tokio::test]
async fn the_secrets_of_the_examples_are_refused() {
    let mut serve = command(&Folder::empty(), &["serve"]);
    for secret in manifests("Secret") {
        for (name, value) in secret["stringData"].as_object().unwrap() {
            serve.env(name, value.as_str().unwrap());
        }
    }
    serve.env("INKBOX_WEBHOOK_LISTEN", "127.0.0.1:0");
    finish(serve).await.failed(2, "needs 16 characters or more");
    assert!(text("deploy/kubernetes/secret.example.yaml").contains(PLACEHOLDER));
}

#[tokio::test]
async fn a_pod_is_ready_only_with_its_database_and_is_not_restarted_without_it() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--metrics-listen", "127.0.0.1:0"]).await;
    let metrics = address_in(&service.output()).expect("an address");
    let deployment = manifest("Deployment");
    let status = async |probe: &str| {
        let probe = &container(&deployment)[probe]["httpGet"];
        assert_eq!(probe["port"], "metrics");
        let (head, _) = http(metrics, "GET", probe["path"].as_str().unwrap()).await;
        head.split(' ').nth(1).unwrap().to_owned()
    };
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(status(probe).await, "200", "{probe}");
    }
    folder.end_postgres_for_good();
    service.until_health_is(Some("NOT_SERVING")).await;
    assert_eq!(status("startupProbe").await, "200");
    assert_eq!(status("livenessProbe").await, "200");
    assert_eq!(status("readinessProbe").await, "503");
}

#[test]
fn every_port_is_one_that_is_listened_on_and_that_the_image_exposes() {
    let (deployment, configured, dockerfile) =
        (manifest("Deployment"), configured(), text("deploy/Dockerfile"));
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let listeners = [
        ("INKBOX_LISTEN", "grpc"),
        ("INKBOX_METRICS_LISTEN", "metrics"),
        ("INKBOX_WEBHOOK_LISTEN", "webhooks"),
    ];
    for (variable, name) in listeners {
        let port = port(&deployment, name).to_string();
        assert!(configured[variable].ends_with(&format!(":{port}")), "{variable}");
        assert!(exposed.split(' ').any(|open| open == port), "{name}");
        let services = manifests("Service");
        let ports = services.iter().flat_map(|service| service["spec"]["ports"].as_array().unwrap());
        assert!(ports.into_iter().any(|port| port["targetPort"] == name), "no Service has {name}");
    }
    assert_eq!(container(&deployment)["ports"].as_array().unwrap().len(), listeners.len());
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
    let (services, budget) = (manifests("Service"), manifest("PodDisruptionBudget"));
    let policies = manifests("NetworkPolicy");
    let of_services = services.iter().map(|service| &service["spec"]["selector"]);
    let others = [
        &deployment["spec"]["selector"]["matchLabels"],
        &pod(&deployment)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &budget["spec"]["selector"]["matchLabels"],
        &policies[0]["spec"]["podSelector"]["matchLabels"],
    ];
    for selector in of_services.chain(others) {
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
