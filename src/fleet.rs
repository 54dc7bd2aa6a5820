//! What is known of an organization's agents, and what the world is told of them. Pure.

mod notice;
mod record;

pub use notice::{Notice, NoticeData, NoticeKind};
pub use record::{AgentRecord, Change, RolloutRecord, Standing};
