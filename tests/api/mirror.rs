//! The tests of an RPC are in `tests/api/<service>/<rpc>.rs`, or in a folder of that name.

use std::path::Path;

use inkbox_imessage::proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// RPCs whose file has a shorter name.
const SHORTENED: [(&str, &str); 2] =
    [("send_typing_indicator", "send_typing"), ("stop_typing_indicator", "stop_typing")];

/// Services that are not named for a resource.
const NO_RESOURCE: [&str; 2] = ["Router", "Sandbox"];

/// `ListApiKeys` of `ApiKeyService` is `list`: the name in snake case, without that of the resource.
fn file_name(rpc: &str, resource: &str) -> String {
    let short = if NO_RESOURCE.contains(&resource) {
        rpc.to_owned()
    } else {
        rpc.replacen(&plural(resource), "", 1).replacen(resource, "", 1)
    };
    let name = snake_case(&short);
    SHORTENED.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| (*short).to_owned())
}

/// `ApiKeyService` has the folder `api_keys`, and `RouterService` has `router`.
fn folder(resource: &str) -> String {
    snake_case(&if NO_RESOURCE.contains(&resource) { resource.to_owned() } else { plural(resource) })
}

fn plural(resource: &str) -> String {
    match resource.strip_suffix('y') {
        Some(stem) if !resource.ends_with("ey") => format!("{stem}ies"),
        _ => format!("{resource}s"),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[test]
fn every_rpc_has_a_test_file_of_its_name() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let services: Vec<_> = files
        .iter()
        .filter(|file| file.package() == "inkbox.imessage.v1")
        .flat_map(|file| &file.service)
        .collect();
    assert_eq!(services.len(), 9);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
    let mut missing = Vec::new();
    for service in services {
        let resource = service.name().strip_suffix("Service").unwrap();
        for rpc in &service.method {
            let path = tests.join(folder(resource)).join(file_name(rpc.name(), resource));
            if !path.with_extension("rs").is_file() && !path.join("mod.rs").is_file() {
                missing.push(path);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn names_of_files_follow_from_names_of_rpcs() {
    for (rpc, resource, expected) in [
        ("ListApiKeys", "ApiKey", "list"),
        ("WhoAmI", "ApiKey", "who_am_i"),
        ("MarkConversationRead", "Conversation", "mark_read"),
        ("ListIdentities", "Identity", "list"),
        ("SendMessage", "Message", "send"),
        ("SendReaction", "Message", "send_reaction"),
        ("UpdateDeliveryStatus", "Router", "update_delivery_status"),
        ("GetRouterNumber", "Router", "get_router_number"),
    ] {
        assert_eq!(file_name(rpc, resource), expected, "{rpc}");
    }
}
