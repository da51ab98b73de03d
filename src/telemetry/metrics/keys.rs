//! Look-ups in the cache of API keys.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::labelled::ByLabel;

/// Counters of look-ups in the key cache. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct KeyMetrics {
    hits: Counter,
    misses: Counter,
}

impl KeyMetrics {
    /// Counts a key that was in the cache.
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// Counts a key that was looked up in the database.
    pub fn miss(&self) {
        self.misses.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { hits, misses } = self.clone();
        let lookups = ByLabel { label: "result", series: [("hit", hits), ("miss", misses)] };
        registry.register("inkbox_key_cache_lookups", "Look-ups of API keys in memory", lookups);
    }
}
