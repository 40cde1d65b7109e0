//! Layers written as one async function each, so that the stack reads as a list.

use std::{
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use tower::{Layer, Service, ServiceExt};

use super::{
    answer::{Answer, Failure},
    call::Call,
};

/// What a layer's function returns.
pub(super) type Passing<Above> = BoxFuture<'static, Result<Above, Failure>>;

/// The stack below a layer. All clones share one stack: a call copies a pointer, not the layers.
pub(super) struct Next<Below = Answer>(Arc<dyn Fn(Call) -> Passing<Below> + Send + Sync>);

impl<Below> Next<Below> {
    /// The stack that begins with `service`.
    pub(super) fn new<S>(service: S) -> Self
    where
        S: Service<Call, Response = Below, Error = Failure> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self(Arc::new(move |call| service.clone().oneshot(call).boxed()))
    }
}

impl<Below> Clone for Next<Below> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Below> Service<Call> for Next<Below> {
    type Response = Below;
    type Error = Failure;
    type Future = Passing<Below>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // Each layer waits for what it calls; nothing below holds capacity while ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        (self.0)(call)
    }
}

/// A layer from a function that is given the call and the stack below.
pub(super) fn around<F, Below, Above>(function: F) -> Around<F, Below>
where
    F: Fn(Call, Next<Below>) -> Passing<Above>,
{
    Around { function: Arc::new(function), below: PhantomData }
}

/// See [`around`].
pub(super) struct Around<F, Below> {
    function: Arc<F>,
    below: PhantomData<fn() -> Below>,
}

impl<F, Below, S> Layer<S> for Around<F, Below>
where
    S: Service<Call, Response = Below, Error = Failure> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Service = Wrapped<F, Below>;

    fn layer(&self, inner: S) -> Self::Service {
        Wrapped { function: Arc::clone(&self.function), next: Next::new(inner) }
    }
}

/// The service an [`Around`] makes.
pub(super) struct Wrapped<F, Below> {
    function: Arc<F>,
    next: Next<Below>,
}

impl<F, Below> Clone for Wrapped<F, Below> {
    fn clone(&self) -> Self {
        Self { function: Arc::clone(&self.function), next: self.next.clone() }
    }
}

impl<F, Below, Above> Service<Call> for Wrapped<F, Below>
where
    F: Fn(Call, Next<Below>) -> Passing<Above>,
{
    type Response = Above;
    type Error = Failure;
    type Future = Passing<Above>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        (self.function)(call, self.next.clone())
    }
}
