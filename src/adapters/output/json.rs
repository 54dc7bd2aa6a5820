//! Stub.
use std::time::Duration;

use tracing::info;

use crate::core::messages;
use crate::core::rollout::{Event, whole_millis};

pub(crate) struct Json {
    agents: Vec<String>,
}

impl Json {
    pub(super) fn begin(agents: Vec<String>) -> Self {
        Self { agents }
    }

    pub(super) fn tell(&mut self, agent: usize, at: Duration, event: &Event) {
        let agent = self.agents[agent].as_str();
        info!(
            agent,
            "atMs" = whole_millis(at),
            "{}",
            messages::line(event)
        );
    }
}
