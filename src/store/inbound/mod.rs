//! Inbound messages: where they belong, and storing them.

mod append;
mod append_batch;
mod awaited;
mod by_hand;
mod chat;
mod connected_at;
mod delivered;
mod delivery_context;
mod message;
mod reply_target;
mod route;
mod update;

pub use append::{AppendOutcome, store};
pub use awaited::{await_files, awaited_chat};
pub use by_hand::{OwnFound, OwnMessage, find_own_message, store_sent_by_hand};
pub use chat::set_chat;
pub use connected_at::connected_at;
pub use delivered::find_delivered;
pub use delivery_context::{DeliveryContext, delivery_context};
pub use message::{InboundText, NewInbound, StoredMessage};
pub use reply_target::{ReplyTarget, find_reply_target};
pub use route::{Destination, Route, route};
pub use update::{MessageUpdate, update};
