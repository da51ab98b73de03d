//! Who changed what is in the audit log, in the transaction of the change.

use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, CreateApiKeyRequest, CreateContactRuleRequest,
    CreateIdentityRequest, DeleteContactRuleRequest, DeleteIdentityRequest, FilterMode,
    ReleaseConnectionRequest, RevokeApiKeyRequest, UpdateContactRuleRequest, UpdateIdentityRequest,
    WhoAmIRequest,
};
use sqlx::Row as _;

use crate::support::{Human, TestApp, assert_reason};

/// A human who is blocked; the log must not have the number.
const BLOCKED: &str = "+15551239999";

/// Action, key, subject and detail of each entry about an organization, the oldest first.
async fn entries(app: &TestApp, organization: &str) -> Vec<[String; 4]> {
    let rows = sqlx::query(
        "SELECT action, coalesce(api_key_id::text, ''), subject, detail FROM audit_log
         WHERE organization_id = $1 ORDER BY occurred_at, id",
    )
    .bind(organization)
    .fetch_all(&app.pool)
    .await
    .unwrap();
    rows.iter().map(|row| [row.get(0), row.get(1), row.get(2), row.get(3)]).collect()
}

#[tokio::test]
async fn every_change_by_an_admin_is_logged_with_the_key_and_without_secrets_and_numbers() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let key = admin.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
    let create = CreateIdentityRequest {
        agent_handle: "audited".to_owned(),
        display_name: Some("a name".to_owned()),
        imessage_enabled: true,
        filter_mode: FilterMode::Blacklist.into(),
        ..Default::default()
    };
    let identity = admin.create_identity(create.clone()).await.unwrap().identity.unwrap();
    let update = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        display_name: Some("another name".to_owned()),
        imessage_enabled: Some(true),
        ..Default::default()
    };
    admin.update_identity(update).await.unwrap();
    let rule = CreateContactRuleRequest {
        agent_identity_id: Some(identity.id.clone()),
        action: ContactRuleAction::Block.into(),
        match_target: BLOCKED.to_owned(),
    };
    let rule = admin.create_contact_rule(rule).await.unwrap().contact_rule.unwrap().id;
    let paused = UpdateContactRuleRequest {
        contact_rule_id: rule.clone(),
        status: ContactRuleStatus::Paused.into(),
        ..Default::default()
    };
    admin.update_contact_rule(paused).await.unwrap();
    admin.delete_contact_rule(DeleteContactRuleRequest { contact_rule_id: rule.clone() }).await.unwrap();
    let of_identity = CreateApiKeyRequest {
        agent_identity_id: identity.id.clone(),
        label: "a label".to_owned(),
        ..Default::default()
    };
    let created = admin.create_api_key(of_identity).await.unwrap();
    let agent_key = created.api_key.unwrap().id;
    for _ in 0..2 {
        admin.revoke_api_key(RevokeApiKeyRequest { api_key_id: agent_key.clone() }).await.unwrap();
    }
    let thread = Human::new(&app, "+15551230001").await.connects(&identity).await;
    let release = ReleaseConnectionRequest { connection_id: thread.connection_id.clone() };
    admin.release_connection(release).await.unwrap();
    admin.delete_identity(DeleteIdentityRequest { identity_id: identity.id.clone() }).await.unwrap();

    let id = &identity.id;
    let expected = [
        ("identity.create", id, "audited".to_owned()),
        ("identity.update", id, "display_name imessage_enabled=true".to_owned()),
        ("contact_rule.create", &rule, format!("action=block status=active identity={id}")),
        ("contact_rule.update", &rule, format!("action=block status=paused identity={id}")),
        ("contact_rule.delete", &rule, format!("action=block status=paused identity={id}")),
        ("api_key.create", &agent_key, format!("scope=identity identity={id}")),
        ("api_key.revoke", &agent_key, format!("scope=identity identity={id}")),
        ("connection.release", &thread.connection_id, String::new()),
        ("identity.delete", id, String::new()),
    ];
    let expected =
        expected.map(|(action, subject, detail)| [action.to_owned(), key.clone(), subject.clone(), detail]);
    assert_eq!(entries(&app, "org_a").await, expected);
}

#[tokio::test]
async fn what_is_refused_or_done_by_humans_is_not_logged() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let identity = app.identity("org_a").await;
    let before = entries(&app, "org_a").await;
    let taken = CreateIdentityRequest {
        agent_handle: identity.agent_handle.clone(),
        filter_mode: FilterMode::Blacklist.into(),
        ..Default::default()
    };
    assert_reason(admin.create_identity(taken).await, "ALREADY_EXISTS");
    let unknown = "00000000-0000-7000-8000-000000000000".to_owned();
    let update = UpdateIdentityRequest { identity_id: unknown.clone(), ..Default::default() };
    assert_reason(admin.update_identity(update).await, "NOT_FOUND");
    let delete = DeleteContactRuleRequest { contact_rule_id: unknown.clone() };
    assert_reason(admin.delete_contact_rule(delete).await, "NOT_FOUND");
    assert_reason(admin.revoke_api_key(RevokeApiKeyRequest { api_key_id: unknown }).await, "NOT_FOUND");
    let human = Human::new(&app, "+15551230001").await;
    human.connects(&identity).await;
    human.disconnects(&identity).await;
    assert_eq!(entries(&app, "org_a").await, before);
}
