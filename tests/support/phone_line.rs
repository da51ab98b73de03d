//! A line of a carrier that the service has no business knowing better: remembers what it was asked to send.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use inkbox_imessage::line::{Accepted, Action, Failure, Line, Thread};

/// The human whom nothing reaches.
pub const UNREACHABLE: &str = "+15005550001";

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentText {
    pub line: String,
    pub to: String,
    pub text: String,
    /// Whether it belongs to a conversation.
    pub is_owned: bool,
}

/// The line.
#[derive(Debug, Default)]
pub struct PhoneLine {
    sent: Mutex<Vec<SentText>>,
    /// While a test holds it, nothing is answered.
    pub gate: Arc<tokio::sync::Mutex<()>>,
}

impl PhoneLine {
    /// Everything that was sent, failures too.
    pub fn sent(&self) -> Vec<SentText> {
        self.sent.lock().unwrap().clone()
    }
}

impl Line for PhoneLine {
    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, Failure>> {
        Box::pin(async move {
            let Action::Message(message) = action else { return Ok(Accepted { provider_message_id: None }) };
            let number = {
                let mut sent = self.sent.lock().unwrap();
                sent.push(SentText {
                    line: thread.line_number.as_str().to_owned(),
                    to: thread.remote_number.as_str().to_owned(),
                    text: message.text.unwrap_or_default().to_owned(),
                    is_owned: thread.owner.is_some(),
                });
                sent.len()
            };
            let _gate = self.gate.lock().await;
            if thread.remote_number.as_str() == UNREACHABLE {
                return Err(Failure::REFUSED);
            }
            Ok(Accepted { provider_message_id: Some(format!("sent-{number}")) })
        })
    }
}
