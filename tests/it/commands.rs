//! The commands that call a running service, each as a process of its own against the real one.

use std::{
    process::{Output, Stdio},
    sync::Arc,
};

use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer, When},
    seed,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::support::{
    batches::{crowd, drain, line},
    held::{hold_command, let_go},
    keys::entry,
    process::until,
    service::{OBSERVATIONS, REPLACE, TestApp, soon},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_genesys-transfer");

fn command(program: &str, url: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("GENESYS_TRANSFER_URL", url)
        .env("TERM", "xterm")
        .env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The command as a script runs it: no terminal anywhere.
async fn on_a_pipe(url: &str, arguments: &[&str]) -> Ended {
    let child = command(PROGRAM, url).args(arguments).spawn().unwrap();
    Ended::of(soon("the command ends", child.wait_with_output()).await.unwrap())
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The command on a terminal, at which somebody types.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    fn of(url: &str, line: &str) -> Self {
        let mut script = command("script", url);
        script.args(["-q", "-e", "-c", &format!("exec {PROGRAM} {line}"), "/dev/null"]);
        let mut child = script.stdin(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, screen, seen: String::new() }
    }

    async fn shows(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let mut bytes = [0; 4096];
            let read = soon(text, self.screen.read(&mut bytes)).await.unwrap();
            assert_ne!(read, 0, "{text:?} is not shown: {}", self.seen);
            self.seen += &String::from_utf8_lossy(&bytes[..read]);
        }
    }

    async fn types(&mut self, text: &str) {
        self.seen.clear();
        self.keys.write_all(text.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }

    async fn ends(mut self) -> Option<i32> {
        let mut rest = Vec::new();
        soon("the terminal closes", self.screen.read_to_end(&mut rest)).await.unwrap();
        soon("the command ends", self.child.wait()).await.unwrap().code()
    }
}

fn base(app: &TestApp) -> String {
    app.url("")
}

fn conversation() -> String {
    seed::CONNECTED_CALL.to_string()
}

#[tokio::test]
async fn without_yes_nothing_moves_on_a_pipe() {
    let app = TestApp::start().await;
    let call = conversation();
    for arguments in [
        &["move", call.as_str(), "--to", "Support Tier 2"][..],
        &["drain", "Support Tier 1", "--to", "Support Tier 2"],
        &["undo", &call],
    ] {
        let ended = on_a_pipe(&base(&app), arguments).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("--yes") && ended.out.is_empty(), "{ended:?}");
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn move_moves_a_call_and_says_so() {
    let app = TestApp::start().await;
    let moving = ["move", &conversation(), "--to", "support tier 2", "--yes", "--reference", "T-1"];
    let ended = on_a_pipe(&base(&app), &moving).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("accepted: ") && ended.out.contains("\"Support Tier 2\""));
    let found = on_a_pipe(&base(&app), &["find", "T-1", "--json"]).await;
    assert_eq!(found.json()[0]["items"][0]["conversationId"], conversation());
    let none = on_a_pipe(&base(&app), &["find", "T-2"]).await;
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""), "{none:?}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_service() {
    let app = TestApp::start().await;
    let call = conversation();
    let moving = ["move", call.as_str(), "--to", "Suport Tier 2", "--yes"];
    let ended = on_a_pipe(&base(&app), &moving).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    let body = json!({"conversationId": call, "queueName": "Suport Tier 2"});
    let problem = app.submit(body).await.json();
    for member in ["title", "detail", "hint"] {
        assert!(ended.err.contains(problem[member].as_str().unwrap()), "{member}: {ended:?}");
    }
}

#[tokio::test]
async fn several_queues_of_a_name_are_listed() {
    let app = TestApp::start().await;
    let named = app.get("/queues?name=").await.json();
    let names: Vec<_> =
        named["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let twice = names.iter().find(|name| names.iter().filter(|it| it == name).count() > 1).unwrap();
    let ended = on_a_pipe(&base(&app), &["move", &conversation(), "--to", twice, "--yes"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.lines().filter(|line| line.contains(twice)).count() >= 2, "{ended:?}");
}

#[tokio::test]
async fn an_unknown_outcome_ends_with_3_and_an_absent_service_with_4() {
    let app = TestApp::with(&[("SERVER_DEADLINE", "4s")]).await;
    app.fault("POST", REPLACE, 1, Fault::Drop { when: When::Before, reset: true });
    let moving = ["move", &conversation(), "--to", "Support Tier 2", "--yes"];
    let ended = on_a_pipe(&base(&app), &moving).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ended = on_a_pipe(&format!("http://{free}"), &["queues"]).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

#[tokio::test]
async fn what_is_typed_wrongly_ends_with_2() {
    for arguments in [
        &["move", "x"][..],
        &["watch", "../admin"],
        &["queues", "--fast"],
        &["queues", "--url", "x:y"],
    ] {
        let ended = on_a_pipe("http://127.0.0.1:1", arguments).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

/// Takes connections for `app`, and cuts the first one when the service has answered on it.
async fn loses_the_first_answer(app: &TestApp) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = Arc::new(base(app).replace("http://", ""));
    tokio::spawn(async move {
        for count in 0_u32.. {
            let (mut caller, _) = listener.accept().await.unwrap();
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                let mut upstream = TcpStream::connect(service.trim_end_matches('/')).await.unwrap();
                if count > 0 {
                    let _ = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await;
                    return;
                }
                let mut bytes = [0; 8192];
                let read = caller.read(&mut bytes).await.unwrap();
                upstream.write_all(&bytes[..read]).await.unwrap();
                let _ = upstream.read(&mut bytes).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_lost_connection_is_followed_by_one_command_only() {
    let app = TestApp::start().await;
    let url = loses_the_first_answer(&app).await;
    let moving = ["move", &conversation(), "--to", "Support Tier 2", "--yes"];
    let ended = on_a_pipe(&url, &moving).await;
    assert_eq!((ended.code, app.commands()), (Some(0), 1), "{ended:?}");
}

#[tokio::test]
async fn drain_shows_the_plan_and_then_the_progress_in_lines() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 3);
    let draining = ["drain", "Support Tier 1", "--to", "Support Tier 2", "--yes"];
    let ended = on_a_pipe(&base(&app), &draining).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("3 calls from \"Support Tier 1\" to \"Support Tier 2\""));
    assert!(ended.out.contains("\ncompleted: 3 of 3 moved"), "{ended:?}");
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2).len(), 3);
}

#[tokio::test]
async fn for_scripts_each_answer_is_a_line_of_json() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 2);
    let draining = ["drain", "Support Tier 1", "--to", "Support Tier 2", "--yes", "--json"];
    let ended = on_a_pipe(&base(&app), &draining).await;
    let answers = ended.json();
    assert!(answers[0]["planId"].is_string(), "{ended:?}");
    assert_eq!(answers.last().unwrap()["status"], "completed", "{ended:?}");
    let refused = on_a_pipe(&base(&app), &["watch", &conversation(), "--json"]).await;
    assert_eq!((refused.code, &refused.json()[0]["code"]), (Some(1), &json!("not_found")));
}

#[tokio::test]
async fn on_a_terminal_a_drain_asks_first() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 2);
    let draining = "drain 'Support Tier 1' --to 'Support Tier 2'";
    for (typed, code, moved) in [("\n", 1, 0), ("y\n", 0, 2)] {
        let mut terminal = Terminal::of(&base(&app), draining);
        terminal.shows("Move 2? [y/N]").await;
        terminal.types(typed).await;
        assert_eq!(terminal.ends().await, Some(code), "{typed:?}");
        assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2).len(), moved, "{typed:?}");
    }
}

#[tokio::test]
async fn control_c_asks_whether_to_stop_the_batch() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 8);
    let held = hold_command(app.sandbox());
    let mut terminal =
        Terminal::of(&base(&app), "drain 'Support Tier 1' --to 'Support Tier 2' --yes");
    terminal.shows("0 of 8 moved").await;
    terminal.types("\u{3}").await;
    terminal.shows("leave it running [l]").await;
    terminal.types("s\n").await;
    terminal.shows("cancelled").await;
    let_go(app.sandbox(), held);
    assert_eq!(terminal.ends().await, Some(0));
    let batches = app.get("/batches").await.json();
    assert_eq!(batches["items"][0]["status"], "cancelled");
}

#[tokio::test]
async fn a_running_batch_is_watched_and_stopped_by_its_id() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 8);
    let held = hold_command(app.sandbox());
    let id = app.begin(&drain(json!({}))).await;
    let watching = command(PROGRAM, &base(&app)).args(["watch", &id]).spawn().unwrap();

    let stopped = on_a_pipe(&base(&app), &["stop", &id]).await;

    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(stopped.out.starts_with("cancelled: "), "{stopped:?}");
    let_go(app.sandbox(), held);
    let watched = soon("the watcher ends", watching.wait_with_output()).await.unwrap();
    let watched = Ended::of(watched);
    assert_eq!(watched.code, Some(0), "{watched:?}");
    assert!(watched.out.contains("\ncancelled: "), "{watched:?}");
}

#[tokio::test]
async fn explain_says_which_leg_would_be_replaced_and_why_a_call_cannot_move() {
    let app = TestApp::start().await;
    let asked = ["explain", &conversation(), "--to", "Support Tier 2"];
    let ended = on_a_pipe(&base(&app), &asked).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("can be moved") && ended.out.contains("\n-> "), "{ended:?}");
    let again = ["explain", &seed::WAITING_CALL.to_string(), "--to", "Support Tier 1"];
    let ended = on_a_pipe(&base(&app), &again).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("cannot be moved: already_in_queue"), "{ended:?}");
}

#[tokio::test]
async fn the_key_comes_from_a_file_or_the_environment() {
    let keys = json!([entry("desk", &["queues:read"], &["*"])]).to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "desk\n").unwrap();
    let file = file.to_str().unwrap();

    let without = on_a_pipe(&base(&app), &["queues"]).await;
    let given = on_a_pipe(&base(&app), &["queues", "--key-file", file]).await;
    let set =
        command(PROGRAM, &base(&app)).env("GENESYS_TRANSFER_KEY", "desk").arg("queues").spawn();
    let set = Ended::of(set.unwrap().wait_with_output().await.unwrap());
    let named =
        command(PROGRAM, &base(&app)).env("GENESYS_TRANSFER_KEY_FILE", file).arg("queues").spawn();
    let named = Ended::of(named.unwrap().wait_with_output().await.unwrap());

    assert_eq!(without.code, Some(1), "{without:?}");
    for ended in [given, set, named] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains("Support Tier 1"), "{ended:?}");
    }
}

#[tokio::test]
async fn undo_puts_back_the_call_of_a_transfer_and_the_calls_of_a_batch() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 3);
    let draining = ["drain", "Support Tier 1", "--to", "Support Tier 2", "--yes", "--json"];
    let drained = on_a_pipe(&base(&app), &draining).await.json();
    let batch = drained.last().unwrap()["id"].as_str().unwrap().to_owned();
    let transfer = app.transfer_of(calls[0]).await["id"].as_str().unwrap().to_owned();

    let one = on_a_pipe(&base(&app), &["undo", &transfer, "--yes"]).await;
    assert_eq!(one.code, Some(0), "{one:?}");
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls[..1]);
    let others = on_a_pipe(&base(&app), &["undo", &batch, "--yes"]).await;
    assert_eq!(others.code, Some(0), "{others:?}");
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls);
    let again = on_a_pipe(&base(&app), &["undo", &batch, "--yes"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("undo_impossible"), "{again:?}");
}

#[tokio::test]
async fn queues_shows_who_waits() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 3);
    let listed = on_a_pipe(&base(&app), &["queues", "support tier 1"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.out.contains("3 waiting") && listed.out.contains(" on queue"), "{listed:?}");
    app.fault("POST", OBSERVATIONS, 9, Fault::Status(StatusAnswer::new(403)));
    let names = on_a_pipe(&base(&app), &["queues", "sales"]).await;
    assert_eq!(names.code, Some(0), "{names:?}");
    assert!(names.out.contains("Sales") && !names.out.contains("waiting"), "{names:?}");
}

#[tokio::test]
async fn a_standing_drain_is_begun_and_stopped() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 1);
    let mut standing = command(PROGRAM, &base(&app));
    let draining = ["drain", "Support Tier 1", "--to", "Support Tier 2", "--until", "1h", "--yes"];
    let standing = standing.args(draining).spawn().unwrap();
    let id = until(|| async {
        let batches = app.get("/batches?status=running").await.json();
        batches["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    assert!(app.batch(&id).await["until"].is_string());

    let stopped = on_a_pipe(&base(&app), &["stop", &id]).await;

    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let ended = soon("the drain ends", standing.wait_with_output()).await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}
