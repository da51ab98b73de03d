//! Sweeps of retention, and erasures: none of them reads a table through.

use super::hot_queries::{Hot, NOTHING, assert_indexes};

const ALL: [Hot; 21] = [
    // Blanking bodies.
    Hot {
        text: ("SELECT EXISTS (SELECT id FROM messages", &["retention_progress"], NOTHING),
        parameters: &["org", "fresh", "fresh"],
        indexes: &["messages_pkey", "reactions_pkey", "retention_progress_pkey", "retention_progress_pkey"],
    },
    Hot {
        text: ("SELECT id, conversation_id FROM messages", &["id > $2"], NOTHING),
        parameters: &["org", "fresh", "fresh", "500"],
        indexes: &["messages_pkey"],
    },
    Hot {
        text: ("SELECT id FROM reactions", &["id < $3"], NOTHING),
        parameters: &["org", "fresh", "fresh", "500"],
        indexes: &["reactions_pkey"],
    },
    Hot {
        text: ("UPDATE conversations SET clear_latest_text = NULL", &[], NOTHING),
        parameters: &["org", "ARRAY[conversation]", "ARRAY[fresh]"],
        indexes: &["conversations_pkey"],
    },
    Hot {
        text: ("UPDATE conversations SET blocked_latest_text = NULL", &[], NOTHING),
        parameters: &["org", "ARRAY[conversation]", "ARRAY[fresh]"],
        indexes: &["conversations_pkey"],
    },
    Hot {
        text: ("UPDATE messages SET text = NULL", &[], NOTHING),
        parameters: &["org", "ARRAY[fresh]", "at"],
        indexes: &["messages_pkey"],
    },
    Hot {
        text: ("UPDATE reactions SET custom_emoji = NULL", &[], NOTHING),
        parameters: &["org", "ARRAY[fresh]", "now()"],
        indexes: &["reactions_pkey"],
    },
    // Released connections.
    Hot {
        text: ("SELECT k.id, k.agent_identity_id, k.remote_number, k.released_at", &[], NOTHING),
        parameters: &["org", "at", "at", "fresh", "200"],
        indexes: &["connections_of_human", "connections_released"],
    },
    // Discarding a pair.
    Hot {
        text: ("SELECT id, released_at FROM connections", &["FOR UPDATE"], NOTHING),
        parameters: &["org", "identity", "human"],
        indexes: &["connections_of_human"],
    },
    Hot {
        text: ("SELECT id, assignment_released FROM conversations", &["FOR UPDATE"], NOTHING),
        parameters: &["org", "identity", "human"],
        indexes: &["conversations_one_per_pair"],
    },
    Hot {
        text: ("SELECT id FROM messages", &["assignment_id = ANY ($2)"], NOTHING),
        parameters: &["org", "ARRAY[connection]"],
        indexes: &["messages_in_flight"],
    },
    Hot {
        text: ("SELECT line_number FROM routed_organizations", &["FOR UPDATE"], NOTHING),
        parameters: &["ARRAY[line]", "human", "org"],
        indexes: &["routed_organizations_pkey"],
    },
    Hot {
        text: ("UPDATE router_commands SET connection_id = NULL", &[], NOTHING),
        parameters: &["ARRAY[connection]"],
        indexes: &["router_commands_of_connection"],
    },
    Hot {
        text: ("SELECT DISTINCT line_number FROM connections", &[], "agent_identity_id"),
        parameters: &["org", "human"],
        indexes: &["connections_of_human"],
    },
    // Purging a conversation.
    Hot {
        text: ("SELECT id, direction, line_number", &["conversation_id = $2", "FOR UPDATE"], NOTHING),
        parameters: &["org", "conversation", "500"],
        indexes: &["messages_list_of_conversation"],
    },
    Hot {
        text: ("DELETE FROM sent_messages", &["unnest"], NOTHING),
        parameters: &["ARRAY[line]", "ARRAY[provider_id]", "org"],
        indexes: &["sent_messages_pkey"],
    },
    Hot {
        text: ("DELETE FROM idempotency_keys", &["message_id = ANY ($2)"], NOTHING),
        parameters: &["org", "ARRAY[fresh]"],
        indexes: &["idempotency_keys_of_message"],
    },
    Hot {
        text: ("DELETE FROM reactions", &[], NOTHING),
        parameters: &["org", "ARRAY[fresh]"],
        indexes: &["reactions_of_message"],
    },
    Hot {
        text: ("DELETE FROM messages", &[], NOTHING),
        parameters: &["org", "ARRAY[fresh]"],
        indexes: &["messages_pkey"],
    },
    // Erasing a human.
    Hot {
        text: ("SELECT DISTINCT agent_identity_id FROM connections", &[], NOTHING),
        parameters: &["org", "human", "500"],
        indexes: &["connections_of_human"],
    },
    Hot {
        text: ("DELETE FROM contact_rules", &["match_target = $2"], NOTHING),
        parameters: &["org", "human"],
        indexes: &["contact_rules_one_per_number"],
    },
];

#[tokio::test]
async fn every_query_of_retention_and_erasure_goes_through_its_indexes() {
    assert_indexes(&ALL).await;
}
