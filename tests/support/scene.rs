//! The most common start of a test: one human who has texted one agent.

use inkbox_imessage::proto::{Identity, ReceiveMessageRequest};

use super::TestApp;
use super::callers::Caller;
use super::human::{Human, Thread};

/// A human who is connected to an identity and has sent one text.
pub struct Scene {
    pub app: TestApp,
    pub identity: Identity,
    pub human: Human,
    pub thread: Thread,
    /// The text, as the carrier delivered it.
    pub text: ReceiveMessageRequest,
    pub message_id: String,
    pub conversation_id: String,
    pub admin: Caller,
    pub agent: Caller,
}

impl Scene {
    pub async fn start() -> Self {
        Self::with_human("+15551230001").await
    }

    /// With a human of this number, to which the sandbox carrier may react in a special way.
    pub async fn with_human(number: &str) -> Self {
        Self::on(TestApp::start().await, number).await
    }

    /// On a service with its own settings.
    pub async fn on(app: TestApp, number: &str) -> Self {
        let identity = app.identity("org_a").await;
        let human = Human::new(&app, number).await;
        let thread = human.connects(&identity).await;
        let text = human.text(&thread.line, "hello");
        let stored = human.router.receive_message(text.clone()).await.unwrap();
        let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
        Self {
            message_id: stored.message_id.unwrap(),
            conversation_id: stored.conversation_id.unwrap(),
            app,
            identity,
            human,
            thread,
            text,
            admin,
            agent,
        }
    }
}
