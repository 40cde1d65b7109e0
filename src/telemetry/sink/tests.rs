//! A stream that is read late, or not at all.

use std::sync::Condvar;

use super::*;

/// A stream that takes nothing until it is opened.
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<Stream>, Condvar)>);

#[derive(Default)]
struct Stream {
    open: bool,
    /// How many more writes fail.
    failing: u32,
    /// Writes that were begun.
    begun: u32,
    written: String,
}

impl Stuck {
    fn with<T>(&self, work: impl FnOnce(&mut Stream) -> T) -> T {
        let (stream, changed) = &*self.0;
        let done = work(&mut stream.lock().unwrap());
        changed.notify_all();
        done
    }

    fn until(&self, holds: impl Fn(&Stream) -> bool) -> MutexGuard<'_, Stream> {
        let (stream, changed) = &*self.0;
        changed.wait_while(stream.lock().unwrap(), |stream| !holds(stream)).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.with(|stream| stream.written.lines().map(str::to_owned).collect())
    }
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|stream| stream.begun += 1);
        let mut stream = self.until(|stream| stream.open);
        if stream.failing > 0 {
            stream.failing -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        stream.written.push_str(str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told(lost: LineCounts) -> String {
    format!("dropped {} and {} of the audit log\n", lost.other, lost.audit)
}

fn sink(stream: &Stuck) -> Sink {
    Sink::new(stream.clone(), told).unwrap()
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A line of a kibibyte.
fn long(number: usize) -> String {
    format!("{number:<1023}\n")
}

#[tokio::test]
async fn lines_come_out_whole_and_in_order() {
    let stream = Stuck::default();
    stream.with(|stream| stream.open = true);
    let sink = sink(&stream);
    for number in 0..1_000 {
        sink.take(&format!("{number}\n"), LineKind::Other);
    }

    sink.flush(far()).await;

    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(stream.lines(), expected);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_and_the_audit_log_longest() {
    let stream = Stuck::default();
    let sink = sink(&stream);
    sink.take("first\n", LineKind::Other);
    drop(stream.until(|stream| stream.begun > 0));
    // From here on the thread is stuck with that line. Code that logs is not.
    for number in 0..1_034 {
        sink.take(&long(number), LineKind::Other);
    }
    for number in 0..3_080 {
        sink.take(&long(number), LineKind::Audit);
    }
    let lost = LineCounts { audit: 8, other: 10 };
    assert_eq!(sink.dropped().lines(), lost);

    stream.with(|stream| stream.open = true);
    sink.flush(far()).await;

    let lines = stream.lines();
    assert_eq!(lines.len(), 1 + 4 * 1024 + 1);
    assert_eq!(lines.last().unwrap(), told(lost).trim_end());
    sink.take("again\n", LineKind::Other);
    sink.flush(far()).await;
    assert_eq!(stream.lines().last().unwrap(), "again");
}

#[tokio::test]
async fn lines_that_cannot_be_written_are_counted_and_told_of_when_they_can() {
    let stream = Stuck::default();
    stream.with(|stream| *stream = Stream { open: true, failing: 1, ..Stream::default() });
    let sink = sink(&stream);
    sink.take("lost\n", LineKind::Audit);
    sink.flush(far()).await;
    assert_eq!(sink.dropped().lines(), LineCounts { audit: 1, other: 0 });

    sink.take("written\n", LineKind::Other);
    sink.flush(far()).await;

    assert_eq!(stream.lines(), ["written", "dropped 0 and 1 of the audit log"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_stream_that_is_not_read_no_longer_than_it_may() {
    let stream = Stuck::default();
    let sink = sink(&stream);
    sink.take("unread\n", LineKind::Other);
    let began = Instant::now();

    sink.flush(began + Duration::from_secs(1)).await;

    // Timers have a resolution of a millisecond.
    assert!(began.elapsed() <= Duration::from_millis(1_001), "{:?}", began.elapsed());
    assert_eq!(stream.lines(), Vec::<String>::new());
}
