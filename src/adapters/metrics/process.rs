//! The usual metrics of a process, under their usual names, where the system shows them in /proc.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Writes them; none where there is no /proc.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = Usage::read() else {
            return Ok(());
        };
        encoder
            .encode_descriptor(
                "process_cpu",
                "Processor time that was used",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, f64, f64>(&usage.cpu_seconds, None)?;
        for (name, unit, help, value) in [
            (
                "process_resident_memory",
                Some(Unit::Bytes),
                "Memory that is in use",
                Some(usage.resident_bytes),
            ),
            ("process_open_fds", None, "Open files", usage.open_files),
            (
                "process_max_fds",
                None,
                "The most files that may be open",
                usage.max_files,
            ),
        ] {
            if let Some(value) = value {
                encoder
                    .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
                    .encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))?;
            }
        }
        Ok(())
    }
}

struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_files: Option<u64>,
    max_files: Option<u64>,
}

impl Usage {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let ticks = u32::try_from(field(11)?.saturating_add(field(12)?)).ok()?;
        let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
        let page = u64::try_from(rustix::param::page_size()).ok()?;
        let limits = fs::read_to_string("/proc/self/limits").ok();
        Some(Self {
            cpu_seconds: f64::from(ticks) / f64::from(per_second.max(1)),
            resident_bytes: field(21)?.saturating_mul(page),
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .and_then(|files| u64::try_from(files.count()).ok()),
            max_files: limits.as_deref().and_then(|limits| {
                let line = limits
                    .lines()
                    .find(|line| line.starts_with("Max open files"))?;
                line.split_whitespace().nth(3)?.parse().ok()
            }),
        })
    }
}
