use std::fmt::Write as _;

use super::assert_frozen;
use crate::rules::metrics::documented::{labels_of, scrape_of_everything};

#[tokio::test]
async fn metric_names_types_and_labels() {
    let (scrape, _) = scrape_of_everything().await;
    let mut text = String::new();
    for (name, kind) in scrape.metrics() {
        let labels: Vec<_> = labels_of(&scrape, &name).into_iter().collect();
        writeln!(text, "{name} {kind} {}", labels.join(",")).unwrap();
    }
    assert_frozen("metrics.txt", &text);
}
