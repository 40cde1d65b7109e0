//! Which events become log lines, and changing that while the service runs.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::task::AbortHandle;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::{
    TelemetryError,
    sink::{Dropped, LineCounts},
};
use crate::config;

/// Put before every filter, whose own words on these targets win: the record of what was done to
/// calls, and panics, are not to be lost because an incident asks for the lines of one module.
const ALWAYS: &str = "audit=info,panic=error";

/// The filter in force. Cheap to clone.
#[derive(Clone)]
pub struct LogFilter(Arc<LogFilterInner>);

struct LogFilterInner {
    handle: reload::Handle<EnvFilter, Registry>,
    state: Mutex<FilterState>,
    dropped: Dropped,
    /// The layer itself, where no subscriber holds it.
    _layer: Option<Box<dyn Any + Send + Sync>>,
}

struct FilterState {
    configured: String,
    present: String,
    until: Option<Timestamp>,
    /// What will put the configured filter back.
    fallback: Option<AbortHandle>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// The filter in force.
    pub filter: String,
    /// The one that was configured.
    pub configured: String,
    /// When the configured one comes back by itself.
    pub until: Option<Timestamp>,
}

impl LogFilter {
    /// A filter, and the layer for a subscriber that it steers; `dropped` counts the lines that were
    /// dropped behind it.
    ///
    /// # Errors
    /// `filter` is not one.
    pub(super) fn new(
        filter: &str,
        dropped: Dropped,
    ) -> Result<(reload::Layer<EnvFilter, Registry>, Self), TelemetryError> {
        let (layer, handle) = reload::Layer::new(parse(filter)?);
        Ok((layer, Self::steering(handle, filter, dropped, None)))
    }

    /// A filter that nothing is logged through, for a service inside a program with a log of its
    /// own.
    #[must_use]
    pub fn detached() -> Self {
        let (layer, handle) = reload::Layer::<EnvFilter, Registry>::new(EnvFilter::default());
        Self::steering(handle, "info", Dropped::default(), Some(Box::new(layer)))
    }

    fn steering(
        handle: reload::Handle<EnvFilter, Registry>,
        filter: &str,
        dropped: Dropped,
        layer: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        let state = Mutex::new(FilterState {
            configured: filter.to_owned(),
            present: filter.to_owned(),
            until: None,
            fallback: None,
        });
        Self(Arc::new(LogFilterInner { handle, state, dropped, _layer: layer }))
    }

    /// How many log lines were dropped because the output was not read in time.
    #[must_use]
    pub fn dropped(&self) -> LineCounts {
        self.0.dropped.lines()
    }

    /// What is logged now.
    #[must_use]
    pub fn state(&self) -> LogState {
        self.lock().shown()
    }

    /// Puts `filter` in force: with `lasting` for that long from `now`, then the configured one
    /// comes back; else until the next change.
    ///
    /// # Errors
    /// `filter` is not one; the old one stays.
    pub fn change(
        &self,
        filter: &str,
        lasting: Option<Duration>,
        now: Timestamp,
    ) -> Result<LogState, TelemetryError> {
        let mut state = self.lock();
        self.put(&mut state, filter)?;
        if let Some(lasting) = lasting {
            state.until = Some(now.saturating_add(lasting).unwrap_or(Timestamp::MAX));
            let logs = self.clone();
            let fallback = tokio::spawn(async move {
                tokio::time::sleep(lasting).await;
                logs.fall_back();
            });
            state.fallback = Some(fallback.abort_handle());
        }
        Ok(state.shown())
    }

    /// Puts `configured` in force and keeps it as the one to come back to.
    ///
    /// # Errors
    /// It is no filter; the old ones stay.
    pub fn configure(&self, configured: &str) -> Result<(), TelemetryError> {
        let mut state = self.lock();
        self.put(&mut state, configured)?;
        configured.clone_into(&mut state.configured);
        Ok(())
    }

    fn fall_back(&self) {
        let mut state = self.lock();
        // This task is the fallback; it need not be ended.
        state.fallback = None;
        let configured = state.configured.clone();
        let outcome = self.put(&mut state, &configured);
        drop(state);
        match outcome {
            Ok(()) => tracing::info!(target: "audit", filter = configured, "log filter restored"),
            Err(error) => tracing::error!(%error, "cannot restore the configured log filter"),
        }
    }

    fn put(&self, state: &mut FilterState, filter: &str) -> Result<(), TelemetryError> {
        // Fails only when the subscriber is gone, and then there is nothing to filter.
        self.0.handle.reload(parse(filter)?).map_err(|_| TelemetryError::AlreadySet)?;
        if let Some(fallback) = state.fallback.take() {
            fallback.abort();
        }
        filter.clone_into(&mut state.present);
        state.until = None;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, FilterState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FilterState {
    fn shown(&self) -> LogState {
        LogState {
            filter: self.present.clone(),
            configured: self.configured.clone(),
            until: self.until,
        }
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.state()).finish()
    }
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    if !config::is_log_filter(filter) {
        return Err(TelemetryError::BadFilter);
    }
    EnvFilter::builder().parse(format!("{ALWAYS},{filter}")).map_err(|_| TelemetryError::BadFilter)
}
