//! The list of agents: what is read is what was written, and reading it again changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pipecat_rollout::fuzzing::wire::{Service, parse_list};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::oracle::without_halves;

pub(super) fn run(data: &[u8]) {
    let services = match parse_list(data) {
        Ok(services) => services,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(
        Some(services.len()),
        length(data),
        "entries were lost or made up"
    );
    for service in &services {
        let ids = [&service.id, &service.desired_deployment_id];
        assert!(ids.into_iter().flatten().all(|id| !id.is_empty()));
        assert!(!service.name.is_empty());
        let none = service.desired().is_none() && service.reconciled_deployment_id.is_none();
        assert!(!none || service.is_reconciled());
    }
    let again: Vec<Value> = services.iter().map(written).collect();
    let again = json!({ "services": again }).to_string();
    assert_eq!(parse_list(again.as_bytes()).expect("it is one"), services);
}

/// An entry as the API writes it.
fn written(service: &Service) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    json!({
        "id": service.id, "name": service.name, "region": service.region,
        "desiredDeploymentId": service.desired_deployment_id,
        "reconciledDeploymentId": service.reconciled_deployment_id,
        "createdAt": time(service.created_at),
        "deletedAt": time(service.deleted_at),
    })
}

/// How many entries with a name the list has, without the program's reader; none where there is no
/// such list.
fn length(data: &[u8]) -> Option<usize> {
    let text = without_halves(&String::from_utf8_lossy(data));
    let text = text.trim_start_matches('\u{feff}');
    let list: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let entries: Vec<&RawValue> = serde_json::from_str(list.get("services")?.get()).ok()?;
    let named = entries.into_iter().filter(|entry| {
        let entry = serde_json::from_str::<BTreeMap<String, &RawValue>>(entry.get());
        let name = entry.ok().and_then(|entry| entry.get("name").copied());
        let name = name.and_then(|name| serde_json::from_str::<String>(name.get()).ok());
        name.is_some_and(|name| !name.trim().is_empty())
    });
    Some(named.count())
}
