//! The log: one line a call with what is needed to find it again, and nothing that is anybody's business.

use inkbox_imessage::embedded;
use inkbox_imessage::proto::*;
use serde_json::Value;
use sqlx::ConnectOptions as _;
use tonic::{Code, Status};

use crate::folder::Folder;
use crate::program::{Service, run};
use crate::support::callers::Caller;

/// What must not be in any output: numbers of humans and lines (without their +), words, and secrets.
const ROUTER_LINE: &str = "12025550100";
const POOL_LINE: &str = "12025550101";
const HUMAN: &str = "15551239876";
const BLOCKED: &str = "15551239877";
const FAILS: &str = "15005550001";
const WORDS: &str = "the eagle has landed";
/// Words that a constraint of the test's own refuses: PostgreSQL then quotes the whole row to the service.
const REFUSED_WORDS: &str = "the eagle is late";

/// Everything that a scene did: each call with the code that it got, in order, and what is nobody's business.
#[derive(Default)]
struct Scene {
    calls: Vec<(&'static str, Code)>,
    secrets: Vec<String>,
}

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

    /// Connects, texts, lists, marks: what works and what fails in every way.
    async fn play(folder: &Folder, service: &Service) -> Self {
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

        let options = embedded::running(folder.path(), "inkbox").await.unwrap();
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
            let request = MarkConversationReadRequest { conversation_id: said.conversation_id.unwrap() };
            scene.note(
                "ConversationService/MarkConversationRead",
                agent.mark_conversation_read(request).await,
            );
        }
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

        drop(database);
        folder.signal_postgres("-INT");
        service.until_health_is(Some("NOT_SERVING")).await;
        scene.note("ConversationService/ListConversations", agent.list_conversations(list).await);
        scene.texts(&router, HUMAN, POOL_LINE, WORDS).await;
        scene
    }

    /// Asserts that the scene had a failure of every kind, and that nothing of it is in the output.
    fn is_not_in(&self, output: &str) {
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
        let private = [ROUTER_LINE, POOL_LINE, HUMAN, BLOCKED, FAILS, WORDS, REFUSED_WORDS];
        for private in private.into_iter().chain(self.secrets.iter().map(String::as_str)) {
            let told: Vec<_> = output.lines().filter(|line| line.contains(private)).collect();
            assert!(told.is_empty(), "{private} is in the log: {told:#?}");
        }
        assert!(output.contains("database unavailable") && output.contains("database error"), "{output}");
    }
}

/// Service and method of a call, or `None` for one of the test's own probes.
fn method_of(path: &str) -> Option<String> {
    path.strip_prefix("/inkbox.imessage.v1.").map(str::to_owned)
}

#[tokio::test]
async fn the_json_log_has_one_line_a_call_and_nothing_private() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--log-format", "json"]).await;
    let scene = Scene::play(&folder, &service).await;
    let output = service.stop().await;
    scene.is_not_in(&output);

    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let calls: Vec<_> = lines.iter().filter(|line| line["message"] == "rpc").collect();
    let mut logged = Vec::new();
    for line in calls {
        let Some(method) = method_of(line["rpc.method"].as_str().unwrap()) else { continue };
        let code = line["rpc.code"].as_str().unwrap().to_owned();
        assert!(line["duration_ms"].as_f64().is_some_and(|time| time > 0.0), "{line}");
        let span = &line["span"];
        assert!(span["request.id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        let of_tenant = !method.starts_with("RouterService/");
        let known = code != "Unauthenticated" && code != "PermissionDenied" && code != "Unavailable";
        if known {
            assert!(span["key.id"].is_string(), "{line}");
            assert_eq!(span["organization.id"].as_str(), of_tenant.then_some("org_a"), "{line}");
        }
        logged.push((method, code));
    }
    let made: Vec<_> =
        scene.calls.iter().map(|(method, code)| ((*method).to_owned(), format!("{code:?}"))).collect();
    assert_eq!(logged, made);
}

#[tokio::test]
async fn the_text_log_has_one_line_a_call_and_nothing_private() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &[]).await;
    let scene = Scene::play(&folder, &service).await;
    let output = service.stop().await;
    scene.is_not_in(&output);

    assert!(!output.contains('\u{1b}'), "colours where nobody sees them: {output:?}");
    let mut logged = Vec::new();
    for line in output.lines().filter(|line| line.contains(": rpc ")) {
        let field = |name: &str| {
            let value = line.split_once(&format!("{name}="))?.1.split([' ', '}']).next()?;
            Some(value.trim_matches('"').to_owned())
        };
        let Some(method) = field("rpc.method").as_deref().and_then(method_of) else { continue };
        assert!(field("request.id").is_some() && field("duration_ms").is_some(), "{line}");
        logged.push((method, field("rpc.code").unwrap()));
    }
    let made: Vec<_> =
        scene.calls.iter().map(|(method, code)| ((*method).to_owned(), format!("{code:?}"))).collect();
    assert_eq!(logged, made);
}
