//! The three processes: the program that is measured, the stand-in for Genesys, and this one.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{Outcome, client::Caller, upstream};

const PROGRAM: &str = env!("CARGO_BIN_EXE_genesys-transfer");

/// Longest a start may take: a million rows may be looked through.
const PATIENCE: Duration = Duration::from_mins(2);

/// Processor time is told in hundredths of a second, whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let word = line.and_then(|line| line.split_whitespace().next());
        Ok(word.ok_or("no VmRSS")?.parse()?)
    }

    /// Processor time used so far, user and system (proc(5), fields 14 and 15).
    pub(crate) fn processor(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()?))?;
        // The second field is the program's name and may hold anything but a closing bracket.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = times.map(str::parse::<u32>).sum::<Result<_, _>>()?;
        Ok(TICK * ticks)
    }

    fn id(&self) -> Outcome<u32> {
        self.child.id().ok_or_else(|| "the process has ended".into())
    }

    /// Ends it as a power cut does.
    pub(crate) async fn kill(mut self) -> Outcome {
        Ok(self.child.kill().await?)
    }
}

/// A stand-in for Genesys and a folder for the store; services come and go.
pub(crate) struct Site {
    pub upstream: Process,
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl Site {
    /// With a stand-in that has `queues` queues and takes any number of requests.
    pub(crate) async fn new(queues: usize) -> Outcome<Self> {
        Self::with_limit(queues, u32::MAX).await
    }

    /// With a stand-in that refuses more than `limit` requests a minute.
    pub(crate) async fn with_limit(queues: usize, limit: u32) -> Outcome<Self> {
        let upstream = start_upstream(queues, limit).await?;
        let base = format!("http://{}", upstream.address);
        let folder = folder()?;
        let store = format!("sqlite://{}/transfers.db", folder.path().display());
        let mut site = Self { upstream, folder, settings: Vec::new() };
        for (name, value) in [
            ("GENESYS_API_URL", base.as_str()),
            ("GENESYS_LOGIN_URL", base.as_str()),
            ("GENESYS_REQUESTS_PER_MINUTE", "100000000"),
            ("STORE_URL", store.as_str()),
            ("TELEMETRY_LOG_FORMAT", "json"),
        ] {
            site.set(name, value);
        }
        Ok(site)
    }

    /// One more setting of the service, named as in the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// How large the record is on the disk, in bytes.
    pub(crate) fn stored_bytes(&self) -> Outcome<u64> {
        let mut sum = 0;
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("transfers.db") {
                sum += entry.metadata()?.len();
            }
        }
        Ok(sum)
    }

    /// Starts the program; how long it took until it was ready comes with it. Its log goes to a
    /// file, as where logs are collected.
    pub(crate) async fn start(&self) -> Outcome<(Process, Duration)> {
        let address = free_address()?;
        let log = self.folder.path().join("log");
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("SERVER_BIND", address.to_string())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().create(true).append(true).open(&log)?)
            .kill_on_drop(true);
        let begun = Instant::now();
        let mut process = Process { child: command.spawn()?, address };
        while begun.elapsed() < PATIENCE {
            if process.child.try_wait()?.is_some() {
                return Err(format!("it ended: {}", fs::read_to_string(&log)?).into());
            }
            if is_ready(address).await {
                return Ok((process, begun.elapsed()));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err(format!("it does not start: {}", fs::read_to_string(&log)?).into())
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut caller) = Caller::connect(address).await else { return false };
    caller.get("/health/ready").await.is_ok()
}

async fn start_upstream(queues: usize, limit: u32) -> Outcome<Process> {
    let mut child = Command::new(env::current_exe()?)
        .args([upstream::WORD, &queues.to_string(), &limit.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    Ok(Process { child, address: line.ok_or("the stand-in has ended")?.parse()? })
}

/// A folder on a disk: in many places `/tmp` is none.
pub(crate) fn folder() -> Outcome<TempDir> {
    Ok(tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))?)
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Size of the program that is measured.
pub(crate) fn program_bytes() -> Outcome<u64> {
    Ok(fs::metadata(PROGRAM)?.len())
}

/// Ten thousand callers are ten thousand open files, in each of the processes.
pub(crate) fn raise_file_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}
