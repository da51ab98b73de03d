//! The answer about another's is the answer about nothing, to the byte, and nothing comes of the call.

use std::collections::{BTreeMap, BTreeSet};

use inkbox_imessage::proto::ListDeliveriesRequest;
use serde_json::Value;
use sqlx::postgres::PgPool;

use crate::isolation::answer::{Answer, ask};
use crate::isolation::contract::{Meaning, Rpc, rpcs};
use crate::isolation::requests::{self, Request};
use crate::isolation::tenant::{Tenant, Thing};
use crate::isolation::world::{Asker, World};
use crate::length;
use crate::support::callers::Caller;
use crate::support::snapshot::everything;

/// Everything there is, with keys; when those were last used is written in the background.
async fn rows(pool: &PgPool) -> BTreeMap<String, Value> {
    let mut rows = everything(pool).await;
    for (table, statement) in [
        ("api_keys", "SELECT jsonb_agg(to_jsonb(k) - 'last_used_at' ORDER BY id) FROM api_keys k"),
        ("router_keys", "SELECT jsonb_agg(to_jsonb(k) - 'last_used_at' ORDER BY id) FROM router_keys k"),
        ("key_digests", "SELECT jsonb_agg(to_jsonb(k) ORDER BY to_jsonb(k)::text) FROM key_digests k"),
    ] {
        rows.insert(table.to_owned(), sqlx::query_scalar(statement).fetch_one(pool).await.unwrap());
    }
    rows
}

/// A field of one request of an RPC, to be set to what is not the caller's.
struct Place {
    rpc: Rpc,
    request: Request,
    field: String,
    meaning: Meaning,
}

/// Every field of every request that can name a row or a page.
fn places(own: &Tenant) -> Vec<Place> {
    let mut places = Vec::new();
    for rpc in rpcs() {
        for request in requests::of(&rpc, own) {
            for (field, meaning) in requests::open_fields(&rpc, &request) {
                places.push(Place { rpc: rpc.clone(), request: request.clone(), field, meaning });
            }
        }
    }
    places
}

#[track_caller]
fn assert_nothing_is_told(what: &str, about_anothers: &Answer, about_nothing: &Answer) {
    assert!(!about_nothing.is_ok(), "{what}: a call that names nothing is refused");
    assert_ne!(about_nothing.code, i32::from(tonic::Code::Internal), "{what}: {about_nothing:?}");
    assert_eq!(about_anothers, about_nothing, "{what}");
}

#[tokio::test]
async fn every_field_that_can_name_something_is_tried() {
    let app = crate::support::TestApp::start().await;
    let own = Tenant::settle(&app, "org_own").await;
    let tried: BTreeSet<_> = places(&own).into_iter().map(|place| (place.rpc.name, place.field)).collect();
    for rpc in rpcs() {
        for (field, _) in rpc.naming_fields() {
            assert!(tried.contains(&(rpc.name.clone(), field.clone())), "{}: {field}", rpc.name);
        }
    }
}

#[tokio::test]
async fn an_answer_about_anothers_is_the_bytes_of_one_about_nothing_and_changes_nothing() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let before = rows(&world.app.pool).await;
    let calls_to_phones = deliveries(&world).await;
    let mut compared = 0;
    for asker in world.askers() {
        for place in places(&world.own) {
            let Place { rpc, request, field, meaning } = &place;
            let absent = World::absent(*meaning);
            let about_nothing = ask(&asker.caller, rpc, &requests::with(request, &[(field, &absent)])).await;
            for (whose, Thing { state, id }) in world.out_of_sight(&asker, rpc, *meaning) {
                let about_anothers = ask(&asker.caller, rpc, &requests::with(request, &[(field, &id)])).await;
                let what = format!("{} key, {}, {field}: {whose} {state}", asker.kind, rpc.name);
                assert_nothing_is_told(&what, &about_anothers, &about_nothing);
                compared += 1;
            }
        }
    }
    assert_eq!(rows(&world.app.pool).await, before);
    assert_eq!(deliveries(&world).await, calls_to_phones);
    println!("isolation: {compared} answers about another's are the bytes of one about nothing");
    assert!(compared > 400, "only {compared} compared");
}

#[tokio::test]
async fn two_fields_that_agree_on_anothers_tell_as_little_as_two_that_name_nothing() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let before = rows(&world.app.pool).await;
    let mut compared = 0;
    for asker in world.askers() {
        for rpc in rpcs() {
            for request in requests::of(&rpc, &world.own) {
                let fields = requests::open_fields(&rpc, &request);
                for (n, first) in fields.iter().enumerate() {
                    for second in &fields[n + 1..] {
                        compared += compare_pair(&world, &asker, &rpc, &request, first, second).await;
                    }
                }
            }
        }
    }
    assert_eq!(rows(&world.app.pool).await, before);
    assert!(compared > 60, "only {compared} compared");
}

/// Another's in both fields, and in one beside nothing in the other, against nothing in both.
async fn compare_pair(
    world: &World,
    asker: &Asker,
    rpc: &Rpc,
    request: &Request,
    (first, of_first): &(String, Meaning),
    (second, of_second): &(String, Meaning),
) -> usize {
    let nothing = [World::absent(*of_first), World::absent(*of_second)];
    let pair = |a: &str, b: &str| requests::with(request, &[(first, a), (second, b)]);
    let about_nothing = ask(&asker.caller, rpc, &pair(&nothing[0], &nothing[1])).await;
    let (firsts, seconds) =
        (world.out_of_sight(asker, rpc, *of_first), world.out_of_sight(asker, rpc, *of_second));
    let mut compared = 0;
    for (n, (whose, Thing { state, id })) in firsts.iter().enumerate() {
        let (_, partner) = &seconds[n.min(seconds.len() - 1)];
        for pair in [pair(id, &partner.id), pair(id, &nothing[1]), pair(&nothing[0], &partner.id)] {
            let answer = ask(&asker.caller, rpc, &pair).await;
            let what = format!("{} key, {}, {first} and {second}: {whose} {state}", asker.kind, rpc.name);
            assert_nothing_is_told(&what, &answer, &about_nothing);
            compared += 1;
        }
    }
    compared
}

/// What shows that the two tests above compare something: every id and token in them works for those whose it is.
#[tokio::test]
async fn what_is_tried_is_there_and_its_owner_is_told_so() {
    let _shared = length::shared().await;
    let world = World::start().await;
    for tenant in [&world.foreign, &world.sibling] {
        let mut places = places(tenant);
        // What takes something away comes last.
        let takes_away = |name: &str| ["Delete", "Revoke", "Release"].iter().any(|verb| name.contains(verb));
        // An identity takes everything else with it.
        places
            .sort_by_key(|place| (place.rpc.name.ends_with("/DeleteIdentity"), takes_away(&place.rpc.name)));
        for Place { rpc, mut request, field, meaning } in places {
            // A key that an earlier request has used would hide what the answer says about the ids.
            if let Some(key) = request.get_mut("idempotency_key") {
                *key = format!("{} {field}", rpc.name).into();
            }
            let things = match meaning {
                Meaning::Id(kind) => &tenant.things[&kind],
                _ => &tenant.tokens[rpc.name.as_str()],
            };
            // Beside another id only what belongs to that is told of.
            let stands_alone =
                !request.as_object().unwrap().keys().any(|name| *name != field && name.ends_with("_id"));
            let tried = if stands_alone { things.len() } else { 1 };
            let nothing = requests::with(&request, &[(&field, &World::absent(meaning))]);
            for Thing { state, id } in &things[..tried] {
                // By contract what was released before reads like nothing to its owner as well.
                if rpc.name.ends_with("/ReleaseConnection") && *state == "released" {
                    continue;
                }
                let there = requests::with(&request, &[(&field, id)]);
                let told = is_told(&tenant.admin, &rpc, &there, &nothing).await
                    || is_told(&tenant.agent, &rpc, &there, &nothing).await;
                assert!(told, "{}, {field}: the owner's {state} reads like nothing in {there}", rpc.name);
            }
        }
    }
}

async fn is_told(owner: &Caller, rpc: &Rpc, there: &Request, nothing: &Request) -> bool {
    ask(owner, rpc, there).await != ask(owner, rpc, nothing).await
}

/// What each organization's phones were sent.
async fn deliveries(world: &World) -> Vec<inkbox_imessage::proto::Delivery> {
    let mut all = Vec::new();
    for tenant in [&world.own, &world.foreign] {
        let answer = tenant.admin.list_deliveries(ListDeliveriesRequest::default()).await.unwrap();
        all.extend(answer.deliveries);
    }
    all
}
