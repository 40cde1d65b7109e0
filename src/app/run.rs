//! The subcommands: from parsed words to an exit code.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    App, StartError, Surroundings, connect, files, hangup, health, listen, sandbox_options, welcome,
};
use crate::{
    auth::{self, KeygenError},
    cli::{self, Cli, Command},
    clock::{Clock, SystemClock},
    config::{Args, ConfigErrors, ProcessEnv, Settings},
    sandbox::Sandbox,
    telemetry::{self, LogFilter, Traces},
};

/// Runs what the command line asks for.
pub async fn command(cli: Cli) -> ExitCode {
    // Needs no settings: the first key is made before there are any.
    if let Command::Keygen { name } = &cli.command {
        return keygen(name);
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
        Command::Keygen { .. } | Command::Healthcheck { .. } => ExitCode::SUCCESS,
    }
}

/// Prints `text` where it belongs for `code` and gives the code back.
#[must_use]
pub fn leave(text: &str, code: u8) -> ExitCode {
    // Nothing can be done about a standard stream that is closed.
    let _ = if code == 0 {
        writeln!(std::io::stdout(), "{}", text.trim_end())
    } else {
        writeln!(std::io::stderr(), "{}", text.trim_end())
    };
    ExitCode::from(code)
}

fn keygen(name: &str) -> ExitCode {
    match auth::keygen(name) {
        Ok(printed) => leave(&printed.text(), 0),
        Err(error @ KeygenError::Name) => leave(&error.to_string(), cli::USAGE_EXIT_CODE),
        Err(error @ KeygenError::Randomness) => leave(&error.to_string(), 1),
    }
}

pub(super) fn misconfigured(errors: &ConfigErrors) -> ExitCode {
    leave(&errors.to_string(), ConfigErrors::EXIT_CODE)
}

fn failed(error: &StartError) -> ExitCode {
    leave(&error.to_string(), 1)
}

fn start_logging(settings: &Settings) -> Result<(LogFilter, Traces), ExitCode> {
    let started = telemetry::init(&settings.telemetry)
        .map_err(|error| leave(&error.to_string(), ConfigErrors::EXIT_CODE))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(started)
}

async fn serve(settings: &Settings, args: Args) -> ExitCode {
    let (logs, traces) = match start_logging(settings) {
        Ok(started) => started,
        Err(code) => return code,
    };
    if let Err(error) = hangup::follow(logs.clone(), args) {
        return leave(&format!("signals cannot be received: {error}"), 1);
    }
    files::raise_limit(settings.server.max_connections);
    let around = Surroundings { logs, ..Surroundings::default() };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return leave(&format!("signals cannot be received: {error}"), 1),
    };
    let started = tokio::select! {
        started = App::start(settings, around) => started,
        // A store that is away is waited for; nobody must wait for it to end the service. No
        // request was taken, so nothing is in hand.
        () = signals.first() => {
            tracing::info!("stopped before it was ready");
            return ExitCode::SUCCESS;
        }
    };
    let app = match started {
        Ok(app) => app,
        Err(error) => return failed(&error),
    };
    tracing::info!(address = %app.address(), region = %settings.genesys.region, "listening");
    if let Some(sandbox) = app.sandbox() {
        let _ = write!(std::io::stdout(), "{}", welcome::text(app.address(), settings, sandbox));
        let _ = std::io::stdout().flush();
    }
    tokio::select! {
        () = signals.first() => {}
        () = say_when_ready(&app) => {}
    }
    tracing::info!("stopping: finishing what runs; a second signal stops at once");
    let now = app.cut();
    signals.cut_on_next(now.clone());
    let cut = app.shut_down().await;
    // After the work whose spans are the last.
    let _ = now.run_until_cancelled(traces.flush()).await;
    tracing::info!(cut_connections = cut, "stopped");
    ExitCode::SUCCESS
}

/// Logs once that the service is ready, for as long as it is polled.
async fn say_when_ready(app: &App) {
    app.ready().await;
    tracing::info!(address = %app.address(), "ready");
    std::future::pending::<()>().await;
}

/// Starts a sandbox as the settings say.
pub(super) async fn sandbox(
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Sandbox, StartError> {
    let bind = settings.sandbox.bind;
    let listener = listen("sandbox.bind", bind).await?;
    Sandbox::start(listener, sandbox_options(settings), clock).map_err(|cause| StartError::Listen {
        key: "sandbox.bind",
        address: bind,
        cause,
    })
}

async fn sandbox_alone(settings: &Settings) -> ExitCode {
    if let Err(code) = start_logging(settings) {
        return code;
    }
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return leave(&format!("signals cannot be received: {error}"), 1),
    };
    let sandbox = match sandbox(settings, Arc::new(SystemClock)).await {
        Ok(sandbox) => sandbox,
        Err(error) => return failed(&error),
    };
    tracing::info!(address = %sandbox.local_addr(), "sandbox ready");
    signals.first().await;
    sandbox.stop().await;
    ExitCode::SUCCESS
}

async fn check_config(settings: &Settings, connect: bool) -> ExitCode {
    let mut text = settings.sources.to_toml();
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
