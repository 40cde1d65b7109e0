//! Orders to misbehave: which requests are hit, how often, and what then happens. Decides only;
//! `play` carries them out.

use std::sync::Arc;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

mod fault;
mod order;

pub use fault::{Fault, Garbage, StatusAnswer, When};
pub use order::{FaultOrder, Forever, Times};

/// Orders held at most; spent ones make room first.
pub const MAX_ORDERS: usize = 1_000;
/// Longest wait an order may ask for, in milliseconds.
pub const MAX_MS: u64 = 3_600_000;

/// An order as it stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its number, from 1.
    pub id: u64,
    /// Requests that matched.
    pub seen: u64,
    /// Requests it hit.
    pub fired: u64,
    /// Whether it will hit no more.
    pub spent: bool,
    /// The order.
    pub order: FaultOrder,
    #[serde(skip)]
    fault: Arc<Fault>,
    #[serde(skip)]
    taken_back: CancellationToken,
}

/// What happens to a request that an order hits.
pub(super) struct Struck {
    /// The order's number.
    pub(super) order: u64,
    /// What happens.
    pub(super) fault: Arc<Fault>,
    /// Cancelled when the order is taken back: what it put off comes then.
    pub(super) taken_back: CancellationToken,
}

/// All orders, oldest first; the first that is due wins.
#[derive(Debug, Default)]
pub struct Faults {
    orders: Vec<Standing>,
    last: u64,
}

impl Faults {
    /// Takes an order and gives it its number.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn place(&mut self, order: FaultOrder) -> Result<u64, String> {
        order.check()?;
        if self.orders.len() >= MAX_ORDERS {
            self.orders.retain(|standing| !standing.spent);
        }
        if self.orders.len() >= MAX_ORDERS {
            return Err(format!("there are {MAX_ORDERS} orders already"));
        }
        self.last += 1;
        let fault = Arc::new(order.fault.clone());
        let spent = order.times == Times::Next(0);
        let taken_back = CancellationToken::new();
        let id = self.last;
        self.orders.push(Standing { id, seen: 0, fired: 0, spent, order, fault, taken_back });
        Ok(self.last)
    }

    /// The orders, spent ones included.
    #[must_use]
    pub fn orders(&self) -> &[Standing] {
        &self.orders
    }

    /// Takes an order back; `false` when there is none of that number. What it put off comes at
    /// once.
    pub fn cancel(&mut self, id: u64) -> bool {
        let place = self.orders.iter().position(|standing| standing.id == id);
        place.map(|place| self.orders.remove(place).taken_back.cancel()).is_some()
    }

    /// Takes all orders back, as [`Faults::cancel`] does.
    pub fn clear(&mut self) {
        self.orders.drain(..).for_each(|standing| standing.taken_back.cancel());
    }

    /// What happens to a request, if anything.
    pub(super) fn strike(
        &mut self,
        method: &str,
        path: &str,
        query: Option<&str>,
    ) -> Option<Struck> {
        for standing in self.orders.iter_mut().filter(|standing| !standing.spent) {
            if !fits(&standing.order, method, path, query) {
                continue;
            }
            standing.seen += 1;
            let counted = standing.seen.saturating_sub(standing.order.skip);
            if counted == 0 || counted % standing.order.every != 0 {
                continue;
            }
            standing.fired += 1;
            standing.spent =
                matches!(standing.order.times, Times::Next(times) if standing.fired >= times);
            return Some(Struck {
                order: standing.id,
                fault: Arc::clone(&standing.fault),
                taken_back: standing.taken_back.clone(),
            });
        }
        None
    }
}

fn fits(order: &FaultOrder, method: &str, path: &str, query: Option<&str>) -> bool {
    if order.method.as_deref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(method)) {
        return false;
    }
    if order.path.contains('?') {
        let target = format!("{path}?{}", query.unwrap_or_default());
        return wildcard(&order.path, &target);
    }
    wildcard(&order.path, path)
}

/// Whether `text` fits `pattern`, where `*` stands for any run of characters. Linear in practice:
/// each star takes the shortest run that lets the next piece fit.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests;
