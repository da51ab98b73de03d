//! What callers do: mostly reading, some writing, as agents and lines do.

use std::sync::atomic::{AtomicU64, Ordering};

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;
use tonic::Status;

use crate::overload::service::Service;
use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, PATIENCE};

/// Humans with a conversation.
const HUMANS: u32 = 40;

/// Conversations to make calls on.
pub struct Mix {
    threads: Vec<(Thread, String, String)>,
    next: AtomicU64,
}

/// The keys of one connection.
#[derive(Clone)]
pub struct Callers {
    pub admin: Caller,
    pub router: Caller,
}

impl Mix {
    pub async fn prepare(service: &Service) -> Self {
        let channel = service.channel(PATIENCE);
        let (admin, router) = (service.admin(channel.clone()), service.router(channel));
        let identities = admin.list_identities(ListIdentitiesRequest::default()).await.unwrap().identities;
        let mut threads = Vec::new();
        for n in 0..HUMANS {
            let human = Human { number: format!("+1555700{n:04}"), router: router.clone() };
            let (thread, conversation) = human.converses(&identities[0], "hello").await;
            for words in ["I would like to book a table for two at eight.", "By the window, please."] {
                human.says(&thread, words).await;
            }
            threads.push((thread, human.number, conversation));
        }
        Self { threads, next: AtomicU64::new(0) }
    }

    /// Makes the next call.
    pub async fn call(&self, callers: &Callers) -> Result<(), Status> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let (thread, number, conversation_id) =
            &self.threads[usize::try_from(n * 7 % u64::from(HUMANS)).unwrap()];
        let conversation_id = conversation_id.clone();
        let admin = &callers.admin;
        match n % 20 {
            0..10 => {
                let request = GetConversationRequest { conversation_id, agent_identity_id: None };
                admin.get_conversation(request).await.map(|_| ())
            }
            10..14 => {
                let request = ListConversationsRequest { limit: Some(20), ..Default::default() };
                admin.list_conversations(request).await.map(|_| ())
            }
            14..16 => {
                let request = ListMessagesRequest {
                    conversation_id: Some(conversation_id),
                    limit: Some(20),
                    ..Default::default()
                };
                admin.list_messages(request).await.map(|_| ())
            }
            16..19 => {
                let request = ReceiveMessageRequest {
                    line_number: thread.line.clone(),
                    remote_number: number.clone(),
                    text: Some("Is the table free at nine instead?".to_owned()),
                    provider_message_id: format!("load-{n}"),
                    ..Default::default()
                };
                callers.router.receive_message(request).await.map(|_| ())
            }
            _ => {
                let request = SendMessageRequest {
                    target: Some(Target::ConversationId(conversation_id)),
                    text: Some("Nine is fine.".to_owned()),
                    ..Default::default()
                };
                admin.send_message(request).await.map(|_| ())
            }
        }
    }

    /// A call that only reads one row: what one caller alone waits for.
    pub async fn glance(&self, callers: &Callers) -> Result<(), Status> {
        let request =
            GetConversationRequest { conversation_id: self.threads[0].2.clone(), agent_identity_id: None };
        callers.admin.get_conversation(request).await.map(|_| ())
    }
}
