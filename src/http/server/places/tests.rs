use std::net::Ipv4Addr;

use tokio::time::advance;

use super::*;
use crate::http::tests::settings;

const LONG: Duration = Duration::from_secs(5);

fn places(most: usize, most_per_address: usize) -> Arc<Places> {
    Places::new(&config::Server {
        max_connections: most,
        max_connections_per_address: most_per_address,
        unlimited_addresses: vec!["10.9.0.0/16".parse().unwrap()],
        ..settings()
    })
}

/// An address of another machine.
fn from(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, number).into()
}

/// A place, which must be found before long.
async fn take(places: &Arc<Places>, address: IpAddr) -> ConnectionSlot {
    timeout(Duration::from_mins(1), places.take(address)).await.expect("a place").unwrap()
}

fn gave_way(place: &ConnectionSlot) -> bool {
    place.activity.begin(false, false).is_none()
}

#[tokio::test(start_paused = true)]
async fn one_address_cannot_take_all_places() {
    let places = places(8, 2);
    let mut busy = Vec::new();
    for _ in 0..2 {
        let place = take(&places, from(1)).await;
        busy.push((place.activity.begin(false, false), place));
    }
    advance(LONG).await;

    assert!(places.take(from(1)).await.is_none(), "its own places are in use");
    let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into();
    assert!(places.take(mapped).await.is_none(), "the same address on a socket for both families");
    assert!(places.take(from(2)).await.is_some());
    busy.pop();
    assert!(places.take(from(1)).await.is_some());
    drop(busy);
    assert!(places.taken().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_idlest_of_an_address_gives_way_to_its_next() {
    let places = places(8, 2);
    let other = take(&places, from(2)).await;
    advance(LONG).await;
    let first = take(&places, from(1)).await;
    advance(LONG).await;
    let second = take(&places, from(1)).await;
    advance(LONG).await;

    let third = take(&places, from(1)).await;

    assert_eq!([&other, &first, &second, &third].map(gave_way), [false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn proxies_are_not_limited() {
    let places = places(8, 1);
    let proxy = Ipv4Addr::new(10, 9, 1, 1).into();
    let mut busy = Vec::new();
    for _ in 0..8 {
        let place = take(&places, proxy).await;
        busy.push((place.activity.begin(false, false), place));
    }
    assert_eq!(places.taken().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_idlest_of_all_gives_way_when_all_places_are_taken() {
    let places = places(3, 3);
    let busy = take(&places, from(1)).await;
    let _request = busy.activity.begin(false, false);
    advance(LONG).await;
    let idle = take(&places, from(1)).await;
    advance(LONG).await;
    let newer = take(&places, from(2)).await;
    advance(LONG).await;

    let next = take(&places, from(3)).await;

    assert_eq!([&busy, &idle, &newer, &next].map(gave_way), [false, true, false, false]);
    assert_eq!(places.taken().len(), 3);
    drop(idle);
    assert_eq!(places.taken().len(), 3, "its place was freed when it gave way");
}

#[tokio::test(start_paused = true)]
async fn while_none_is_idle_the_next_waits_for_a_place() {
    let places = places(1, 1);
    let busy = take(&places, from(1)).await;
    let request = busy.activity.begin(false, false);
    let waiting = {
        let places = Arc::clone(&places);
        tokio::spawn(async move { take(&places, from(2)).await })
    };
    advance(LONG).await;
    assert!(!waiting.is_finished());

    drop(request);

    let next = waiting.await.unwrap();
    assert_eq!((gave_way(&busy), gave_way(&next)), (true, false));
}
