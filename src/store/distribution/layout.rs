//! Where the rows of each table are, where tables are distributed.

/// How a table is kept on a distributed database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Its rows are spread over the nodes by this column: rows of one value are together, and found by one node.
    Spread(&'static str),
    /// Every node has all of it. Reading is local everywhere; a write reaches every node, and waits for other writes.
    Everywhere,
    /// On the coordinator alone, as it was.
    Coordinator,
}

/// The column by which tenant tables are spread, all of them together.
pub const TENANT: &str = "organization_id";

/// For each column by which tables are spread, the table that the others are put beside, so that rows of one value are on
/// one node.
pub const FIRST: [(&str, &str); 3] =
    [(TENANT, "identities"), ("remote_number", "routes"), ("provider_message_id", "sent_messages")];

/// Global tables that are not kept everywhere. Each of these grows with what humans and agents do, so a write must not
/// reach every node; and each is asked for by one column, which all its unique keys have.
pub const GLOBAL: [(&str, Placement); 7] = [
    // A human's routes are together: connect looks at all of them, and a text names its human.
    ("routes", Placement::Spread("remote_number")),
    ("routed_organizations", Placement::Spread("remote_number")),
    // By the carrier's id and not by the line, since one line can have most of the traffic, and the router line all of it.
    ("router_commands", Placement::Spread("provider_message_id")),
    ("sent_messages", Placement::Spread("provider_message_id")),
    ("tapback_texts", Placement::Spread("provider_message_id")),
    // With the messages that are still to be deleted.
    ("discarded_conversations", Placement::Spread(TENANT)),
    // What it says is about one server and its standby.
    ("standby_beats", Placement::Coordinator),
];

/// sqlx's list of migrations, so that the service can be given any node.
const MIGRATIONS: &str = "_sqlx_migrations";

/// What the comment of a table, which begins with `Tenant. ` or `Global. `, and its name say about its place; `None` for
/// a table that says nothing.
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
