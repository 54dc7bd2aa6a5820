//! What is known of an organization's agents, and what the world is told of them. Pure.

mod figures;
mod moment;
mod notice;
mod record;
mod view;

pub use figures::{Figures, Judgement, Period};
pub use moment::parse_moment;
pub use notice::{Notice, NoticeData, NoticeKind};
pub use record::{AgentRecord, Change, RolloutRecord, Standing};
pub use view::AgentView;
