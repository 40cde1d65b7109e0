//! What the service costs its callers and its machine, measured from outside: the real program as
//! a process of its own, before a stand-in for Genesys that answers at once, in a third process.
//!
//! `cargo bench` runs every part but `growth`; `cargo bench -- latency memory` runs these two. Run
//! by `cargo test`, every part is tried with tiny numbers, so that none of them rots.

use std::{env, process::ExitCode};

mod client;
mod durability;
mod facts;
mod goodput;
mod growth;
mod latency;
mod load;
mod memory;
mod process;
mod queues;
mod scale;
mod start;
mod table;
mod throughput;
mod upstream;

use self::scale::Scale;

/// Whatever goes wrong ends the run.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// All parts in the order in which they run.
const PARTS: [&str; 8] =
    ["start", "latency", "throughput", "durability", "memory", "queues", "goodput", "growth"];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((word, rest)) if word == upstream::WORD => upstream::run(rest),
        _ => measure(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts that `words` name. What begins with `-` is for other harnesses than this one,
/// but for the `--bench` by which `cargo bench` makes itself known.
fn measure(words: &[String]) -> Outcome {
    let scale =
        if words.iter().any(|word| word == "--bench") { Scale::full() } else { Scale::smoke() };
    let asked: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|word| !PARTS.contains(word)) {
        return Err(format!("no such part: {unknown}; there are {}", PARTS.join(", ")).into());
    }
    process::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        println!("{}", facts::text()?);
        for part in PARTS {
            let wanted = if asked.is_empty() {
                scale.is_smoke() || part != "growth"
            } else {
                asked.contains(&part)
            };
            if wanted {
                println!("\n## {part}\n");
                run(part, &scale).await?;
            }
        }
        Ok(())
    })
}

async fn run(part: &str, scale: &Scale) -> Outcome {
    match part {
        "start" => start::run(scale).await,
        "latency" => latency::run(scale).await,
        "throughput" => throughput::run(scale).await,
        "durability" => durability::run(scale).await,
        "memory" => memory::run(scale).await,
        "queues" => queues::run(scale).await,
        "goodput" => goodput::run(scale).await,
        _ => growth::run(scale).await,
    }
}
