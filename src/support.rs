//! Small parts that several modules need, each once.

mod backoff;
mod cached;
mod net;
mod window;

pub use backoff::Backoff;
pub use cached::{Cached, FlightError, Fresh, Joined, SingleFlight, Source};
pub use net::is_loopback;
pub use window::SlidingWindow;
