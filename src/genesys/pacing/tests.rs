use super::*;

fn pacer(per_minute: u32) -> Pacer {
    Pacer::new(per_minute, 30, CancellationToken::new(), TaskTracker::new(), Arc::default())
}

fn ctx(lane: Lane) -> CallContext {
    CallContext::new(Instant::now() + Duration::from_mins(5), lane)
}

async fn slot(pacer: &Pacer, ctx: &CallContext) -> Result<Slot, GatewayError> {
    pacer.slot(ctx, Operation::GetConversation, ctx.deadline).await
}

/// What a transfer with a priority asks for.
fn transfer() -> Operations {
    [Operation::GetConversation, Operation::ReplaceWithQueue, Operation::SetRouting]
        .into_iter()
        .collect()
}

fn send(mut slot: Slot) {
    slot.sent = true;
}

#[tokio::test(start_paused = true)]
async fn a_spent_minute_makes_the_next_one_wait_for_the_window() {
    let pacer = pacer(2);
    let ctx = ctx(Lane::Single);
    for _ in 0..2 {
        send(slot(&pacer, &ctx).await.unwrap());
    }
    let began = Instant::now();
    send(slot(&pacer, &ctx).await.unwrap());
    let waited = began.elapsed();
    assert!((60..=62).contains(&waited.as_secs()), "{waited:?}");
    assert!(ctx.usage.sums().waited_ms >= 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_not_used_is_there_for_the_next() {
    let pacer = pacer(1);
    let ctx = ctx(Lane::Single);
    drop(slot(&pacer, &ctx).await.unwrap());
    let began = Instant::now();
    slot(&pacer, &ctx).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_waiting_costs_nothing() {
    let pacer = pacer(1);
    let ctx = ctx(Lane::Single);
    send(slot(&pacer, &ctx).await.unwrap());
    let impatient = tokio::time::timeout(Duration::from_secs(10), slot(&pacer, &ctx)).await;
    assert!(impatient.is_err());
    let began = Instant::now();
    send(slot(&pacer, &ctx).await.unwrap());
    assert!(began.elapsed() <= Duration::from_secs(51), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_releases_those_who_wait() {
    let pacer = pacer(1);
    let ctx = ctx(Lane::Single);
    send(slot(&pacer, &ctx).await.unwrap());
    let (waiter, shutdown) = (pacer.clone(), pacer.0.shutdown.clone());
    let waiting = tokio::spawn(async move { slot(&waiter, &ctx).await.map(drop) });
    tokio::task::yield_now().await;
    shutdown.cancel();
    assert_eq!(waiting.await.unwrap(), Err(GatewayError::ShuttingDown));
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_command_gets_its_turn_after_the_end_of_the_service() {
    let pacer = pacer(1);
    let ctx = CallContext::new(Instant::now() + Duration::from_mins(3), Lane::Command);
    send(slot(&pacer, &ctx).await.unwrap());
    let (waiter, shutdown) = (pacer.clone(), pacer.0.shutdown.clone());
    let following = ctx.outlasting_stop();
    let waiting = tokio::spawn(async move { slot(&waiter, &following).await.map(drop) });
    tokio::task::yield_now().await;
    shutdown.cancel();
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_taken_up_and_its_rest_given_back() {
    let pacer = pacer(3);
    let mut ctx = ctx(Lane::Single);
    ctx.admission = Some(pacer.reserve(&ctx, transfer(), ctx.deadline).await.unwrap());
    send(slot(&pacer, &ctx).await.unwrap());
    ctx.admission = None;
    let began = Instant::now();
    for _ in 0..2 {
        send(slot(&pacer, &ctx).await.unwrap());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_who_cannot_be_served_in_time_is_refused_at_once_with_the_time() {
    let pacer = pacer(1);
    let ctx = ctx(Lane::Single);
    send(slot(&pacer, &ctx).await.unwrap());
    let began = Instant::now();
    let refused = pacer
        .slot(&ctx, Operation::GetConversation, began + Duration::from_secs(20))
        .await
        .map(drop);
    let Err(GatewayError::RateLimited { retry_after, .. }) = refused else { panic!("{refused:?}") };
    assert!((60..=61).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// A stand-in for Genesys' own limit: a window of a minute that begins with its first request.
#[derive(Default)]
struct Theirs {
    window: Option<Instant>,
    count: u32,
    over: u32,
}

impl Theirs {
    const ALLOWED: u32 = 180;

    fn request(&mut self) -> Option<RateHeaders> {
        let now = Instant::now();
        let began = *self.window.get_or_insert(now);
        if now >= began + Duration::from_mins(1) {
            (self.window, self.count) = (Some(now), 0);
        }
        self.count += 1;
        self.over += u32::from(self.count > Self::ALLOWED);
        let left = self.window.unwrap_or(now) + Duration::from_mins(1) - now;
        RateHeaders::parse(
            Some(&Self::ALLOWED.to_string()),
            Some(&self.count.to_string()),
            Some(&(left.as_millis().div_ceil(1000)).to_string()),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_that_only_the_headers_tell_is_kept_by_sixty_at_once() {
    let (pacer, theirs) = (pacer(300), Arc::new(Mutex::new(Theirs::default())));
    let work = |requests: u32| {
        let (pacer, theirs) = (pacer.clone(), Arc::clone(&theirs));
        async move {
            let ctx = CallContext::new(Instant::now() + Duration::from_hours(1), Lane::Single);
            for number in 0..requests {
                let mut slot = slot(&pacer, &ctx).await.unwrap();
                slot.sent = true;
                // Latencies differ, so that answers overtake each other.
                let latency = Duration::from_millis(20 + u64::from(number * 37 % 90));
                tokio::time::advance(Duration::ZERO).await;
                let headers = theirs.lock().unwrap().request();
                tokio::time::sleep_until(Instant::now() + latency).await;
                drop(slot);
                pacer.settle(|line| {
                    line.observe(Instant::now(), Operation::GetConversation, headers);
                });
            }
        }
    };
    let began = Instant::now();
    let tasks: Vec<_> = (0..60).map(|_| tokio::spawn(work(15))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(theirs.lock().unwrap().over, 0);
    let minutes = began.elapsed().as_secs() / 60;
    assert!((4..=6).contains(&minutes), "900 requests at 180 a minute took {minutes} min");
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_many_requests_does_not_keep_another_waiting() {
    let pacer = pacer(2);
    for _ in 0..2 {
        send(slot(&pacer, &ctx(Lane::Single)).await.unwrap());
    }
    let began = Instant::now();
    let wait = |caller: &'static str| {
        let (pacer, name) = (pacer.clone(), crate::transfer::model::CallerName::new(caller));
        let ctx = CallContext::new(began + Duration::from_hours(1), Lane::Single);
        let ctx = ctx.on_behalf_of(&name);
        tokio::spawn(async move {
            send(slot(&pacer, &ctx).await.unwrap());
            began.elapsed()
        })
    };
    let busy: Vec<_> = (0..20).map(|_| wait("busy")).collect();
    tokio::task::yield_now().await;
    let quiet = wait("quiet").await.unwrap();
    assert!(quiet < Duration::from_secs(62), "{quiet:?}");
    for one in busy {
        one.await.unwrap();
    }
}
