//! Who may call: OAuth clients, their tokens, their permissions and their rate limit, and what
//! each endpoint asks for. Plain data; every method is told the time.

use std::collections::{BTreeSet, HashMap, VecDeque};

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Clients held at most.
pub const MAX_CLIENTS: usize = 1_000;
/// Live tokens of one client; one more revokes the oldest.
pub const MAX_TOKENS: usize = 100;
/// Assertion ids remembered at most; the oldest go first.
const MAX_ASSERTIONS: usize = 10_000;
/// Length of a rate-limit window, in seconds.
pub const WINDOW: u32 = 60;

/// What an endpoint asks of its caller.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needs {
    /// Nothing: it is the login.
    Nothing,
    /// A token, and one of these permissions unless there are none.
    AnyOf(&'static [&'static str]),
    /// Nothing: operators use it. With its query and what it does, for the index page.
    Operator(&'static str, &'static str),
}

/// One line of the table of endpoints.
#[derive(Debug, Clone)]
pub(super) struct EndpointRule {
    pub(super) method: Method,
    /// As axum writes it, with `{id}` for an id.
    pub(super) path: &'static str,
    pub(super) needs: Needs,
}

/// An OAuth client. Holds its secret, so it has no `Debug`.
pub struct OAuthClient {
    pub id: String,
    secret: String,
    /// Permissions it lacks; it has every other one.
    pub denied: BTreeSet<String>,
    tokens: VecDeque<String>,
}

struct IssuedToken {
    client: String,
    expires: Timestamp,
    /// When the running window began, and how many requests it has seen.
    window: Option<(Timestamp, u32)>,
}

/// How a request stands against the per-minute limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests allowed in a window.
    pub allowed: u32,
    /// Requests made in this window, this one included.
    pub count: u32,
    /// Seconds until the window ends, at least 1.
    pub reset: i64,
}

impl Quota {
    pub fn is_exceeded(&self) -> bool {
        self.count > self.allowed
    }
}

/// All clients and tokens.
#[derive(Default)]
pub struct Access {
    clients: Vec<OAuthClient>,
    tokens: HashMap<String, IssuedToken>,
    assertions: VecDeque<(String, Timestamp)>,
}

impl Access {
    /// Adds a client, or changes the secret of one that is there.
    ///
    /// # Errors
    /// When there are [`MAX_CLIENTS`] already.
    pub fn put_client(&mut self, id: &str, secret: &str) -> Result<(), &'static str> {
        if let Some(client) = self.client_mut(id) {
            secret.clone_into(&mut client.secret);
            return Ok(());
        }
        if self.clients.len() >= MAX_CLIENTS {
            return Err("the sandbox holds no more than 1000 clients");
        }
        self.clients.push(OAuthClient {
            id: id.to_owned(),
            secret: secret.to_owned(),
            denied: BTreeSet::new(),
            tokens: VecDeque::new(),
        });
        Ok(())
    }

    pub fn clients(&self) -> &[OAuthClient] {
        &self.clients
    }

    pub fn client(&self, id: &str) -> Option<&OAuthClient> {
        self.clients.iter().find(|client| client.id == id)
    }

    fn client_mut(&mut self, id: &str) -> Option<&mut OAuthClient> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    /// Sets which permissions a client lacks; `false` when there is no such client.
    pub fn deny(&mut self, id: &str, denied: BTreeSet<String>) -> bool {
        self.client_mut(id).map(|client| client.denied = denied).is_some()
    }

    /// Whether the pair is right.
    pub fn knows(&self, id: &str, secret: &str) -> bool {
        self.client(id).is_some_and(|client| client.secret == secret)
    }

    /// Remembers the id of an assertion until it expires; `false` when it was used before.
    pub fn use_assertion(&mut self, id: &str, expires: Timestamp, now: Timestamp) -> bool {
        self.assertions.retain(|(_, until)| *until > now);
        if self.assertions.iter().any(|(used, _)| used == id) {
            return false;
        }
        if self.assertions.len() >= MAX_ASSERTIONS {
            self.assertions.pop_front();
        }
        self.assertions.push_back((id.to_owned(), expires));
        true
    }

    /// Issues a token; `None` for an unknown client.
    pub fn issue(
        &mut self,
        client: &str,
        id: Uuid,
        lifetime: SignedDuration,
        now: Timestamp,
    ) -> Option<String> {
        let token = format!("sandbox-{}{}", id.simple(), fastrand::u64(..));
        let owner = self.client_mut(client)?;
        owner.tokens.push_back(token.clone());
        let oldest = (owner.tokens.len() > MAX_TOKENS).then(|| owner.tokens.pop_front()).flatten();
        if let Some(oldest) = oldest {
            self.tokens.remove(&oldest);
        }
        let expires = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let issued = IssuedToken { client: client.to_owned(), expires, window: None };
        self.tokens.insert(token.clone(), issued);
        Some(token)
    }

    /// Revokes every token; says how many there were.
    pub fn revoke_all(&mut self) -> usize {
        for client in &mut self.clients {
            client.tokens.clear();
        }
        let count = self.tokens.len();
        self.tokens.clear();
        count
    }

    /// How many tokens are known.
    pub fn live_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// The client behind a token that is known and has not expired.
    pub fn owner(&self, token: &str, now: Timestamp) -> Option<&OAuthClient> {
        let issued = self.tokens.get(token).filter(|issued| issued.expires > now)?;
        self.client(&issued.client)
    }

    /// Counts a request against the token's window, `seconds` long.
    pub fn count(
        &mut self,
        token: &str,
        allowed: u32,
        seconds: u32,
        now: Timestamp,
    ) -> Option<Quota> {
        let issued = self.tokens.get_mut(token)?;
        let length = SignedDuration::from_secs(seconds.into());
        let running = issued.window.filter(|(began, _)| left(*began, length, now) > 0);
        let (began, count) = running.unwrap_or((now, 0));
        let count = count.saturating_add(1);
        issued.window = Some((began, count));
        Some(Quota { allowed, count, reset: left(began, length, now) })
    }

    /// Gives every client every permission, and every token a new window.
    pub fn forgive(&mut self) {
        for client in &mut self.clients {
            client.denied.clear();
        }
        for token in self.tokens.values_mut() {
            token.window = None;
        }
    }
}

/// Whole seconds, rounded up, until the window ends; 0 when it has ended or lies in the future.
fn left(began: Timestamp, length: SignedDuration, now: Timestamp) -> i64 {
    let gone = now.duration_since(began);
    if gone.is_negative() || gone >= length {
        return 0;
    }
    let left = length - gone;
    left.as_secs() + i64::from(left.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let mut access = Access::default();
        access.put_client("crm", "secret").unwrap();
        access
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn token(access: &mut Access, lifetime: i64) -> String {
        let lifetime = SignedDuration::from_secs(lifetime);
        access.issue("crm", Uuid::nil(), lifetime, at(0)).unwrap()
    }

    #[test]
    fn token_dies_at_the_end_of_its_lifetime() {
        let mut access = access();
        let token = token(&mut access, 300);

        assert!(access.owner(&token, at(299)).is_some());
        assert!(access.owner(&token, at(300)).is_none());
    }

    #[test]
    fn revoked_token_has_no_owner() {
        let mut access = access();
        let token = token(&mut access, 300);

        access.revoke_all();

        assert!(access.owner(&token, at(0)).is_none());
    }

    #[test]
    fn one_token_too_many_revokes_the_oldest() {
        let mut access = access();
        let first = token(&mut access, 300);
        let second = token(&mut access, 300);

        for _ in 1..MAX_TOKENS {
            token(&mut access, 300);
        }

        assert!(access.owner(&first, at(0)).is_none());
        assert!(access.owner(&second, at(0)).is_some());
    }

    #[test]
    fn window_is_fixed_and_begins_with_the_first_request() {
        let mut access = access();
        let token = token(&mut access, 300);

        let first = access.count(&token, 2, WINDOW, at(10)).unwrap();
        let second = access.count(&token, 2, WINDOW, at(30)).unwrap();
        let third = access.count(&token, 2, WINDOW, at(69)).unwrap();
        let fourth = access.count(&token, 2, WINDOW, at(70)).unwrap();

        assert_eq!(first, Quota { allowed: 2, count: 1, reset: 60 });
        assert_eq!(second, Quota { allowed: 2, count: 2, reset: 40 });
        assert!(third.is_exceeded());
        assert_eq!(third.reset, 1);
        assert_eq!(fourth, Quota { allowed: 2, count: 1, reset: 60 });
    }

    #[test]
    fn assertion_id_works_once() {
        let mut access = access();

        assert!(access.use_assertion("a", at(60), at(0)));
        assert!(!access.use_assertion("a", at(60), at(1)));
        assert!(access.use_assertion("b", at(60), at(1)));
    }
}
