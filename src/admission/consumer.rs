//! Who uses shared resources.

use std::net::IpAddr;

use crate::domain::{ApiKeyId, OrganizationId, Principal};

/// Who uses shared resources: the unit among which limits are divided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Consumer {
    Organization(OrganizationId),
    /// Callers with a router key, and the webhooks of carriers: both speak for the humans of all organizations.
    Router,
    /// Look-ups of API keys that are not known to be valid.
    Unauthenticated,
    /// Clients of health and reflection at one IPv4 address, or in one /64 of IPv6; `None` for those on Unix sockets.
    Peer(Option<IpAddr>),
    /// One API key, for limits that are not the whole organization's.
    Key(ApiKeyId),
    /// Background tasks of the service itself.
    Background,
}

impl From<&Principal> for Consumer {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Tenant(tenant) => Self::Organization(tenant.organization_id.clone()),
            Principal::Router { .. } => Self::Router,
        }
    }
}
