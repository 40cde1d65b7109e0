use proptest::prelude::*;

use super::*;
use crate::transfer::conversation::{Supervision, samples::*};

fn code(conversation: &Conversation, wanted: Option<u32>) -> Result<usize, Code> {
    choose(conversation, wanted.map(participant))
        .map(|chosen| chosen.index)
        .map_err(|problem| problem.code)
}

#[test]
fn each_rule_of_the_contract_chooses_its_leg() {
    use LegState::{Connected, Held, Ringing};
    let q = queue(1);
    let ivr = || leg(8, Purpose::Ivr, Connected);
    #[rustfmt::skip]
    let table: Vec<(&str, Vec<Leg>, Result<usize, Code>)> = vec![
        ("connected agent", vec![customer(), agent(2, Connected)], Ok(1)),
        ("held agent", vec![customer(), agent(2, Held)], Ok(1)),
        ("connected user", vec![customer(), leg(2, Purpose::User, Connected)], Ok(1)),
        ("waiting", vec![customer(), waiting(2, q)], Ok(1)),
        ("menu", vec![customer(), ivr()], Ok(1)),
        ("flow", vec![customer(), leg(2, Purpose::Workflow, Connected)], Ok(1)),
        ("agent before waiting", vec![customer(), waiting(2, q), agent(3, Connected)], Ok(2)),
        ("waiting before menu", vec![customer(), waiting(2, q), ivr()], Ok(1)),
        ("ended ACD leg of the same queue stays", vec![customer(), ended(waiting(2, q)), waiting(3, q)], Ok(2)),
        ("ended agent does not count", vec![customer(), ended(agent(2, Connected)), waiting(3, q)], Ok(2)),
        ("newest of two waiting legs", vec![customer(), waiting(2, q), waiting(3, q)], Ok(2)),
        ("ringing", vec![customer(), agent(2, Ringing)], Err(Code::ConversationRinging)),
        ("ringing while its ACD leg waits", vec![customer(), waiting(2, q), agent(3, Ringing)], Err(Code::ConversationRinging)),
        ("one connected, another ringing", vec![customer(), agent(2, Connected), agent(3, Ringing)], Ok(1)),
        ("one held, another ringing", vec![customer(), agent(2, Ringing), agent(3, Held)], Ok(2)),
        ("two connected", vec![customer(), agent(2, Connected), agent(3, Connected)], Err(Code::ParticipantAmbiguous)),
        ("one connected, one held", vec![customer(), agent(2, Held), agent(3, Connected)], Err(Code::ParticipantAmbiguous)),
        ("customer left", vec![ended(customer()), agent(2, Connected)], Err(Code::ConversationEnded)),
        ("all ended", vec![ended(customer()), ended(agent(2, Connected))], Err(Code::ConversationEnded)),
        ("no legs at all", vec![], Err(Code::ConversationEnded)),
        ("customer alone", vec![customer()], Err(Code::ConversationNotTransferable)),
        ("outbound: the external party is the customer", vec![leg(1, Purpose::External, Connected), agent(2, Connected)], Ok(1)),
        ("outbound: the external party left", vec![ended(leg(1, Purpose::External, Connected)), agent(2, Connected)], Err(Code::ConversationEnded)),
        ("a consulted external party left, the customer is there", vec![customer(), ended(leg(2, Purpose::External, Connected)), agent(3, Connected)], Ok(2)),
    ];
    for (name, legs, expected) in table {
        assert_eq!(code(&conversation(legs), None), expected, "{name}");
    }
}

#[test]
fn a_named_leg_is_taken_if_it_may_be() {
    use LegState::{Connected, Held, Ringing};
    let legs = vec![
        customer(),
        agent(2, Connected),
        agent(3, Held),
        agent(4, Ringing),
        ended(agent(5, Connected)),
        waiting(6, queue(1)),
    ];
    let conversation = conversation(legs);
    #[rustfmt::skip]
    let table = [
        (2, Ok(1)),
        (3, Ok(2)),
        (6, Ok(5)),
        (1, Err(Code::InvalidRequest)),
        (4, Err(Code::ConversationRinging)),
        (5, Err(Code::ParticipantNotFound)),
        (99, Err(Code::ParticipantNotFound)),
    ];
    for (wanted, expected) in table {
        assert_eq!(code(&conversation, Some(wanted)), expected, "participant {wanted}");
    }
}

/// A supervisor's leg.
fn supervisor(n: u32, does: Supervision, state: LegState) -> Leg {
    Leg { supervision: Some(does), ..agent(n, state) }
}

#[test]
fn a_leg_that_only_listens_neither_counts_nor_goes_and_one_that_barged_in_is_an_agent() {
    use LegState::{Connected, Held, Ringing};
    use Supervision::{BargedIn, Listens};
    let q = queue(1);
    let listens = |state| supervisor(9, Listens, state);
    #[rustfmt::skip]
    let table: Vec<(&str, Vec<Leg>, Result<usize, Code>)> = vec![
        ("an agent", vec![customer(), listens(Connected), agent(2, Connected)], Ok(2)),
        ("an agent on hold", vec![customer(), agent(2, Held), listens(Held)], Ok(1)),
        ("one who waits", vec![customer(), waiting(2, q), listens(Connected)], Ok(1)),
        ("one who waits, and the listener's phone rings", vec![customer(), waiting(2, q), listens(Ringing)], Ok(1)),
        ("one who waits and rings", vec![customer(), waiting(2, q), agent(3, Ringing), listens(Connected)], Err(Code::ConversationRinging)),
        ("nobody", vec![customer(), listens(Connected)], Err(Code::ConversationNotTransferable)),
        ("nobody at all", vec![ended(customer()), listens(Connected)], Err(Code::ConversationEnded)),
        ("nobody, without a customer", vec![ended(agent(2, Connected)), listens(Connected)], Err(Code::ConversationEnded)),
        ("two agents", vec![customer(), agent(2, Connected), agent(3, Held), listens(Connected)], Err(Code::ParticipantAmbiguous)),
        ("barged in beside an agent", vec![customer(), agent(2, Connected), supervisor(9, BargedIn, Connected)], Err(Code::ParticipantAmbiguous)),
        ("barged in alone", vec![customer(), supervisor(9, BargedIn, Connected)], Ok(1)),
        ("barging in rings", vec![customer(), waiting(2, q), supervisor(9, BargedIn, Ringing)], Err(Code::ConversationRinging)),
    ];
    for (name, legs, expected) in table {
        assert_eq!(code(&conversation(legs), None), expected, "{name}");
    }
    let monitored = conversation(vec![customer(), agent(2, Connected), listens(Connected)]);
    assert_eq!(code(&monitored, Some(9)), Err(Code::InvalidRequest));
    let over = conversation(vec![customer(), agent(2, Connected), ended(listens(Connected))]);
    assert_eq!(code(&over, Some(9)), Err(Code::ParticipantNotFound));
}

#[test]
fn only_where_the_leg_itself_may_be_unread_the_conversation_is() {
    use LegState::Connected;
    let unread = |legs| Conversation { unread: true, ..conversation(legs) };
    let no_id = || Leg { participant_id: None, ..agent(2, Connected) };
    let one = agent(2, Connected);
    #[rustfmt::skip]
    let table = [
        ("an agent is there", vec![customer(), one.clone()], None, Ok(1)),
        ("one waits", vec![customer(), waiting(2, queue(1))], None, Ok(1)),
        ("the customer is missing", vec![one.clone()], None, Ok(0)),
        ("the one named is there", vec![customer(), one.clone(), no_id()], Some(2), Ok(1)),
        ("nobody is there", vec![customer()], None, Err(Code::GenesysError)),
        ("nothing is there", vec![], None, Err(Code::GenesysError)),
        ("the one named is missing", vec![customer(), one.clone()], Some(3), Err(Code::GenesysError)),
        ("it has no id", vec![customer(), no_id()], None, Err(Code::GenesysError)),
        ("of two one has no id", vec![customer(), no_id(), agent(3, Connected)], None, Err(Code::ParticipantAmbiguous)),
        ("the customer left", vec![ended(customer()), one], None, Err(Code::ConversationEnded)),
    ];
    for (name, legs, wanted, expected) in table {
        assert_eq!(code(&unread(legs), wanted), expected, "{name}");
    }
    let over = Conversation { ended: true, ..unread(vec![customer()]) };
    assert_eq!(code(&over, None), Err(Code::ConversationEnded));
}

#[test]
fn a_named_leg_does_not_take_a_call_from_under_a_ringing_agent() {
    let ringing = conversation(vec![customer(), waiting(2, queue(1)), agent(3, LegState::Ringing)]);
    assert_eq!(code(&ringing, Some(2)), Err(Code::ConversationRinging));
}

#[test]
fn a_blocked_or_ended_conversation_is_refused_before_its_legs_are_looked_at() {
    let busy = Conversation {
        blocked: Some("busy".to_owned()),
        ..conversation(vec![agent(2, LegState::Connected)])
    };
    let over = Conversation { ended: true, ..conversation(vec![agent(2, LegState::Connected)]) };
    assert_eq!(code(&busy, None), Err(Code::ConversationNotTransferable));
    assert_eq!(code(&over, None), Err(Code::ConversationEnded));
}

#[test]
fn ambiguity_names_every_candidate() {
    let problem = choose(
        &conversation(vec![
            customer(),
            agent(2, LegState::Connected),
            agent(3, LegState::Held),
            agent(4, LegState::Ringing),
        ]),
        None,
    )
    .unwrap_err();
    let states: Vec<_> = problem
        .candidates
        .iter()
        .map(|candidate| match candidate {
            Candidate::Participant { state, .. } => state.as_str(),
            Candidate::Queue { .. } => "queue",
        })
        .collect();
    assert_eq!(states, ["connected", "held"]);
}

#[test]
fn every_leg_gets_its_reason() {
    let conversation = conversation(vec![
        customer(),
        ended(waiting(2, queue(1))),
        agent(3, LegState::Connected),
        agent(4, LegState::Ringing),
    ]);
    let chosen = choose(&conversation, None).ok();
    let said = explain(&conversation, chosen);
    let said: Vec<_> = said.iter().map(|(replaced, why)| (*replaced, why.as_str())).collect();
    assert_eq!(
        said,
        [
            (false, "the customer's leg is never replaced"),
            (false, "has ended"),
            (true, "the only connected agent"),
            (false, "is ringing"),
        ]
    );
}

fn any_leg() -> impl Strategy<Value = Leg> {
    let purpose = prop_oneof![
        Just(Purpose::Customer),
        Just(Purpose::External),
        Just(Purpose::Agent),
        Just(Purpose::User),
        Just(Purpose::Acd),
        Just(Purpose::Ivr),
        Just(Purpose::Other("station".to_owned())),
    ];
    let state = prop_oneof![
        Just(LegState::Connected),
        Just(LegState::Held),
        Just(LegState::Waiting),
        Just(LegState::Ringing),
        Just(LegState::Ended),
        Just(LegState::Other("parked".to_owned())),
    ];
    let supervision = prop_oneof![
        Just(None),
        Just(Some(Supervision::Listens)),
        Just(Some(Supervision::BargedIn)),
    ];
    (1..6u32, purpose, state, supervision)
        .prop_map(|(n, purpose, state, supervision)| Leg { supervision, ..leg(n, purpose, state) })
}

proptest! {
    #[test]
    fn never_the_customer_never_an_ended_ringing_or_listening_leg(
        legs in prop::collection::vec(any_leg(), 0..8),
        wanted in prop::option::of(1..7u32),
    ) {
        let conversation = conversation(legs);
        if let Ok(chosen) = choose(&conversation, wanted.map(participant)) {
            let leg = &conversation.legs[chosen.index];
            prop_assert!(!is_customer(&conversation, leg));
            prop_assert!(!matches!(leg.state, LegState::Ended | LegState::Ringing));
            prop_assert!(!leg.listens());
            prop_assert!(!is_over(&conversation));
            if let Some(wanted) = wanted {
                prop_assert_eq!(leg.participant_id, Some(participant(wanted)));
            }
        }
    }

    #[test]
    fn adding_an_ended_leg_changes_nothing(
        legs in prop::collection::vec(any_leg(), 1..8),
        extra in any_leg(),
    ) {
        let before = conversation(legs);
        // A customer's leg that ended may well change the answer: the customer left.
        prop_assume!(!matches!(extra.purpose, Purpose::Customer | Purpose::External));
        let mut after = before.clone();
        after.legs.push(ended(extra));
        let of = |c: &Conversation| choose(c, None).map(|x| x.index).map_err(|p| p.code);
        prop_assert_eq!(of(&before), of(&after));
    }

    #[test]
    fn exactly_the_chosen_leg_is_explained_as_replaced(
        legs in prop::collection::vec(any_leg(), 0..8),
    ) {
        let conversation = conversation(legs);
        let chosen = choose(&conversation, None).ok();
        let marked: Vec<usize> = explain(&conversation, chosen)
            .iter()
            .enumerate()
            .filter_map(|(index, (replaced, _))| replaced.then_some(index))
            .collect();
        prop_assert_eq!(marked, chosen.map(|c| c.index).into_iter().collect::<Vec<_>>());
    }
}
