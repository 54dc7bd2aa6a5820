//! Faults: which keys go with which kind, and what they may say.

use toml::Spanned;

use super::Slip;
use crate::adapters::simulator::script::fault::{Act, CutAfter, Fault, Window};
use crate::adapters::simulator::script::file::{FaultKind, FaultTable};

/// Reads a `[[fault]]`.
pub(super) fn fault(table: &Spanned<FaultTable>) -> Result<Fault, Slip> {
    let slip = |what: String| Slip::at(table, what);
    let fault = table.get_ref();
    let [from, until] = [fault.from, fault.until].map(|moment| moment.map(|moment| moment.0));
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        let [from, until] = [from, until].map(humantime::format_duration);
        return Err(slip(format!(
            "the fault is over (`until` {until}) before it begins (`from` {from})"
        )));
    }
    check_keys(fault).map_err(slip)?;
    Ok(Fault {
        window: Window {
            from,
            until,
            requests: fault.requests,
            every: fault.every,
        },
        act: act(fault).map_err(slip)?,
    })
}

/// Each kind of fault has keys of its own; one that would have no effect is an error.
fn check_keys(fault: &FaultTable) -> Result<(), String> {
    use FaultKind::{Html, Lag, Reset, Status};
    let said: [(&str, bool, &[FaultKind]); 5] = [
        ("status", fault.status.is_some(), &[Status]),
        ("headers", fault.headers.is_some(), &[Status]),
        ("body", fault.body.is_some(), &[Status, Html]),
        ("after", fault.after.is_some(), &[Reset]),
        ("by", fault.by.is_some(), &[Lag]),
    ];
    match said
        .iter()
        .find(|(_, said, kinds)| *said && !kinds.contains(&fault.kind))
    {
        Some((key, ..)) => Err(format!("a fault of this kind has no `{key}`")),
        None => Ok(()),
    }
}

fn act(fault: &FaultTable) -> Result<Act, String> {
    Ok(match fault.kind {
        FaultKind::Status => status(fault)?,
        FaultKind::Html => Act::Html {
            body: fault.body.clone(),
        },
        FaultKind::Reset => Act::Reset(fault.after.unwrap_or(CutAfter::Nothing)),
        FaultKind::Hang => Act::Hang,
        FaultKind::CutBody => Act::CutBody,
        FaultKind::SlowBody => Act::SlowBody,
        FaultKind::HugeBody => Act::HugeBody,
        FaultKind::Lag => Act::Lag(fault.by.ok_or("a lag needs `by`, a time")?.0),
        FaultKind::AnotherAgent => Act::AnotherAgent,
    })
}

fn status(fault: &FaultTable) -> Result<Act, String> {
    let status = *fault
        .status
        .as_ref()
        .ok_or("a status fault needs `status`")?
        .get_ref();
    if !(200..=599).contains(&status) {
        return Err(format!("{status} is no status from 200 to 599"));
    }
    let headers = fault.headers.iter().flatten().map(|(name, value)| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("{name:?} is no name of a header"));
        }
        if ["content-length", "transfer-encoding"].contains(&name.to_lowercase().as_str()) {
            return Err(format!("the header {name} follows from the body"));
        }
        Ok((name.clone(), value.clone()))
    });
    Ok(Act::Status {
        status,
        headers: headers.collect::<Result<_, _>>()?,
        body: fault.body.clone(),
    })
}
