//! What a fresh sandbox holds: a few queues and one conversation of each kind, under fixed ids,
//! so that a command printed in a document works as it stands.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::world::{Division, MediaType, NewConversation, Shape, World, WorldError};

/// The queue most seeded conversations belong to.
pub const SUPPORT_TIER_1: Uuid = queue(1);
/// A good target.
pub const SUPPORT_TIER_2: Uuid = queue(2);
/// One of two queues called `Billing`, in the home division.
pub const BILLING: Uuid = queue(3);
/// The other `Billing`, in the division `EMEA`.
pub const BILLING_EMEA: Uuid = queue(4);
/// `Sales`.
pub const SALES: Uuid = queue(5);
/// `Retention`.
pub const RETENTION: Uuid = queue(6);
/// `After Hours`: it has members, but none of them is on queue.
pub const AFTER_HOURS: Uuid = queue(7);

/// An agent talks to the customer.
pub const CONNECTED_CALL: Uuid = conversation(1);
/// As before, for a second try.
pub const SECOND_CONNECTED_CALL: Uuid = conversation(2);
/// On hold.
pub const HELD_CALL: Uuid = conversation(3);
/// Waits in `Support Tier 1` with priority 5, for 12 minutes.
pub const WAITING_CALL: Uuid = conversation(4);
/// Rings at an agent while the queue leg still waits.
pub const RINGING_CALL: Uuid = conversation(5);
/// Rings at a user; no queue is involved.
pub const RINGING_DIRECT_CALL: Uuid = conversation(6);
/// In the menu.
pub const IVR_CALL: Uuid = conversation(7);
/// Over.
pub const ENDED_CALL: Uuid = conversation(8);
/// Two agents talk to the customer.
pub const CONFERENCE_CALL: Uuid = conversation(9);
/// An agent asks another one, who rings.
pub const CONSULT_CALL: Uuid = conversation(10);
/// The customer has left.
pub const CUSTOMER_GONE_CALL: Uuid = conversation(11);
/// A web message with an agent.
pub const MESSAGE: Uuid = conversation(12);
/// An e-mail that waits.
pub const EMAIL: Uuid = conversation(13);
/// A callback with an agent.
pub const CALLBACK: Uuid = conversation(14);

/// The home division.
pub const HOME: Uuid = Uuid::from_u128(0xd100_0000_0000_4000_8000_0000_0000_0001);
/// The division of [`BILLING_EMEA`].
pub const EMEA: Uuid = Uuid::from_u128(0xd100_0000_0000_4000_8000_0000_0000_0002);
/// A skill some calls ask for.
pub const SKILL: Uuid = Uuid::from_u128(0xe100_0000_0000_4000_8000_0000_0000_0001);

const fn queue(number: u128) -> Uuid {
    Uuid::from_u128(0xa100_0000_0000_4000_8000_0000_0000_0000 | number)
}

const fn conversation(number: u128) -> Uuid {
    Uuid::from_u128(0xc100_0000_0000_4000_8000_0000_0000_0000 | number)
}

/// The id of the `position`-th leg (from 0) of a seeded conversation.
pub fn leg(conversation: Uuid, position: u8) -> Uuid {
    let number = conversation.as_u128() & 0xffff;
    let legs = 0xb100_0000_0000_4000_8000_0000_0000_0000 | (number << 8);
    Uuid::from_u128(legs | u128::from(position))
}

/// An organisation with nothing in it.
pub fn empty() -> World {
    World::new(Division { id: HOME, name: "Home".to_owned() })
}

/// The seeded organisation.
pub fn world(now: Timestamp) -> Result<World, WorldError> {
    let mut world = empty();
    let home = world.division(None, now)?;
    let emea = Division { id: EMEA, name: "EMEA".to_owned() };
    world.add_division(emea.clone())?;
    for (id, name, division, members) in [
        (SUPPORT_TIER_1, "Support Tier 1", &home, 24),
        (SUPPORT_TIER_2, "Support Tier 2", &home, 9),
        (BILLING, "Billing", &home, 12),
        (BILLING_EMEA, "Billing", &emea, 7),
        (SALES, "Sales", &home, 18),
        (RETENTION, "Retention", &home, 5),
        (AFTER_HOURS, "After Hours", &home, 2),
    ] {
        world.add_queue(Some(id), name, division.clone(), members, now)?;
    }
    // So that a drain into a queue without agents can be tried.
    world.set_joined(AFTER_HOURS, 0)?;
    for new in conversations() {
        world.add_conversation(new, now)?;
    }
    Ok(world)
}

fn conversations() -> Vec<NewConversation> {
    let voice = |id: Uuid, shape: Shape, minutes: i64| NewConversation {
        id: Some(id),
        shape,
        leg_ids: (0..5).map(|position| leg(id, position)).collect(),
        queue: Some(SUPPORT_TIER_1),
        age: SignedDuration::from_mins(minutes),
        ..NewConversation::default()
    };
    let other = |id: Uuid, shape: Shape, media: MediaType| NewConversation {
        media,
        queue: Some(SALES),
        ..voice(id, shape, 4)
    };
    vec![
        NewConversation {
            skills: vec![SKILL],
            attributes: BTreeMap::from([("Account tier".to_owned(), "gold".to_owned())]),
            ..voice(CONNECTED_CALL, Shape::Connected, 3)
        },
        voice(SECOND_CONNECTED_CALL, Shape::Connected, 7),
        voice(HELD_CALL, Shape::Held, 5),
        NewConversation {
            priority: 5,
            skills: vec![SKILL],
            ..voice(WAITING_CALL, Shape::Waiting, 12)
        },
        voice(RINGING_CALL, Shape::Ringing, 1),
        NewConversation { queue: None, ..voice(RINGING_DIRECT_CALL, Shape::RingingDirect, 1) },
        NewConversation { queue: None, ..voice(IVR_CALL, Shape::Ivr, 2) },
        voice(ENDED_CALL, Shape::Ended, 30),
        voice(CONFERENCE_CALL, Shape::Conference, 9),
        voice(CONSULT_CALL, Shape::Consult, 6),
        voice(CUSTOMER_GONE_CALL, Shape::CustomerGone, 8),
        other(MESSAGE, Shape::Connected, MediaType::Message),
        other(EMAIL, Shape::Waiting, MediaType::Email),
        other(CALLBACK, Shape::Connected, MediaType::Callback),
    ]
}
