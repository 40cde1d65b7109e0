//! The types of fields that bodies and query strings have.

use std::{borrow::Cow, collections::HashSet, hash::Hash, str::FromStr};

use jiff::Timestamp;
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type,
    },
};

use super::{
    checked::{Rule, Wrong, kind},
    schema::{described, one_of, text, uuid},
};
use crate::{
    batch::{BatchStatus, Kind, When},
    problem::Code,
    transfer::{
        Verdict,
        ids::{ConversationId, LanguageId, ParticipantId, PlanId, QueueId, SkillId},
        model::{Priority, QueueName, Status, TransferType},
    },
};

/// Text without control characters.
const LINE: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*$";
/// The same with line breaks and tabs.
const LINES: &str = "^[^\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\u007F-\\u009F]*$";
/// A line in which something is to be seen.
const NAME: &str = "^[^\\u0000-\\u001F\\u007F-\\u009F]*[^\\s\\u0000-\\u001F\\u007F-\\u009F][^\\u0000-\\u001F\\u007F-\\u009F]*$";

/// One fault of the value as a whole.
pub(super) fn wrong(detail: impl Into<String>) -> Wrong {
    vec![(String::new(), detail.into())]
}

/// The text of a JSON string.
///
/// # Errors
/// `expected`, and what it is instead.
pub(super) fn string<'j>(json: &'j str, expected: &str) -> Result<Cow<'j, str>, Wrong> {
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Err(wrong(format!("must be {expected}, not {}", kind(json))));
    };
    if !inner.contains('\\') {
        return Ok(inner.into());
    }
    // What can still be wrong is an escape that stands for half a character.
    let text: Result<String, _> = serde_json::from_str(json);
    text.map(Cow::from).map_err(|_| wrong("must not hold unpaired surrogates"))
}

fn read_uuid<T: FromStr>(json: &str) -> Result<T, Wrong> {
    let text = string(json, "a UUID in a string")?;
    text.parse().map_err(|_| wrong("must be a UUID, 36 characters with hyphens"))
}

macro_rules! ids {
    ($($name:ty),+ $(,)?) => {$(
        impl Rule for $name {
            fn read(json: &str) -> Result<Self, Wrong> {
                read_uuid(json)
            }
        }
    )+};
}

ids!(ConversationId, LanguageId, ParticipantId, PlanId, QueueId, SkillId);

/// At most `MAX` different ids.
pub(super) struct Ids<T, const MAX: usize>(pub(super) Vec<T>);

impl<T: FromStr + Eq + Hash + Copy, const MAX: usize> Rule for Ids<T, MAX> {
    fn read(json: &str) -> Result<Self, Wrong> {
        let items: Vec<&RawValue> = serde_json::from_str(json)
            .map_err(|_| wrong(format!("must be a list of UUIDs, not {}", kind(json))))?;
        if items.len() > MAX {
            return Err(wrong(format!("may hold at most {MAX} UUIDs, not {}", items.len())));
        }
        let (mut seen, mut ids, mut all) = (HashSet::new(), Vec::new(), Wrong::new());
        for (index, item) in items.iter().enumerate() {
            match read_uuid::<T>(item.get()) {
                Ok(id) if seen.insert(id) => ids.push(id),
                Ok(_) => all.push((format!("/{index}"), "appears more than once".to_owned())),
                Err(wrong) => {
                    all.extend(wrong.into_iter().map(|(_, detail)| (format!("/{index}"), detail)));
                }
            }
        }
        if all.is_empty() { Ok(Self(ids)) } else { Err(all) }
    }
}

described!([T, const MAX: usize] Ids<T, MAX>, ArrayBuilder::new().items(uuid()).max_items(Some(MAX)).unique_items(true));

/// `true` or `false`.
impl Rule for bool {
    fn read(json: &str) -> Result<Self, Wrong> {
        match json {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong(format!("must be true or false, not {}", kind(json)))),
        }
    }
}

/// Whether a drained call keeps the time already waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeepPlace {
    /// Its priority tells: `true` or `false`.
    Priority(bool),
    /// The calls move in their order, and no priority is set: `"order"`.
    Order,
}

impl Rule for KeepPlace {
    fn read(json: &str) -> Result<Self, Wrong> {
        if json.starts_with('"') {
            return read_word(json, &[("order", Self::Order)]);
        }
        bool::read(json).map(Self::Priority)
    }
}

described!(KeepPlace, {
    let yes_or_no = ObjectBuilder::new().schema_type(Type::Boolean);
    OneOfBuilder::new().item(yes_or_no).item(one_of(["order"]))
});

/// A whole number from `MIN` to `MAX`, in any notation JSON has for it (`10`, `10.0`, `1e1`).
pub(super) struct Whole<const MIN: i64, const MAX: i64>(pub(super) i64);

impl<const MIN: i64, const MAX: i64> Rule for Whole<MIN, MAX> {
    fn read(json: &str) -> Result<Self, Wrong> {
        let instead = match json.parse::<f64>() {
            Err(_) => format!(", not {}", kind(json)),
            // Exact: a double has every whole number of 53 bits, and the bounds have fewer.
            Ok(number) if number.fract() == 0.0 => match format!("{number:.0}").parse::<i64>() {
                Ok(number) if (MIN..=MAX).contains(&number) => return Ok(Self(number)),
                _ => "; this one is outside".to_owned(),
            },
            Ok(number) if number.is_finite() => ", without a fraction".to_owned(),
            Ok(_) => "; this one is outside".to_owned(),
        };
        Err(wrong(format!("must be a whole number from {MIN} to {MAX}{instead}")))
    }
}

described!([const MIN: i64, const MAX: i64] Whole<MIN, MAX>, {
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        number.minimum(Some(MIN)).maximum(Some(MAX))
});

type PriorityNumber = Whole<{ Priority::MIN as i64 }, { Priority::MAX as i64 }>;

impl Rule for Priority {
    fn read(json: &str) -> Result<Self, Wrong> {
        PriorityNumber::read(json).map(|Whole(number)| Self::saturating(number))
    }
}

described!(Priority, PriorityNumber::schema());

/// A text of at most `MAX` characters without control characters; line breaks and tabs only when
/// `BREAKS`.
pub(super) struct BoundedText<const MAX: usize, const BREAKS: bool>(pub(super) String);

impl<const MAX: usize, const BREAKS: bool> Rule for BoundedText<MAX, BREAKS> {
    fn read(json: &str) -> Result<Self, Wrong> {
        let text = string(json, "a string")?;
        check_text(&text, MAX, BREAKS).map_err(wrong)?;
        Ok(Self(text.into_owned()))
    }
}

described!([const MAX: usize, const BREAKS: bool] BoundedText<MAX, BREAKS>, {
        let pattern = if BREAKS { LINES } else { LINE };
        text().max_length(Some(MAX)).pattern(Some(pattern))
});

/// Checks a text against its bounds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_text(text: &str, max: usize, breaks: bool) -> Result<(), String> {
    if text.chars().count() > max {
        return Err(format!("may have at most {max} characters"));
    }
    let allowed = |c: char| !c.is_control() || (breaks && matches!(c, '\n' | '\r' | '\t'));
    if text.chars().all(allowed) { Ok(()) } else { Err("must not hold control characters".into()) }
}

impl Rule for QueueName {
    fn read(json: &str) -> Result<Self, Wrong> {
        let name = Self::parse(&string(json, "a string")?).ok_or_else(|| {
            let most = Self::MAX_CHARS;
            wrong(format!("must have 1 to {most} characters, not counting surrounding spaces"))
        })?;
        check_text(name.as_str(), Self::MAX_CHARS, false).map_err(wrong)?;
        Ok(name)
    }
}

described!(QueueName, {
    let most = Some(Self::MAX_CHARS);
    text().min_length(Some(1)).max_length(most).pattern(Some(NAME))
});

/// Longest time that is read, in bytes: RFC 3339 lets the fraction of a second have any number of
/// digits.
pub(super) const MAX_TIME: usize = 128;

/// A time in RFC 3339.
#[derive(Debug, PartialEq)]
pub(super) struct Time(pub(super) Timestamp);

impl Rule for Time {
    fn read(json: &str) -> Result<Self, Wrong> {
        let text = string(json, "a string")?;
        let read = |text: &str| to_the_nanosecond(text).parse().ok();
        Some(&*text)
            .filter(|text| text.len() <= MAX_TIME)
            // A plus sign that was not percent-encoded arrives as a blank; no time has one there.
            .and_then(|text| read(text).or_else(|| read(&text.replace(' ', "+"))))
            .map(Self)
            .ok_or_else(|| wrong("must be a time such as 2026-03-27T09:30:00Z"))
    }
}

described!(
    Time,
    text()
        .max_length(Some(MAX_TIME))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-03-27T09:30:00Z"])
);

/// `text` without what follows the ninth digit of a second's fraction: no time here is as fine.
fn to_the_nanosecond(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let fraction = rest.chars().take(rest.len().saturating_sub(zone.len()).min(9));
    format!("{whole}.{}{zone}", fraction.collect::<String>())
}

fn read_word<T: Copy>(json: &str, all: &[(&str, T)]) -> Result<T, Wrong> {
    let text = string(json, "a string")?;
    let found = all.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|(word, _)| *word).collect();
        wrong(format!("must be {}", words.join(" or ")))
    })
}

/// Types whose values are words, each with a component of its own that lists them.
macro_rules! words {
    ($($name:literal $type:ty, $about:literal, $all:expr;)+) => {$(
        impl Rule for $type {
            fn read(json: &str) -> Result<Self, Wrong> {
                read_word(json, &$all)
            }
        }

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                one_of($all.iter().map(|(word, _)| *word)).description(Some($about)).into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    )+};
}

words! {
    "Status" Status,
        "`pending`: recorded, not settled. `accepted`: Genesys took the command. `confirmed`: seen \
         waiting in, or answered from, the target queue. `skipped`: never sent, in a batch only. \
         `failed`: it certainly did not happen. `unknown`: it may have happened; the service goes \
         on finding out. Nothing leaves `confirmed`, `failed` or `skipped`.",
        Self::ALL.map(|it| (it.as_str(), it));
    "BatchStatus" BatchStatus,
        "`running`: calls are being moved, or wait for it. `completed`: every call is settled, or \
         `unknown` and being settled. `cancelled`: stopped; what was not yet sent is skipped. \
         `failed`: it could not start; `error` says why.",
        Self::ALL.map(|it| (it.as_str(), it));
    "BatchKind" Kind,
        "How a batch was asked for: a list of transfers, all that wait in a queue, or what another \
         batch moved, put back.",
        [("list", Self::List), ("drain", Self::Drain), ("undo", Self::Undo)];
    "DrainWhen" When,
        "When a standing drain moves calls: `always`, or `nobody_on_queue`, only while no agent is on \
         queue in the source queue.",
        [("always", Self::Always), ("nobody_on_queue", Self::NobodyOnQueue)];
    "TransferType" TransferType,
        "Whether the agent stays on until the transfer is taken.",
        [("unattended", Self::Unattended), ("attended", Self::Attended)];
    "ProblemCode" Code,
        "A problem code; `GET /problems/{code}` explains it.",
        Code::ALL.iter().map(|code| (code.as_str(), *code)).collect::<Vec<_>>();
    "SettleOutcome" Verdict,
        "Whether the call moved.",
        [("moved", Self::Moved), ("not_moved", Self::NotMoved)];
}
