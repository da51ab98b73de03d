//! The alerts: each says how urgent it is and what to do, and they fire as their own tests say.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::process::deployment::manifests::{text, yaml};

const RULES: &str = "deploy/prometheus/inkbox-imessage.rules.yaml";
const TESTS: &str = "deploy/prometheus/inkbox-imessage.tests.yaml";
const RUNBOOKS: &str = "docs/operations.md";

fn alerts() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].take();
    let rules = groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

/// The sections of the page whose heading is the name of an alert.
fn runbooks() -> BTreeSet<String> {
    let page = text(RUNBOOKS);
    page.lines()
        .filter_map(|line| line.strip_prefix("### Inkbox"))
        .map(|name| format!("Inkbox{name}"))
        .collect()
}

#[test]
fn every_alert_has_a_severity_a_summary_and_a_runbook() {
    let names: BTreeSet<_> =
        alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), alerts().len(), "a name is used twice");
    assert_eq!(names, runbooks());
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        assert!(alert["annotations"]["summary"].as_str().unwrap().ends_with('.'), "{name}");
        let runbook = format!("{RUNBOOKS}#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], runbook.as_str());
    }
}

#[test]
fn there_is_an_alert_for_each_way_to_be_out_of_service() {
    let expressions: Vec<_> =
        alerts().iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect();
    for condition in [
        "up{",
        "absent(",
        "process_start_time_seconds",
        "inkbox_database_up == 0",
        "STORAGE_UNAVAILABLE",
        "avail_bytes",
        "cert_expiry",
        "inkbox_clock_skew_seconds",
    ] {
        assert!(expressions.iter().any(|expression| expression.contains(condition)), "{condition}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a check that was not made says so")]
fn prometheus_accepts_the_rules_and_they_pass_their_tests() {
    for arguments in [["check", "rules", RULES], ["test", "rules", TESTS]] {
        let mut promtool = Command::new("promtool");
        let Ok(ran) = promtool.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output() else {
            println!("skipped: promtool is not installed (Debian: apt-get install prometheus)");
            return;
        };
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}
