//! The scenarios: a gRPC call each, and the SQL statement that it executes.

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

/// The data that calls refer to.
#[derive(Clone)]
pub struct World {
    pub targets: Vec<Target>,
    pub admin: AsciiMetadataValue,
    pub agent: AsciiMetadataValue,
    pub router: AsciiMetadataValue,
    /// The token of the deep page, and its position: time and id of the row before it, as SQL literals.
    pub deep: (String, [String; 2]),
}

impl World {
    /// The conversation of a call, by the number of the call.
    pub fn target(&self, number: u64) -> &Target {
        let targets = self.targets.len() as u64;
        &self.targets[usize::try_from(number % targets).unwrap_or_default()]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    Get,
    /// The same call to the baseline server of `bare`.
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

impl Scenario {
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

    /// Whether a database of this size fills the pages that the scenario requests. A page that is not full is faster, and
    /// would falsify the figures. A tenth of the conversations have a blocked message.
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

    /// Number of unread messages that each conversation needs before a round, if it matters.
    pub const fn unread(self) -> Option<u32> {
        match self {
            Self::MarkOne => Some(1),
            Self::MarkThousand => Some(1_000),
            _ => None,
        }
    }

    /// Whether each conversation has been used once. Then a mark would find no unread messages.
    pub fn is_used_up(self, world: &World, number: u64) -> bool {
        self.unread().is_some() && number >= world.targets.len() as u64
    }

    /// The SQL of the call as a pgbench script, which picks a random conversation.
    pub fn script(self, world: &World) -> Result<String> {
        let setup = format!("\\set n random(1, {})", world.targets.len());
        let organization = "'org_bench'::text";
        let conversation = "md5('c' || :n)::uuid";
        let limit = &(LIMIT + 1).to_string();
        let newest = ["'infinity'::timestamptz", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid"];
        let page = |from: [&str; 2]| [organization, from[0], from[1], limit, "0"].map(str::to_owned);
        let of_identity = "agent_identity_id = $6";
        // The statement for a single page, not that for a batch.
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
                [organization, conversation, "clear_received"].map(str::to_owned).to_vec(),
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
                    "ARRAY[NULL::uuid]".to_owned(),
                    "1::smallint".to_owned(),
                    "ARRAY[NULL::smallint]".to_owned(),
                    "0::smallint".to_owned(),
                    "9::smallint".to_owned(),
                    "NULL::double precision".to_owned(),
                    "true".to_owned(),
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

    pub fn client(self, world: &World, channel: Channel) -> Client<'_> {
        Client { scenario: self, world, channel }
    }
}

pub struct Client<'a> {
    scenario: Scenario,
    world: &'a World,
    channel: Channel,
}

impl Client<'_> {
    pub async fn call(&mut self, number: u64) -> Result<()> {
        let world = self.world;
        let target = world.target(number);
        let channel = self.channel.clone();
        match self.scenario {
            Scenario::Get | Scenario::GetBare => {
                let request = GetConversationRequest {
                    conversation_id: target.conversation.to_string(),
                    agent_identity_id: None,
                };
                ConversationServiceClient::new(channel)
                    .get_conversation(with_key(request, &world.admin))
                    .await?;
            }
            Scenario::ListAll
            | Scenario::ListClear
            | Scenario::ListBlocked
            | Scenario::ListOfIdentity
            | Scenario::ListDeep => {
                let request = ListConversationsRequest {
                    limit: Some(LIMIT),
                    is_blocked: match self.scenario {
                        Scenario::ListClear => Some(false),
                        Scenario::ListBlocked => Some(true),
                        _ => None,
                    },
                    page_token: if self.scenario == Scenario::ListDeep {
                        world.deep.0.clone()
                    } else {
                        String::new()
                    },
                    ..Default::default()
                };
                let key = if self.scenario == Scenario::ListOfIdentity { &world.agent } else { &world.admin };
                page(channel, "/inkbox.imessage.v1.ConversationService/ListConversations", request, key)
                    .await?;
            }
            Scenario::ListConnections => {
                let request = ListConnectionsRequest { limit: Some(LIMIT), ..Default::default() };
                let path = "/inkbox.imessage.v1.ConnectionService/ListConnections";
                page(channel, path, request, &world.admin).await?;
            }
            Scenario::MarkOne | Scenario::MarkThousand => {
                let request = MarkConversationReadRequest {
                    conversation_id: target.conversation.to_string(),
                    ..Default::default()
                };
                ConversationServiceClient::new(channel)
                    .mark_conversation_read(with_key(request, &world.admin))
                    .await?;
            }
            Scenario::Receive => {
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
            Scenario::ListMessages => {
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

/// The response of any list: the rows are field 1.
#[derive(prost::Message)]
struct Page {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    rows: Vec<Bytes>,
}

/// Requests a page and counts its rows without decoding them, like pgbench: the callers share the machine with the service.
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
