//! Shows on the endpoints how agents stand.

use super::{Board, Daemon};
use crate::adapters::metrics::Metrics;
use crate::core::fleet::old::{AgentRecord, Change};

impl Daemon {
    /// Shows on the endpoints how agents stand now.
    pub(super) fn show(&self, change: &Change) {
        show(&self.board, &self.metrics, change);
    }

    /// Measures an agent as it is shown.
    pub(super) fn measure(&self, agent: &str) {
        measure(&self.board, &self.metrics, agent);
    }
}

/// Who is gone goes first: under the same name another may have come.
fn show(board: &Board, metrics: &Metrics, change: &Change) {
    for name in &change.removed {
        board.remove(name);
        metrics.agent_gone(name);
    }
    let present = |record: &&AgentRecord| record.gone_at.is_none();
    for record in change.agents.iter().filter(present) {
        board.stand(record.clone());
        measure(board, metrics, &record.name);
    }
    for rollout in &change.rollouts {
        metrics.rollout_finished(rollout);
    }
}

fn measure(board: &Board, metrics: &Metrics, agent: &str) {
    if let Some(view) = board.agent(agent) {
        metrics.agent_stands(&view);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::core::fleet::Fleet;
    use crate::core::wire::Service;

    /// It was missing until something happened to it.
    #[test]
    fn an_agent_that_took_the_place_of_another_is_shown_until_it_is_gone() {
        let board = Board::new(Duration::from_secs(15));
        let metrics = Metrics::new("0");
        let mut fleet = Fleet::restore(Vec::new());
        for (second, id) in [(0, "one"), (1, "other")] {
            let now = Timestamp::from_second(second).unwrap();
            let service = Service {
                id: Some(id.to_owned()),
                name: Some("a".to_owned()),
                created_at: Some(now),
                updated_at: Some(now),
                ..Service::default()
            };
            show(&board, &metrics, &fleet.on_list(now, &[service]).change);
            let shown = board.agent("a").expect("it is there");
            assert_eq!(shown.record.service_id.as_deref(), Some(id));
            let series = metrics.encode();
            assert!(series.contains("pipecat_rollout_agents 1\n"), "{series}");
        }
        for second in 2..5 {
            let now = Timestamp::from_second(second).unwrap();
            show(&board, &metrics, &fleet.on_list(now, &[]).change);
        }
        assert_eq!(board.agent("a"), None, "what is kept of it is not shown");
        assert!(metrics.encode().contains("pipecat_rollout_agents 0\n"));
    }
}
