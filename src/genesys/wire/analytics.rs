//! `POST /api/v2/analytics/conversations/activity/query` and
//! `GET /api/v2/analytics/conversations/details`. They carry numbers and names, too; these are not
//! read.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    lenient,
    listed::{Listed, optional},
    observations::time,
    parsed, whole,
};
use crate::transfer::ids::{ConversationId, LanguageId, ParticipantId, SkillId};

/// `ConversationActivityResponse`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct ActivityPage {
    /// Without it the answer says nothing: an empty queue has an empty list.
    pub results: Listed<ActivityGroup>,
}

/// `ConversationActivityData`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct ActivityGroup {
    #[serde(default, deserialize_with = "optional")]
    pub entities: Listed<ActivityRow>,
}

/// `ConversationActivityEntityData`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct ActivityRow {
    #[serde(deserialize_with = "parsed")]
    pub conversation_id: ConversationId,
    #[serde(deserialize_with = "time")]
    pub activity_date: Timestamp,
    #[serde(default, deserialize_with = "lenient")]
    pub metric: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub queue_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub media_type: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    pub routing_priority: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub requested_routing_skill_ids: Option<Vec<SkillId>>,
    #[serde(default, deserialize_with = "lenient")]
    pub requested_language_id: Option<LanguageId>,
}

/// `AnalyticsConversationWithoutAttributesMultiGetResponse`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Details {
    pub conversations: Listed<DetailedCall>,
}

/// `AnalyticsConversationWithoutAttributes`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct DetailedCall {
    #[serde(deserialize_with = "parsed")]
    pub conversation_id: ConversationId,
    #[serde(default, deserialize_with = "lenient")]
    pub conversation_end: Option<String>,
    pub participants: Listed<DetailedLeg>,
}

/// `AnalyticsParticipantWithoutAttributes`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct DetailedLeg {
    #[serde(deserialize_with = "parsed")]
    pub participant_id: ParticipantId,
    pub purpose: String,
    pub sessions: Listed<DetailedSession>,
}

/// `AnalyticsSession`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct DetailedSession {
    #[serde(default, deserialize_with = "lenient")]
    pub media_type: Option<String>,
    pub segments: Listed<DetailedSegment>,
}

/// `AnalyticsConversationSegment`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct DetailedSegment {
    #[serde(deserialize_with = "time")]
    pub segment_start: Timestamp,
    #[serde(default, deserialize_with = "lenient")]
    pub segment_end: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub segment_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub queue_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub disconnect_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub requested_routing_skill_ids: Option<Vec<SkillId>>,
    #[serde(default, deserialize_with = "lenient")]
    pub requested_language_id: Option<LanguageId>,
}

/// `EstimatedWaitTimePredictions`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct WaitEstimates {
    #[serde(default, deserialize_with = "optional")]
    pub results: Listed<WaitEstimate>,
}

/// `PredictionResults`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::genesys) struct WaitEstimate {
    #[serde(default, deserialize_with = "lenient")]
    pub intent: Option<String>,
    #[serde(default, deserialize_with = "whole")]
    pub estimated_wait_time_seconds: Option<u64>,
}

/// `LimitsEntityListing`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Limits {
    #[serde(default, deserialize_with = "optional")]
    pub entities: Listed<Limit>,
}

/// `Limit`
#[derive(Debug, Deserialize)]
pub(in crate::genesys) struct Limit {
    pub key: String,
    #[serde(deserialize_with = "whole")]
    pub value: Option<u64>,
}
