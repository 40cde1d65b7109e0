//! Whether a transfer's command has left. One word that both sides change in one step: the request
//! on its way out, and the caller's answer that says that nothing was sent.

use std::sync::atomic::{AtomicU8, Ordering};

/// Nothing was sent, or only what certainly was not carried out.
const HERE: u8 = 0;
/// A command, or a change of values, may have been carried out.
const LEFT: u8 = 1;
/// Nothing was sent, and nothing will be.
const CALLED_OFF: u8 = 2;

/// See the module's text. Shared by all calls of one transfer.
#[derive(Debug, Default)]
pub struct Departure(AtomicU8);

impl Departure {
    /// To be called right before the first byte of a try may leave: whether one before it has
    /// left.
    ///
    /// # Errors
    /// It was called off and must not leave.
    pub fn leave(&self) -> Result<bool, CalledOff> {
        match self.change(HERE, LEFT) {
            Ok(()) => Ok(false),
            Err(LEFT) => Ok(true),
            Err(_) => Err(CalledOff),
        }
    }

    /// The try was certainly not carried out, and none before it has left.
    pub fn come_back(&self) {
        // Only the one that left comes back.
        let _ = self.change(LEFT, HERE);
    }

    /// Lets nothing leave any more. `false`: something has left before.
    pub fn call_off(&self) -> bool {
        !matches!(self.change(HERE, CALLED_OFF), Err(LEFT))
    }

    fn change(&self, from: u8, to: u8) -> Result<(), u8> {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

/// The command must not leave: its caller was told that nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalledOff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_called_off_does_not_leave() {
        let departure = Departure::default();
        assert!(departure.call_off());
        assert_eq!(departure.leave(), Err(CalledOff));
        assert!(departure.call_off(), "and that stays so");
    }

    #[test]
    fn what_has_left_is_not_called_off_unless_it_comes_back() {
        let departure = Departure::default();
        assert_eq!(departure.leave(), Ok(false));
        assert!(!departure.call_off());
        assert_eq!(departure.leave(), Ok(true), "the second try knows of the first");
        departure.come_back();
        assert!(departure.call_off());
    }
}
