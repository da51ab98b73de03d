//! A human who texts lines. The part of the carrier is played with a router key.

use std::sync::atomic::{AtomicU32, Ordering};

use inkbox_imessage::proto::{Identity, ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome};

use super::TestApp;
use super::app::ROUTER_LINE;
use super::callers::Caller;

static NEXT_TEXT: AtomicU32 = AtomicU32::new(0);

#[derive(Clone)]
pub struct Human {
    pub number: String,
    pub router: Caller,
}

/// The thread between a human and an agent, as the carrier knows it.
#[derive(Debug, Clone)]
pub struct Thread {
    pub line: String,
    pub connection_id: String,
}

impl Human {
    pub async fn new(app: &TestApp, number: &str) -> Self {
        Self { number: number.to_owned(), router: app.router().await }
    }

    /// A text from this human to a line, with a new provider id.
    pub fn text(&self, line: &str, words: &str) -> ReceiveMessageRequest {
        ReceiveMessageRequest {
            line_number: line.to_owned(),
            remote_number: self.number.clone(),
            text: Some(words.to_owned()),
            provider_message_id: format!("text-{}", NEXT_TEXT.fetch_add(1, Ordering::Relaxed)),
            ..Default::default()
        }
    }

    /// Sends a text to the router line.
    pub async fn commands(&self, words: &str) -> ReceiveMessageResponse {
        self.router.receive_message(self.text(ROUTER_LINE, words)).await.unwrap()
    }

    /// Connects to an agent through the router line.
    pub async fn connects(&self, identity: &Identity) -> Thread {
        let answer = self.commands(&format!("connect @{}", identity.agent_handle)).await;
        assert_eq!(answer.outcome(), ReceiveOutcome::Connected, "{answer:?}");
        Thread { line: answer.line_number.unwrap(), connection_id: answer.connection_id.unwrap() }
    }

    pub async fn disconnects(&self, identity: &Identity) {
        let answer = self.commands(&format!("disconnect @{}", identity.agent_handle)).await;
        assert_eq!(answer.outcome(), ReceiveOutcome::Disconnected, "{answer:?}");
    }

    /// Sends a text in a thread.
    pub async fn says(&self, thread: &Thread, words: &str) -> ReceiveMessageResponse {
        self.router.receive_message(self.text(&thread.line, words)).await.unwrap()
    }

    /// Connects to an agent and sends a text. Returns the thread and the id of the conversation.
    pub async fn converses(&self, identity: &Identity, words: &str) -> (Thread, String) {
        let thread = self.connects(identity).await;
        let answer = self.says(&thread, words).await;
        (thread, answer.conversation_id.expect("a stored text"))
    }
}
