//! The gateway to Genesys Cloud: [`CallGateway`] over HTTP.
//!
//! A public operation is a path and two types (`participant_replace`, `conversation_patch`,
//! `queues`); all of them go out through one helper (`upstream`) and a stack of two services: `retry`
//! repeats, and `host` makes one try, past the circuit breaker, pacing, the token and timeouts, each
//! in its own file. What came of a try is one type (`attempt`), which says how it may be repeated.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use self::{
    activity::QueueActivities,
    breaker::Breaker,
    bulk::BulkSwitch,
    call::{CallKind, Operation, Operations, start_by},
    credentials::ClientCredentials,
    host::{Host, Timeouts, clients},
    pacing::Pacer,
    queues::Queues,
    retry::Retries,
    settings::StripsSkills,
    token::TokenCache,
    upstream::Upstream,
};
use crate::{
    clock::{Clock, Random},
    config::{self, BulkLooks, TransferApi},
    metrics::{self, Metrics, Readings},
    problem::FieldError,
    support::Cached,
    transfer::{
        conversation::Conversation,
        gateway::{
            BatchPace, CallContext, CallGateway, GatewayError, Lane, MoveCommand, QueueActivity,
            QueueError, QueueListing, Reservation, RoutingChange, Sent, Tried, WaitingCalls,
        },
        ids::{ConversationId, QueueId},
        model::{Priority, Queue, QueueRef, TransferRequest},
        rate::{RateShare, RateUse},
    },
};

mod activity;
mod attempt;
mod breaker;
mod bulk;
mod call;
mod conversation_patch;
mod credentials;
mod host;
mod observations;
mod pacing;
mod participant_replace;
mod queues;
mod reading;
mod retry;
mod retry_after;
mod settings;
mod text;
mod token;
mod upstream;
mod wire;

/// Why the gateway cannot be built. Names settings, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The sandbox region has no hosts of its own.
    #[error("genesys.api_url and genesys.login_url are needed: the region has no hosts of its own")]
    NoHosts,
    /// No client id.
    #[error("genesys.client_id is missing")]
    NoClientId,
    /// Neither secret nor key, or a secret that cannot be sent.
    #[error("genesys.client_secret or genesys.private_key is missing or cannot be used")]
    NoSecret,
    /// The key is of no use.
    #[error(
        "genesys.private_key is not usable: expected PEM of an RSA key of at least 2048 bits, or \
         of a P-256 key in PKCS#8 form"
    )]
    BadKey,
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be set up: {0}")]
    HttpClient(String),
}

/// Where Genesys Cloud is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Base of all API calls.
    pub api: Url,
    /// Base of the token call.
    pub login: Url,
}

impl Hosts {
    /// The region's hosts, each overridden by its setting.
    ///
    /// # Errors
    /// [`SetupError::NoHosts`] when neither the region nor the settings name both.
    pub fn resolve(settings: &config::Genesys) -> Result<Self, SetupError> {
        let of_region = |name: &str| {
            let domain = settings.region.domain()?;
            Url::parse(&format!("https://{name}.{domain}")).ok()
        };
        let api = settings.api_url.clone().or_else(|| of_region("api"));
        let login = settings.login_url.clone().or_else(|| of_region("login"));
        api.zip(login).map(|(api, login)| Self { api, login }).ok_or(SetupError::NoHosts)
    }
}

/// Genesys Cloud over HTTP. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Gateway {
    transfer_api: TransferApi,
    api: Upstream,
    pacer: Pacer,
    tokens: TokenCache,
    queues: Queues,
    settings: Cached<StripsSkills>,
    bulk: BulkSwitch,
    activities: QueueActivities,
    breakers: [Breaker; 2],
    shutdown: CancellationToken,
    tracker: TaskTracker,
}

impl Gateway {
    /// Builds the gateway; does no I/O. Batches leave `reserve` percent of the request limit to
    /// single transfers. `shutdown` ends pauses and background work, which runs on `tracker`; `over`
    /// ends every call.
    ///
    /// # Errors
    /// See [`SetupError`].
    #[expect(clippy::too_many_arguments, reason = "each is of another type; called by the wiring")]
    pub fn new(
        settings: &config::Genesys,
        reserve: u32,
        hosts: &Hosts,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        shutdown: CancellationToken,
        over: &CancellationToken,
        tracker: TaskTracker,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SetupError> {
        metrics.know_operations::<Operation>();
        let (api_client, login_client) = clients(settings, &hosts.api, &hosts.login)?;
        let credentials = ClientCredentials::new(settings, Arc::clone(&clock))?;
        let counted = || Arc::clone(metrics);
        let breaker = |host| Breaker::new(host, counted());
        let breakers = [breaker(metrics::Host::Login), breaker(metrics::Host::Api)];
        let [login_breaker, api_breaker] = breakers.clone();
        let per_minute = settings.requests_per_minute;
        let pacer = Pacer::new(per_minute, reserve, shutdown.clone(), tracker.clone(), counted());
        let jitter = random;
        let host = |client, breaker, pacer, tokens| Host {
            client,
            breaker,
            pacer,
            tokens,
            retries: Retries::new(Arc::clone(&jitter), shutdown.clone(), counted()),
            timeouts: Timeouts::new(settings),
            clock: Arc::clone(&clock),
            random: Arc::clone(&jitter),
            metrics: counted(),
        };
        let login = host(login_client, login_breaker, None, None);
        let login = Upstream::new(login, hosts.login.clone(), over.clone());
        let timeout = settings.token_timeout;
        let tokens = tokens(login, credentials, timeout, tracker.clone(), counted());
        let api = host(api_client, api_breaker, Some(pacer.clone()), Some(tokens.clone()));
        let api = Upstream::new(api, hosts.api.clone(), over.clone());
        let ttl = settings.queue_cache_ttl;
        let (stop, tasks) = (shutdown.clone(), tracker.clone());
        let (paced, watch) = (pacer.clone(), Arc::clone(&clock));
        Ok(Self {
            transfer_api: settings.transfer_api,
            queues: Queues::new(api.clone(), pacer.clone(), clock, ttl, stop, tasks, counted()),
            bulk: BulkSwitch::new(settings.bulk_looks == BulkLooks::Auto),
            activities: QueueActivities::new(api.clone(), paced, watch, tracker.clone()),
            settings: Cached::new(StripsSkills { upstream: api.clone(), ttl }, tracker.clone()),
            api,
            pacer,
            tokens,
            breakers,
            shutdown,
            tracker,
        })
    }

    /// Starts the background work: a token and the queue map now, and both fresh from then on.
    pub fn warm_up(&self) {
        self.tracker.spawn(self.tokens.clone().keep(self.shutdown.clone()));
        self.tracker.spawn(self.queues.clone().keep());
    }

    /// Makes each bulk look once, for a queue and a call that need not exist: what it is, and what
    /// came of it. `None` when they are off.
    pub async fn try_bulk_looks(
        &self,
        ctx: &CallContext,
        queue: QueueId,
        call: ConversationId,
    ) -> Option<[(&'static str, Result<(), GatewayError>); 2]> {
        self.bulk.probe(&self.api, ctx, (queue, call)).await
    }

    /// What the organisation allows requests a minute: the names of the limits, in Genesys' words,
    /// and their values.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn limits(&self, ctx: &CallContext) -> Result<Vec<(String, u64)>, GatewayError> {
        settings::limits(&self.api, ctx).await
    }

    /// What a transfer of so many calls asks Genesys for.
    fn operations_of_a_transfer(&self, calls: u32) -> Operations {
        let all: &[Operation] = match self.transfer_api {
            TransferApi::ParticipantReplace => {
                &[Operation::GetConversation, Operation::ReplaceWithQueue, Operation::SetRouting]
            }
            TransferApi::ConversationPatch => {
                &[Operation::GetCommunication, Operation::PatchCommunication]
            }
        };
        // One without a look begins with the command.
        let skip = usize::from(calls == 1);
        let calls = usize::try_from(calls).unwrap_or(usize::MAX);
        all.iter().skip(skip).take(calls).copied().collect()
    }
}

/// The token cache over the login host.
fn tokens(
    login: Upstream,
    credentials: ClientCredentials,
    timeout: Duration,
    tracker: TaskTracker,
    metrics: Arc<Metrics>,
) -> TokenCache {
    // All tries of one fetch in full, with the pauses between them; callers wait for it no longer
    // than their own deadline.
    let longest = timeout * CallKind::Token.max_attempts() + Duration::from_secs(1);
    let credentials = Arc::new(credentials);
    let fetch = move || {
        let (login, credentials) = (login.clone(), Arc::clone(&credentials));
        let ctx = CallContext::new(Instant::now() + longest, Lane::Single);
        Box::pin(async move { login.token(&ctx, &credentials).await })
            as futures_util::future::BoxFuture<'static, _>
    };
    TokenCache::new(Arc::new(fetch), tracker, metrics)
}

/// Calls a function of the module for the configured API.
macro_rules! through {
    ($gateway:ident, $function:ident($($argument:expr),+)) => {
        match $gateway.transfer_api {
            TransferApi::ParticipantReplace => {
                participant_replace::$function(&$gateway.api, $($argument),+).await
            }
            TransferApi::ConversationPatch => {
                conversation_patch::$function(&$gateway.api, $($argument),+).await
            }
        }
    };
}

#[async_trait]
impl CallGateway for Gateway {
    fn unsupported(&self, request: &TransferRequest) -> Vec<FieldError> {
        match self.transfer_api {
            TransferApi::ParticipantReplace => Vec::new(),
            TransferApi::ConversationPatch => conversation_patch::unsupported(request),
        }
    }

    fn command_carries_routing(&self) -> bool {
        self.transfer_api == TransferApi::ConversationPatch
    }

    fn takes_priority(&self, priority: Priority) -> bool {
        match self.transfer_api {
            TransferApi::ParticipantReplace => true,
            TransferApi::ConversationPatch => conversation_patch::takes_priority(priority),
        }
    }

    async fn admit(
        &self,
        ctx: &CallContext,
        calls: u32,
    ) -> Result<Arc<dyn Reservation>, GatewayError> {
        // What is admitted ends in a command.
        let by = start_by(ctx, CallKind::Command);
        self.pacer.reserve(ctx, self.operations_of_a_transfer(calls), by).await
    }

    async fn queue(&self, ctx: &CallContext, queue: &QueueRef) -> Result<Queue, QueueError> {
        self.queues.find(ctx.deadline, queue).await
    }

    fn known_queue(&self, id: QueueId) -> Option<Queue> {
        self.queues.known(id)
    }

    async fn search_queues(
        &self,
        ctx: &CallContext,
        fragment: &str,
    ) -> Result<QueueListing, GatewayError> {
        self.queues.search(ctx.deadline, fragment).await
    }

    async fn refresh_queues(&self, ctx: &CallContext) -> Result<QueueListing, GatewayError> {
        self.queues.refresh(ctx.deadline).await
    }

    async fn conversation(
        &self,
        ctx: &CallContext,
        id: ConversationId,
    ) -> Result<Conversation, GatewayError> {
        through!(self, conversation(ctx, id))
    }

    async fn send(&self, ctx: &CallContext, command: &MoveCommand, attempt: u32) -> Tried {
        let tried = through!(self, send(ctx, command, attempt));
        match &tried.sent {
            Sent::Refused(GatewayError::Rejected(_)) => self.queues.doubt(command.queue.id),
            // Without a leg the address names the conversation alone: it is that which is gone.
            Sent::Refused(GatewayError::NotFound(_)) if command.participant_id.is_some() => {
                self.queues.doubt(command.queue.id);
            }
            _ => {}
        }
        tried
    }

    fn may_repeat(&self) -> bool {
        self.api.may_repeat()
    }

    fn needs_a_look(&self) -> bool {
        let [_, api] = &self.breakers;
        api.wants_probe()
    }

    async fn set_routing(
        &self,
        ctx: &CallContext,
        id: ConversationId,
        change: &RoutingChange,
    ) -> Result<(), GatewayError> {
        through!(self, set_routing(ctx, id, change))
    }

    async fn strips_skills(&self, ctx: &CallContext) -> Result<bool, GatewayError> {
        self.settings.get(ctx.deadline).await
    }

    fn rate_use(&self) -> RateUse {
        self.pacer.used()
    }

    fn keep_to(&self, share: Option<RateShare>) {
        self.pacer.keep_to(share);
    }

    async fn waiting(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<WaitingCalls, GatewayError> {
        self.bulk.waiting(&self.api, ctx, queue).await
    }

    async fn bulk_look(
        &self,
        ctx: &CallContext,
        queue: QueueId,
        ids: &[ConversationId],
    ) -> HashMap<ConversationId, Conversation> {
        self.bulk.look(&self.api, ctx, queue, ids).await
    }

    async fn queue_activity(
        &self,
        ctx: &CallContext,
        ids: &[QueueId],
    ) -> Result<HashMap<QueueId, QueueActivity>, GatewayError> {
        self.activities.get(ctx.deadline, ids).await
    }

    async fn estimated_wait(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<Option<u64>, GatewayError> {
        self.activities.estimated_wait(ctx, queue).await
    }

    async fn members(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<Option<u64>, GatewayError> {
        observations::members(&self.api, ctx, queue).await
    }

    fn batch_allowance(&self) -> u32 {
        self.pacer.allowance(Lane::Batch, self.operations_of_a_transfer(u32::MAX))
    }

    fn batch_pace(&self, needed: u32, next: u32) -> BatchPace {
        self.pacer.batch_pace(self.operations_of_a_transfer(next), needed)
    }

    fn looks_in_bulk(&self) -> bool {
        self.bulk.looks()
    }

    fn troubles(&self) -> Vec<String> {
        let breakers = self.breakers.iter().filter_map(Breaker::trouble);
        self.tokens.trouble().into_iter().chain(self.queues.trouble()).chain(breakers).collect()
    }

    fn read(&self, readings: &mut Readings) {
        readings.token = self.tokens.reading();
        readings.queue_map = self.queues.reading();
        readings.breakers = self.breakers.iter().map(Breaker::reading).collect();
        self.pacer.read(readings);
    }
}

#[cfg(test)]
mod tests;
