//! Benchmarks of pure code: page tokens, encoding of a page, authentication with a cached key, the contact rule verdict.
//! `make bench-pure` runs it; Criterion compares the results with those of the previous run.

#![allow(
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    missing_docs,
    reason = "a program for people at a terminal"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue};
use inkbox_imessage::auth::KeyCache;
use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::domain::{
    AssignmentStatus, Conversation, ConversationSummary, Cursor, Direction, FilterMode, KeyDigest, Latest,
    Page, Principal, RuleAction, RuleOnNumber, RuleStatus, Tenant, verdict,
};
use inkbox_imessage::grpc::wire::page_token::{ListBinding, PageToken};
use inkbox_imessage::proto;
use inkbox_imessage::store::Database;
use inkbox_imessage::store::key_digests::KnownKey;
use inkbox_imessage::telemetry::metrics::KeyMetrics;
use prost::Message as _;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The longest page.
const ROWS: u128 = 200;
const SECRET: &str = "ink_0123456789abcdefghijklmnopqrstuvwxyzABCDEF";

fn page_tokens(criterion: &mut Criterion) {
    let organization = "org_bench".into();
    let position = Cursor { at: SystemClock.now(), id: Uuid::from_u128(7) };
    let page = Page { rows: vec![()], next: Some(position) };
    let token =
        || ListBinding::new("ListConversations", &organization, None, black_box("clear")).next_token(&page);
    criterion.bench_function("page token: write", |bencher| bencher.iter(token));
    let text = token();
    assert!(PageToken::decode(&text).is_some(), "a token reads back");
    criterion.bench_function("page token: read", |bencher| {
        bencher.iter(|| PageToken::decode(black_box(&text)));
    });
}

fn summary(number: u128) -> ConversationSummary {
    let at = SystemClock.now();
    ConversationSummary {
        conversation: Conversation {
            id: Uuid::from_u128(number).into(),
            agent_identity_id: Uuid::from_u128(1).into(),
            remote_number: format!("+1555{number:07}").into(),
            assignment_id: Uuid::from_u128(number << 64).into(),
            assignment_status: AssignmentStatus::Active,
            created_at: at,
            updated_at: at,
            opted_out_at: None,
        },
        latest: Latest {
            text: Some("Is the invoice of last week on its way?".to_owned()),
            at,
            direction: Direction::Inbound,
            has_media: false,
        },
        unread_count: 3,
        total_count: 100,
    }
}

fn a_page_on_the_wire(criterion: &mut Criterion) {
    let rows: Vec<_> = (0..ROWS).map(summary).collect();
    criterion.bench_function("a page of 200 conversations: to bytes", |bencher| {
        bencher.iter_with_large_drop(|| {
            let conversations = rows.iter().cloned().map(Into::into).collect();
            proto::ListConversationsResponse { conversations, ..Default::default() }.encode_to_vec()
        });
    });
}

fn a_remembered_key(criterion: &mut Criterion) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let database = Database::new(&PgConnectOptions::new(), 1, TaskTracker::new());
    let keys = KeyCache::new(database, Arc::new(SystemClock), KeyMetrics::default());
    keys.observe_epoch(1);
    let tenant =
        Tenant { key_id: Uuid::from_u128(1).into(), organization_id: "org_bench".into(), identity_id: None };
    let known = KnownKey { principal: Principal::Tenant(tenant), expires_at: None };
    keys.insert(KeyDigest::of(SECRET.as_bytes()), Arc::new(known), keys.generation());
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_static(SECRET));
    // The database is not there: only what is remembered is answered at all.
    runtime.block_on(keys.authenticate(&headers)).expect("the key is remembered");
    criterion.bench_function("a key that is remembered", |bencher| {
        bencher.iter(|| {
            // Each time anew: it does not stay fresh without the database.
            keys.observe_epoch(1);
            runtime.block_on(keys.authenticate(black_box(&headers)))
        });
    });
}

fn verdicts(criterion: &mut Criterion) {
    let id = Uuid::from_u128(1).into();
    let block = RuleOnNumber { id, action: RuleAction::Block, status: RuleStatus::Active };
    let cases = [
        (FilterMode::Blacklist, None),
        (FilterMode::Blacklist, Some(block)),
        (FilterMode::Whitelist, None),
        (FilterMode::Whitelist, Some(block)),
    ];
    criterion.bench_function("verdicts: four", |bencher| {
        bencher.iter(|| cases.map(|(mode, rule)| verdict(black_box(mode), black_box(rule))));
    });
}

criterion_group!(pure, page_tokens, a_page_on_the_wire, a_remembered_key, verdicts);
criterion_main!(pure);
