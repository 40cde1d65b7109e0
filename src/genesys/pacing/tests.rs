use super::*;

fn pacer(per_minute: u32) -> Pacer {
    Pacer::new(per_minute, CancellationToken::new(), TaskTracker::new())
}

fn ctx(lane: Lane) -> CallContext {
    CallContext::new(Instant::now() + Duration::from_mins(5), lane)
}

async fn slot(pacer: &Pacer, ctx: &CallContext) -> Result<Slot, GatewayError> {
    pacer.slot(ctx, ctx.deadline).await
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
async fn a_reservation_is_taken_up_and_its_rest_given_back() {
    let pacer = pacer(3);
    let mut ctx = ctx(Lane::Single);
    ctx.admission = Some(pacer.reserve(&ctx, 3, ctx.deadline).await.unwrap());
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
    let refused = pacer.slot(&ctx, began + Duration::from_secs(20)).await.map(drop);
    let Err(GatewayError::RateLimited { retry_after, .. }) = refused else { panic!("{refused:?}") };
    assert!((60..=61).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}
