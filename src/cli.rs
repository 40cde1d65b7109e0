//! The command line: what was asked for, as a value. Nothing is started here.

use std::{
    error::Error as _,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Parser, Subcommand, error::ErrorKind};
use url::Url;

use crate::{
    client::{self, ClientCommand},
    config::{Args, Listening},
};

/// Exit code for a command line that is not understood (`EX_USAGE` of `sysexits.h`, the family
/// [`ConfigErrors::EXIT_CODE`](crate::config::ConfigErrors::EXIT_CODE) is from).
pub const USAGE_EXIT_CODE: u8 = 64;

/// What the process is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    /// `--config`
    pub config: Option<PathBuf>,
    /// The subcommand, [`Command::Serve`] when there is none.
    pub command: Command,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the service (the default without a command)
    Serve,
    /// Run only the Genesys Cloud stand-in; reads no genesys.* setting
    Sandbox {
        /// Address to listen on instead of sandbox.bind
        #[arg(long, value_name = "ADDRESS")]
        bind: Option<String>,
    },
    /// Print the configuration in force, with the origin of each value and without secrets
    CheckConfig {
        /// Also check the store, get a token and the queue list, and list missing permissions
        #[arg(long)]
        connect: bool,
    },
    /// Make an API key for a caller: prints the key, once, and its configuration entry
    Keygen {
        /// The caller's name, as it appears in requestedBy: 1 to 64 of A-Z a-z 0-9 . _ - @
        name: String,
    },
    /// Ask a running service whether it is ready: exit code 0 if so, 1 if not
    Healthcheck {
        /// URL to query instead of /health/ready at server.bind
        #[arg(value_parser = http_url)]
        url: Option<Url>,
    },
    /// A command that calls a running service
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

/// Why the process ends before it did anything: a text and an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// For standard output when `code` is 0 (help, version), else for standard error.
    pub text: String,
    /// Exit code of the process.
    pub code: u8,
}

#[derive(Debug, Parser)]
#[command(
    name = "genesys-transfer",
    version,
    about = "Moves live Genesys Cloud calls to another queue: once, and never lost",
    after_help = AFTER_HELP,
    disable_help_subcommand = true
)]
struct Arguments {
    /// Settings file; takes precedence over the environment variable `CONFIG_FILE`
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
Without settings the service starts with a stand-in for Genesys Cloud and prints a curl line that
moves a call. To move one yourself:

  curl http://127.0.0.1:8080/transfers --json '{\"conversationId\": \"…\", \"queueName\": \"…\"}'

Every key can be set in the environment: server.bind is SERVER_BIND; `check-config` lists all keys,
README.md explains them. GET /problems/{code} on the running service explains an error.

Exit codes: 0 success, 1 failure, 64 command line not understood, 78 configuration error; of the
commands that call a running service: 0 done, 1 refused, 2 wrong use, 3 unknown outcome, 4 the service
cannot be reached.";

impl Cli {
    /// Reads the command line, its first word being the program.
    ///
    /// # Errors
    /// [`Exit`] when help or the version was asked for, or the line is not understood.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let words: Vec<OsString> = words.into_iter().collect();
        let usage = if is_client(&words) { client::USAGE_EXIT_CODE } else { USAGE_EXIT_CODE };
        let raw = Arguments::try_parse_from(words).map_err(|error| Exit {
            text: match (error.kind(), error.source()) {
                // The whole text shows the value: a URL, in which a password may be.
                (ErrorKind::ValueValidation, Some(expected)) => format!("error: {expected}"),
                _ => error.to_string(),
            },
            code: match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
                _ => usage,
            },
        })?;
        Ok(Self { config: raw.config, command: raw.command.unwrap_or(Command::Serve) })
    }

    /// What the settings need to know of the command line.
    #[must_use]
    pub fn settings_args(&self) -> Args {
        let (sandbox_alone, sandbox_bind) = match &self.command {
            Command::Sandbox { bind } => (true, bind.clone()),
            _ => (false, None),
        };
        Args { config: self.config.clone(), sandbox_alone, sandbox_bind }
    }
}

/// Whether the command is one of those that call a running service; their exit codes are their own.
fn is_client(words: &[OsString]) -> bool {
    let command = ClientCommand::augment_subcommands(clap::Command::new(""));
    words.iter().skip(1).any(|word| command.get_subcommands().any(|one| one.get_name() == word))
}

/// Where a service that listens so answers whether it is ready, from the same machine.
///
/// # Errors
/// When the address cannot be put into a URL.
pub fn ready_url(listening: Listening) -> Result<Url, url::ParseError> {
    let Listening { bind, tls } = listening;
    // The wildcard address is one to listen on, not one to connect to.
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{}/health/ready", SocketAddr::new(ip, bind.port())))
}

fn http_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && !url.path().contains('@'))
        .ok_or("expected a URL that starts with http:// or https://, without @ in its path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, Exit> {
        let words = ["genesys-transfer"].into_iter().chain(line.split_whitespace());
        Cli::parse(words.map(OsString::from))
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        assert_eq!(parse(""), Ok(Cli { config: None, command: Command::Serve }));
    }

    #[test]
    fn every_command_is_understood() {
        let url = Url::parse("http://127.0.0.1:9/health/ready").unwrap();
        for (line, command) in [
            ("serve", Command::Serve),
            ("sandbox", Command::Sandbox { bind: None }),
            ("sandbox --bind 127.0.0.1:1", Command::Sandbox { bind: Some("127.0.0.1:1".into()) }),
            ("check-config", Command::CheckConfig { connect: false }),
            ("check-config --connect", Command::CheckConfig { connect: true }),
            ("keygen crm", Command::Keygen { name: "crm".into() }),
            ("healthcheck", Command::Healthcheck { url: None }),
            (
                "healthcheck http://127.0.0.1:9/health/ready",
                Command::Healthcheck { url: Some(url) },
            ),
        ] {
            assert_eq!(parse(line).map(|cli| cli.command), Ok(command), "{line}");
        }
    }

    #[test]
    fn config_file_is_taken_before_and_after_the_command() {
        for line in ["--config a.toml serve", "serve --config a.toml", "--config=a.toml"] {
            let config = parse(line).unwrap().settings_args().config;
            assert_eq!(config, Some(PathBuf::from("a.toml")), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_ends_with_64() {
        for line in
            ["fly", "--fast", "serve extra", "keygen", "healthcheck ftp://x", "sandbox --bind"]
        {
            assert_eq!(parse(line).unwrap_err().code, USAGE_EXIT_CODE, "{line}");
        }
    }

    #[test]
    fn help_and_version_end_with_0() {
        let help = parse("--help").unwrap_err();
        let version = parse("--version").unwrap_err();
        assert_eq!((help.code, version.code), (0, 0));
        assert!(help.text.contains("curl http://127.0.0.1:8080/transfers"), "{}", help.text);
        assert_eq!(version.text.trim(), concat!("genesys-transfer ", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wildcard_address_is_asked_on_loopback() {
        for (bind, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080/health/ready"),
            ("[::]:8080", "http://[::1]:8080/health/ready"),
            ("127.0.0.1:1", "http://127.0.0.1:1/health/ready"),
        ] {
            let bind = bind.parse().unwrap();
            assert_eq!(ready_url(Listening { bind, tls: false }).unwrap().as_str(), url);
            let over_tls = url.replace("http:", "https:");
            assert_eq!(ready_url(Listening { bind, tls: true }).unwrap().as_str(), over_tls);
        }
    }
}
