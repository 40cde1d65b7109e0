//! Where lines go: into a bounded buffer, and from there, in a thread of their own, to the stream.
//!
//! A stream that is not read (a full pipe, a terminal on which Ctrl-S was pressed) blocks that
//! thread alone. Then the buffer fills, and further lines are dropped and counted; a line says so
//! as soon as the stream takes lines again. Lines of the audit log have more room than others.

use std::{
    fmt,
    io::{self, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

#[cfg(test)]
mod tests;

/// Bytes that may wait, the largest line of a request fitting a thousand times.
const ROOM: usize = 1024 * 1024;
/// The same with lines of the audit log: room for some thousand of them after the others are
/// dropped.
const ROOM_WITH_AUDIT: usize = 4 * ROOM;
/// A buffer that grew beyond this is given back to the system once it is empty.
const KEPT: usize = 64 * 1024;
/// How long the first line waits for others to be written with it. Under load it saves most of the
/// writes.
const COMPANY: Duration = Duration::from_millis(1);
/// Pause before the next try on a stream that another process has made non-blocking.
const RETRY: Duration = Duration::from_millis(10);

/// What a line is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    /// What was done to calls.
    Audit,
    /// Any other line.
    Other,
}

/// Numbers of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Of the audit log.
    pub audit: u64,
    /// All others.
    pub other: u64,
}

impl LineCounts {
    fn add(&mut self, kind: LineKind) {
        match kind {
            LineKind::Audit => self.audit += 1,
            LineKind::Other => self.other += 1,
        }
    }
}

/// How many lines were dropped since the start. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Dropped(Arc<[AtomicU64; 2]>);

impl Dropped {
    fn add(&self, lines: LineCounts) {
        let [audit, other] = &*self.0;
        audit.fetch_add(lines.audit, Ordering::Relaxed);
        other.fetch_add(lines.other, Ordering::Relaxed);
    }

    pub(super) fn lines(&self) -> LineCounts {
        let [audit, other] = &*self.0;
        LineCounts { audit: audit.load(Ordering::Relaxed), other: other.load(Ordering::Relaxed) }
    }
}

/// Takes lines without ever waiting. Cheap to clone.
#[derive(Clone)]
pub struct Sink(Arc<SinkInner>);

struct SinkInner {
    state: Mutex<SinkState>,
    filled: Condvar,
    emptied: Notify,
    dropped: Dropped,
}

#[derive(Default)]
struct SinkState {
    waiting: PendingLines,
    /// Dropped since the last line that said so.
    lost: LineCounts,
    /// The thread waits to be woken.
    idle: bool,
    /// The thread has lines that are not written yet.
    writing: bool,
}

/// Lines to be written at once.
#[derive(Default)]
struct PendingLines {
    text: String,
    lines: LineCounts,
}

impl Sink {
    /// A sink that writes to `stream`. What `tell` makes of the number of lines that were dropped is
    /// written after them.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn new(
        stream: impl Write + Send + 'static,
        tell: impl Fn(LineCounts) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(SinkInner {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Notify::new(),
            dropped: Dropped::default(),
        });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log-writer".to_owned());
        thread.spawn(move || writer.write(stream, tell))?;
        Ok(Self(shared))
    }

    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> Dropped {
        self.0.dropped.clone()
    }

    /// Takes a whole line, or drops it.
    pub(super) fn take(&self, line: &str, kind: LineKind) {
        let mut state = self.0.lock();
        let room = if kind == LineKind::Audit { ROOM_WITH_AUDIT } else { ROOM };
        if state.waiting.text.len().saturating_add(line.len()) > room {
            state.lost.add(kind);
            let mut one = LineCounts::default();
            one.add(kind);
            self.0.dropped.add(one);
            return;
        }
        state.waiting.text.push_str(line);
        state.waiting.lines.add(kind);
        // To wake a thread that is awake costs a call to the system.
        if mem::take(&mut state.idle) {
            self.0.filled.notify_one();
        }
    }

    /// Takes the text with which a command ends.
    pub fn say(&self, text: &str) {
        self.take(&format!("{}\n", text.trim_end()), LineKind::Audit);
    }

    /// Waits until all lines are written, or until `by`.
    pub async fn flush(&self, by: Instant) {
        let flushed = async {
            loop {
                let emptied = self.0.emptied.notified();
                if self.0.lock().is_empty() {
                    return;
                }
                emptied.await;
            }
        };
        // A stream that is still not read by then does not get them.
        let _ = timeout_at(by, flushed).await;
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("dropped", &self.0.dropped.lines()).finish()
    }
}

impl SinkState {
    fn is_empty(&self) -> bool {
        self.waiting.text.is_empty() && !self.writing
    }
}

impl SinkInner {
    fn lock(&self) -> MutexGuard<'_, SinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's work; ends with the process.
    fn write(&self, mut stream: impl Write, tell: impl Fn(LineCounts) -> String) {
        let mut batch = PendingLines::default();
        loop {
            let lost = self.next(&mut batch);
            if write_all(&mut stream, &batch.text).is_err() {
                // There is nowhere left to say so now.
                self.lose(batch.lines);
            }
            if lost != LineCounts::default() && write_all(&mut stream, &tell(lost)).is_err() {
                self.untold(lost);
            }
            batch.text.clear();
            batch.text.shrink_to(KEPT);
        }
    }

    /// Waits for lines and swaps them into `batch`; how many were dropped after them.
    fn next(&self, batch: &mut PendingLines) -> LineCounts {
        let mut state = self.lock();
        state.writing = false;
        while state.waiting.text.is_empty() {
            self.emptied.notify_waiters();
            state.idle = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writing = true;
        drop(state);
        thread::sleep(COMPANY);
        let mut state = self.lock();
        batch.lines = LineCounts::default();
        mem::swap(batch, &mut state.waiting);
        mem::take(&mut state.lost)
    }

    fn lose(&self, lines: LineCounts) {
        self.dropped.add(lines);
        self.untold(lines);
    }

    fn untold(&self, lines: LineCounts) {
        let mut state = self.lock();
        state.lost.audit += lines.audit;
        state.lost.other += lines.other;
    }
}

/// Writes all of `text`, also to a stream that does not wait by itself.
fn write_all(stream: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
