//! Layers written as one async function each, so that the stack reads as a list.

use std::{
    marker::PhantomData,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tower::{Layer, Service, util::BoxCloneSyncService};

use super::{
    answer::{Answer, Failure},
    call::Call,
};

/// The stack below a layer.
pub(super) type Next<Below = Answer> = BoxCloneSyncService<Call, Below, Failure>;

/// What a layer's function returns.
pub(super) type Passing<Above> = BoxFuture<'static, Result<Above, Failure>>;

/// A layer from a function that is given the call and the stack below.
pub(super) fn around<F, Below, Above>(function: F) -> Around<F, Below>
where
    F: Fn(Call, Next<Below>) -> Passing<Above>,
{
    Around { function, below: PhantomData }
}

/// See [`around`].
pub(super) struct Around<F, Below> {
    function: F,
    below: PhantomData<fn() -> Below>,
}

impl<F, Below, S> Layer<S> for Around<F, Below>
where
    F: Clone,
    S: Service<Call, Response = Below, Error = Failure> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Service = Wrapped<F, Below>;

    fn layer(&self, inner: S) -> Self::Service {
        Wrapped { function: self.function.clone(), next: BoxCloneSyncService::new(inner) }
    }
}

/// The service an [`Around`] makes.
pub(super) struct Wrapped<F, Below> {
    function: F,
    next: Next<Below>,
}

impl<F: Clone, Below> Clone for Wrapped<F, Below> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), next: self.next.clone() }
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
        // Each function waits for what it calls; nothing below holds capacity while ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        (self.function)(call, self.next.clone())
    }
}
