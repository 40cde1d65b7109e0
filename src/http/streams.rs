//! How many event streams may be open: in all, and by one caller.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::answer::Failure;
use crate::{
    problem::{Code, Problem},
    transfer::model::CallerName,
};

/// Streams open at once. A watcher has no deadline and asks the store a few times a second, so
/// they are counted apart from the requests in hand.
const MOST: usize = 64;

/// When a caller with too many streams may try again.
const PAUSE: Duration = Duration::from_secs(5);

/// The streams that are open.
#[derive(Debug)]
pub(super) struct Streams {
    most_per_caller: usize,
    /// No caller is listed with none.
    open: Mutex<HashMap<CallerName, usize>>,
}

impl Streams {
    /// None yet; one caller may have at most `most_per_caller`.
    pub(super) fn new(most_per_caller: usize) -> Self {
        Self { most_per_caller, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<CallerName, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more stream of `caller`, until the [`Place`] is dropped.
    ///
    /// # Errors
    /// `too_many_requests` when the caller has as many as it may, `overloaded` when all together
    /// have.
    pub(super) fn open_one(self: &Arc<Self>, caller: &CallerName) -> Result<Place, Failure> {
        let mut open = self.open();
        let own = open.get(caller).copied().unwrap_or_default();
        let (code, detail, pause) = if open.values().sum::<usize>() >= MOST {
            (Code::Overloaded, format!("All {MOST} event streams are in use."), None)
        } else if own >= self.most_per_caller {
            let most = self.most_per_caller;
            let detail = format!("This caller may have {most} event streams open at once.");
            (Code::TooManyRequests, detail, Some(PAUSE))
        } else {
            open.insert(caller.clone(), own + 1);
            return Ok(Place { streams: Arc::clone(self), caller: caller.clone() });
        };
        let hint = "GET /batches/{id} shows the batch's status; close a stream that is not needed.";
        Err(Problem { retry_after: pause, ..Problem::new(code, detail).hint(hint) }.into())
    }
}

/// The place of one stream.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    caller: CallerName,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        match open.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(open.remove(&self.caller)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(opened: &Result<Place, Failure>) -> Option<Code> {
        opened.as_ref().err().map(Failure::code)
    }

    #[test]
    fn one_caller_with_all_its_streams_leaves_room_for_others() {
        let streams = Arc::new(Streams::new(2));
        let (greedy, quiet) = (CallerName::new("greedy"), CallerName::new("quiet"));
        let mut held: Vec<_> = (0..2).map(|_| streams.open_one(&greedy).unwrap()).collect();

        let third = streams.open_one(&greedy);
        assert_eq!(code(&third), Some(Code::TooManyRequests));
        assert!(third.unwrap_err().into_problem().retry_after.is_some());
        let other = streams.open_one(&quiet).unwrap();
        held.pop();
        held.push(streams.open_one(&greedy).unwrap());
        assert_eq!(code(&streams.open_one(&greedy)), Some(Code::TooManyRequests));

        drop((held, other));
        assert!(streams.open().is_empty(), "callers without a stream are forgotten");
    }

    #[test]
    fn all_callers_together_are_bounded_too() {
        let streams = Arc::new(Streams::new(MOST));
        let name = |number: usize| CallerName::new(format!("caller-{}", number % 9));
        let held: Vec<_> = (0..MOST).map(|it| streams.open_one(&name(it)).unwrap()).collect();

        assert_eq!(code(&streams.open_one(&name(0))), Some(Code::Overloaded));
        drop(held);
        assert_eq!(code(&streams.open_one(&name(0))), None);
    }
}
