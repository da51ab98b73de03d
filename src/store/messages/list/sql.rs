//! The parts that the statements of every list share.

/// Reads the messages that a subquery selects, newest first. The subquery has the columns of a message, and
/// `remote_number` and `clear_read` of its conversation. The parameters of every statement begin with `$1` the
/// organization, `$2` the id of the scope, `$3` and `$4` the cursor after which the page starts, `$5` the number of
/// rows from there to the end of the page, and `$6` and `$7` how many of these to read and to skip, and
/// `$8` the oldest time of a row.
macro_rules! message_rows {
    ($connection:expr, $request:expr, $scope_id:expr, [$($page:tt)*] $(, $argument:expr)* $(,)?) => {
        $crate::store::messages::list::page_rows::rows_of_page(sqlx::query_as!(
            $crate::store::messages::columns::MessageColumns,
            r#"SELECT id AS "id!", conversation_id AS "conversation_id!", assignment_id AS "assignment_id!",
                      direction AS "direction!", received_number, is_blocked AS "is_blocked!", text, media,
                      send_style AS "send_style!", transport AS "transport!", status AS "status!", error_code,
                      error_message, was_downgraded AS "was_downgraded!", created_at AS "created_at!",
                      updated_at AS "updated_at!", edited_at, retracted_at, original_text, reply_to_message_id,
                      origin AS "origin!", remote_number AS "remote_number!", clear_read AS "clear_read!"
               FROM ("# + $($page)* + ") page
               ORDER BY created_at DESC, id DESC
               LIMIT $6::bigint OFFSET $7::bigint",
            $request.organization_id.as_str(),
            $scope_id,
            $request.after.at,
            $request.after.id,
            $request.rows,
            $request.limit,
            $request.offset,
            $request.start
            $(, $argument)*
        )
        .fetch(&mut *$connection), |row| {
            let texts = [&row.text, &row.original_text].into_iter().flatten();
            texts.map(String::len).sum()
        })
        .await?
    };
}

/// Runs the statement of a scope: passes `$rows` the columns of `messages m`, the condition of the scope on them, that on
/// `conversations c`, and the id of the scope.
macro_rules! in_scope {
    ($scope:expr, $rows:ident) => {
        match $scope {
            // As in the condition of the index: see migrations/README.md.
            MessageScope::Organization => $crate::store::messages::list::sql::with_columns!(
                $rows,
                "m.created_at > '-infinity' AND $2::uuid IS NULL",
                "$2::uuid IS NULL",
                None::<uuid::Uuid>
            ),
            MessageScope::Identity(id) => $crate::store::messages::list::sql::with_columns!(
                $rows,
                "m.agent_identity_id = $2",
                "c.agent_identity_id = $2",
                id.uuid()
            ),
            MessageScope::Conversation(id) => $crate::store::messages::list::sql::with_columns!(
                $rows,
                "m.conversation_id = $2",
                "c.id = $2",
                id.uuid()
            ),
        }
    };
}

/// Passes `$rows` the columns of a message before the other arguments.
macro_rules! with_columns {
    ($rows:ident, $($argument:tt)*) => {
        $rows!(
            "m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number, m.is_blocked, m.text, m.media,
             m.send_style, m.transport, m.status, m.error_code, m.error_message, m.was_downgraded, m.created_at,
             m.updated_at, m.edited_at, m.retracted_at, m.original_text, m.reply_to_message_id, m.origin",
            $($argument)*
        )
    };
}

pub(super) use {in_scope, message_rows, with_columns};
