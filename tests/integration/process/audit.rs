//! The audit log, as operators read it.

use inkbox_imessage::proto::CreateIdentityRequest;
use serde_json::Value;

use crate::process::folder::Folder;
use crate::process::human::{LINE, Met, NUMBER, meets};
use crate::support::program::{Service, command, finish, run};

async fn list(folder: &Folder, arguments: &[&str]) -> Vec<Value> {
    let printed =
        run(folder, &[&["audit", "list", "--output", "json"], arguments].concat()).await.succeeded();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_operators_and_api_keys_change_is_listed_and_logged_without_secrets_and_numbers_of_humans() {
    let folder = Folder::migrated().await;
    let mut serve = command(&folder, &["serve"]);
    serve.env("INKBOX_LOG_FORMAT", "json");
    let service = Service::spawn(serve).await;
    let Met { admin, .. } = meets(&folder, &service).await;
    let of_org = list(&folder, &["--org", "org_a"]).await;
    let agent = of_org[2]["subject"].as_str().unwrap().to_owned();
    assert_eq!(actions(&of_org), ["organization.create", "api_key.create", "identity.create"]);
    assert!(of_org[0]["operator"].is_string() && of_org[0]["key_id"].is_null(), "{of_org:?}");
    assert_eq!(of_org[1]["detail"], "scope=admin");
    assert_eq!(of_org[2]["key_id"], of_org[1]["subject"], "the key that operators created");
    assert!(of_org[2]["operator"].is_null());

    for arguments in [
        &["identity", "disable", &agent, "--org", "org_a"][..],
        &["rule", "create", "block", NUMBER, "--org", "org_a", "--identity", &agent],
        &["erase", "--org", "org_a", "--number", NUMBER],
        &["line", "pause", LINE],
        &["line", "remove", LINE],
    ] {
        assert_eq!(run(&folder, arguments).await.code, Some(0), "{arguments:?}");
    }
    let of_org = list(&folder, &["--org", "org_a"]).await;
    assert_eq!(
        actions(&of_org)[3..],
        ["identity.update", "contact_rule.create", "human.erase", "connection.release"]
    );
    let global = list(&folder, &["--global"]).await;
    assert_eq!(actions(&global), ["api_key.create", "line.add", "line.add", "line.pause", "line.remove"]);
    assert_eq!((&global[4]["subject"], &global[0]["detail"]), (&LINE.into(), &"scope=router".into()));
    assert_eq!(actions(&list(&folder, &["--org", "org_a", "--since", "1h"]).await), actions(&of_org));
    let table = run(&folder, &["audit", "list", "--org", "org_a"]).await.succeeded();
    assert!(table.starts_with("OCCURRED_AT") && !table.contains(NUMBER), "{table}");

    let create = CreateIdentityRequest { agent_handle: "another".to_owned(), ..Default::default() };
    admin.create_identity(create).await.unwrap();
    let output = service.stop().await;
    let logged: Vec<Value> = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "audit")
        .collect();
    assert_eq!(logged.len(), 2, "the identities: {logged:?}");
    assert_eq!(logged[1]["level"], "INFO");
    let text = logged[1].to_string();
    for words in ["identity.create", "another", "org_a", of_org[1]["subject"].as_str().unwrap()] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn the_audit_log_is_asked_for_an_organization_or_for_what_belongs_to_none() {
    let folder = Folder::migrated().await;
    let fails = async |arguments: &[&str], code: i32, words: &str| {
        let mut failing = command(&folder, &[&["audit", "list"], arguments].concat());
        failing.env("INKBOX_LOG", "off");
        finish(failing).await.failed(code, words);
    };
    fails(&[], 2, "--org").await;
    fails(&["--org", "org_a", "--global"], 2, "--global").await;
    fails(&["--org", "org_a"], 1, "org_a does not exist").await;
    fails(&["--global", "--since", "yesterday"], 2, "yesterday").await;
}
