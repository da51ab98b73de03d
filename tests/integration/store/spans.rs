//! The names of the spans of database work, which operators' dashboards and alerts rely on.

use std::collections::BTreeSet;
use std::path::Path;

use crate::store::sources::sources;

/// All of them. A name stays when its function moves or is renamed; a new function adds a name.
const NAMES: [&str; 121] = [
    "query api_keys::get",
    "query api_keys::get_router_key",
    "query api_keys::list",
    "query api_keys::list_router_keys",
    "query api_keys::owner",
    "query audit::delete_expired",
    "query audit::list",
    "query back_fill::advance",
    "query back_fill::list_due",
    "query back_fill::oldest",
    "query back_fill::release",
    "query back_fill::take",
    "query connections::close",
    "query connections::list",
    "query connections::reopen",
    "query connections::sends_in_flight",
    "query contact_rules::get",
    "query contact_rules::list",
    "query conversations::get::exists",
    "query conversations::get::get",
    "query conversations::horizon::horizon_of",
    "query conversations::list::list",
    "query conversations::mark_read::mark_read",
    "query conversations::recipient::recipient",
    "query conversations::settle::settle_horizons",
    "query conversations::target::target",
    "query erasure::human::active_connection",
    "query erasure::human::delete_rules",
    "query erasure::human::identities_of",
    "query erasure::human::known",
    "query erasure::purge::some_discarded",
    "query events::after",
    "query events::bounds",
    "query events::cursor_key",
    "query events::delete_expired",
    "query events::forget_erased",
    "query events::last_sequences",
    "query events::subject",
    "query identities::current",
    "query identities::deletion::humans_of",
    "query identities::find",
    "query identities::get",
    "query identities::list",
    "query inbound::append::store_alone",
    "query inbound::append::store_among_others",
    "query inbound::awaited::await_files",
    "query inbound::awaited::awaited_chat",
    "query inbound::by_hand::is_own_message",
    "query inbound::chat::set_chat",
    "query inbound::connected_at::connected_at",
    "query inbound::find_delivered",
    "query inbound::reply_target::find_reply_target",
    "query inbound::route::route",
    "query inbound::situation::situation",
    "query key_digests::find",
    "query key_digests::record_uses",
    "query lines::carrier",
    "query lines::find",
    "query lines::list",
    "query lines::router_number",
    "query messages::early::keep_early",
    "query messages::early::list_early",
    "query messages::get::current",
    "query messages::get::get",
    "query messages::idempotency::first_request",
    "query messages::idempotency::free_idempotency_key",
    "query messages::list::list",
    "query messages::look_up::dispatch",
    "query messages::look_up::known",
    "query messages::pending::take_pending",
    "query organizations::exists",
    "query organizations::list",
    "query reactions::changed_since",
    "query reactions::find",
    "query reactions::remove",
    "query reactions::target",
    "query retention::bodies::to_be_blanked",
    "query retention::released::released",
    "query router_commands::reply::delete_old_replies",
    "query router_commands::reply::has_later_reply",
    "query router_commands::reply::settle_reply",
    "query router_commands::reply::take_due_reply",
    "query sweeps::awaited_files",
    "query sweeps::early_statuses",
    "query sweeps::forgotten_texts",
    "query sweeps::idempotency_keys",
    "query sweeps::organizations_after",
    "query sweeps::router_commands",
    "query sweeps::sent_messages",
    "query sweeps::tapback_texts",
    "query tapback_texts::was_delivered",
    "transaction api_keys::create",
    "transaction api_keys::revoke",
    "transaction audit::record",
    "transaction connections::release",
    "transaction contact_rules::create",
    "transaction contact_rules::delete",
    "transaction contact_rules::update",
    "transaction conversations::mark_read::mark_alone",
    "transaction erasure::discard::discard",
    "transaction erasure::purge::purge",
    "transaction identities::begin_deletion",
    "transaction identities::create",
    "transaction identities::finish_deletion",
    "transaction identities::update",
    "transaction inbound::append::store_in_transaction",
    "transaction inbound::by_hand::store_sent_by_hand",
    "transaction inbound::update::update",
    "transaction lines::add",
    "transaction lines::remove",
    "transaction lines::set_paused_at",
    "transaction messages::send::claim",
    "transaction messages::send::finish",
    "transaction messages::send::resolve",
    "transaction messages::status::update_status",
    "transaction organizations::create",
    "transaction reactions::put",
    "transaction reactions::take_back",
    "transaction retention::bodies::blank",
    "transaction router_commands::obey",
    "transaction tapback_texts::act",
];

/// The span names in a source: its string literals that begin with the kind of work.
fn span_names(source: &str) -> impl Iterator<Item = &str> {
    let literals = ["\"query ", "\"transaction "].into_iter().flat_map(|kind| source.match_indices(kind));
    literals.filter_map(|(at, _)| source[at + 1..].split('"').next()).filter(|name| {
        name.contains("::") && name.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | ':' | ' '))
    })
}

#[test]
fn span_names_do_not_change() {
    let sources: Vec<String> = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")))
        .iter()
        .map(|path| {
            let source = std::fs::read_to_string(path).unwrap();
            // Without comments, whose examples are not names in use.
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            code.collect::<Vec<_>>().join("\n")
        })
        .collect();
    let found: BTreeSet<&str> = sources.iter().flat_map(|source| span_names(source)).collect();
    let expected: BTreeSet<&str> = NAMES.into_iter().collect();
    let new: Vec<_> = found.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "not in the list: {new:?}; not in the source: {gone:?}");
}

#[test]
fn every_piece_of_database_work_has_a_literal_span_name() {
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))) {
        // The pool passes on what it is given.
        if path.components().any(|part| part.as_os_str() == "pool") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for call in ["session.run(", "session.find(", "session\n        .run(", "traced("] {
            for (at, _) in source.match_indices(call) {
                let argument = source[at + call.len()..].trim_start();
                let is_named = argument.starts_with('"')
                    || argument.starts_with("$span")
                    || argument.starts_with("span");
                assert!(
                    is_named,
                    "{}: {call}{}",
                    path.display(),
                    argument.lines().next().unwrap_or_default()
                );
            }
        }
    }
}
