//! The words by which requests and deliveries are told apart: few, and fixed.

/// How a request to the API ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// A usable answer.
    Ok,
    /// 404: there is no such agent.
    NotFound,
    /// 401 or 403.
    Unauthorized,
    /// 429.
    Throttled,
    /// A redirect, or another 4xx.
    Refused,
    /// 5xx.
    ServerError,
    /// A body that is cut short or makes no sense, or a status that there is not.
    Unreadable,
    /// It took too long.
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
}

/// How an attempt to deliver a notice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// The sink has it.
    Delivered,
    /// It failed, and is tried again.
    Failed,
    /// It failed for good.
    GivenUp,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [RequestOutcome; 9] = [
        RequestOutcome::Ok,
        RequestOutcome::NotFound,
        RequestOutcome::Unauthorized,
        RequestOutcome::Throttled,
        RequestOutcome::Refused,
        RequestOutcome::ServerError,
        RequestOutcome::Unreadable,
        RequestOutcome::Timeout,
        RequestOutcome::Unreachable,
    ];

    /// The outcome of a whole answer with this status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            404 => Self::NotFound,
            401 | 403 => Self::Unauthorized,
            429 => Self::Throttled,
            408 => Self::Timeout,
            300..=499 => Self::Refused,
            500..=599 => Self::ServerError,
            _ => Self::Unreadable,
        }
    }

    /// The outcome in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not-found",
            Self::Unauthorized => "unauthorized",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::ServerError => "server-error",
            Self::Unreadable => "unreadable",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

impl DeliveryOutcome {
    /// Every outcome.
    pub const ALL: [DeliveryOutcome; 3] = [
        DeliveryOutcome::Delivered,
        DeliveryOutcome::Failed,
        DeliveryOutcome::GivenUp,
    ];

    /// The outcome in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given-up",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_status_has_its_outcome() {
        let mut ranges: Vec<(u16, &str)> = Vec::new();
        for status in 100..=600 {
            let word = RequestOutcome::of_status(status).as_str();
            if ranges.last().is_none_or(|(_, last)| *last != word) {
                ranges.push((status, word));
            }
        }
        let expected = [
            (100, "unreadable"),
            (200, "ok"),
            (300, "refused"),
            (401, "unauthorized"),
            (402, "refused"),
            (403, "unauthorized"),
            (404, "not-found"),
            (405, "refused"),
            (408, "timeout"),
            (409, "refused"),
            (429, "throttled"),
            (430, "refused"),
            (500, "server-error"),
            (600, "unreadable"),
        ];
        assert_eq!(ranges, expected);
    }

    #[test]
    fn every_outcome_has_a_word_of_its_own() {
        let requests: BTreeSet<_> = RequestOutcome::ALL.map(RequestOutcome::as_str).into();
        assert_eq!(requests.len(), RequestOutcome::ALL.len());
        let deliveries: BTreeSet<_> = DeliveryOutcome::ALL.map(DeliveryOutcome::as_str).into();
        assert_eq!(deliveries.len(), DeliveryOutcome::ALL.len());
    }
}
