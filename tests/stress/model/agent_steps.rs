//! Steps of agents and of their organization's admin.

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, CreateContactRuleRequest, DeleteContactRuleRequest, DeliveryError,
    DeliveryStatus, FilterMode, ListMessagesRequest, MarkConversationReadRequest, ReleaseConnectionRequest,
    RemoveReactionRequest, SendMessageRequest, SendReactionRequest, SendTypingIndicatorRequest,
    StopTypingIndicatorRequest, UpdateContactRuleRequest, UpdateIdentityRequest,
};

use crate::model::state::{IdempotencyKey, Message, Reaction, Reason, Rule, organization_of};
use crate::model::step::{AGENTS, Body, KINDS, Pair, Who};
use crate::model::world::{Touched, World, as_predicted, file, pick, unknown_id};

/// A send that the model expects to be answered with a message.
enum Sending {
    Replayed(usize),
    New,
}

impl World {
    pub async fn release(&mut self, connection: usize) -> Touched {
        let Some(place) = pick(connection, self.model.connections.len()) else { return Touched::default() };
        let (now, row) = (self.model.now, &mut self.model.connections[place]);
        let request = ReleaseConnectionRequest { connection_id: row.id.clone() };
        let answer = self.admins[organization_of(row.agent)].next().release_connection(request).await;
        let refused = row.released_at.is_some().then_some("NOT_FOUND");
        let pair = Pair { agent: row.agent, human: row.human };
        if let Some(answer) = as_predicted(answer, refused) {
            row.released_at = Some(now);
            assert_eq!(answer.connection, Some(self.model.connection_row(place)));
        }
        self.touched(pair)
    }

    pub async fn create_rule(&mut self, pair: Pair, block: bool, who: Who) -> Touched {
        let action = action(block);
        let request = CreateContactRuleRequest {
            agent_identity_id: (who != Who::Own).then(|| self.model.agents[pair.agent].id.clone()),
            action: action.into(),
            match_target: self.model.humans[pair.human].clone(),
        };
        let answer = self.caller(who, pair.agent).create_contact_rule(request).await;
        let is_taken = self.model.rule_for(pair.agent, pair.human).is_some();
        let refused = match who {
            Who::Other => Some("IDENTITY_MISMATCH"),
            Who::Foreign => Some("NOT_FOUND"),
            _ => is_taken.then_some("ALREADY_EXISTS"),
        };
        if let Some(answer) = as_predicted(answer, refused) {
            let (row, now) = (answer.contact_rule.unwrap(), self.model.now);
            self.model.rules.push(Rule {
                id: row.id.clone(),
                agent: pair.agent,
                human: pair.human,
                action,
                status: ContactRuleStatus::Active,
                created_at: now,
                updated_at: now,
            });
            assert_eq!(row, self.model.rule_row(self.model.rules.len() - 1));
        }
        self.touched(pair)
    }

    pub async fn change_rule(&mut self, rule: usize, block: Option<bool>, paused: Option<bool>) -> Touched {
        let Some(place) = pick(rule, self.model.rules.len()) else { return Touched::default() };
        let (now, row) = (self.model.now, &mut self.model.rules[place]);
        row.action = block.map_or(row.action, action);
        row.status = match paused {
            None => row.status,
            Some(true) => ContactRuleStatus::Paused,
            Some(false) => ContactRuleStatus::Active,
        };
        row.updated_at = now;
        let request = UpdateContactRuleRequest {
            contact_rule_id: row.id.clone(),
            action: block.map_or(0, |block| action(block).into()),
            status: paused.map_or(0, |_| row.status.into()),
        };
        let pair = Pair { agent: row.agent, human: row.human };
        let answer = self.caller(Who::Admin, pair.agent).update_contact_rule(request).await.unwrap();
        assert_eq!(answer.contact_rule, Some(self.model.rule_row(place)));
        self.touched(pair)
    }

    pub async fn delete_rule(&mut self, rule: usize) -> Touched {
        let Some(place) = pick(rule, self.model.rules.len()) else { return Touched::default() };
        let row = self.model.rules.remove(place);
        let request = DeleteContactRuleRequest { contact_rule_id: row.id };
        for (who, refused) in
            [(Who::Foreign, Some("NOT_FOUND")), (Who::Admin, None), (Who::Admin, Some("NOT_FOUND"))]
        {
            as_predicted(self.caller(who, row.agent).delete_contact_rule(request.clone()).await, refused);
        }
        self.touched(Pair { agent: row.agent, human: row.human })
    }

    pub async fn switch(&mut self, agent: usize, enabled: Option<bool>, whitelist: Option<bool>) -> Touched {
        let agent = agent % AGENTS;
        let row = &mut self.model.agents[agent];
        row.enabled = enabled.unwrap_or(row.enabled);
        row.whitelist = whitelist.unwrap_or(row.whitelist);
        let request = UpdateIdentityRequest {
            identity_id: row.id.clone(),
            display_name: None,
            description: None,
            imessage_enabled: enabled,
            filter_mode: match whitelist {
                None => FilterMode::Unspecified,
                Some(true) => FilterMode::Whitelist,
                Some(false) => FilterMode::Blacklist,
            }
            .into(),
        };
        let admin = self.admins[organization_of(agent)].next();
        let identity = admin.update_identity(request).await.unwrap().identity.unwrap();
        let is_whitelist = identity.filter_mode() == FilterMode::Whitelist;
        assert_eq!((identity.imessage_enabled, is_whitelist), (row.enabled, row.whitelist));
        Touched::of(agent)
    }

    pub async fn mark_read(&mut self, conversation: usize, who: Who) -> Touched {
        let Some(place) = pick(conversation, self.model.conversations.len()) else {
            return Touched::default();
        };
        let row = &self.model.conversations[place];
        let (agent, human, id) = (row.agent, row.human, row.id.clone());
        let request = MarkConversationReadRequest { conversation_id: id.clone(), ..Default::default() };
        let answer = self.caller(who, agent).mark_conversation_read(request).await;
        let refused = self.refused(who, human, self.model.check_receipt(agent, human));
        if let Some(answer) = as_predicted(answer, refused) {
            let marked = self.model.mark_read(place);
            assert_eq!((answer.conversation_id, answer.updated_count), (id, marked));
        }
        self.touched(Pair { agent, human })
    }

    pub async fn show_typing(&mut self, conversation: usize, who: Who) -> Touched {
        let Some(place) = pick(conversation, self.model.conversations.len()) else {
            return Touched::default();
        };
        let row = &self.model.conversations[place];
        let request = SendTypingIndicatorRequest { conversation_id: row.id.clone(), ..Default::default() };
        let answer = self.caller(who, row.agent).send_typing_indicator(request).await;
        let refused = self.refused(who, row.human, self.model.check_call(row.agent, row.human));
        as_predicted(answer, refused);
        let request = StopTypingIndicatorRequest { conversation_id: row.id.clone() };
        let answer = self.caller(who, row.agent).stop_typing_indicator(request).await;
        as_predicted(answer, refused);
        self.touched(Pair { agent: row.agent, human: row.human })
    }

    /// Why a call on a row that exists is refused, in the order of checks: seeing it, its own checks, the line.
    fn refused(&self, who: Who, human: usize, checked: Result<(), Reason>) -> Option<Reason> {
        if matches!(who, Who::Other | Who::Foreign) {
            return Some("NOT_FOUND");
        }
        checked.err().or(self.model.line_fails(human).then_some("UPSTREAM_FAILED"))
    }

    pub async fn send(
        &mut self,
        pair: Pair,
        by_number: bool,
        who: Who,
        body: Body,
        key: Option<usize>,
    ) -> Touched {
        let mark = key.map_or_else(|| self.next().to_string(), |_| "under a key".to_owned());
        let (text, url) = Self::words(body, &mark);
        let conversation = self.model.conversation(pair.agent, pair.human);
        let asked = SendMessageRequest {
            target: Some(if by_number {
                Target::To(self.model.humans[pair.human].clone())
            } else {
                let id = conversation.map(|at| self.model.conversations[at].id.clone());
                Target::ConversationId(id.unwrap_or_else(unknown_id))
            }),
            text,
            media_urls: url.into_iter().map(|url| url.replace(' ', "-")).collect(),
            ..Default::default()
        };
        let key = key.map(|key| format!("key-{key}"));
        let names_agent = by_number && who != Who::Own;
        let request = SendMessageRequest {
            agent_identity_id: names_agent.then(|| self.model.agents[pair.agent].id.clone()),
            idempotency_key: key.clone(),
            ..asked.clone()
        };
        let answer = self.caller(who, pair.agent).send_message(request).await;

        let place = match self.predict_send(pair, by_number, who, key.as_deref(), &asked) {
            Err(reason) => {
                as_predicted(answer, Some(reason));
                return self.touched(pair);
            }
            Ok(Sending::Replayed(first)) => first,
            Ok(Sending::New) => {
                let fails = self.model.line_fails(pair.human);
                let sent = as_predicted(answer.clone(), fails.then_some("UPSTREAM_FAILED"));
                let id = match sent {
                    Some(sent) => sent.message.unwrap().id,
                    None => self.find_failed(conversation.unwrap()).await,
                };
                self.store_sent(pair, conversation.unwrap(), &asked, id, fails);
                let message = self.model.messages.len() - 1;
                self.model.keys.extend(key.map(|key| IdempotencyKey {
                    agent: pair.agent,
                    key,
                    asked,
                    message,
                }));
                message
            }
        };
        if let Ok(answer) = answer {
            assert_eq!(answer.message, Some(self.model.message_row(place)), "the answer to a send");
        }
        self.touched_message(place)
    }

    fn predict_send(
        &self,
        pair: Pair,
        by_number: bool,
        who: Who,
        key: Option<&str>,
        asked: &SendMessageRequest,
    ) -> Result<Sending, Reason> {
        let Pair { agent, human } = pair;
        match who {
            Who::Other if by_number => return Err("IDENTITY_MISMATCH"),
            Who::Other | Who::Foreign => return Err("NOT_FOUND"),
            Who::Admin | Who::Own => {}
        }
        if !by_number && self.model.conversation(agent, human).is_none() {
            return Err("NOT_FOUND");
        }
        let first = self.model.keys.iter().find(|row| row.agent == agent && Some(row.key.as_str()) == key);
        if let Some(first) = first {
            if first.asked != *asked {
                return Err("IDEMPOTENCY_KEY_REUSED");
            }
            // Of a line that failed, the line never learnt an id; of one that said so later, it did.
            let failed_at_once = self.model.messages[first.message].provider_id.is_none();
            return if failed_at_once {
                Err("UPSTREAM_FAILED")
            } else {
                Ok(Sending::Replayed(first.message))
            };
        }
        if by_number {
            self.model.check_send_by_number(agent, human)?;
        } else {
            self.model.check_send(agent, human)?;
        }
        Ok(Sending::New)
    }

    fn store_sent(
        &mut self,
        pair: Pair,
        conversation: usize,
        asked: &SendMessageRequest,
        id: String,
        fails: bool,
    ) {
        let now = self.model.now;
        let model = &mut self.model;
        model.messages.push(Message {
            conversation,
            connection: model.active_connection(pair.agent, pair.human).unwrap(),
            inbound: false,
            blocked: false,
            marked: false,
            text: asked.text.clone(),
            media: asked.media_urls.iter().cloned().map(file).collect(),
            status: if fails { DeliveryStatus::Error } else { DeliveryStatus::Queued },
            error: fails.then(|| DeliveryError {
                code: "LINE_FAILED".to_owned(),
                message: "passing fault".to_owned(),
            }),
            downgraded: false,
            // The sandbox uses the message's own id.
            provider_id: (!fails).then(|| id.clone()),
            id,
            created_at: now,
            arrived_at: now,
            updated_at: now,
        });
    }

    /// The id of the one message that the model does not know: a send that failed tells none.
    async fn find_failed(&self, conversation: usize) -> String {
        let request = ListMessagesRequest {
            conversation_id: Some(self.model.conversations[conversation].id.clone()),
            limit: Some(200),
            ..Default::default()
        };
        let agent = self.model.conversations[conversation].agent;
        let rows = self.caller(Who::Admin, agent).list_messages(request).await.unwrap().messages;
        let is_new = |id: &String| self.model.messages.iter().all(|message| message.id != *id);
        let new: Vec<_> = rows.into_iter().map(|row| row.id).filter(is_new).collect();
        assert_eq!(new.len(), 1, "the failed message, and only once");
        new.into_iter().next().unwrap()
    }

    pub async fn react(&mut self, message: usize, kind: usize, part: i32, who: Who) -> Touched {
        let Some(place) = pick(message, self.model.messages.len()) else { return Touched::default() };
        let kind = KINDS[kind];
        let row = &self.model.messages[place];
        let (agent, human) = self.pair_of(row.conversation);
        let request =
            SendReactionRequest { message_id: row.id.clone(), reaction: kind.into(), part_index: part };
        let answer = self.caller(who, agent).send_reaction(request).await;
        let refused = if who == Who::Own && row.blocked {
            Some("NOT_FOUND")
        } else {
            let carried = self.model.check_on(agent, human, row.connection);
            self.refused(who, human, carried.and_then(|()| self.model.check_send(agent, human)))
        };
        if let Some(answer) = as_predicted(answer, refused) {
            let reaction = answer.reaction.unwrap();
            let live = self.model.live_reaction(place, false, part);
            let same = live.filter(|live| self.model.reactions[*live].kind == kind);
            let now_live = same.unwrap_or_else(|| {
                if let Some(replaced) = live {
                    self.model.reactions[replaced].live = false;
                }
                self.model.reactions.push(Reaction {
                    id: reaction.id.clone(),
                    message: place,
                    inbound: false,
                    kind,
                    emoji: None,
                    part,
                    created_at: self.model.now,
                    live: true,
                });
                self.model.reactions.len() - 1
            });
            assert_eq!(reaction, self.model.reaction_row(now_live));
        }
        self.touched_message(place)
    }

    pub async fn unreact(&mut self, reaction: usize, who: Who) -> Touched {
        let Some(place) = pick(reaction, self.model.reactions.len()) else { return Touched::default() };
        let row = &self.model.reactions[place];
        let message = &self.model.messages[row.message];
        let (agent, human) = self.pair_of(message.conversation);
        let request = RemoveReactionRequest { reaction_id: row.id.clone() };
        let answer = self.caller(who, agent).remove_reaction(request).await;
        let refused = if matches!(who, Who::Other | Who::Foreign) || (who == Who::Own && message.blocked) {
            Some("NOT_FOUND")
        } else if row.inbound {
            Some("SCOPE_INSUFFICIENT")
        } else if row.live {
            self.refused(who, human, self.model.check_on(agent, human, message.connection))
        } else {
            None
        };
        let touched = self.touched_message(row.message);
        if as_predicted(answer, refused).is_some() {
            self.model.reactions[place].live = false;
        }
        touched
    }

    fn pair_of(&self, conversation: usize) -> (usize, usize) {
        let row = &self.model.conversations[conversation];
        (row.agent, row.human)
    }
}

fn action(block: bool) -> ContactRuleAction {
    if block { ContactRuleAction::Block } else { ContactRuleAction::Allow }
}
