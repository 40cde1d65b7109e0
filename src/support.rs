//! Small parts that several modules need, each once.

mod backoff;
mod cached;
mod closest;
mod net;
mod window;

pub use backoff::Backoff;
pub use cached::{Cached, FlightError, Fresh, Joined, SingleFlight, Source};
pub use closest::closest;
pub use net::is_loopback;
pub use window::SlidingWindow;
