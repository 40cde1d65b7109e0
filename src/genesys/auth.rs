//! The auth layer: the shared token on every try, and what a 401 means for that token.

use tokio::time::Instant;
use tower::ServiceExt;

use super::{
    answer::{Answer, Failure},
    call::Call,
    layer::Next,
    token::TokenCache,
};

/// Adds the token. Asked anew for each try, so that a repeat carries the newest.
pub(super) async fn authorize(
    tokens: TokenCache,
    mut call: Call,
    next: Next,
) -> Result<Answer, Failure> {
    let token = tokens.get(call.start_by()).await.map_err(Failure::HeldBack)?;
    call.authorization = Some(token.header.clone());
    let (operation, sent_at) = (call.operation, Instant::now());
    let mut answer = next.oneshot(call).await?;
    match answer.status() {
        401 => answer.replay = tokens.refused(&token, operation),
        // Such an answer can come before the token was looked at.
        429 | 500.. => {}
        _ => tokens.accepted(&token, operation, sent_at),
    }
    Ok(answer)
}
