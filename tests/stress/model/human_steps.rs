//! Steps of humans and of the carriers that bring their texts and news.

use inkbox_imessage::proto::{
    DeliveryError, DeliveryStatus, Media, ReactionType, ReceiveMessageRequest, ReceiveMessageResponse,
    ReceiveOutcome, ReceiveReactionRequest, UpdateDeliveryStatusRequest,
};

use crate::model::expect::timestamp;
use crate::model::state::{Connection, Conversation, Delivery, Meant, Message, Reaction, moves_on};
use crate::model::step::{Body, KINDS, NEWS, Pair, When};
use crate::model::world::{Touched, World, as_predicted, pick};
use crate::support::app::{POOL_LINES, ROUTER_LINE};

impl World {
    pub async fn connect(&mut self, pair: Pair) -> Touched {
        self.command("connect", pair, Meant::Connect { agent: pair.agent }).await
    }

    pub async fn disconnect(&mut self, pair: Pair) -> Touched {
        self.command("disconnect", pair, Meant::Disconnect { agent: pair.agent }).await
    }

    pub async fn list(&mut self, human: usize) -> Touched {
        let mut request = self.request(ROUTER_LINE, human);
        request.text = Some("list".to_owned());
        self.bring(Delivery { request, human, meant: Meant::List, first: None }).await
    }

    async fn command(&mut self, verb: &str, pair: Pair, meant: Meant) -> Touched {
        let mut request = self.request(ROUTER_LINE, pair.human);
        request.text = Some(format!("{verb} @{}", self.model.agents[pair.agent].handle));
        self.bring(Delivery { request, human: pair.human, meant, first: None }).await;
        self.touched(pair)
    }

    pub async fn text(&mut self, pair: Pair, when: When, body: Body) -> Touched {
        let newest = self.model.newest_connection(pair.agent, pair.human);
        let line = newest.map_or(POOL_LINES[0].to_owned(), |at| self.model.connections[at].line.clone());
        let mut request = self.request(&line, pair.human);
        let (text, url) = Self::words(body, &request.provider_message_id);
        request.text = text;
        request.media = url
            .map(|url| Media { url, content_type: Some("image/jpeg".to_owned()), size_bytes: Some(7) })
            .into_iter()
            .collect();
        let now = self.model.now;
        let sent_at = match when {
            When::Unsaid => None,
            When::Earlier(by) => Some(now - by),
            When::Later(by) => Some(now + by),
            When::As(message) => {
                pick(message, self.model.messages.len()).map(|at| self.model.messages[at].created_at)
            }
        };
        request.sent_at = sent_at.map(timestamp);
        self.bring(Delivery { request, human: pair.human, meant: Meant::Message, first: None }).await
    }

    pub async fn redeliver(&mut self, delivery: usize) -> Touched {
        let Some(place) = pick(delivery, self.model.deliveries.len()) else { return Touched::default() };
        let delivery = self.model.deliveries[place].clone();
        self.bring(delivery).await
    }

    fn request(&mut self, line: &str, human: usize) -> ReceiveMessageRequest {
        let number = self.next();
        ReceiveMessageRequest {
            line_number: line.to_owned(),
            remote_number: self.model.humans[human].clone(),
            provider_message_id: format!("case-{}-text-{number}", self.case),
            ..Default::default()
        }
    }

    async fn bring(&mut self, mut delivery: Delivery) -> Touched {
        let answer = self.router.next().receive_message(delivery.request.clone()).await.unwrap();
        let touched = match delivery.meant {
            Meant::Message => self.brought_message(&delivery, &answer),
            _ => {
                self.brought_command(&delivery, &answer);
                Touched::default()
            }
        };
        delivery.first.get_or_insert(answer);
        let id = &delivery.request.provider_message_id;
        let deliveries = &mut self.model.deliveries;
        if deliveries.iter().all(|known| known.request.provider_message_id != *id) {
            deliveries.push(delivery);
        }
        touched
    }

    fn brought_command(&mut self, delivery: &Delivery, answer: &ReceiveMessageResponse) {
        let (human, outcome) = (delivery.human, answer.outcome());
        if let Some(first) = &delivery.first {
            assert_eq!((outcome, &answer.connection_id), (ReceiveOutcome::Duplicate, &first.connection_id));
            assert_eq!(answer.reply_text, None);
            return;
        }
        assert!(answer.reply_text.is_some(), "{answer:?}");
        let now = self.model.now;
        match delivery.meant {
            Meant::Connect { agent } => {
                if !self.model.agents[agent].enabled || self.model.is_blocked(agent, human) {
                    assert_eq!(outcome, ReceiveOutcome::Refused);
                    return;
                }
                if self.model.active_connection(agent, human).is_none() && self.model.has_all_lines(human) {
                    assert_eq!(outcome, ReceiveOutcome::Refused, "no line is free");
                    return;
                }
                assert_eq!(outcome, ReceiveOutcome::Connected);
                self.model.opt_in(agent, human);
                let (id, line) = (answer.connection_id.clone().unwrap(), answer.line_number.clone().unwrap());
                if let Some(active) = self.model.active_connection(agent, human) {
                    let active = &self.model.connections[active];
                    assert_eq!((&active.id, &active.line), (&id, &line), "the connection there was");
                    return;
                }
                assert!(POOL_LINES.contains(&line.as_str()), "{line}");
                assert_eq!(self.model.route(&line, human), None, "a line without a thread of this human's");
                let row = Connection { id, agent, human, line, created_at: now, released_at: None };
                self.model.connections.push(row);
            }
            Meant::Disconnect { agent } => match self.model.active_connection(agent, human) {
                None => assert_eq!(outcome, ReceiveOutcome::Refused),
                Some(active) => {
                    let active = &mut self.model.connections[active];
                    assert_eq!(outcome, ReceiveOutcome::Disconnected);
                    assert_eq!(answer.connection_id.as_ref(), Some(&active.id));
                    active.released_at = Some(now);
                }
            },
            Meant::List => {
                assert_eq!(outcome, ReceiveOutcome::Help);
                let reply = answer.reply_text.as_ref().unwrap();
                for (agent, row) in self.model.agents.iter().enumerate() {
                    let is_connected = self.model.active_connection(agent, human).is_some();
                    assert_eq!(reply.contains(&format!("@{}", row.handle)), is_connected, "{reply}");
                }
            }
            Meant::Message => unreachable!("not a command"),
        }
    }

    fn brought_message(&mut self, delivery: &Delivery, answer: &ReceiveMessageResponse) -> Touched {
        let (request, model) = (&delivery.request, &mut self.model);
        let (human, outcome, now) = (delivery.human, answer.outcome(), model.now);
        assert_eq!(answer.reply_text, None, "never from a pool line");
        if let Some(place) = model.delivered(&request.line_number, &request.provider_message_id) {
            assert_eq!(outcome, ReceiveOutcome::Duplicate);
            let row = model.message_row(place);
            assert_eq!(answer.message_id, Some(row.id));
            assert_eq!(answer.conversation_id, Some(row.conversation_id));
            assert_eq!(answer.connection_id, Some(row.assignment_id));
            return self.touched_message(place);
        }
        let Some(connection) = model.route(&request.line_number, human) else {
            assert_eq!(outcome, ReceiveOutcome::NotConnected);
            return Touched::default();
        };
        let agent = model.connections[connection].agent;
        if !model.agents[agent].enabled {
            assert_eq!(outcome, ReceiveOutcome::IdentityDisabled);
            return self.touched(Pair { agent, human });
        }
        let blocked = model.is_blocked(agent, human);
        let expected = if blocked { ReceiveOutcome::StoredBlocked } else { ReceiveOutcome::Stored };
        assert_eq!(outcome, expected);
        let conversation_id = answer.conversation_id.clone().unwrap();
        let conversation = model.conversation(agent, human).unwrap_or_else(|| {
            let id = conversation_id.clone();
            let row = Conversation { id, agent, human, created_at: now, opted_out_at: None };
            model.conversations.push(row);
            model.conversations.len() - 1
        });
        assert_eq!(model.conversations[conversation].id, conversation_id);
        assert_eq!(answer.connection_id.as_ref(), Some(&model.connections[connection].id));
        let sent_at = request.sent_at.map_or(now, |at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000);
        model.hear(conversation, request.text.as_deref(), sent_at.min(now));
        model.messages.push(Message {
            id: answer.message_id.clone().unwrap(),
            conversation,
            connection,
            inbound: true,
            blocked,
            marked: false,
            text: request.text.clone(),
            media: request.media.clone(),
            status: DeliveryStatus::Received,
            error: None,
            downgraded: false,
            provider_id: Some(request.provider_message_id.clone()),
            created_at: sent_at.min(now),
            arrived_at: now,
            updated_at: now,
        });
        self.touched_message(self.model.messages.len() - 1)
    }

    pub async fn human_reacts(&mut self, message: usize, kind: usize, part: i32, removed: bool) -> Touched {
        let Some(place) = pick(message, self.model.messages.len()) else { return Touched::default() };
        let message = &self.model.messages[place];
        let human = self.model.conversations[message.conversation].human;
        let line = self.model.connections[message.connection].line.clone();
        let kind = KINDS[kind];
        let emoji = (kind == ReactionType::Custom).then(|| "🎈".to_owned());
        let request = ReceiveReactionRequest {
            line_number: line.clone(),
            remote_number: self.model.humans[human].clone(),
            target_provider_message_id: message.provider_id.clone().unwrap_or_else(|| "unknown".to_owned()),
            reaction: kind.into(),
            custom_emoji: emoji.clone(),
            part_index: part,
            removed,
        };
        let answer = self.router.next().receive_reaction(request).await;

        let model = &mut self.model;
        let to = model.route(&line, human).map(|at| model.connections[at].agent);
        let is_between = to.is_some_and(|agent| {
            let message = &model.messages[place];
            message.provider_id.is_some() && model.conversations[message.conversation].agent == agent
        });
        let live = model.live_reaction(place, true, part);
        let (outcome, id) = match to {
            None => (ReceiveOutcome::NotConnected, None),
            Some(agent) if !model.agents[agent].enabled => (ReceiveOutcome::IdentityDisabled, None),
            Some(agent) if model.is_blocked(agent, human) => (ReceiveOutcome::Refused, None),
            Some(_) if !is_between => {
                as_predicted(answer, Some("NOT_FOUND"));
                return self.touched_message(place);
            }
            Some(_) => match live {
                // Each kind has one emoji here.
                Some(live) if removed && model.reactions[live].kind == kind => {
                    model.reactions[live].live = false;
                    (ReceiveOutcome::Stored, Some(model.reactions[live].id.clone()))
                }
                _ if removed => (ReceiveOutcome::Duplicate, None),
                Some(live) if model.reactions[live].kind == kind => {
                    (ReceiveOutcome::Duplicate, Some(model.reactions[live].id.clone()))
                }
                replaced => {
                    if let Some(replaced) = replaced {
                        model.reactions[replaced].live = false;
                    }
                    let id = answer.as_ref().unwrap().reaction_id.clone().unwrap();
                    let created_at = model.now;
                    model.reactions.push(Reaction {
                        id: id.clone(),
                        message: place,
                        inbound: true,
                        kind,
                        emoji,
                        part,
                        created_at,
                        live: true,
                    });
                    (ReceiveOutcome::Stored, Some(id))
                }
            },
        };
        let answer = answer.unwrap();
        assert_eq!((answer.outcome(), answer.reaction_id), (outcome, id));
        self.touched_message(place)
    }

    pub async fn news(
        &mut self,
        message: usize,
        status: usize,
        with_error: bool,
        downgraded: bool,
    ) -> Touched {
        // News are of outbound messages, mostly; what a line says of an inbound one is not known to it.
        let outbound: Vec<_> =
            (0..self.model.messages.len()).filter(|at| !self.model.messages[*at].inbound).collect();
        let place = pick(message, outbound.len()).map(|at| outbound[at]);
        let Some(place) = place.or(pick(message, self.model.messages.len())) else {
            return Touched::default();
        };
        let (now, news) = (self.model.now, NEWS[status]);
        let error =
            with_error.then(|| DeliveryError { code: "E1".to_owned(), message: "no such phone".to_owned() });
        let row = &mut self.model.messages[place];
        let answer = self
            .router
            .next()
            .update_delivery_status(UpdateDeliveryStatusRequest {
                line_number: self.model.connections[row.connection].line.clone(),
                provider_message_id: row.provider_id.clone().unwrap_or_else(|| "unknown".to_owned()),
                status: news.into(),
                error: error.clone(),
                was_downgraded: downgraded,
            })
            .await;
        let is_known = !row.inbound && row.provider_id.is_some();
        if let Some(answer) = as_predicted(answer, (!is_known).then_some("NOT_FOUND")) {
            let moves = moves_on(row.status, news);
            if moves {
                row.status = news;
                if matches!(news, DeliveryStatus::Declined | DeliveryStatus::Error) {
                    row.error = error;
                }
            }
            if moves || (downgraded && !row.downgraded) {
                row.updated_at = now;
            }
            row.downgraded |= downgraded;
            assert_eq!(answer.status(), row.status);
        }
        self.touched_message(place)
    }
}
