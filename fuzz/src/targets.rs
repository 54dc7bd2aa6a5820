//! The targets, by the names of their folders under `corpus/` and of their files for the engine.
//!
//! A new one needs a module, a line in this table, a file in `fuzz_targets/` with its `[[bin]]`, and
//! a folder of seeds; a test holds these together.

mod body;
mod ci;
mod config;
mod fleet;
mod list;
mod logs;
mod moment;
mod notice;
mod retry_after;
mod scenario;
mod text;

/// A target: it panics where a promise is broken.
pub(crate) type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: [(&str, Target); 11] = [
    ("body", body::run),
    ("ci", ci::run),
    ("config", config::run),
    ("fleet", fleet::run),
    ("list", list::run),
    ("logs", logs::run),
    ("moment", moment::run),
    ("notice", notice::run),
    ("retry_after", retry_after::run),
    ("scenario", scenario::run),
    ("text", text::run),
];
