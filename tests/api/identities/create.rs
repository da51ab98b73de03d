use std::collections::BTreeSet;

use futures_util::future::join_all;
use inkbox_imessage::proto::{CreateIdentityRequest, FilterMode, GetIdentityRequest};
use tonic::Code;

use crate::support::snapshot::everything;
use crate::support::{TestApp, assert_fields, assert_reason};

fn named(handle: &str) -> CreateIdentityRequest {
    CreateIdentityRequest { agent_handle: handle.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn imessage_is_off_everyone_may_write_and_there_is_no_name_unless_said() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let made = admin.create_identity(named("SalesBot")).await.unwrap().identity.unwrap();
    assert_eq!((made.agent_handle.as_str(), made.organization_id.as_str()), ("SalesBot", "org_a"));
    assert!(!made.imessage_enabled);
    assert_eq!(made.filter_mode(), FilterMode::Blacklist);
    assert_eq!(made.display_name, "");
    assert!(made.created_at.is_some());
    assert_eq!(made.updated_at, made.created_at);
}

#[tokio::test]
async fn what_is_asked_for_is_made_and_reads_back_the_same() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let request = CreateIdentityRequest {
        description: None,
        agent_handle: "support".to_owned(),
        display_name: Some(" Support ☎ ".to_owned()),
        imessage_enabled: true,
        filter_mode: FilterMode::Whitelist.into(),
    };
    let made = admin.create_identity(request).await.unwrap().identity.unwrap();
    assert_eq!(made.display_name, " Support ☎ ");
    assert!(made.imessage_enabled);
    assert_eq!(made.filter_mode(), FilterMode::Whitelist);
    let get = GetIdentityRequest { identity_id: made.id.clone(), ..Default::default() };
    assert_eq!(admin.get_identity(get).await.unwrap().identity, Some(made));
}

#[tokio::test]
async fn a_leading_at_sign_is_dropped_and_the_case_is_kept() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let made = admin.create_identity(named("@SalesBot")).await.unwrap().identity.unwrap();
    assert_eq!(made.agent_handle, "SalesBot");
}

#[tokio::test]
async fn a_handle_taken_in_the_own_organization_tells_who_has_it() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let made = admin.create_identity(named("SalesBot")).await.unwrap().identity.unwrap();
    for handle in ["SalesBot", "salesbot", "@SALESBOT"] {
        let details = assert_reason(admin.create_identity(named(handle)).await, "ALREADY_EXISTS");
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata.get("existing_id"), Some(&made.id), "{handle}");
    }
}

#[tokio::test]
async fn a_handle_taken_in_another_organization_does_not_tell_who_has_it() {
    let app = TestApp::start().await;
    let taken = app.identity_with("org_b", |new| new.agent_handle = "SalesBot".to_owned()).await;
    let admin = app.admin("org_a").await;
    for handle in ["SalesBot", "salesbot"] {
        let status = admin.create_identity(named(handle)).await.unwrap_err();
        let seen = format!("{status:?}");
        let details = assert_reason(Err::<(), _>(status), "ALREADY_EXISTS");
        assert_eq!(details.error_info().unwrap().metadata.get("existing_id"), None);
        assert!(!seen.contains(&taken.id) && !seen.contains("org_b"), "{seen}");
    }
}

#[tokio::test]
async fn handles_have_1_to_255_characters_without_blanks() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    for good in ["x", &"é".repeat(255), &format!("@{}", "ø".repeat(255))] {
        assert!(admin.create_identity(named(good)).await.is_ok(), "{good:?}");
    }
    let before = everything(&app.pool).await;
    for bad in ["", "@", "a b", " a", "a ", "a\tb", "a\n", "a\u{a0}b", "a\0b", "a\u{7}", &"é".repeat(256)] {
        assert_fields(admin.create_identity(named(bad)).await, &["agent_handle"]);
    }
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let with_name = |name: &str| CreateIdentityRequest {
        display_name: Some(name.to_owned()),
        ..named(&format!("handle-{}", name.len()))
    };
    assert!(admin.create_identity(with_name(&"é".repeat(255))).await.is_ok());
    for name in ["é".repeat(256), "a\0b".to_owned()] {
        assert_fields(admin.create_identity(with_name(&name)).await, &["display_name"]);
    }
    for filter_mode in [3, -1, i32::MAX] {
        let request = CreateIdentityRequest { filter_mode, ..named("handle") };
        assert_fields(admin.create_identity(request).await, &["filter_mode"]);
    }
    let bad = CreateIdentityRequest { filter_mode: 3, agent_handle: String::new(), ..with_name("\0") };
    assert_fields(admin.create_identity(bad).await, &["agent_handle", "display_name", "filter_mode"]);
}

#[tokio::test]
async fn only_admin_keys_make_identities() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.agent(&identity).await, app.router().await] {
        let before = everything(&app.pool).await;
        assert_reason(caller.create_identity(named("new")).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.create_identity(named("")).await, &["agent_handle"]);
        // Not even whether the handle is taken.
        assert_reason(caller.create_identity(named(&identity.agent_handle)).await, "SCOPE_INSUFFICIENT");
        assert_eq!(everything(&app.pool).await, before);
    }
}

#[tokio::test]
async fn of_eight_at_once_with_one_handle_one_is_made() {
    let app = TestApp::start().await;
    let admins = [app.admin("org_a").await, app.admin("org_b").await];
    for round in 0..5 {
        let creates = (0..8).map(|i| {
            let handle = [format!("agent-{round}"), format!("AGENT-{round}")];
            admins[i % 2].create_identity(named(&handle[i / 2 % 2]))
        });
        let answers = join_all(creates).await;
        let made: Vec<_> = answers.iter().flatten().map(|made| made.identity.clone().unwrap()).collect();
        assert_eq!(made.len(), 1, "{answers:?}");
        let codes: BTreeSet<i32> =
            answers.into_iter().filter_map(Result::err).map(|status| status.code() as i32).collect();
        assert_eq!(codes, BTreeSet::from([Code::AlreadyExists as i32]));
        let winner = &admins[usize::from(made[0].organization_id == "org_b")];
        let get = GetIdentityRequest { identity_id: made[0].id.clone(), ..Default::default() };
        assert_eq!(winner.get_identity(get).await.unwrap().identity.as_ref(), Some(&made[0]));
    }
}
