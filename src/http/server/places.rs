//! Places for connections: how many there may be, how many of one address, which connection gives
//! way when there is no place left, and which has used up its time.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::activity::Activity;
use crate::config;

#[cfg(test)]
mod tests;

/// A connection that has been idle for less does not give way: its last answer may still be on its
/// way out.
const IDLE_AT_LEAST: Duration = Duration::from_secs(1);

/// Which connection: its address, and its number among all.
type Key = (IpAddr, u64);

/// All places of a server.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    unlimited: Vec<IpNet>,
    header_timeout: Duration,
    taken: Mutex<BTreeMap<Key, Arc<Activity>>>,
    freed: Notify,
}

impl Places {
    pub(super) fn new(settings: &config::Server) -> Arc<Self> {
        Arc::new(Self {
            most: settings.max_connections,
            most_per_address: settings.max_connections_per_address,
            unlimited: settings.unlimited_addresses.clone(),
            header_timeout: settings.header_timeout,
            taken: Mutex::default(),
            freed: Notify::new(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Activity>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`. Where there is none, the idlest connection, of the
    /// same address or of all, gives way. While none is idle, this waits for a place, but an address
    /// that has all its places gets `None` at once.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        // An IPv4 address is the same on a socket for both families.
        let address = address.to_canonical();
        let limited = !self.unlimited.iter().any(|net| net.contains(&address));
        loop {
            {
                let mut taken = self.taken();
                let own = || (address, 0)..=(address, u64::MAX);
                let full = limited && taken.range(own()).count() >= self.most_per_address;
                if full && !make_room(&mut taken, own()) {
                    return None;
                }
                if taken.len() < self.most || make_room(&mut taken, ..) {
                    let last = taken.range(own()).next_back().map_or(0, |((_, number), _)| *number);
                    let activity = Activity::new(address, self.header_timeout, Instant::now());
                    let key = (address, last + 1);
                    taken.insert(key, Arc::clone(&activity));
                    return Some(ConnectionSlot { places: Arc::clone(self), key, activity });
                }
            }
            // Or until a connection may have become idle.
            let _ = timeout(IDLE_AT_LEAST, self.freed.notified()).await;
        }
    }

    /// Tells connections that have used up their time; never ends. One timer for all: one for each
    /// would have to be moved with every request.
    pub(super) async fn watch(&self) {
        let every = self.header_timeout / 8;
        loop {
            sleep(every.clamp(Duration::from_millis(5), Duration::from_millis(500))).await;
            let now = Instant::now();
            self.taken().values().for_each(|activity| activity.look(now));
        }
    }
}

/// Ends the idlest of the connections in `range` and frees its place; `false` when none is idle.
fn make_room(
    taken: &mut BTreeMap<Key, Arc<Activity>>,
    range: impl std::ops::RangeBounds<Key>,
) -> bool {
    let before = Instant::now().checked_sub(IDLE_AT_LEAST);
    let idle = taken.range(range).filter_map(|(key, it)| Some((it.idle_since()?, *key)));
    let idlest = idle.filter(|(since, _)| before.is_some_and(|before| *since <= before)).min();
    // A request may have begun since.
    idlest.is_some_and(|(_, key)| {
        taken.get(&key).is_some_and(|it| it.give_way()) && taken.remove(&key).is_some()
    })
}

/// The slot of one connection, until dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    places: Arc<Places>,
    key: Key,
    /// What its connection is doing.
    pub(super) activity: Arc<Activity>,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        // One that gave way has lost its place already, perhaps to another with its key.
        if taken.get(&self.key).is_some_and(|it| Arc::ptr_eq(it, &self.activity)) {
            taken.remove(&self.key);
            self.places.freed.notify_one();
        }
    }
}
