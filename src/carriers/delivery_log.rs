//! The deliveries that the sandbox keeps in memory, bounded in total and per organization.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::admission::Share;
use crate::domain::{ConversationId, Cursor, OrganizationId, Page, PageRequest, PhoneNumber};

/// Maximum number and size of all deliveries. An organization may use its share; then its oldest ones are removed.
const MAX: Size = Size { deliveries: 10_000, text_bytes: 4 << 20 };

/// An action that the sandbox performed, or made fail.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Later ones of a process sort later.
    pub id: Uuid,
    /// Kind of action.
    pub kind: DeliveryKind,
    /// Owner of the conversation.
    pub organization_id: OrganizationId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// Text of a message; `None` for other actions.
    pub text: Option<String>,
    /// Whether the sandbox made it fail.
    pub failed: bool,
    /// Time of the call.
    pub at: DateTime<Utc>,
}

/// The kind of a delivery, with the numbers of `DeliveryKind` in the proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum DeliveryKind {
    /// A message.
    Message = 1,
    /// A read receipt.
    ReadReceipt = 2,
    /// The typing bubble.
    Typing = 3,
    /// A tapback that was added.
    Reaction = 4,
    /// A tapback that was removed.
    ReactionRemoval = 5,
    /// The end of the typing bubble.
    TypingStop = 30,
}

#[derive(Debug)]
pub(super) struct DeliveryLog {
    /// In the order of arrival, without organizations that have none.
    by_organization: HashMap<OrganizationId, Recorded>,
    total: Size,
    /// Maximum of each organization.
    share: Size,
}

#[derive(Debug, Default)]
struct Recorded {
    deliveries: VecDeque<Delivery>,
    text_bytes: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    deliveries: usize,
    text_bytes: usize,
}

impl Size {
    const fn exceeds(self, max: Self) -> bool {
        self.deliveries > max.deliveries || self.text_bytes > max.text_bytes
    }
}

impl DeliveryLog {
    pub(super) fn new(share: Share) -> Self {
        let share = Size { deliveries: share.of(MAX.deliveries), text_bytes: share.of(MAX.text_bytes) };
        Self { by_organization: HashMap::new(), total: Size::default(), share }
    }

    /// Records a delivery. Removes the oldest ones of its organization beyond the share, and beyond the total those of the
    /// organization that has most.
    pub(super) fn push(&mut self, mut delivery: Delivery) {
        let organization_id = delivery.organization_id.clone();
        let recorded = self.by_organization.entry(organization_id.clone()).or_default();
        if let Some(last) = recorded.deliveries.back() {
            // The clock may have been set back, and pages are in the order of time.
            delivery.at = delivery.at.max(last.at);
        }
        let added = text_bytes(&delivery);
        recorded.text_bytes += added;
        recorded.deliveries.push_back(delivery);
        self.total.deliveries += 1;
        self.total.text_bytes += added;
        while self.size_of(&organization_id).exceeds(self.share) {
            self.remove_oldest(&organization_id);
        }
        while self.total.exceeds(MAX) {
            let by_number = self.total.deliveries > MAX.deliveries;
            let measure = |recorded: &Recorded| {
                if by_number { recorded.deliveries.len() } else { recorded.text_bytes }
            };
            let most = self.by_organization.iter().max_by_key(|(_, recorded)| measure(recorded));
            let Some(most) = most.map(|(id, _)| id.clone()) else { break };
            self.remove_oldest(&most);
        }
    }

    /// A page of an organization's deliveries, oldest first. The first page has the newest ones, each further page those
    /// before.
    pub(super) fn list(
        &self,
        organization_id: &OrganizationId,
        conversation_id: Option<ConversationId>,
        page: &PageRequest,
    ) -> Page<Delivery> {
        let Some(recorded) = self.by_organization.get(organization_id) else { return Page::empty() };
        let after = page.after();
        let newest_first = recorded
            .deliveries
            .iter()
            .rev()
            .filter(|delivery| (delivery.at, delivery.id) < (after.at, after.id))
            .filter(|delivery| conversation_id.is_none_or(|id| delivery.conversation_id == id))
            .skip(usize::try_from(page.offset()).unwrap_or_default())
            .take(usize::try_from(page.fetch_limit()).unwrap_or_default());
        let rows = newest_first.cloned().collect();
        let mut page = Page::from_overfetch(rows, page.limit, |last| Cursor { at: last.at, id: last.id });
        page.rows.reverse();
        page
    }

    fn size_of(&self, organization_id: &OrganizationId) -> Size {
        self.by_organization.get(organization_id).map_or_else(Size::default, |recorded| Size {
            deliveries: recorded.deliveries.len(),
            text_bytes: recorded.text_bytes,
        })
    }

    fn remove_oldest(&mut self, organization_id: &OrganizationId) {
        let Some(recorded) = self.by_organization.get_mut(organization_id) else { return };
        if let Some(oldest) = recorded.deliveries.pop_front() {
            recorded.text_bytes -= text_bytes(&oldest);
            self.total.deliveries -= 1;
            self.total.text_bytes -= text_bytes(&oldest);
        }
        if recorded.deliveries.is_empty() {
            self.by_organization.remove(organization_id);
        }
    }
}

fn text_bytes(delivery: &Delivery) -> usize {
    delivery.text.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Delivery, DeliveryKind, DeliveryLog, MAX, Size};
    use crate::admission::Share;
    use crate::domain::{PageRequest, PhoneNumber, Start};

    fn delivery(organization: &str, number: u32, text: &str) -> Delivery {
        Delivery {
            id: Uuid::from_u128(number.into()),
            kind: DeliveryKind::Message,
            organization_id: organization.into(),
            conversation_id: Uuid::from_u128(1).into(),
            remote_number: PhoneNumber::parse("+15551230001").expect("a number"),
            text: Some(text.to_owned()),
            failed: false,
            at: DateTime::from_timestamp(i64::from(number), 0).expect("a time"),
        }
    }

    #[test]
    fn an_organization_that_delivers_much_removes_only_its_own_deliveries() {
        let mut log = DeliveryLog::new(Share::default());
        log.push(delivery("quiet", 0, "keep me"));
        for number in 0..20_000 {
            log.push(delivery("busy", number, "x"));
        }
        assert_eq!(log.size_of(&"busy".into()), Size { deliveries: 2_500, text_bytes: 2_500 });
        for number in 0..100 {
            log.push(delivery("wordy", number, &"x".repeat(70_000)));
        }
        assert!(log.size_of(&"wordy".into()).text_bytes <= MAX.text_bytes / 4);
        assert_eq!(log.size_of(&"quiet".into()).deliveries, 1);
    }

    #[test]
    fn beyond_the_total_the_organization_that_has_most_loses_its_oldest() {
        let mut log = DeliveryLog::new(Share::default());
        for organization in ["a", "b", "c", "d"] {
            for number in 0..2_500 {
                log.push(delivery(organization, number, ""));
            }
        }
        for number in 0..1_000 {
            log.push(delivery("late", number, ""));
        }
        assert_eq!(log.total, Size { deliveries: MAX.deliveries, text_bytes: 0 });
        assert_eq!(log.size_of(&"late".into()).deliveries, 1_000);
        for organization in ["a", "b", "c", "d"] {
            assert_eq!(log.size_of(&organization.into()).deliveries, 2_250);
            let newest = PageRequest { limit: 1, start: Start::Offset(0) };
            let page = log.list(&organization.into(), None, &newest);
            assert_eq!(page.rows[0].id, Uuid::from_u128(2_499), "the newest is kept");
        }
    }
}
