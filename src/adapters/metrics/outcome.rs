//! The fixed outcomes of a delivery, as metrics label them.

/// How an attempt to deliver a notice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DeliveryOutcome {
    /// The sink has it.
    Delivered,
    /// It failed, and is tried again.
    Failed,
    /// It failed for good.
    GivenUp,
}

impl DeliveryOutcome {
    /// Every outcome.
    pub(crate) const ALL: [DeliveryOutcome; 3] = [
        DeliveryOutcome::Delivered,
        DeliveryOutcome::Failed,
        DeliveryOutcome::GivenUp,
    ];

    /// The outcome in a word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given-up",
        }
    }
}
