//! A scene with calls of every kind, and what of it must not be in any output.

use inkbox_imessage::dev::embedded_postgres;
use inkbox_imessage::proto::*;
use sqlx::ConnectOptions as _;
use tonic::{Code, Status};

use crate::process::folder::Folder;
use crate::support::callers::Caller;
use crate::support::program::{Service, run};

/// What must not be in any output: numbers of humans and lines (without their +), words, and secrets.
const ROUTER_LINE: &str = "12025550100";
const POOL_LINE: &str = "12025550101";
const HUMAN: &str = "15551239876";
const STRANGER: &str = "15551239878";
const BLOCKED: &str = "15551239877";
const FAILS: &str = "15005550001";
/// The address of a file. Such addresses are secret, because knowing one is often enough to fetch the file.
const FILE: &str = "files.example/a-secret-path";
const WORDS: &str = "the eagle has landed";
/// Words that a constraint of the test's own refuses: PostgreSQL then quotes the whole row to the service.
const REFUSED_WORDS: &str = "the eagle is late";

/// Everything that a scene did: each call with the code that it got, in order, and what is nobody's business.
#[derive(Default)]
pub(crate) struct Scene {
    pub(crate) calls: Vec<(&'static str, Code)>,
    secrets: Vec<String>,
}

/// The trace that the scene's last call is part of, and the span it was made from.
pub(crate) const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const CALLERS_SPAN_ID: &str = "b7ad6b7169203331";

impl Scene {
    /// Notes a call and its outcome.
    fn note<T>(&mut self, method: &'static str, answer: Result<T, Status>) -> Option<T> {
        self.calls.push((method, answer.as_ref().map_or_else(Status::code, |_| Code::Ok)));
        answer.ok()
    }

    async fn texts(
        &mut self,
        router: &Caller,
        from: &str,
        to: &str,
        words: &str,
    ) -> Option<ReceiveMessageResponse> {
        let request = ReceiveMessageRequest {
            line_number: format!("+{to}"),
            remote_number: format!("+{from}"),
            text: Some(words.to_owned()),
            provider_message_id: format!("text {}", self.calls.len()),
            ..Default::default()
        };
        self.note("RouterService/ReceiveMessage", router.receive_message(request).await)
    }

    async fn sends(
        &mut self,
        agent: &Caller,
        target: send_message_request::Target,
        words: &str,
    ) -> Option<SendMessageResponse> {
        let request = SendMessageRequest {
            target: Some(target),
            text: Some(words.to_owned()),
            media_urls: vec![format!("https://{FILE}")],
            idempotency_key: Some(format!("{words} {}", self.calls.len())),
            ..Default::default()
        };
        self.note("MessageService/SendMessage", agent.send_message(request).await)
    }

    /// Sends, puts a tapback on what the human said, and takes it back: each as well as the line lets it.
    async fn answers(&mut self, agent: &Caller, conversation_id: &str, message_id: String) {
        for words in [WORDS, REFUSED_WORDS] {
            let target = send_message_request::Target::ConversationId(conversation_id.to_owned());
            self.sends(agent, target, words).await;
        }
        let request =
            SendReactionRequest { message_id, reaction: ReactionType::Love.into(), ..Default::default() };
        let put = self.note("MessageService/SendReaction", agent.send_reaction(request).await);
        let reaction_id = put.map_or_else(|| WORDS.to_owned(), |put| put.reaction.unwrap().id);
        let request = RemoveReactionRequest { reaction_id };
        self.note("MessageService/RemoveReaction", agent.remove_reaction(request).await);
    }

    /// A call from within a trace of the caller's.
    async fn asks_in_a_trace(&mut self, agent: &Caller) {
        let mut request = agent.request(WhoAmIRequest {});
        let traceparent = format!("00-{TRACE_ID}-{CALLERS_SPAN_ID}-01");
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        let mut client = api_key_service_client::ApiKeyServiceClient::new(agent.channel.clone());
        self.note("ApiKeyService/WhoAmI", client.who_am_i(request).await);
    }

    /// Connects, texts, lists, marks, answers: what works and what fails in every way.
    pub(crate) async fn play(folder: &Folder, service: &Service) -> Self {
        let mut scene = Self::default();
        for (line, role) in [(ROUTER_LINE, "router"), (POOL_LINE, "pool")] {
            run(folder, &["line", "add", &format!("+{line}"), "--role", role]).await.succeeded();
        }
        let admin = run(folder, &["org", "create", "org_a"]).await.secret();
        let router = run(folder, &["key", "create", "--scope", "router"]).await.secret();
        let unknown = "ink_unknownunknownunknownunknownunknownunknown";
        scene.secrets = vec![admin.clone(), router.clone(), unknown.to_owned()];
        let (admin, router) = (service.caller(&admin), service.caller(&router));

        let request = CreateIdentityRequest {
            agent_handle: "agent".to_owned(),
            imessage_enabled: true,
            ..Default::default()
        };
        let identity = scene.note("IdentityService/CreateIdentity", admin.create_identity(request).await);
        let identity = identity.unwrap().identity.unwrap();
        let request = CreateApiKeyRequest { agent_identity_id: identity.id.clone(), ..Default::default() };
        let key = scene.note("ApiKeyService/CreateApiKey", admin.create_api_key(request).await).unwrap();
        scene.secrets.push(key.secret.clone());
        let agent = service.caller(&key.secret);

        let options = embedded_postgres::running(folder.path(), "inkbox").await.unwrap();
        let mut database = options.connect().await.unwrap();
        let block = format!(
            "INSERT INTO contact_rules VALUES ('org_a', gen_random_uuid(), '{}', 2, '+{BLOCKED}', 1, now(), now());
             ALTER TABLE messages ADD CONSTRAINT no_such_words CHECK (text <> '{REFUSED_WORDS}')",
            identity.id
        );

        scene.texts(&router, HUMAN, ROUTER_LINE, "connect @agent").await.unwrap();
        let said = scene.texts(&router, HUMAN, POOL_LINE, WORDS).await.unwrap();
        scene.texts(&router, BLOCKED, ROUTER_LINE, "connect @agent").await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(block)).execute(&mut database).await.unwrap();
        let blocked = scene.texts(&router, BLOCKED, POOL_LINE, WORDS).await.unwrap();
        assert_eq!(blocked.outcome(), ReceiveOutcome::StoredBlocked);
        scene.texts(&router, HUMAN, POOL_LINE, REFUSED_WORDS).await;
        scene.texts(&router, FAILS, ROUTER_LINE, "connect @agent").await.unwrap();
        let failing = scene.texts(&router, FAILS, POOL_LINE, WORDS).await.unwrap();

        let list = ListConversationsRequest::default();
        scene.note("ConversationService/ListConversations", agent.list_conversations(list.clone()).await);
        for said in [said, failing] {
            let conversation_id = said.conversation_id.unwrap();
            let request = MarkConversationReadRequest {
                conversation_id: conversation_id.clone(),
                ..Default::default()
            };
            scene.note(
                "ConversationService/MarkConversationRead",
                agent.mark_conversation_read(request).await,
            );
            scene.answers(&agent, &conversation_id, said.message_id.unwrap()).await;
        }
        scene.sends(&agent, send_message_request::Target::To(format!("+{STRANGER}")), WORDS).await;
        let request = ReceiveReactionRequest {
            line_number: format!("+{POOL_LINE}"),
            remote_number: format!("+{HUMAN}"),
            target_provider_message_id: WORDS.to_owned(),
            reaction: ReactionType::Custom.into(),
            custom_emoji: Some(WORDS.to_owned()),
            ..Default::default()
        };
        scene.note("RouterService/ReceiveReaction", router.receive_reaction(request).await);
        // Where a number or words are taken for something else.
        let request =
            GetConversationRequest { conversation_id: format!("+{HUMAN}"), agent_identity_id: None };
        scene.note("ConversationService/GetConversation", agent.get_conversation(request).await);
        let request = ListConversationsRequest { page_token: WORDS.to_owned(), ..Default::default() };
        scene.note("ConversationService/ListConversations", agent.list_conversations(request).await);
        scene.texts(&router, WORDS, HUMAN, WORDS).await;
        scene.texts(&router, HUMAN, BLOCKED, WORDS).await;
        let answer = service.caller(unknown).list_conversations(list.clone()).await;
        scene.note("ConversationService/ListConversations", answer);
        let answer = router.list_conversations(list.clone()).await;
        scene.note("ConversationService/ListConversations", answer);

        scene.asks_in_a_trace(&agent).await;
        drop(database);
        folder.end_postgres_for_good();
        service.until_health_is(Some("NOT_SERVING")).await;
        scene.note("ConversationService/ListConversations", agent.list_conversations(list).await);
        scene.texts(&router, HUMAN, POOL_LINE, WORDS).await;
        scene
    }

    /// Asserts that the scene had a failure of every kind, and that nothing of it is in the output.
    pub(crate) fn is_not_in(&self, output: &str) {
        for code in [
            Code::Ok,
            Code::InvalidArgument,
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::NotFound,
            Code::Unavailable,
            Code::Internal,
        ] {
            assert!(
                self.calls.iter().any(|(_, seen)| *seen == code),
                "no call got {code:?}: {:?}",
                self.calls
            );
        }
        for rpc in ["SendMessage", "SendReaction", "RemoveReaction"] {
            let outcomes = self.calls.iter().filter(|(method, _)| method.ends_with(rpc));
            let succeeded = outcomes.clone().filter(|(_, code)| *code == Code::Ok).count();
            assert!(0 < succeeded && succeeded < outcomes.count(), "{rpc} both ways: {:?}", self.calls);
        }
        let private = [ROUTER_LINE, POOL_LINE, HUMAN, BLOCKED, FAILS, STRANGER, WORDS, REFUSED_WORDS, FILE];
        for private in private.into_iter().chain(self.secrets.iter().map(String::as_str)) {
            let told: Vec<_> = output.lines().filter(|line| line.contains(private)).collect();
            assert!(told.is_empty(), "{private} is in the log: {told:#?}");
        }
    }
}
