//! `POST /api/v2/analytics/queues/observations/query`. A row carries the caller's number and name,
//! too; they are not read.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    Text, lenient,
    listed::{Listed, optional},
    parsed, timestamp, whole,
};
use crate::transfer::ids::ConversationId;

/// `QueueObservationQuery`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct WaitingQuery<'a> {
    pub filter: Filter<'a>,
    pub metrics: [&'static str; 1],
    pub detail_metrics: [&'static str; 1],
}

/// `QueueObservationQueryFilter`
#[derive(Debug, Serialize)]
pub(in crate::genesys) struct Filter<'a> {
    pub r#type: &'static str,
    pub predicates: [Predicate<'a>; 2],
}

/// `QueueObservationQueryPredicate`
#[derive(Debug, Serialize)]
pub(in crate::genesys) struct Predicate<'a> {
    pub r#type: &'static str,
    pub dimension: &'static str,
    pub operator: &'static str,
    pub value: &'a str,
}

/// `QueueObservationQueryResponse`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Observations {
    /// Without it the answer says nothing: an empty queue has an empty list.
    pub results: Listed<Group>,
}

/// `QueueObservationDataContainer`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Group {
    #[serde(default)]
    pub group: Option<GroupKey>,
    /// Without it nothing waits.
    #[serde(default)]
    pub data: Option<Listed<Data>>,
}

/// Its `group`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct GroupKey {
    #[serde(default, deserialize_with = "lenient")]
    pub queue_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub media_type: Option<String>,
}

/// `ObservationMetricData`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Data {
    #[serde(default, deserialize_with = "lenient")]
    pub metric: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub qualifier: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub stats: Option<Stats>,
    #[serde(default, deserialize_with = "lenient")]
    pub truncated: Option<bool>,
    #[serde(default, deserialize_with = "optional")]
    pub observations: Listed<Row>,
}

/// `StatisticalSummary`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Stats {
    #[serde(default, deserialize_with = "whole")]
    pub count: Option<u64>,
    #[serde(default, deserialize_with = "whole", rename = "calculatedMetricValue")]
    pub calculated_value: Option<i64>,
}

/// `ObservationValue`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct Row {
    #[serde(deserialize_with = "parsed")]
    pub conversation_id: ConversationId,
    #[serde(deserialize_with = "time")]
    pub observation_date: Timestamp,
    #[serde(default, deserialize_with = "whole")]
    pub routing_priority: Option<i64>,
}

pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Text::deserialize(deserializer)?;
    timestamp(&text).ok_or_else(|| D::Error::custom("no time"))
}
