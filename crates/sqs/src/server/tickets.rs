//! Message ids and receipt handles: drawn from numbers, so that nothing has to be kept for them.

use crate::model::Handle;

/// Makes ids and handles that look like SQS's, and knows its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tickets {
    seed: u64,
}

/// Sebastiano Vigna's SplitMix64: each bit of the output depends on all of the input.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Tickets {
    /// Tickets of one server.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// What they are made with.
    pub(super) fn seed(self) -> u64 {
        self.seed
    }

    /// The `MessageId` of the message with that number: a version 4 UUID.
    pub(super) fn message_id(self, number: u64) -> uuid::Uuid {
        let high = mix(self.seed ^ mix(number));
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(mix(high ^ number))).to_be_bytes())
            .into_uuid()
    }

    /// The `ReceiptHandle`, in hexadecimal: handle, queue, and a sum that a forged one would have to guess.
    pub(super) fn receipt(self, queue: u64, handle: Handle) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits = handle.to_bits();
        let mut text = String::with_capacity(48);
        for word in [bits, queue, self.sum(queue, bits)] {
            text.extend(word.to_be_bytes().iter().flat_map(|byte| {
                [char::from(DIGITS[usize::from(byte >> 4)]), char::from(DIGITS[usize::from(byte & 15)])]
            }));
        }
        text
    }

    /// The handle in a receipt of that queue.
    pub(super) fn handle(self, queue: u64, receipt: &str) -> Option<Handle> {
        if receipt.len() != 48 || !receipt.is_ascii() {
            return None;
        }
        let word = |at: usize| u64::from_str_radix(&receipt[at..at + 16], 16).ok();
        let bits = word(0)?;
        let of = word(16)?;
        let sum = word(32)?;
        (of == queue && sum == self.sum(queue, bits)).then(|| Handle::from_bits(bits))
    }

    fn sum(self, queue: u64, bits: u64) -> u64 {
        mix(self.seed ^ mix(queue ^ mix(bits)))
    }
}

/// The seed of a draw that must come out the same: number `nth` of `stream`, between 0 and 1.
pub(super) fn share(seed: u64, stream: u64, nth: u64) -> f64 {
    (mix(seed ^ mix(stream ^ mix(nth))) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_known_to_its_own_queue_and_server_alone() {
        let tickets = Tickets::new(7);
        let handle = Handle::from_bits(5 << 32 | 9);
        let receipt = tickets.receipt(3, handle);
        assert_eq!(tickets.handle(3, &receipt), Some(handle));
        assert_eq!(tickets.handle(4, &receipt), None);
        assert_eq!(Tickets::new(8).handle(3, &receipt), None);
        for forged in ["", "x", &receipt[1..], &receipt.replace('0', "1"), &"é".repeat(24)] {
            assert_eq!(tickets.handle(3, forged), None, "{forged}");
        }
        assert_eq!(tickets.message_id(1).get_version_num(), 4);
        assert_ne!(tickets.message_id(1), tickets.message_id(2));
    }
}
