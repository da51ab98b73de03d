//! Who can reach the pods, and what they can reach.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::process::deployment::manifests::{
    configured, container, manifest, manifests, named, selects, settings,
};

fn rules<'a>(policy: &'a Value, direction: &str) -> &'a [Value] {
    policy["spec"][direction].as_array().map_or(&[], Vec::as_slice)
}

fn ports(rule: &Value) -> Vec<String> {
    rule["ports"].as_array().unwrap().iter().map(|port| port["port"].to_string()).collect()
}

/// The rule of a policy for one port.
fn rule<'a>(policy: &'a Value, direction: &str, port: &Value) -> &'a Value {
    let mut found = rules(policy, direction).iter().filter(|rule| rule["ports"][0]["port"] == *port);
    let rule = found.next().unwrap_or_else(|| panic!("no rule for {port}"));
    assert!(found.next().is_none(), "two rules for {port}");
    rule
}

/// The port of the database that the example of a secret names.
fn database_port() -> u64 {
    let url = manifest("Secret")["stringData"]["DATABASE_URL"].take();
    url::Url::parse(url.as_str().unwrap()).unwrap().port().unwrap().into()
}

#[test]
fn each_port_of_the_servers_is_open_to_its_own_clients_and_to_nobody_else() {
    let policy = manifest("NetworkPolicy");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let deployment = manifest("Deployment");
    let open: BTreeSet<_> = rules(&policy, "ingress").iter().flat_map(ports).collect();
    let listening = container(&deployment)["ports"].as_array().unwrap();
    assert_eq!(open, listening.iter().map(|port| port["name"].to_string()).collect());
    let namespace = |name: &str| json!([{ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } }]);
    let client = json!({ "matchLabels": { "inkbox-imessage/client": "true" } });
    for (port, from) in [
        ("grpc", json!([{ "podSelector": client }, { "namespaceSelector": client }])),
        ("metrics", namespace("monitoring")),
        ("webhooks", namespace("ingress-nginx")),
    ] {
        assert_eq!(rule(&policy, "ingress", &port.into())["from"], from, "{port}");
    }
}

#[tokio::test]
async fn servers_reach_dns_the_database_and_carriers_at_public_addresses() {
    let policy = manifest("NetworkPolicy");
    let reached: BTreeSet<_> = rules(&policy, "egress").iter().flat_map(ports).collect();
    assert_eq!(reached, ["53", "443", &database_port().to_string()].map(str::to_owned).into());
    let dns = &rule(&policy, "egress", &53.into())["ports"];
    assert_eq!(dns, &json!([{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }]));
    let carriers = rule(&policy, "egress", &443.into());
    for (block, private) in [(0, "10.0.0.0/8"), (0, "169.254.0.0/16"), (1, "fc00::/7")] {
        let except = carriers["to"][block]["ipBlock"]["except"].as_array().unwrap();
        assert!(except.iter().any(|range| range == private), "{private} is no address of a carrier");
    }
    let configured = configured();
    let sendblue = settings().await["INKBOX_SENDBLUE_URL"].clone().unwrap();
    for url in [&sendblue, configured["INKBOX_BLUEBUBBLES_SERVERS"].split_once('=').unwrap().1] {
        assert_eq!(url::Url::parse(url).unwrap().port_or_known_default(), Some(443), "{url}");
    }
}

#[test]
fn the_migration_reaches_dns_and_the_database_and_nobody_reaches_it() {
    let policy = named("NetworkPolicy", &"inkbox-imessage-migrate".into());
    let job = manifest("Job");
    let selector = &policy["spec"]["podSelector"]["matchLabels"];
    assert!(selects(selector, &job["spec"]["template"]["metadata"]["labels"]));
    assert!(!selects(selector, &manifest("Deployment")["spec"]["template"]["metadata"]["labels"]));
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    assert!(rules(&policy, "ingress").is_empty());
    let reached: BTreeSet<_> = rules(&policy, "egress").iter().flat_map(ports).collect();
    assert_eq!(reached, ["53", &database_port().to_string()].map(str::to_owned).into());
    assert_eq!(manifests("NetworkPolicy").len(), 2);
}
