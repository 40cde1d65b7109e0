//! `check-config --connect`: tries the credentials, every permission the service needs and the
//! store, without moving or changing anything.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{StartError, Surroundings, hosts};
use crate::{
    clock::IdSource,
    config::{Settings, one_line},
    genesys::Gateway,
    store,
    transfer::{
        gateway::{CallContext, CallGateway, GatewayError, Lane, MoveCommand, RoutingChange, Sent},
        ids::{ConversationId, ParticipantId, QueueId},
        model::{Priority, Queue, TransferType},
    },
};

/// How long all tries together may take.
const TIME: Duration = Duration::from_mins(1);

/// What was found.
pub struct ConnectionReport {
    /// One line a try, as TOML comments, so that the whole output stays a valid file.
    pub text: String,
    /// Whether everything needed is there.
    pub all_well: bool,
}

/// Looks at the store, gets a token and the queue list, and tries each permission against ids that
/// do not exist: Genesys answers 404 to a client that has it, 403 to one that has not.
pub async fn check(settings: &Settings, around: Surroundings) -> ConnectionReport {
    let mut report = ConnectionReport { text: "\n# Connection\n".to_owned(), all_well: true };
    match store::check(&settings.store).await {
        Ok(found) => report.good("store.url", &found),
        Err(error) => report.bad("store.url", &error.to_string()),
    }
    let sandbox = if settings.genesys.uses_embedded_sandbox() {
        match hosts::start_sandbox(settings, Arc::clone(&around.clock)).await {
            Ok(sandbox) => Some(sandbox),
            Err(error) => {
                report.bad("sandbox", &error.to_string());
                return report;
            }
        }
    } else {
        None
    };
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    let clock = Arc::clone(&around.clock);
    let gateway = hosts::of(&settings.genesys, sandbox.as_ref()).and_then(|hosts| {
        let (random, stop) = (around.random, stop.clone());
        let reserve = settings.batches.reserve;
        let (over, metrics) = (stop.clone(), Arc::default());
        let genesys = &settings.genesys;
        Gateway::new(genesys, reserve, &hosts, clock, random, stop, &over, tracker, &metrics)
            .map_err(|error| StartError::Gateway(error.to_string()))
    });
    match gateway {
        Ok(gateway) => report.try_all(&gateway, &IdSource::default(), &*around.clock).await,
        Err(error) => report.bad("settings", &error.to_string()),
    }
    stop.cancel();
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    report
}

impl ConnectionReport {
    async fn try_all(
        &mut self,
        gateway: &Gateway,
        ids: &IdSource,
        clock: &dyn crate::clock::Clock,
    ) {
        let ctx = CallContext::new(Instant::now() + TIME, Lane::Single);
        match gateway.refresh_queues(&ctx).await {
            Ok(listing) => {
                self.good("token", "granted");
                self.good("routing:queue:view", &format!("{} queues visible", listing.items.len()));
            }
            Err(error @ GatewayError::PermissionMissing { .. }) => {
                self.good("token", "granted");
                self.missing("routing:queue:view", &error);
            }
            Err(error) => return self.bad("token and queue list", &describe(&error)),
        }
        let absent = ConversationId::new(ids.next(clock.now()));
        self.judge("conversation:communication:view", gateway.conversation(&ctx, absent).await);
        let command = impossible_command(absent, ids, clock);
        let sent = gateway.send(&ctx, &command, 1).await.sent;
        self.judge_command("conversation:communication:blindTransferQueue", sent);
        let change = RoutingChange { priority: Priority::new(0), ..RoutingChange::default() };
        self.judge("routing:conversation:edit", gateway.set_routing(&ctx, absent, &change).await);
        let nowhere = QueueId::new(ids.next(clock.now()));
        self.judge("analytics:queueObservation:view", gateway.waiting(&ctx, nowhere).await);
        self.try_bulk_looks(gateway, &ctx, (nowhere, absent)).await;
        match gateway.limits(&ctx).await {
            Ok(limits) => {
                let told: Vec<String> =
                    limits.iter().map(|(key, value)| format!("{key} {value}")).collect();
                self.note("allowed by the organisation", &told.join(", "));
            }
            Err(error) => self.note("allowed by the organisation", &describe(&error)),
        }
    }

    /// Bulk looks are not needed: without them more requests are made.
    async fn try_bulk_looks(
        &mut self,
        gateway: &Gateway,
        ctx: &CallContext,
        (queue, call): (QueueId, ConversationId),
    ) {
        let Some(tried) = gateway.try_bulk_looks(ctx, queue, call).await else {
            return self.note("genesys.bulk_looks", "off");
        };
        for (what, came) in tried {
            match came {
                Ok(()) => self.good("genesys.bulk_looks", &format!("{what} works")),
                Err(error) => {
                    let why = format!("{what} does not work: {}", describe(&error));
                    self.note("genesys.bulk_looks", &why);
                }
            }
        }
    }

    fn judge<T>(&mut self, permission: &str, result: Result<T, GatewayError>) {
        match result {
            Ok(_)
            | Err(
                GatewayError::NotFound(_) | GatewayError::Conflict(_) | GatewayError::Rejected(_),
            ) => self.good(permission, "granted"),
            Err(error @ GatewayError::PermissionMissing { .. }) => {
                self.missing(permission, &error);
            }
            Err(error) => self.bad(permission, &describe(&error)),
        }
    }

    fn judge_command(&mut self, permission: &str, sent: Sent) {
        match sent {
            Sent::Refused(error) | Sent::NotSent(error) => {
                self.judge(permission, Err::<(), _>(error));
            }
            Sent::Taken(_) => self.good(permission, "granted"),
            Sent::Finished(answer) => {
                self.bad(permission, &format!("Genesys answered {}", answer.status));
            }
            Sent::Uncertain { detail, .. } => self.bad(permission, &detail),
            Sent::Abandoned(problem) => self.bad(permission, &problem.detail),
        }
    }

    fn good(&mut self, what: &str, detail: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# ok       {what}: {}", one_line(detail));
    }

    /// Says what is not needed.
    fn note(&mut self, what: &str, detail: &str) {
        let _ = writeln!(self.text, "# note     {what}: {}", one_line(detail));
    }

    fn missing(&mut self, what: &str, error: &GatewayError) {
        self.all_well = false;
        let _ = writeln!(self.text, "# MISSING  {what}: {}", describe(error));
    }

    fn bad(&mut self, what: &str, detail: &str) {
        self.all_well = false;
        let _ = writeln!(self.text, "# FAILED   {what}: {}", one_line(detail));
    }
}

fn describe(error: &GatewayError) -> String {
    let problem = crate::transfer::describe(error.clone());
    match problem.hint {
        Some(hint) => format!("{} {hint}", problem.detail),
        None => problem.detail,
    }
}

/// A command that names nothing that exists, so that nothing can move.
fn impossible_command(
    conversation_id: ConversationId,
    ids: &IdSource,
    clock: &dyn crate::clock::Clock,
) -> MoveCommand {
    MoveCommand {
        conversation_id,
        participant_id: Some(ParticipantId::new(ids.next(clock.now()))),
        queue: Queue {
            id: QueueId::new(ids.next(clock.now())),
            name: String::new(),
            division: None,
        },
        transfer_type: TransferType::Unattended,
        routing: RoutingChange::default(),
    }
}
