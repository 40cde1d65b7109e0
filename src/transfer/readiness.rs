//! Whether transfers can be carried out, for probes: what is wrong here makes the service not
//! ready; what is wrong at Genesys is only told, because another instance would fare no better.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use super::Transfers;
use crate::metrics::Readings;

/// Probes are open to anyone, and looking at the store costs a write: one answer serves this long.
const STORE_LOOK_LASTS: Duration = Duration::from_secs(1);

/// How often it is looked whether Genesys works for the first time; costs nothing upstream.
const GENESYS_LOOK: Duration = Duration::from_millis(100);

/// What a probe is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// What is wrong, without secrets; may hold something although `ready`.
    pub reasons: Vec<String>,
}

/// What is remembered between probes.
#[derive(Default)]
pub(super) struct ReadinessProbe {
    /// Unsettled transfers of an earlier process were taken over.
    pub(super) started: AtomicBool,
    /// Token and queue map were there once.
    reached_genesys: AtomicBool,
    store: Mutex<Option<(Instant, bool)>>,
    unsettled: Mutex<Option<(Instant, Option<u64>)>>,
}

impl ReadinessProbe {
    /// Looks at everything.
    pub(super) async fn readiness(&self, transfers: &Transfers) -> Readiness {
        let genesys = transfers.gateway.troubles();
        if genesys.is_empty() {
            self.reached_genesys.store(true, Ordering::Relaxed);
        }
        let mut here = Vec::new();
        if !self.started.load(Ordering::Acquire) {
            here.push("start: taking over unsettled transfers".to_owned());
        }
        if transfers.completion.stop.is_cancelled() {
            here.push("shutting down".to_owned());
        }
        let unsaved = transfers.records.unsaved();
        if unsaved > 0 {
            here.push(format!("store: {unsaved} outcomes not yet stored"));
        }
        if !self.store_works(transfers).await {
            here.push("store: cannot be written to".to_owned());
        }
        let behind = transfers.clock_behind.load(Ordering::Relaxed);
        // Other instances would be no better off when it was a clock ahead that wrote the record.
        let clock = (behind > 0)
            .then(|| format!("clock: {behind} s behind the newest record in the store"));
        // Before the first success the credentials or the region may be wrong: that is ours.
        let ready = here.is_empty() && self.reached_genesys.load(Ordering::Relaxed);
        Readiness { ready, reasons: here.into_iter().chain(clock).chain(genesys).collect() }
    }

    /// Notes the first moment at which token and queue map are there, also when no probe comes then:
    /// an outage of Genesys that comes later takes no instance out.
    pub(super) async fn notice_genesys(&self, transfers: &Transfers) {
        let mut look = tokio::time::interval(GENESYS_LOOK);
        while !transfers.gateway.troubles().is_empty() {
            tokio::select! {
                _ = look.tick() => {}
                () = transfers.completion.stop.cancelled() => return,
            }
        }
        self.reached_genesys.store(true, Ordering::Relaxed);
    }

    /// Reads everything that metrics show, the readiness too.
    pub(super) async fn readings(&self, transfers: &Transfers) -> Readings {
        let (readiness, unsettled) =
            tokio::join!(self.readiness(transfers), self.unsettled(transfers));
        let mut readings = Readings {
            ready: Some(readiness.ready),
            unsettled,
            settling: Some(transfers.settling.load(Ordering::Relaxed)),
            unsaved: Some(transfers.records.unsaved()),
            ..Readings::default()
        };
        transfers.gateway.read(&mut readings);
        readings
    }

    /// How many transfers are not settled; `None` while the store cannot be read.
    async fn unsettled(&self, transfers: &Transfers) -> Option<u64> {
        let mut seen = self.unsettled.lock().await;
        if let Some((at, unsettled)) = *seen
            && at.elapsed() < STORE_LOOK_LASTS
        {
            return unsettled;
        }
        let unsettled = transfers.records.store().unsettled().await.ok();
        *seen = Some((Instant::now(), unsettled));
        unsettled
    }

    async fn store_works(&self, transfers: &Transfers) -> bool {
        let mut seen = self.store.lock().await;
        // A write that failed meanwhile is newer than what was seen.
        let failed = transfers.records.take_failure();
        if let Some((at, works)) = *seen
            && at.elapsed() < STORE_LOOK_LASTS
            && !(works && failed)
        {
            return works;
        }
        let works = match transfers.records.store().check().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(cause = %error.cause, "the store is not ready");
                false
            }
        };
        *seen = Some((Instant::now(), works));
        works
    }
}
