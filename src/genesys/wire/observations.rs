//! `POST /api/v2/analytics/queues/observations/query`. A row carries the caller's number and name,
//! too; they are not read.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{lenient, lenient_list, whole};

/// `QueueObservationQuery`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct Query<'a> {
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
pub(in crate::genesys) struct Answer {
    /// Without it the answer says nothing: an empty queue has an empty list.
    #[serde(deserialize_with = "lenient_list")]
    pub results: Vec<Group>,
}

/// `QueueObservationDataContainer`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Group {
    #[serde(default, deserialize_with = "lenient")]
    pub group: Option<Key>,
    /// Without it nothing waits.
    #[serde(default, deserialize_with = "places")]
    pub data: Option<Vec<Option<Data>>>,
}

/// Its `group`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct Key {
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
    pub stats: Option<Stats>,
    #[serde(default, deserialize_with = "lenient")]
    pub truncated: Option<bool>,
    #[serde(default, deserialize_with = "places")]
    pub observations: Option<Vec<Option<Row>>>,
}

/// `StatisticalSummary`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Stats {
    #[serde(default, deserialize_with = "whole")]
    pub count: Option<u64>,
}

/// `ObservationValue`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct Row {
    #[serde(default, deserialize_with = "lenient")]
    pub conversation_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub observation_date: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    pub routing_priority: Option<i64>,
}

/// Reads a list in which what is not of its type leaves an empty place: it counts. What is no list
/// is none.
fn places<'de, D, T>(deserializer: D) -> Result<Option<Vec<Option<T>>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let values: Option<Vec<serde_json::Value>> = lenient(deserializer)?;
    let read = |value| serde_json::from_value(value).ok();
    Ok(values.map(|values| values.into_iter().map(read).collect()))
}
