//! The subcommands: from parsed words to an exit code.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    App, Surroundings, connect,
    exit::{leave, misconfigured},
    files, hangup, health, hosts,
    stop::{Grace, Step},
    welcome,
};
use crate::{
    auth::{self, KeygenError},
    cli::{self, Cli, Command},
    client,
    clock::SystemClock,
    config::{Args, ConfigErrors, ProcessEnv, Settings},
    telemetry::{self, LogFilter, Logging, Sink, Traces},
};

/// Longest the end waits for a log that is not read.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The same after a second signal.
const SECOND_SIGNAL: Duration = Duration::from_millis(100);

/// Runs what the command line asks for.
pub async fn command(cli: Cli) -> ExitCode {
    if let Err(error) = survive_full_files() {
        return leave(&format!("signals cannot be received: {error}"), 1);
    }
    // Needs no settings: the first key is made before there are any.
    if let Command::Keygen { name } = &cli.command {
        return keygen(name);
    }
    if let Command::Client(command) = cli.command {
        return client::run(*command).await.into();
    }
    let args = cli.settings_args();
    if let Command::Healthcheck { url } = cli.command {
        return health::check(url, &args).await;
    }
    let settings = match Settings::load(&args, &ProcessEnv) {
        Ok(settings) => settings,
        Err(errors) => return misconfigured(&errors),
    };
    match cli.command {
        Command::Serve => serve(&settings, args).await,
        Command::Sandbox { .. } => sandbox_alone(&settings).await,
        Command::CheckConfig { connect } => check_config(&settings, connect).await,
        // Done above.
        Command::Keygen { .. } | Command::Healthcheck { .. } | Command::Client(_) => {
            ExitCode::SUCCESS
        }
    }
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) an error like that of a full disk.
/// Without a handler the system ends the process.
fn survive_full_files() -> io::Result<()> {
    // The handler stays when this is dropped.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

fn keygen(name: &str) -> ExitCode {
    match auth::keygen(name) {
        Ok(printed) => leave(&printed.text(), 0),
        Err(error @ KeygenError::Name) => leave(&error.to_string(), cli::USAGE_EXIT_CODE),
        Err(error @ KeygenError::Randomness) => leave(&error.to_string(), 1),
    }
}

fn start_logging(settings: &Settings) -> Result<Logging, ExitCode> {
    let started = telemetry::init(&settings.telemetry)
        .map_err(|error| leave(&error.to_string(), ConfigErrors::EXIT_CODE))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(started)
}

/// Ends what was logged: the last words and lines leave, if they are read within [`LAST_LINES`] and
/// until `by`.
async fn end_of_log(sink: &Sink, outcome: Result<(), String>, by: Instant) -> ExitCode {
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            sink.say(&text);
            ExitCode::FAILURE
        }
    };
    sink.flush(by.min(Instant::now() + LAST_LINES)).await;
    code
}

async fn serve(settings: &Settings, args: Args) -> ExitCode {
    let Logging { filter, sink, traces } = match start_logging(settings) {
        Ok(started) => started,
        Err(code) => return code,
    };
    let (by, outcome) = match serve_until_stopped(settings, args, filter, traces).await {
        Ok(by) => (by, Ok(())),
        Err(text) => (Instant::now() + LAST_LINES, Err(text)),
    };
    end_of_log(&sink, outcome, by).await
}

/// Serves until a signal; until when the last lines may leave.
///
/// # Errors
/// Why it cannot serve, in a line.
async fn serve_until_stopped(
    settings: &Settings,
    args: Args,
    logs: LogFilter,
    traces: Traces,
) -> Result<Instant, String> {
    let unheard = |error: io::Error| format!("signals cannot be received: {error}");
    hangup::follow(logs.clone(), args).map_err(unheard)?;
    files::raise_limit(settings.server.max_connections);
    let around = Surroundings { logs, ..Surroundings::default() };
    let mut signals = Signals::listen().map_err(unheard)?;
    let started = tokio::select! {
        started = App::start(settings, around) => started,
        // The start waits for a store that does not answer; the end does not. No
        // request was taken, so nothing is in hand.
        () = signals.first() => {
            tracing::info!("stopped before it was ready");
            return Ok(Grace::begin(settings.server.shutdown_grace).end_of(Step::Log));
        }
    };
    let app = started.map_err(|error| error.to_string())?;
    tracing::info!(address = %app.address(), region = %settings.genesys.region, "listening");
    if let Some(sandbox) = app.sandbox() {
        telemetry::print(welcome::text(app.address(), settings, sandbox));
    }
    tokio::select! {
        () = signals.first() => {}
        () = say_when_ready(&app) => {}
    }
    let grace = Grace::begin(settings.server.shutdown_grace);
    tracing::info!("stopping: finishing requests in progress; a second signal stops at once");
    let now = app.cut();
    signals.cut_on_next(now.clone());
    let cut = app.shut_down_within(grace).await;
    // After the work whose spans are the last.
    let flush = timeout_at(grace.end_of(Step::Traces), traces.flush());
    if let Some(Err(_)) = now.run_until_cancelled(flush).await {
        tracing::warn!("the last spans could not be sent in time");
    }
    tracing::info!(cut_connections = cut, "stopped");
    let second = Instant::now() + SECOND_SIGNAL;
    let by = grace.end_of(Step::Log);
    Ok(if now.is_cancelled() { by.min(second) } else { by })
}

/// Logs once that the service is ready, for as long as it is polled.
async fn say_when_ready(app: &App) {
    app.ready().await;
    tracing::info!(address = %app.address(), "ready");
    std::future::pending::<()>().await;
}

async fn sandbox_alone(settings: &Settings) -> ExitCode {
    let sink = match start_logging(settings) {
        Ok(Logging { sink, .. }) => sink,
        Err(code) => return code,
    };
    let outcome = sandbox_until_stopped(settings).await;
    end_of_log(&sink, outcome, Instant::now() + LAST_LINES).await
}

async fn sandbox_until_stopped(settings: &Settings) -> Result<(), String> {
    let mut signals =
        Signals::listen().map_err(|error| format!("signals cannot be received: {error}"))?;
    let sandbox = hosts::start_sandbox(settings, Arc::new(SystemClock)).await;
    let sandbox = sandbox.map_err(|error| error.to_string())?;
    tracing::info!(address = %sandbox.local_addr(), "sandbox ready");
    signals.first().await;
    sandbox.stop().await;
    Ok(())
}

async fn check_config(settings: &Settings, connect: bool) -> ExitCode {
    let mut text = settings.effective.clone();
    let mut code = 0;
    if connect {
        let report = connect::check(settings, Surroundings::default()).await;
        text.push_str(&report.text);
        code = u8::from(!report.all_well);
    }
    let _ = write!(std::io::stdout(), "{text}");
    ExitCode::from(code)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    fn cut_on_next(mut self, cut: CancellationToken) {
        tokio::spawn(async move {
            self.first().await;
            cut.cancel();
        });
    }
}
