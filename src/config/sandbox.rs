//! `[sandbox]`: the embedded stand-in for Genesys Cloud.

use std::{net::SocketAddr, time::Duration};

use super::{
    reader::Reader,
    units::{minutes, seconds},
};

/// `[sandbox]`
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Where the embedded sandbox listens.
    pub bind: SocketAddr,
    /// How long a move takes to show after it was answered.
    pub effect_delay: Duration,
}

impl Sandbox {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            bind: from.address("sandbox.bind"),
            effect_delay: from.duration("sandbox.effect_delay", seconds(0)..=minutes(1)),
        }
    }
}
