//! How requests to the API end, in few and fixed words: they are labels of metrics.

use strum::{IntoStaticStr, VariantArray};

/// How a request to the API ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum RequestOutcome {
    /// A usable answer.
    Ok,
    /// 404: there is no such agent.
    NotFound,
    /// 401, or 403 without a Retry-After.
    Unauthorized,
    /// 429, or 403 with a Retry-After.
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

impl RequestOutcome {
    /// Every outcome.
    pub(crate) const ALL: &'static [RequestOutcome] = RequestOutcome::VARIANTS;

    /// The outcome of a whole answer with this status.
    #[must_use]
    pub(crate) const fn of_status(status: u16) -> Self {
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
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
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
}
