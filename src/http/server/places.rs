//! Places for connections: how many there may be, how many of one address, and which connection
//! gives way when there is no place left.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::activity::Activity;
use crate::config;

#[cfg(test)]
mod tests;

/// A connection that has been idle for less does not give way: its last answer may still be on its
/// way out.
const IDLE_AT_LEAST: Duration = Duration::from_secs(1);

/// All places of a server.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    unlimited: Vec<IpNet>,
    header_timeout: Duration,
    taken: Mutex<OpenConnections>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct OpenConnections {
    count: usize,
    next: u64,
    /// By address; none is listed without a connection.
    connections: HashMap<IpAddr, HashMap<u64, Arc<Activity>>>,
}

/// The result of looking for a free slot.
enum SlotSearch {
    Slot(ConnectionSlot),
    /// The address has all its places, and is using them.
    AddressFull,
    /// All places are in use.
    Full,
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

    fn taken(&self) -> MutexGuard<'_, OpenConnections> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`. Where there is none, the idlest connection, of the
    /// same address or of all, gives way. While none is idle, this waits for a place, but an address
    /// that has all its places gets `None` at once.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        // An IPv4 address is the same on a socket for both families.
        let address = address.to_canonical();
        loop {
            match self.look(address) {
                SlotSearch::Slot(place) => return Some(place),
                SlotSearch::AddressFull => return None,
                // Or until a connection may have become idle.
                SlotSearch::Full => {
                    let _ = timeout(IDLE_AT_LEAST, self.freed.notified()).await;
                }
            }
        }
    }

    fn look(self: &Arc<Self>, address: IpAddr) -> SlotSearch {
        let mut taken = self.taken();
        let limited = !self.unlimited.iter().any(|net| net.contains(&address));
        let own = taken.connections.get(&address).map_or(0, HashMap::len);
        if limited && own >= self.most_per_address && !taken.make_room(Some(address)) {
            return SlotSearch::AddressFull;
        }
        if taken.count >= self.most && !taken.make_room(None) {
            return SlotSearch::Full;
        }
        taken.count += 1;
        taken.next += 1;
        let number = taken.next;
        let activity = Activity::new(self.header_timeout, Instant::now());
        taken.connections.entry(address).or_default().insert(number, Arc::clone(&activity));
        SlotSearch::Slot(ConnectionSlot { places: Arc::clone(self), address, number, activity })
    }
}

impl OpenConnections {
    /// Ends the idlest connection, of `address` if one is given, and frees its place; `false` when
    /// none is idle.
    fn make_room(&mut self, address: Option<IpAddr>) -> bool {
        let now = Instant::now();
        let idlest = self
            .connections
            .iter()
            .filter(|(from, _)| address.is_none_or(|address| **from == address))
            .flat_map(|(from, all)| all.iter().map(move |(number, it)| (from, number, it)))
            .filter_map(|(from, number, it)| Some((it.idle_since()?, *number, *from, it)))
            .filter(|(since, ..)| now.saturating_duration_since(*since) >= IDLE_AT_LEAST)
            .min_by_key(|(since, number, ..)| (*since, *number));
        match idlest {
            // A request may have begun since.
            Some((_, number, from, activity)) if activity.give_way() => self.free(from, number),
            _ => false,
        }
    }

    /// Frees a place; `false` when that was done before.
    fn free(&mut self, address: IpAddr, number: u64) -> bool {
        let Some(of_address) = self.connections.get_mut(&address) else { return false };
        let freed = of_address.remove(&number).is_some();
        if of_address.is_empty() {
            self.connections.remove(&address);
        }
        self.count -= usize::from(freed);
        freed
    }
}

/// The slot of one connection, until dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    places: Arc<Places>,
    address: IpAddr,
    number: u64,
    /// What its connection is doing.
    pub(super) activity: Arc<Activity>,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if self.places.taken().free(self.address, self.number) {
            self.places.freed.notify_one();
        }
    }
}
