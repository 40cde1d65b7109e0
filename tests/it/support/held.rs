//! Requests that the sandbox holds back until the test lets them go: what happens meanwhile does
//! not depend on how fast the machine is.

use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, MAX_MS},
};

use super::service::REPLACE;

/// An order to hold requests back.
#[must_use]
pub(crate) struct Held(u64);

/// Holds back the next request with this method and path: it is carried out and answered when it
/// is let go.
pub(crate) fn hold(sandbox: &Sandbox, method: &str, path: &str) -> Held {
    hold_as(sandbox, FaultOrder::next(method, path, HOLD))
}

/// Holds back the next command.
pub(crate) fn hold_command(sandbox: &Sandbox) -> Held {
    hold(sandbox, "POST", REPLACE)
}

/// Holds back what `order` hits; its fault is [`HOLD`].
pub(crate) fn hold_as(sandbox: &Sandbox, order: FaultOrder) -> Held {
    Held(sandbox.order(order).unwrap())
}

/// What happens to a request that is held back.
pub(crate) const HOLD: Fault = Fault::Delay { ms: MAX_MS };

/// Lets go what was held back, and holds nothing more.
pub(crate) fn let_go(sandbox: &Sandbox, Held(order): Held) {
    assert!(sandbox.with(|state| state.faults.cancel(order)), "order {order} stands");
}
