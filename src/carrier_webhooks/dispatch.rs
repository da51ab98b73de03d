//! Doing what a delivery asks: the same as `RouterService` does with the same, and the answer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use super::event::{Event, News};
use super::response::Answer;
use super::{reply, tapback_text};
use crate::app::App;
use crate::domain::{CarrierKind, LineRole, PhoneNumber};
use crate::error::{Error, Resource, Result};
use crate::messaging::inbound::{self, Outcome, RawReaction, RawText, ReactionOutcome};
use crate::messaging::outbound;
use crate::store;
use crate::store::inbound::InboundText;
use crate::store::messages::{DeliveryUpdate, update_status};
use crate::validation::Violations;

/// How often news of a message that nobody knows yet is looked at again, before the carrier is asked to come back.
const LOOKS: u32 = 4;
/// Between two looks: the line's answer is mostly written down within milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Acts on a delivery of this carrier. When this returns, what it says is committed.
///
/// # Errors
/// `InvalidArgument`, `StorageUnavailable`.
pub(super) async fn act(app: &App, carrier: CarrierKind, event: Event) -> Result<Answer> {
    match event {
        Event::Ignored(why) => {
            tracing::debug!(%carrier, why, "a webhook was ignored");
            Ok(Answer::done("ignored"))
        }
        Event::Text(given) => receive_text(app, carrier, given).await,
        Event::Tapback(given) => receive_tapback(app, carrier, given).await,
        Event::News(news) => receive_news(app, carrier, news).await,
    }
}

/// What a line is for, where it is with this carrier; else the answer. An account may have lines that are not ours, so
/// Sendblue's are none of our business; a BlueBubbles server's address names a line, so a wrong one is a mistake in it.
async fn role(
    app: &App,
    carrier: CarrierKind,
    line_number: &PhoneNumber,
) -> Result<Result<LineRole, Answer>> {
    let found = store::lines::find(&app.db, line_number).await?;
    Ok(match found {
        Some((role, of)) if of == carrier => Ok(role),
        _ => {
            tracing::warn!(%carrier, "a webhook is for a number that is no line with this carrier");
            Err(match carrier {
                CarrierKind::BlueBubbles => Answer::not_found("no_such_line"),
                CarrierKind::Sendblue | CarrierKind::Sandbox => Answer::done("no_such_line"),
            })
        }
    })
}

async fn receive_text(app: &App, carrier: CarrierKind, given: RawText) -> Result<Answer> {
    let mut fields = Violations::default();
    let text = given.check(&mut fields, app.clock.now());
    let text = fields.finish(|| text)?;
    if let Err(answer) = role(app, carrier, &text.line_number).await? {
        return Ok(answer);
    }
    if let Some(words) = words_of_tapback(&text)
        && let Some(outcome) = inbound::receive_tapback_text(app, &text, words).await?
    {
        return Ok(Answer::done(reaction_result(outcome)));
    }
    let (line_number, remote_number) = (text.line_number.clone(), text.remote_number.clone());
    let outcome = inbound::receive(app, text).await?;
    let (result, reply) = match outcome {
        Outcome::Connected { reply, .. } => ("connected", Some(reply)),
        Outcome::Disconnected { reply, .. } => ("disconnected", Some(reply)),
        Outcome::Refused { reply } => ("refused", Some(reply)),
        Outcome::Help { reply } => ("help", Some(reply)),
        Outcome::DuplicateCommand { .. } | Outcome::Duplicate(_) | Outcome::Forgotten => ("duplicate", None),
        Outcome::Stored(_) => ("stored", None),
        Outcome::StoredBlocked(_) => ("stored_blocked", None),
        Outcome::NotConnected => ("not_connected", None),
        Outcome::IdentityDisabled => ("identity_disabled", None),
    };
    if let Some(reply) = reply {
        reply::send(app, &line_number, &remote_number, &reply).await;
    }
    Ok(Answer::done(result))
}

/// A tapback has no files.
fn words_of_tapback(text: &InboundText) -> Option<inbound::TapbackWords> {
    text.text.as_deref().filter(|_| text.media.is_empty()).and_then(tapback_text::parse)
}

async fn receive_tapback(app: &App, carrier: CarrierKind, given: RawReaction) -> Result<Answer> {
    let mut fields = Violations::default();
    let reaction = given.check(&mut fields);
    let (line_number, reaction) = fields.finish(|| reaction)?;
    if let Err(answer) = role(app, carrier, &line_number).await? {
        return Ok(answer);
    }
    Ok(Answer::done(match inbound::receive_reaction(app, &line_number, reaction).await {
        Ok(outcome) => reaction_result(outcome),
        // A message from before the connection, or one that was never delivered to us: coming again would not help.
        Err(Error::NotFound(Resource::Message)) => "unknown_message",
        Err(error) => return Err(error),
    }))
}

const fn reaction_result(outcome: ReactionOutcome) -> &'static str {
    match outcome {
        ReactionOutcome::Stored(_) => "tapback",
        ReactionOutcome::Duplicate(_) => "duplicate",
        ReactionOutcome::Refused => "refused",
        ReactionOutcome::NotConnected => "not_connected",
        ReactionOutcome::IdentityDisabled => "identity_disabled",
    }
}

async fn receive_news(app: &App, carrier: CarrierKind, news: News) -> Result<Answer> {
    let News { given, other_id, sent_at } = news;
    let mut fields = Violations::default();
    let now = app.clock.now();
    let other = other_id.map(|id| {
        let mut given = given.clone();
        given.provider_message_id = id;
        given.check(&mut fields, now)
    });
    let news = given.check(&mut fields, now);
    let (news, other) = fields.finish(|| Some((news?, other.flatten())))?;
    match role(app, carrier, &news.line_number).await? {
        Err(answer) => return Ok(answer),
        // Its answers are not kept, so nobody knows them.
        Ok(LineRole::Router) => return Ok(Answer::done("ignored")),
        Ok(LineRole::Pool) => {}
    }
    for look in 1..=LOOKS {
        if tell(app, news.clone()).await? {
            return Ok(Answer::done("status"));
        }
        if let Some(other) = &other
            && tell(app, other.clone()).await?
        {
            return Ok(Answer::done("status"));
        }
        if !sent_at.is_some_and(|sent_at| may_be_on_its_way(app, sent_at, now)) {
            // Sent by other means than ours, or long ago.
            return Ok(Answer::done("unknown_message"));
        }
        if look < LOOKS {
            sleep(LOOK_AGAIN).await;
        }
    }
    Ok(Answer::TOO_EARLY)
}

/// Tells the news to the message; false when nobody knows it.
async fn tell(app: &App, news: DeliveryUpdate) -> Result<bool> {
    match update_status(&app.db, news).await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(Error::NotFound(Resource::Message)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a message is so young that the line's answer to us, with its id, may not be written down yet.
fn may_be_on_its_way(app: &App, sent_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - sent_at).abs().to_std().is_ok_and(|age| age < outbound::max_send_duration(app.limits.line_time_out))
}
