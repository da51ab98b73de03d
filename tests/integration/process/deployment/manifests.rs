//! Reads the manifests, `compose.yaml` and the settings of the program.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::process::folder::Folder;
use crate::support::program::run;

/// What stands for a secret in the examples.
pub(in crate::process) const PLACEHOLDER: &str = "REPLACE-ME";

pub(in crate::process) fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn documents(path: &str) -> Vec<Value> {
    let documents = YamlLoader::load_from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    documents.into_iter().map(json).collect()
}

pub(in crate::process) fn yaml(path: &str) -> Value {
    let mut documents = documents(path);
    assert_eq!(documents.len(), 1, "{path}");
    documents.swap_remove(0)
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

/// All manifests of a kind.
pub(in crate::process) fn manifests(kind: &str) -> Vec<Value> {
    let file = match kind {
        "ConfigMap" => "config.yaml",
        "Secret" => "secret.example.yaml",
        "Job" => "migrate.yaml",
        "Deployment" => "deployment.yaml",
        "Service" => "service.yaml",
        "PodDisruptionBudget" => "poddisruptionbudget.yaml",
        "NetworkPolicy" => "networkpolicy.yaml",
        other => panic!("no file for {other}"),
    };
    let manifests = documents(&format!("deploy/kubernetes/{file}"));
    assert!(manifests.iter().all(|manifest| manifest["kind"] == kind), "{file}");
    manifests
}

/// The first manifest of a kind.
pub(in crate::process) fn manifest(kind: &str) -> Value {
    manifests(kind).swap_remove(0)
}

/// The manifest of a kind with this name.
pub(in crate::process) fn named(kind: &str, name: &Value) -> Value {
    let mut manifests = manifests(kind);
    manifests.retain(|manifest| &manifest["metadata"]["name"] == name);
    assert_eq!(manifests.len(), 1, "{kind} {name}");
    manifests.swap_remove(0)
}

/// What the `envFrom` of the servers sets: the settings of the pods, but for the database. Passwords and keys of the
/// examples are replaced, as their comment asks for.
pub(in crate::process) fn configured() -> BTreeMap<String, String> {
    let deployment = manifest("Deployment");
    let sources = container(&deployment)["envFrom"].as_array().unwrap();
    let mut settings = BTreeMap::new();
    for source in sources {
        let entries = match source.get("configMapRef") {
            Some(from) => named("ConfigMap", &from["name"])["data"].take(),
            None => named("Secret", &source["secretRef"]["name"])["stringData"].take(),
        };
        for (name, value) in entries.as_object().unwrap() {
            settings.insert(name.clone(), value.as_str().unwrap().replace(PLACEHOLDER, &"f".repeat(64)));
        }
    }
    settings
}

/// Settings of the service in `compose.yaml`, merged with what all services share.
pub(in crate::process) fn composed() -> BTreeMap<String, String> {
    let environment = yaml("compose.yaml")["services"]["service"]["environment"].take();
    let environment = environment.as_object().unwrap();
    assert!(environment.contains_key("DATABASE_URL"), "merged: {environment:?}");
    environment.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// The variables that `serve` takes, with their defaults.
pub(in crate::process) async fn settings() -> BTreeMap<String, Option<String>> {
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

pub(in crate::process) fn seconds(time: &str) -> Duration {
    Duration::from_secs(time.strip_suffix('s').unwrap().parse().unwrap())
}

pub(in crate::process) fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

pub(in crate::process) fn container(workload: &Value) -> &Value {
    &pod(workload)["containers"][0]
}

/// The number of a container's port.
pub(in crate::process) fn port(workload: &Value, name: &str) -> u64 {
    let ports = container(workload)["ports"].as_array().unwrap();
    ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap()
}

/// Whether a selector chooses these labels.
pub(in crate::process) fn selects(selector: &Value, labels: &Value) -> bool {
    selector.as_object().unwrap().iter().all(|(name, value)| &labels[name] == value)
}
