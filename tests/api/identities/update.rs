use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    FilterMode, GetIdentityRequest, Identity, ListIdentitiesRequest, UpdateIdentityRequest,
};
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::snapshot::everything;
use crate::support::{TestApp, assert_fields, assert_reason};

fn nothing(id: &str) -> UpdateIdentityRequest {
    UpdateIdentityRequest { identity_id: id.to_owned(), ..Default::default() }
}

async fn update(caller: &Caller, request: UpdateIdentityRequest) -> Identity {
    caller.update_identity(request).await.unwrap().identity.unwrap()
}

fn updated_at(identity: &Identity) -> DateTime<Utc> {
    let at = identity.updated_at.unwrap();
    DateTime::from_timestamp(at.seconds, at.nanos.try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn each_field_changes_alone_and_absent_ones_stay() {
    let app = TestApp::start().await;
    let made = app.identity_with("org_a", |new| new.display_name = Some("Sales".to_owned())).await;
    let admin = app.admin("org_a").await;
    let mut expected = made.clone();
    let mut check = async |change: fn(&mut UpdateIdentityRequest), expect: fn(&mut Identity)| {
        let mut request = nothing(&made.id);
        change(&mut request);
        let updated = update(&admin, request).await;
        expect(&mut expected);
        expected.updated_at = updated.updated_at;
        assert_eq!(updated, expected);
        let get = GetIdentityRequest { identity_id: made.id.clone(), ..Default::default() };
        assert_eq!(admin.get_identity(get).await.unwrap().identity, Some(updated));
    };
    check(
        |change| change.display_name = Some("Support".to_owned()),
        |now| now.display_name = "Support".to_owned(),
    )
    .await;
    check(|change| change.imessage_enabled = Some(false), |now| now.imessage_enabled = false).await;
    check(
        |change| change.set_filter_mode(FilterMode::Whitelist),
        |now| now.set_filter_mode(FilterMode::Whitelist),
    )
    .await;
    check(|change| change.display_name = Some(String::new()), |now| now.display_name = String::new()).await;
    check(|change| change.imessage_enabled = Some(true), |now| now.imessage_enabled = true).await;
    check(
        |change| change.set_filter_mode(FilterMode::Blacklist),
        |now| now.set_filter_mode(FilterMode::Blacklist),
    )
    .await;
    check(|_| {}, |_| {}).await;
}

#[tokio::test]
async fn updated_at_moves_with_a_change_and_never_backwards() {
    let app = TestApp::start().await;
    let made = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let later = app.clock.now() + TimeDelta::hours(1);
    app.clock.freeze(later);
    let named =
        |name: &str| UpdateIdentityRequest { display_name: Some(name.to_owned()), ..nothing(&made.id) };
    let updated = update(&admin, named("later")).await;
    assert_eq!(updated_at(&updated), later);
    assert_eq!(updated.created_at, made.created_at);

    app.clock.freeze(later - TimeDelta::minutes(1));
    assert_eq!(updated_at(&update(&admin, named("earlier")).await), later);
}

#[tokio::test]
async fn unknown_and_foreign_identities_read_byte_for_byte_alike_and_stay_as_they_are() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let admin = app.admin("org_a").await;
    let unknown = Uuid::from_u128(1).to_string();
    let off = |id: &str| UpdateIdentityRequest { imessage_enabled: Some(false), ..nothing(id) };

    let before = everything(&app.pool).await;
    assert_reason(admin.update_identity(off(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.update_identity(off(&foreign.id)).await, admin.update_identity(off(&unknown)).await);
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_change_nothing() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let before = everything(&app.pool).await;
    for name in ["é".repeat(256), "a\0b".to_owned()] {
        let request = UpdateIdentityRequest {
            display_name: Some(name),
            imessage_enabled: Some(false),
            ..nothing(&identity.id)
        };
        assert_fields(admin.update_identity(request).await, &["display_name"]);
    }
    for filter_mode in [3, -1] {
        let request = UpdateIdentityRequest { filter_mode, ..nothing(&identity.id) };
        assert_fields(admin.update_identity(request).await, &["filter_mode"]);
    }
    let bad =
        UpdateIdentityRequest { display_name: Some("\0".to_owned()), filter_mode: 3, ..nothing("nonsense") };
    assert_fields(admin.update_identity(bad).await, &["identity_id", "display_name", "filter_mode"]);
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn only_admin_keys_change_identities() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let callers = [app.agent(&identity).await, app.router().await];
    let before = everything(&app.pool).await;
    for caller in callers {
        let off = UpdateIdentityRequest { imessage_enabled: Some(false), ..nothing(&identity.id) };
        assert_reason(caller.update_identity(off).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.update_identity(nothing("")).await, &["identity_id"]);
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_description_is_set_kept_changed_and_removed() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let longest = "é".repeat(1_000);
    let made = app.identity_with("org_a", |new| new.description = Some(longest.clone())).await;
    assert_eq!(made.description, Some(longest.clone()));
    let change = |text: Option<&str>| UpdateIdentityRequest {
        description: text.map(str::to_owned),
        ..nothing(&made.id)
    };
    for (text, expected) in [
        (None, Some(longest.as_str())),
        (Some("answers questions about orders"), Some("answers questions about orders")),
        (None, Some("answers questions about orders")),
        (Some(""), None),
        (None, None),
    ] {
        let updated = admin.update_identity(change(text)).await.unwrap().identity.unwrap();
        assert_eq!(updated.description.as_deref(), expected);
        let listed = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap().identities;
        assert_eq!(listed, [updated]);
    }
    for bad in [longest + "x", "\0".to_owned()] {
        assert_fields(admin.update_identity(change(Some(&bad))).await, &["description"]);
        let new = inkbox_imessage::proto::CreateIdentityRequest {
            agent_handle: "other".to_owned(),
            description: Some(bad),
            ..Default::default()
        };
        assert_fields(admin.create_identity(new).await, &["description"]);
    }
    let none = app.identity_with("org_a", |new| new.description = Some(String::new())).await;
    assert_eq!(none.description, None);
}
