//! What a row of the change log does to its entity.

/// The operation of a change; the number is the log's `op` column and part of every sealed value's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Operation {
    /// The entity's first version, or its first after a delete. Its diff carries the whole document.
    Insert = 1,
    /// The next version of a document that exists.
    Update = 2,
    /// The document ends.
    Delete = 3,
    /// A version older in valid time than the head: stored whole, outside the chain.
    LateUpsert = 4,
    /// A delete older in valid time than the head: outside the chain, with an empty diff.
    LateDelete = 5,
}

impl Operation {
    /// The operation with that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Insert),
            2 => Some(Self::Update),
            3 => Some(Self::Delete),
            4 => Some(Self::LateUpsert),
            5 => Some(Self::LateDelete),
            _ => None,
        }
    }

    /// The number of the operation.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether the row is a link of its entity's diff chain, so that it moves the head.
    pub const fn in_chain(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_others_are_refused() {
        let known =
            (0..=u8::MAX).filter_map(Operation::from_number).map(Operation::number).collect::<Vec<_>>();
        assert_eq!(known, [1, 2, 3, 4, 5]);
        assert!(Operation::Delete.in_chain() && !Operation::LateUpsert.in_chain());
    }
}
