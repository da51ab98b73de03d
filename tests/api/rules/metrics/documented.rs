//! What is exposed, documented and shown is the same; and no label holds anything private.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use inkbox_imessage::proto::{
    ListConversationsRequest, SendMessageRequest, SendTypingIndicatorRequest, send_message_request,
};
use serde_json::Value;

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::metrics::{Scrape, metrics_in};
use crate::support::{Human, TestApp};

const HUMAN: &str = "+15551239876";

fn file(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A scrape with a series of every metric, and what its labels must not hold.
pub(crate) async fn scrape_of_everything() -> (Scrape, Vec<String>) {
    let app = TestApp::start().await;
    let identity = app.identity("org_secret").await;
    let (_, id) = Human::new(&app, HUMAN).await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    let request = SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() };
    agent.send_typing_indicator(request).await.unwrap();
    let request = SendMessageRequest {
        target: Some(send_message_request::Target::ConversationId(id.clone())),
        text: Some("the eagle has landed".to_owned()),
        ..Default::default()
    };
    agent.send_message(request).await.unwrap();
    app.with_secret("ink_no_such_key")
        .list_conversations(ListConversationsRequest::default())
        .await
        .unwrap_err();
    app.parts.metrics.carriers.breaker_is("sandbox", false);
    let mut private = vec![id, identity.id, identity.agent_handle, agent.secret.unwrap()];
    private.extend(["org_secret", "eagle", "no_such_key", ROUTER_LINE, HUMAN].map(str::to_owned));
    private.extend(POOL_LINES.map(str::to_owned));
    (Scrape::of(app.metrics).await, private)
}

/// The label names of a metric, without the `le` of histograms.
pub(crate) fn labels_of(scrape: &Scrape, metric: &str) -> BTreeSet<String> {
    let parts = ["", "_bucket", "_sum", "_count"].map(|part| format!("{metric}{part}"));
    let series = scrape.series().into_iter().filter(|(name, ..)| parts.contains(name));
    series.flat_map(|(_, labels, _)| labels.into_keys()).filter(|label| label != "le").collect()
}

/// A row of the table of metrics in docs/operations.md.
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
    is_deprecated: bool,
}

/// The rows of the table of docs/operations.md whose first column is a metric, by name.
fn documented() -> BTreeMap<String, Documented> {
    let operations = file("docs/operations.md");
    let section = operations.split("\n## ").find(|section| section.starts_with("Metrics")).unwrap();
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        // `label`: `value`, `value`
        let labels = columns[3].split(':').next().unwrap();
        let documented = Documented {
            kind: columns[2].to_owned(),
            labels: quoted(labels).into_iter().collect(),
            is_deprecated: columns[4].starts_with("deprecated: "),
        };
        (quoted(columns[1]).remove(0), documented)
    })
    .collect()
}

#[tokio::test]
async fn documentation_dashboard_and_exposition_name_the_same_metrics() {
    let (scrape, _) = scrape_of_everything().await;
    let exposed = scrape.metrics();
    let documented = documented();
    let names: BTreeSet<_> = exposed.keys().cloned().collect();
    assert!(names.len() > 25, "{names:?}");
    assert_eq!(documented.keys().cloned().collect::<BTreeSet<_>>(), names, "docs/operations.md");

    for (name, Documented { kind, labels, .. }) in &documented {
        assert_eq!(kind, &exposed[name], "type of {name} in docs/operations.md");
        assert_eq!(labels, &labels_of(&scrape, name), "labels of {name} in docs/operations.md");
    }

    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/inkbox-imessage.json")).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let shown: BTreeSet<_> =
        targets.flatten().flat_map(|target| metrics_in(target["expr"].as_str().unwrap())).collect();
    let current: BTreeSet<_> =
        documented.into_iter().filter(|(_, row)| !row.is_deprecated).map(|(name, _)| name).collect();
    assert_eq!(shown, current, "the dashboard");

    let alerted = metrics_in(&file("deploy/prometheus/inkbox-imessage.rules.yaml"));
    assert!(alerted.len() > 8 && alerted.is_subset(&current), "alerts: {:?}", alerted.difference(&current));
}

#[tokio::test]
async fn no_label_holds_a_number_a_key_an_organization_an_id_or_a_text() {
    let (scrape, private) = scrape_of_everything().await;
    for private in private {
        assert!(!scrape.text.contains(private.trim_start_matches('+')), "{private} is in the metrics");
    }
    let known = [
        "service", "method", "code", "reason", "result", "carrier", "action", "outcome", "state", "version",
        "le",
    ];
    for (name, labels, _) in scrape.series() {
        for label in labels.keys() {
            assert!(known.contains(&label.as_str()), "{name} has a label {label}");
        }
    }
}
