//! The placement of each table on a distributed database.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Distributed by this column: rows with the same value are on the same node.
    Spread(&'static str),
    /// A reference table, copied to every node. Reads are local; a write goes to every node and waits for other writes.
    Everywhere,
    /// A local table of the coordinator.
    Coordinator,
}

/// The column by which all tenant tables are distributed, co-located.
pub const TENANT: &str = "organization_id";

/// For each distribution column, the table that the others are co-located with, so that rows of one value are on one node.
pub const FIRST: [(&str, &str); 3] =
    [(TENANT, "identities"), ("remote_number", "routes"), ("provider_message_id", "sent_messages")];

/// Global tables that are not reference tables. They grow with traffic, so that a write must not go to every node, and each
/// is queried by one column, which all its unique keys contain.
pub const GLOBAL: [(&str, Placement); 8] = [
    // Co-locates the routes of a human: connect reads all of them, and a text names its human.
    ("routes", Placement::Spread("remote_number")),
    ("routed_organizations", Placement::Spread("remote_number")),
    ("awaited_files", Placement::Spread("remote_number")),
    // By the carrier's id and not by the line, since one line can have most of the traffic; the router line has all commands.
    ("router_commands", Placement::Spread("provider_message_id")),
    ("sent_messages", Placement::Spread("provider_message_id")),
    ("tapback_texts", Placement::Spread("provider_message_id")),
    // Beside the messages that are still to be deleted.
    ("discarded_conversations", Placement::Spread(TENANT)),
    // Concerns one server and its replica.
    ("standby_beats", Placement::Coordinator),
];

/// The table of applied migrations; a reference table, so that the service can connect to any node.
const MIGRATIONS: &str = "_sqlx_migrations";

/// The placement of a table, from its name and its comment, which begins with `Tenant. ` or `Global. `; `None` for another
/// comment.
#[must_use]
pub fn placement(table: &str, comment: &str) -> Option<Placement> {
    if table == MIGRATIONS {
        return Some(Placement::Everywhere);
    }
    if comment.starts_with("Tenant. ") {
        return Some(Placement::Spread(TENANT));
    }
    if !comment.starts_with("Global. ") {
        return None;
    }
    let known = GLOBAL.iter().find(|(name, _)| *name == table);
    Some(known.map_or(Placement::Everywhere, |(_, placement)| *placement))
}
