//! The other hot queries: every table is reached through the index that serves the query, as its comment says.

use super::filled::{literal, session};
use super::{explain, nodes};
use crate::store::checked_queries::the_one;

/// How a query is found and tried.
pub(super) struct Hot {
    /// Its text begins so, contains these parts, and lacks the third.
    pub(super) text: (&'static str, &'static [&'static str], &'static str),
    /// Its parameters: columns of `sample`, or literals.
    pub(super) parameters: &'static [&'static str],
    /// The indexes that it must use, in alphabetical order, and no others.
    pub(super) indexes: &'static [&'static str],
}

/// What no query contains.
pub(super) const NOTHING: &str = "$99";

const HOT: [Hot; 38] = [
    // ListConnections.
    Hot {
        text: ("SELECT", &["FROM connections", "< ($2, $3)"], "$6"),
        parameters: &["org", "at", "connection", "201", "0"],
        indexes: &["connections_newest"],
    },
    Hot {
        text: ("SELECT", &["FROM connections", "< ($2, $3)", "$6"], NOTHING),
        parameters: &["org", "at", "connection", "201", "0", "identity"],
        indexes: &["connections_newest_of_identity"],
    },
    // ListIdentities, ListApiKeys.
    Hot {
        text: ("SELECT", &["FROM identities", "< ($2, $3)"], NOTHING),
        parameters: &["org", "now()", "identity", "201"],
        indexes: &["identities_newest"],
    },
    Hot {
        text: ("SELECT", &["FROM api_keys", "< ($2, $3)"], NOTHING),
        parameters: &["org", "now()", "key", "201"],
        indexes: &["api_keys_newest"],
    },
    // GetConversation, GetIdentity, WhoAmI, and the authentication of every call.
    Hot {
        text: ("SELECT", &["FROM conversations WHERE organization_id = $1 AND id = ANY($2)"], NOTHING),
        parameters: &["org", "ARRAY[conversation]", "identity"],
        indexes: &["conversations_pkey"],
    },
    Hot {
        text: ("SELECT id", &["FROM identities WHERE organization_id = $1 AND id = $2"], "FOR"),
        parameters: &["org", "identity"],
        indexes: &["identities_pkey"],
    },
    Hot {
        text: ("SELECT", &["FROM api_keys WHERE organization_id = $1 AND id = $2"], NOTHING),
        parameters: &["org", "key"],
        indexes: &["api_keys_pkey"],
    },
    Hot {
        text: ("SELECT", &["FROM key_digests WHERE digest = ANY($1)"], NOTHING),
        parameters: &["ARRAY[digest]"],
        indexes: &["key_digests_pkey"],
    },
    // The target of MarkConversationRead and SendTypingIndicator, and the mark itself.
    Hot {
        text: ("SELECT c.id, c.agent_identity_id", &["c.clear_received", "FROM conversations c"], NOTHING),
        parameters: &["org", "ARRAY[conversation]", "identity"],
        indexes: &[
            "connections_pkey",
            "contact_rules_one_per_number",
            "conversations_pkey",
            "identities_pkey",
        ],
    },
    // MarkConversationRead up to a message, and up to a blocked one, which has no number.
    Hot {
        text: ("SELECT coalesce(m.received_number", &["LIMIT c.clear_received - c.clear_read"], NOTHING),
        parameters: &["org", "fresh", "conversation", "true", "true"],
        indexes: &["conversations_pkey", "messages_list_of_conversation", "messages_pkey"],
    },
    Hot {
        text: ("UPDATE conversations SET clear_read_before", &[], NOTHING),
        parameters: &["org", "conversation", "1"],
        indexes: &["conversations_pkey"],
    },
    Hot {
        text: ("WITH free AS MATERIALIZED", &["SET clear_read_before", "logged AS"], NOTHING),
        parameters: &["org", "ARRAY[conversation]", "ARRAY[1]"],
        // Once to see whether it is free, once to change it.
        indexes: &["conversations_pkey", "conversations_pkey"],
    },
    // Readers of the event log.
    Hot {
        text: ("SELECT e.sequence", &[], NOTHING),
        parameters: &["org", "0", "100"],
        indexes: &["connections_pkey", "conversations_pkey", "events_pkey"],
    },
    Hot {
        text: ("SELECT l.last_sequence", &[], NOTHING),
        parameters: &["org", "1"],
        indexes: &["event_logs_pkey", "events_pkey", "events_pkey", "events_pkey"],
    },
    Hot {
        text: ("SELECT organization_id, last_sequence FROM event_logs", &[], NOTHING),
        parameters: &["ARRAY[org]"],
        indexes: &["event_logs_pkey"],
    },
    Hot {
        text: ("DELETE FROM events", &[], NOTHING),
        parameters: &["org", "at", "1000"],
        indexes: &["events_pkey", "events_pkey"],
    },
    // A release: whether sends are under way, and that no other may begin.
    Hot {
        text: ("SELECT id FROM messages", &["assignment_id = $2 AND in_flight_until"], NOTHING),
        parameters: &["org", "connection"],
        indexes: &["messages_in_flight"],
    },
    Hot {
        text: ("SELECT m.id FROM messages m", &["m.in_flight_until > clock_timestamp()"], NOTHING),
        parameters: &["org", "connection", "NULL::uuid", "NULL::text"],
        indexes: &["conversations_pkey", "messages_in_flight"],
    },
    Hot {
        text: ("SELECT id FROM conversations", &["FOR SHARE"], NOTHING),
        parameters: &["org", "identity", "human"],
        indexes: &["conversations_one_per_pair"],
    },
    Hot {
        text: ("UPDATE conversations c SET closing_until = statement_timestamp()", &[], NOTHING),
        parameters: &["org", "connection", "1"],
        indexes: &["connections_pkey", "conversations_one_per_pair"],
    },
    // Which carrier a line is with.
    Hot {
        text: ("SELECT carrier FROM lines", &[], NOTHING),
        parameters: &["line"],
        indexes: &["lines_pkey"],
    },
    // An inbound text: its route, whether it was delivered before, its context, and storing it.
    Hot {
        text: ("SELECT l.role", &["FROM lines l LEFT JOIN routes r"], NOTHING),
        parameters: &["line", "human", "provider_id"],
        indexes: &["forgotten_texts_pkey", "lines_pkey", "routed_organizations_pkey", "routes_pkey"],
    },
    Hot {
        text: ("SELECT t.number", &["FROM unnest($1::text[]"], NOTHING),
        parameters: &["ARRAY[line]", "ARRAY[human]", "ARRAY[provider_id]"],
        indexes: &["forgotten_texts_pkey", "lines_pkey", "routed_organizations_pkey", "routes_pkey"],
    },
    Hot {
        text: ("SELECT id, conversation_id", &["FROM messages", "provider_message_id = $3"], NOTHING),
        parameters: &["org", "line", "provider_id"],
        indexes: &["messages_one_per_provider_id"],
    },
    Hot {
        text: ("SELECT t.number", &["SELECT id, conversation_id, assignment_id FROM messages"], NOTHING),
        parameters: &["org", "ARRAY[identity]", "ARRAY[human]", "ARRAY[line]", "ARRAY[provider_id]"],
        indexes: &[
            "contact_rules_one_per_number",
            "conversations_one_per_pair",
            "identities_pkey",
            "messages_one_per_provider_id",
        ],
    },
    Hot {
        text: ("WITH summary AS (UPDATE conversations", &["INSERT INTO messages"], NOTHING),
        parameters: &APPENDED,
        // The other two only for an outbound message.
        indexes: &["contact_rules_one_per_number", "conversations_pkey", "identities_pkey"],
    },
    Hot {
        text: ("WITH free AS MATERIALIZED", &["INSERT INTO messages"], NOTHING),
        parameters: &APPENDED,
        // Once to lock it, once to update it.
        indexes: &[
            "contact_rules_one_per_number",
            "conversations_pkey",
            "conversations_pkey",
            "identities_pkey",
        ],
    },
    Hot {
        text: ("SELECT id FROM connections", &["released_at IS NULL FOR UPDATE"], NOTHING),
        parameters: &["org", "connection"],
        indexes: &["connections_pkey"],
    },
    Hot {
        text: ("SELECT id FROM conversations", &["remote_number = $3"], "FOR SHARE"),
        parameters: &["org", "identity", "human"],
        indexes: &["conversations_one_per_pair"],
    },
    // A webhook: whose its line is. A tapback in words: whether it was delivered before, and what it quotes.
    Hot {
        text: ("SELECT role, carrier FROM lines", &[], NOTHING),
        parameters: &["line"],
        indexes: &["lines_pkey"],
    },
    Hot {
        text: ("SELECT created_at FROM tapback_texts", &[], NOTHING),
        parameters: &["line", "provider_id"],
        indexes: &["tapback_texts_pkey"],
    },
    Hot {
        text: ("WITH newest AS ( SELECT id, line_number", &["LIMIT $3"], NOTHING),
        parameters: &["org", "conversation", "200", "line", "'text'", "'te'", "true", "1", "NULL", "' '"],
        indexes: &["messages_list_of_conversation", "reactions_one_live"],
    },
    // The router commands.
    Hot {
        text: ("SELECT organization_id, agent_identity_id FROM handles", &[], NOTHING),
        parameters: &["handle"],
        indexes: &["handles_pkey"],
    },
    Hot {
        text: ("SELECT connection_id, line_number FROM routes", &[], NOTHING),
        parameters: &["human", "org", "identity"],
        indexes: &["routes_pkey"],
    },
    Hot {
        text: ("SELECT l.number FROM lines l", &["NOT EXISTS"], NOTHING),
        parameters: &["human"],
        indexes: &["lines_least_loaded", "routes_pkey"],
    },
    Hot {
        text: ("UPDATE conversations SET assignment_released = true", &[], NOTHING),
        parameters: &["org", "identity", "human", "connection", "at"],
        indexes: &["conversations_one_per_pair"],
    },
    Hot {
        text: ("UPDATE connections SET released_at", &[], NOTHING),
        parameters: &["org", "connection", "at"],
        indexes: &["connections_pkey"],
    },
    Hot {
        text: ("DELETE FROM routes WHERE line_number", &[], NOTHING),
        parameters: &["line", "human", "connection"],
        indexes: &["routes_pkey"],
    },
];

/// Parameters of the statements that append messages.
const APPENDED: [&str; 21] = [
    "org",
    "ARRAY[conversation]",
    "ARRAY[connection]",
    "ARRAY[fresh]",
    "ARRAY[line]",
    "ARRAY['new']",
    "ARRAY[false]",
    "ARRAY['text']",
    "ARRAY['text']",
    "ARRAY[NULL::jsonb]",
    "ARRAY[at]",
    "1",
    "ARRAY[at]",
    "ARRAY[1]",
    "ARRAY[NULL::uuid]",
    "1",
    "ARRAY[NULL::smallint]",
    "0",
    "9",
    "NULL::double precision",
    "true",
];

/// Either index of `routes` will do where the human is known, who has a handful of them at most.
const OF_A_HUMAN: [&str; 2] = ["routes_by_human", "routes_pkey"];
/// Either index of `reactions` will do where the message is known, which has a handful of them at most.
const OF_A_MESSAGE: [&str; 2] = ["reactions_of_message", "reactions_one_live"];

#[tokio::test]
async fn every_other_hot_query_goes_through_its_indexes() {
    assert_indexes(&HOT).await;
}

/// Asserts that each query is reached through its indexes.
pub(super) async fn assert_indexes(queries: &[Hot]) {
    let session = &mut session().await;
    for Hot { text: (beginning, containing, without), parameters, indexes } in queries {
        let query = the_one(beginning, containing, &[without]);
        let mut literals = Vec::new();
        for expression in *parameters {
            literals.push(literal(session, &format!("SELECT {expression} FROM sample")).await);
        }
        let literals: Vec<_> = literals.iter().map(String::as_str).collect();
        let nodes = nodes(&explain(session, &query, &literals, "").await);
        assert!(!nodes.iter().any(|node| node.starts_with("Seq Scan")), "{} {nodes:?}", query.sql);
        let used =
            nodes.iter().filter(|node| node.contains("Index")).filter_map(|node| node.split(' ').next_back());
        let either = [OF_A_HUMAN, OF_A_MESSAGE];
        let alike = |index: &&str| either.iter().find(|of| of.contains(index) && indexes.contains(&of[1]));
        let mut used: Vec<_> = used.map(|index| alike(&index).map_or(index, |of| of[1])).collect();
        used.sort_unstable();
        assert_eq!(used, *indexes, "{} {nodes:?}", query.sql);
        if containing.contains(&"< ($2, $3)") {
            assert_eq!(nodes, ["Limit".to_owned(), format!("Index Scan {}", indexes[0])]);
        }
    }
}
