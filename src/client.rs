//! The commands that call a running service: `move`, `drain`, `watch`, `stop`, `undo`, `queues`,
//! `find`, `explain`. They use its HTTP API and nothing else.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value has not is null")]

use std::io::{IsTerminal as _, Write as _, stderr, stdin, stdout};

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::{Clock as _, IdSource, SystemClock};

mod api;
mod args;
mod show;
mod watching;

pub use args::ClientCommand;

use api::{Api, CommandError};
use args::Confirmation;

/// Exit codes of the commands.
mod exit {
    pub(super) const DONE: u8 = 0;
    pub(super) const REFUSED: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const UNKNOWN: u8 = 3;
    pub(super) const UNREACHABLE: u8 = 4;
}

/// Exit code for a command line of these commands that is not understood.
pub const USAGE_EXIT_CODE: u8 = exit::USAGE;

/// Transfers that `find` shows.
const HISTORY: &str = "50";

/// Carries out a command and returns its exit code: 0 done, 1 refused, 2 wrong use, 3 the outcome is
/// unknown, 4 the service was not reached.
pub async fn run(command: ClientCommand) -> u8 {
    let console = Console { json: command.server().json };
    let done = match Api::new(command.server()) {
        Ok(api) => carry_out(&Session { api, console, ids: IdSource::default() }, command).await,
        Err(failure) => Err(failure),
    };
    done.unwrap_or_else(|failure| console.fail(&failure))
}

async fn carry_out(client: &Session, command: ClientCommand) -> Result<u8, CommandError> {
    match command {
        ClientCommand::Move { conversation, to, options, ask, .. } => {
            let mut body = members(&options)?;
            body.insert("conversationId".to_owned(), json!(id(&conversation)?));
            body.insert(queue_member("queue", &to), json!(to));
            let question = format!("Move {conversation} to \"{to}\"?");
            client.one(ask, &question, "/transfers", Value::Object(body)).await
        }
        ClientCommand::Drain { from, to, options, ask, .. } => {
            let mut body = members(&options)?;
            body.insert(queue_member("fromQueue", &from), json!(from));
            body.insert(queue_member("toQueue", &to), json!(to));
            client.planned(ask, "/batches", body).await
        }
        ClientCommand::Watch { batch, .. } => client.watch(&id(&batch)?.to_string()).await,
        ClientCommand::Stop { batch, .. } => client.stop(&id(&batch)?.to_string()).await,
        ClientCommand::Undo { id: what, ask, .. } => client.undo(ask, id(&what)?).await,
        ClientCommand::Queues { name, .. } => client.queues(name.as_deref()).await,
        ClientCommand::Find { what, .. } => client.find(&what).await,
        ClientCommand::Explain { conversation, to, .. } => {
            let to = to.as_deref().map(|to| (queue_member("queue", to), to));
            let target: Vec<_> = to.iter().map(|(member, to)| (member.as_str(), *to)).collect();
            let path = format!("/conversations/{}", id(&conversation)?);
            let preview = client.api.get(&path, &target).await?;
            client.console.print(&preview, &show::preview(&preview));
            Ok(exit::DONE)
        }
    }
}

/// A service, and where its answers are shown.
struct Session {
    api: Api,
    console: Console,
    ids: IdSource,
}

impl Session {
    /// Asks, sends a command that moves one call, and shows the transfer.
    async fn one(
        &self,
        ask: Confirmation,
        question: &str,
        path: &str,
        body: Value,
    ) -> Result<u8, CommandError> {
        if !self.console.confirmed(ask, question).await? {
            return Ok(exit::REFUSED);
        }
        let transfer = self.send(path, &body).await?;
        self.console.print(&transfer, &show::transfer(&transfer));
        Ok(exit::DONE)
    }

    /// Shows the plan of what `body` asks for, asks, carries it out and shows its progress.
    async fn planned(
        &self,
        ask: Confirmation,
        path: &str,
        mut body: Map<String, Value>,
    ) -> Result<u8, CommandError> {
        self.console.may_ask(ask)?;
        body.insert("dryRun".to_owned(), json!(true));
        let plan = self.api.post(path, &Value::Object(body.clone()), &self.key()).await?;
        self.console.print(&plan, &show::plan(&plan));
        let total = show::number(&plan["total"]);
        if total == 0 && !body.contains_key("until") {
            return Ok(exit::DONE);
        }
        let question = match body.get("until") {
            Some(until) => format!("Move {total} now, and others until {}?", show::text(until)),
            None => format!("Move {total}?"),
        };
        if !self.console.confirmed(ask, &question).await? {
            return Ok(exit::REFUSED);
        }
        let batch = self.send("/batches", &json!({"planId": plan["planId"]})).await?;
        let id = show::text(&batch["id"]);
        Console::say(&format!("batch {id}"));
        tokio::select! {
            ended = self.watch(&id) => ended,
            _ = tokio::signal::ctrl_c() => self.interrupted(&id).await,
        }
    }

    /// After Ctrl-C: stops the batch, goes on watching it, or leaves it running.
    async fn interrupted(&self, id: &str) -> Result<u8, CommandError> {
        while self.console.interactive() {
            let question = "Stop the batch [s], watch it again [w], or leave it running [l]?";
            let answer = tokio::select! {
                answer = self.console.answer(question) => answer,
                _ = tokio::signal::ctrl_c() => break,
            };
            match answer.as_deref().map(str::trim) {
                Some("s") => {
                    self.stop(id).await?;
                    return self.watch(id).await;
                }
                Some("w") => tokio::select! {
                    ended = self.watch(id) => return ended,
                    _ = tokio::signal::ctrl_c() => {}
                },
                None | Some("l") => break,
                Some(_) => {}
            }
        }
        Console::say(&format!(
            "The batch goes on. `watch {id}` shows its progress, `stop {id}` stops it."
        ));
        Ok(exit::DONE)
    }

    async fn watch(&self, id: &str) -> Result<u8, CommandError> {
        let batch = watching::until_ended(&self.api, self.console, id).await?;
        // As JSON it was printed when it ended.
        if !self.console.json {
            self.console.print(&batch, &show::ended(&batch));
        }
        Ok(if batch["status"] == "failed" {
            exit::REFUSED
        } else if show::number(&batch["counts"]["unknown"]) > 0 {
            exit::UNKNOWN
        } else {
            exit::DONE
        })
    }

    async fn stop(&self, id: &str) -> Result<u8, CommandError> {
        let batch = self.api.delete(&format!("/batches/{id}")).await?;
        let status = show::text(&batch["status"]);
        self.console.print(&batch, &format!("{status}: {}", show::progress(&batch)));
        Ok(exit::DONE)
    }

    /// Undoes the transfer of that id or, if there is none, the batch.
    async fn undo(&self, ask: Confirmation, id: Uuid) -> Result<u8, CommandError> {
        self.console.may_ask(ask)?;
        match self.api.get(&format!("/transfers/{id}"), &[]).await {
            Ok(transfer) => {
                let conversation = show::text(&transfer["conversationId"]);
                let question = format!("Put conversation {conversation} back where it was?");
                self.one(ask, &question, &format!("/transfers/{id}/undo"), json!({})).await
            }
            Err(missing) if missing.code() == "not_found" => {
                self.planned(ask, &format!("/batches/{id}/undo"), Map::new()).await
            }
            Err(failure) => Err(failure),
        }
    }

    async fn queues(&self, name: Option<&str>) -> Result<u8, CommandError> {
        let name: Vec<_> = name.map(|name| ("name", name)).into_iter().collect();
        let with_activity = [name.as_slice(), &[("activity", "true")]].concat();
        let queues = match self.api.get("/queues", &with_activity).await {
            Err(failure) if failure.code() == "genesys_permission_missing" => {
                Console::say("Genesys does not let this service read how many calls wait.");
                self.api.get("/queues", &name).await?
            }
            listed => listed?,
        };
        if show::list(&queues["items"]).is_empty() {
            Console::say("No queue has that in its name.");
        }
        self.console.print(&queues, &show::queues(&queues));
        Ok(exit::DONE)
    }

    async fn find(&self, what: &str) -> Result<u8, CommandError> {
        let member = if Uuid::parse_str(what).is_ok() { "conversationId" } else { "reference" };
        let mut page = self.api.get("/transfers", &[(member, what), ("limit", HISTORY)]).await?;
        if member == "conversationId" && show::list(&page["items"]).is_empty() {
            // A reference may look like an id.
            page = self.api.get("/transfers", &[("reference", what), ("limit", HISTORY)]).await?;
        }
        let found: Vec<_> = show::list(&page["items"]).iter().map(show::history).collect();
        if found.is_empty() {
            Console::say(&format!("No transfer has the conversation or reference {what}."));
            return Ok(exit::REFUSED);
        }
        self.console.print(&page, &found.join("\n"));
        if !page["nextCursor"].is_null() {
            Console::say(&format!("The newest {HISTORY} are shown; there are more."));
        }
        Ok(exit::DONE)
    }

    /// Sends a command under a key of its own.
    async fn send(&self, path: &str, body: &Value) -> Result<Value, CommandError> {
        self.api.post(path, body, &self.key()).await
    }

    fn key(&self) -> String {
        self.ids.next(SystemClock.now()).to_string()
    }
}

/// The terminal, or what stands in for it.
#[derive(Debug, Clone, Copy)]
struct Console {
    json: bool,
}

impl Console {
    /// Whether a person sees what is printed and can answer.
    fn interactive(self) -> bool {
        !self.json && stdin().is_terminal() && stdout().is_terminal()
    }

    /// Prints an answer of the service: as JSON, or as `text`.
    fn print(self, answer: &Value, text: &str) {
        let line = if self.json { answer.to_string() } else { text.to_owned() };
        // Nothing can be done about an output that is closed.
        let _ = writeln!(stdout(), "{line}");
    }

    /// Says what is no answer of the service.
    fn say(text: &str) {
        let _ = writeln!(stderr(), "{text}");
    }

    /// Whether a command may go on to a question.
    ///
    /// # Errors
    /// When it has to be asked and cannot be.
    fn may_ask(self, ask: Confirmation) -> Result<(), CommandError> {
        if ask.yes || self.interactive() {
            return Ok(());
        }
        let text = "nothing was moved: the input or output is no terminal; add --yes";
        Err(CommandError::Usage(text.to_owned()))
    }

    async fn confirmed(self, ask: Confirmation, question: &str) -> Result<bool, CommandError> {
        self.may_ask(ask)?;
        if ask.yes {
            return Ok(true);
        }
        let answer = self.answer(&format!("{question} [y/N]")).await;
        let yes = answer.is_some_and(|answer| answer.trim().eq_ignore_ascii_case("y"));
        if !yes {
            Self::say("Nothing was moved.");
        }
        Ok(yes)
    }

    /// The line that is typed after a question; `None` at the end of the input.
    async fn answer(self, question: &str) -> Option<String> {
        let _ = write!(stderr(), "{question} ");
        let _ = stderr().flush();
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).map(|bytes| (bytes > 0).then_some(line))
        });
        read.await.ok()?.ok()?
    }

    /// Says why a command did not succeed, and gives its exit code.
    fn fail(self, failure: &CommandError) -> u8 {
        match failure {
            CommandError::Problem(problem) => {
                if self.json {
                    self.print(problem, "");
                }
                Self::say(&show::problem(problem));
                let unknown = failure.code() == "outcome_unknown";
                if unknown { exit::UNKNOWN } else { exit::REFUSED }
            }
            CommandError::Lost { sent: true, why } => {
                Self::say(&format!(
                    "The connection was lost ({why}), and the service did not answer again. The \
                     command may have been carried out: `find` and `watch` show it."
                ));
                exit::UNKNOWN
            }
            CommandError::Lost { sent: false, why } => {
                Self::say(&format!("The service cannot be reached: {why}"));
                exit::UNREACHABLE
            }
            CommandError::Usage(text) => {
                Self::say(&format!("error: {text}"));
                exit::USAGE
            }
        }
    }
}

/// The options that were given, as members of a request.
fn members(options: &impl Serialize) -> Result<Map<String, Value>, CommandError> {
    match serde_json::to_value(options) {
        Ok(Value::Object(mut members)) => {
            members.retain(|_, value| !value.is_null());
            Ok(members)
        }
        _ => Err(CommandError::Usage("the options cannot be sent".to_owned())),
    }
}

fn id(text: &str) -> Result<Uuid, CommandError> {
    Uuid::parse_str(text)
        .map_err(|_| CommandError::Usage(format!("expected an id (a UUID) instead of \"{text}\"")))
}

/// The member that names a queue: by its id, if `queue` is one, else by its name.
fn queue_member(prefix: &str, queue: &str) -> String {
    let kind = if Uuid::parse_str(queue).is_ok() { "Id" } else { "Name" };
    format!("{prefix}{kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_by_id_or_by_name() {
        assert_eq!(queue_member("toQueue", "Support"), "toQueueName");
        let id = "0d1f5b9e-3f3a-4d3b-9f55-2f1f7c8f4a10";
        assert_eq!(queue_member("toQueue", id), "toQueueId");
    }
}
