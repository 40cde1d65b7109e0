//! The rate limit, in Genesys' words and in our own count, and the circuit breaker.

mod breaker;
mod bursts;
mod loops;
mod pacing;
mod retry_after;
mod several;
mod shares;
