//! What is measured: a call through gRPC, and the SQL that it comes down to.

use bytes::Bytes;
use http::uri::PathAndQuery;
use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::router_service_client::RouterServiceClient;
use inkbox_imessage::proto::{
    GetConversationRequest, ListConnectionsRequest, ListConversationsRequest, ListMessagesRequest,
    MarkConversationReadRequest, MessageTransport, ReceiveMessageRequest,
};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use crate::fill::Target;
use crate::{Result, fill, pgbench};

/// Rows of a page.
const LIMIT: i32 = 50;

/// What calls need to know.
#[derive(Clone)]
pub struct World {
    pub targets: Vec<Target>,
    pub admin: AsciiMetadataValue,
    pub agent: AsciiMetadataValue,
    pub router: AsciiMetadataValue,
    /// The token of the deep page, and where it stands: time and id of the row before it, as literals of SQL.
    pub deep: (String, [String; 2]),
}

impl World {
    /// The conversation that the call of this number is made on.
    pub fn target(&self, number: u64) -> &Target {
        let targets = self.targets.len() as u64;
        &self.targets[usize::try_from(number % targets).unwrap_or_default()]
    }
}

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    Get,
    /// The same call answered by the plainest server that does it: see `bare`.
    GetBare,
    ListAll,
    ListClear,
    ListBlocked,
    ListOfIdentity,
    ListDeep,
    ListConnections,
    MarkOne,
    MarkThousand,
    Receive,
    ListMessages,
}

impl Scene {
    pub const ALL: [Self; 12] = [
        Self::Get,
        Self::GetBare,
        Self::ListAll,
        Self::ListClear,
        Self::ListBlocked,
        Self::ListOfIdentity,
        Self::ListDeep,
        Self::ListConnections,
        Self::MarkOne,
        Self::MarkThousand,
        Self::Receive,
        Self::ListMessages,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetBare => "get-bare",
            Self::ListAll => "list-all",
            Self::ListClear => "list-clear",
            Self::ListBlocked => "list-blocked",
            Self::ListOfIdentity => "list-identity",
            Self::ListDeep => "list-deep",
            Self::ListConnections => "list-connections",
            Self::MarkOne => "mark-1",
            Self::MarkThousand => "mark-1000",
            Self::Receive => "receive",
            Self::ListMessages => "list-messages",
        }
    }

    /// Whether so many rows, a tenth of the conversations with a blocked one, fill the pages that it asks for: one that is
    /// not full would be measured as a fast one.
    pub fn fills_its_pages(self, conversations: u32, messages: u32) -> bool {
        let rows = match self {
            Self::ListAll | Self::ListClear | Self::ListDeep | Self::ListConnections => conversations,
            Self::ListOfIdentity => conversations / fill::IDENTITIES,
            Self::ListBlocked => conversations / 10,
            Self::ListMessages => messages / conversations,
            _ => return true,
        };
        i64::from(rows) >= LIMIT.into()
    }

    /// How many messages must be unread in each conversation before a round, where that matters.
    pub const fn unread(self) -> Option<u32> {
        match self {
            Self::MarkOne => Some(1),
            Self::MarkThousand => Some(1_000),
            _ => None,
        }
    }

    /// Whether each conversation has been called on once, after which a mark would find nothing unread.
    pub fn is_used_up(self, world: &World, number: u64) -> bool {
        self.unread().is_some() && number >= world.targets.len() as u64
    }

    /// The SQL of the call for pgbench, which picks one of so many conversations at random.
    pub fn script(self, world: &World) -> Result<String> {
        let setup = format!("\\set n random(1, {})", world.targets.len());
        let organization = "'org_bench'::text";
        let conversation = "md5('c' || :n)::uuid";
        let limit = &(LIMIT + 1).to_string();
        let newest = ["'infinity'::timestamptz", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"];
        let page = |from: [&str; 2]| [organization, from[0], from[1], limit, "0"].map(str::to_owned);
        let of_identity = "agent_identity_id = $6";
        // A page by itself, not one of several.
        let alone = "< ($2, $3)";
        let (stands, without, parameters): (&[&str], &str, Vec<String>) = match self {
            Self::Get | Self::GetBare => (
                &["FROM conversations", "($3::uuid IS NULL OR agent_identity_id = $3)", "updated_at\n"],
                "identities",
                [organization, conversation, "NULL::uuid"].map(str::to_owned).to_vec(),
            ),
            Self::ListAll => {
                (&["FROM conversations", "AND latest_at >", alone], of_identity, page(newest).to_vec())
            }
            Self::ListClear => {
                (&["FROM conversations", "AND clear_latest_at >", alone], of_identity, page(newest).to_vec())
            }
            Self::ListBlocked => (
                &["FROM conversations", "AND blocked_latest_at >", alone],
                of_identity,
                page(newest).to_vec(),
            ),
            Self::ListDeep => {
                let from = [world.deep.1[0].as_str(), world.deep.1[1].as_str()];
                (&["FROM conversations", "AND latest_at >", alone], of_identity, page(from).to_vec())
            }
            Self::ListOfIdentity => {
                let mut parameters = page(newest).to_vec();
                parameters.push("md5('i0')::uuid".to_owned());
                (
                    &["FROM conversations", of_identity, "AND clear_latest_at >", alone],
                    "latest_at >=",
                    parameters,
                )
            }
            Self::ListConnections => {
                (&["FROM connections", "(created_at, id) < ($2, $3)"], of_identity, page(newest).to_vec())
            }
            Self::MarkOne | Self::MarkThousand => (
                &["SET clear_read_before = clear_read", "AND id = $2"],
                "INSERT",
                [organization, conversation, "md5('k' || :n)::uuid", "clear_received"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            Self::Receive => (
                &["WITH summary AS", "INSERT INTO messages"],
                "SKIP LOCKED",
                vec![
                    organization.to_owned(),
                    format!("ARRAY[{conversation}]"),
                    "ARRAY[md5('k' || :n)::uuid]".to_owned(),
                    "ARRAY[gen_random_uuid()]".to_owned(),
                    "ARRAY['+12020000001']".to_owned(),
                    "ARRAY[gen_random_uuid()::text]".to_owned(),
                    "ARRAY[false]".to_owned(),
                    "ARRAY['Is the invoice of last week on its way?']".to_owned(),
                    "ARRAY['Is the invoice of last week on its way?']".to_owned(),
                    "ARRAY[NULL]".to_owned(),
                    "ARRAY[now()]".to_owned(),
                    "1::smallint".to_owned(),
                    "ARRAY[now()]".to_owned(),
                    "ARRAY[1]".to_owned(),
                    "0::smallint".to_owned(),
                    "9::smallint".to_owned(),
                    "NULL::double precision".to_owned(),
                ],
            ),
            Self::ListMessages => {
                let mut parameters = page(newest).to_vec();
                parameters.extend(["true", "true", conversation, "false"].map(str::to_owned));
                (&["FROM messages m", "(NOT $9 OR", "conversation_id = $8"], "NOTHING", parameters)
            }
        };
        let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
        pgbench::script(&setup, stands, without, &parameters)
    }

    /// What makes the calls of one caller.
    pub fn client(self, world: &World, channel: Channel) -> Client<'_> {
        Client { scene: self, world, channel }
    }
}

/// One caller.
pub struct Client<'a> {
    scene: Scene,
    world: &'a World,
    channel: Channel,
}

impl Client<'_> {
    /// Makes the call of this number.
    pub async fn call(&mut self, number: u64) -> Result<()> {
        let world = self.world;
        let target = world.target(number);
        let channel = self.channel.clone();
        match self.scene {
            Scene::Get | Scene::GetBare => {
                let request = GetConversationRequest {
                    conversation_id: target.conversation.to_string(),
                    agent_identity_id: None,
                };
                ConversationServiceClient::new(channel)
                    .get_conversation(with_key(request, &world.admin))
                    .await?;
            }
            Scene::ListAll
            | Scene::ListClear
            | Scene::ListBlocked
            | Scene::ListOfIdentity
            | Scene::ListDeep => {
                let request = ListConversationsRequest {
                    limit: Some(LIMIT),
                    is_blocked: match self.scene {
                        Scene::ListClear => Some(false),
                        Scene::ListBlocked => Some(true),
                        _ => None,
                    },
                    page_token: if self.scene == Scene::ListDeep {
                        world.deep.0.clone()
                    } else {
                        String::new()
                    },
                    ..Default::default()
                };
                let key = if self.scene == Scene::ListOfIdentity { &world.agent } else { &world.admin };
                page(channel, "/inkbox.imessage.v1.ConversationService/ListConversations", request, key)
                    .await?;
            }
            Scene::ListConnections => {
                let request = ListConnectionsRequest { limit: Some(LIMIT), ..Default::default() };
                let path = "/inkbox.imessage.v1.ConnectionService/ListConnections";
                page(channel, path, request, &world.admin).await?;
            }
            Scene::MarkOne | Scene::MarkThousand => {
                let request =
                    MarkConversationReadRequest { conversation_id: target.conversation.to_string() };
                ConversationServiceClient::new(channel)
                    .mark_conversation_read(with_key(request, &world.admin))
                    .await?;
            }
            Scene::Receive => {
                let request = ReceiveMessageRequest {
                    line_number: target.line.clone(),
                    remote_number: target.human.clone(),
                    text: Some("Is the invoice of last week on its way?".to_owned()),
                    provider_message_id: format!("{:032x}", rand::random::<u128>()),
                    transport: MessageTransport::Imessage.into(),
                    ..Default::default()
                };
                RouterServiceClient::new(channel).receive_message(with_key(request, &world.router)).await?;
            }
            Scene::ListMessages => {
                let request = ListMessagesRequest {
                    conversation_id: Some(target.conversation.to_string()),
                    limit: Some(LIMIT),
                    ..Default::default()
                };
                let path = "/inkbox.imessage.v1.MessageService/ListMessages";
                page(channel, path, request, &world.admin).await?;
            }
        }
        Ok(())
    }
}

/// The answer of any list: its rows are its first field.
#[derive(prost::Message)]
struct Page {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    rows: Vec<Bytes>,
}

/// Asks for a page and counts its rows, without a look into them, as pgbench does: callers share the machine with what
/// they measure.
async fn page<M: prost::Message + 'static>(
    channel: Channel,
    path: &'static str,
    request: M,
    key: &AsciiMetadataValue,
) -> Result<()> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = ProstCodec::<M, Page>::default();
    let page =
        client.unary(with_key(request, key), PathAndQuery::from_static(path), codec).await?.into_inner();
    if i32::try_from(page.rows.len()) == Ok(LIMIT) { Ok(()) } else { Err("a page is not full".into()) }
}

pub fn with_key<T>(message: T, key: &AsciiMetadataValue) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-api-key", key.clone());
    request
}
