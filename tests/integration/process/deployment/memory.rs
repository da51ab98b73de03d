//! The memory limit of the pods, held against the limits of the program: docs/deployment.md#memory.

use std::collections::BTreeMap;

use crate::process::deployment::expression::{size, value};
use crate::process::deployment::manifests::{configured, container, manifest, settings, text};
use crate::process::folder::Folder;
use crate::process::metrics::address_in;
use crate::support::metrics::Scrape;
use crate::support::program::Service;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How much more than the formula a limit may be, in percent: more would reserve memory that nothing can use.
const MAX_EXCESS: u64 = 25;
/// What the allocator holds besides, in percent.
const ALLOCATOR: u64 = 10;

/// A constant of the source, or a field of one, such as `STREAM_WINDOW` or `max_connections`.
fn constant(path: &str, name: &str) -> u64 {
    let source = text(path);
    let found = source.lines().find_map(|line| {
        let line = line.trim_start();
        let of_const = || Some(line.split_once(&format!("const {name}: "))?.1.split_once(" = ")?.1);
        let of_field = || Some(line.split_once(&format!("{name}: "))?.1).filter(|_| !line.starts_with("pub"));
        of_const().or_else(of_field)
    });
    let expression = found.unwrap_or_else(|| panic!("{path} has no {name}"));
    let expression = expression.split([';', ',', '}']).next().unwrap();
    let operand = |text: &str| match text.trim().replace('_', "").parse() {
        Ok(number) => number,
        Err(_) => constant(path, text.trim()),
    };
    if let Some((number, shift)) = expression.split_once("<<") {
        operand(number) << operand(shift)
    } else {
        expression.split('*').map(operand).product()
    }
}

/// The numbers and sizes among the settings of the manifests, with the defaults of the program.
async fn values() -> BTreeMap<String, u64> {
    let configured = configured();
    assert!(
        !configured.contains_key("INKBOX_DATABASE_READ_URL"),
        "the sessions with a replica are not in the formula"
    );
    let mut values = BTreeMap::new();
    for (name, default) in settings().await {
        let value = configured.get(&name).cloned().or(default).unwrap_or_default();
        let is_size = value.trim_end_matches("KiB").trim_end_matches("MiB").parse::<u64>().is_ok();
        if is_size {
            values.insert(name, size(&value));
        }
    }
    let macs = configured.get("INKBOX_BLUEBUBBLES_SERVERS").map_or(0, |servers| servers.split(',').count());
    values.insert("INKBOX_BLUEBUBBLES_SERVERS".to_owned(), macs as u64);
    values
}

/// Each use of memory, and the most that it can be with the settings of the manifests.
async fn uses() -> Vec<(&'static str, u64)> {
    let settings = values().await;
    let of = |name: &str| settings[name];
    let webhooks = |name| constant("src/carrier_webhooks/mod.rs", name);
    let metrics = |name| constant("src/telemetry/metrics/endpoint.rs", name);
    let sandbox = |name| constant("src/carriers/delivery_log.rs", name);
    // Received and not read yet, and the metadata that HTTP/2 accepts.
    let stream = constant("src/net/mod.rs", "STREAM_WINDOW")
        + constant("src/net/mod.rs", "HEADER_LIST_FACTOR") * of("INKBOX_METADATA_LIMIT");
    let open_calls = 2 * constant("src/grpc/middleware/open_services.rs", "MAX_CALLS")
        + constant("src/auth/key_cache.rs", "MAX_UNKNOWN_LOOKUPS");
    let entries = constant("src/auth/key_cache.rs", "CAPACITY")
        + constant("src/auth/key_cache.rs", "WRONG_CAPACITY")
        + constant("src/auth/key_usage.rs", "MAX_KEYS")
        + constant("src/carriers/registry.rs", "MAX_CACHED_LINES");
    let bodies = |name| constant("src/carrier_webhooks/body.rs", name);
    vec![
        ("the idle process", base()),
        ("requests and responses", of("INKBOX_MESSAGE_MEMORY")),
        (
            "calls",
            of("INKBOX_MAX_CONCURRENT_CALLS")
                * (constant("src/admission/call_permit.rs", "UNCOUNTED_BYTES") + stream),
        ),
        ("streams of events", of("INKBOX_STREAMS") * 48 * KIB),
        ("calls without a valid key", open_calls * stream),
        (
            "rows",
            of("INKBOX_DATABASE_SESSIONS") * (constant("src/domain/page.rs", "MAX_RESPONSE_BYTES") + MIB),
        ),
        ("connections", of("INKBOX_CONNECTIONS") * (64 * KIB + of("INKBOX_STREAMS_PER_CONNECTION") * KIB)),
        (
            "responses of carriers",
            (1 + of("INKBOX_BLUEBUBBLES_SERVERS"))
                * of("INKBOX_CARRIER_CONCURRENCY")
                * constant("src/carriers/client/api_client.rs", "MAX_RESPONSE_BYTES"),
        ),
        (
            "webhooks",
            webhooks("max_connections") * webhooks("max_header_bytes")
                + constant("src/carrier_webhooks/routes.rs", "MAX_IN_FLIGHT") * 4 * bodies("USUAL_BYTES")
                + bodies("MAX_LARGE_BODIES") * 4 * bodies("MAX_BYTES"),
        ),
        ("known keys and lines", entries * 200),
        ("queued log lines", constant("src/telemetry/log_writer.rs", "MAX_QUEUED_LINES") * 512),
        ("deliveries of the sandbox", sandbox("text_bytes") + sandbox("deliveries") * 400),
        ("scrapes", metrics("max_connections") * 256 * KIB),
    ]
}

/// The rows of the table of docs/deployment.md: use, formula, figure.
fn table() -> Vec<[String; 3]> {
    let page = text("docs/deployment.md");
    let section = page.split_once("### Memory\n").expect("a section on memory").1;
    let rows = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> =
                line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            cells.try_into().expect("three cells")
        })
        .collect()
}

/// What the page says that the idle process takes.
fn base() -> u64 {
    size(&table()[0][1])
}

async fn total() -> u64 {
    let uses: u64 = uses().await.iter().map(|(_, bytes)| bytes).sum();
    uses * (100 + ALLOCATOR) / 100
}

fn quantity(of: &str) -> u64 {
    size(container(&manifest("Deployment"))["resources"][of]["memory"].as_str().unwrap())
}

#[tokio::test]
async fn the_memory_limit_of_a_pod_is_what_its_settings_allow_the_program_to_use() {
    let (limit, total) = (quantity("limits"), total().await);
    assert!(limit >= total, "{limit} is less than {total}");
    assert!(limit <= total * (100 + MAX_EXCESS) / 100, "{limit} is much more than {total}");
    // What it uses when nobody attacks it.
    let usual = base() + values().await["INKBOX_MESSAGE_MEMORY"];
    let requested = quantity("requests");
    assert!(requested >= usual && requested <= limit, "{requested} is requested, {usual} used");
}

#[tokio::test]
async fn the_page_has_the_formula_and_its_figures() {
    let (table, settings) = (table(), values().await);
    let (rows, totals) = table.split_at(table.len() - 2);
    let uses = uses().await;
    assert_eq!(rows.len(), uses.len());
    let figure = |bytes: u64| format!("{} MiB", bytes.div_ceil(MIB));
    for ([name, formula, shown], (used_for, bytes)) in rows.iter().zip(&uses) {
        assert!(name.starts_with(used_for), "{name} is not {used_for}");
        assert_eq!(value(formula, &settings), *bytes, "{name}: {formula}");
        assert_eq!(*shown, figure(*bytes), "{name}");
    }
    let sum = uses.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(totals[0][2], figure(sum));
    assert!(totals[1][0].contains(&format!("{ALLOCATOR} %")), "{}", totals[1][0]);
    assert_eq!(totals[1][2], figure(total().await));
    let limit = format!("`{}Mi`", quantity("limits") / MIB);
    assert!(text("docs/deployment.md").contains(&limit), "the page does not name the limit of {limit}");
}

#[test]
fn what_one_statement_reads_at_once_fits_into_the_share_of_its_session() {
    let texts = constant("src/store/pool/batch.rs", "MAX_BATCH");
    let text_bytes = 4 * constant("src/domain/message.rs", "MAX_TEXT_CHARACTERS");
    assert!(texts * text_bytes <= constant("src/domain/page.rs", "MAX_RESPONSE_BYTES") + MIB);
}

#[tokio::test]
async fn the_idle_process_takes_what_the_page_says() {
    let folder = Folder::migrated().await;
    let service = Service::start(&folder, &["--metrics-listen", "127.0.0.1:0"]).await;
    let metrics = address_in(&service.output()).expect("an address");
    let resident = Scrape::of(metrics).await.value("process_resident_memory_bytes", &[]).expect("its memory");
    let mebibytes = u32::try_from(base() / MIB).unwrap();
    assert!(resident > 0.0 && resident < f64::from(mebibytes) * 1_048_576.0, "{resident} bytes");
}
