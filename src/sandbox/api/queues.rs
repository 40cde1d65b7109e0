//! `GET /api/v2/routing/queues`, one queue, and the contact-centre settings.

use serde_json::json;
use uuid::Uuid;

use super::{Answer, ApiError, Call};
use crate::sandbox::{
    wire::{QueueBody, QueuePage},
    world::{Queue, Refused, queues::name_fits},
};
use axum::http::StatusCode;

/// Page size when none is asked for.
const USUAL_PAGE: usize = 25;

pub(super) fn page(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let number = positive(call, "pageNumber", 1)?;
    let largest = usize::try_from(call.state.behaviour.max_page_size).unwrap_or(1).max(1);
    let size = positive(call, "pageSize", USUAL_PAGE)?.min(largest);
    let descending = match call.asked.parameter("sortOrder").as_deref() {
        None | Some("" | "asc" | "ascending") => false,
        Some("desc" | "descending") => true,
        Some(_) => return Err(ApiError::bad("invalid.value", "sortOrder: asc or desc")),
    };
    let filters = Filters::read(call);
    let from = number.saturating_sub(1).saturating_mul(size);
    let (total, entities) = if filters.is_empty() && !descending {
        let slice = call.state.world.queues().skip(from).take(size).map(QueueBody::new);
        (call.state.world.queue_count(), slice.collect())
    } else {
        let mut found: Vec<&Queue> =
            call.state.world.queues().filter(|queue| filters.fit(queue)).collect();
        if descending {
            found.reverse();
        }
        (found.len(), found.into_iter().skip(from).take(size).map(QueueBody::new).collect())
    };
    let page_count = total.div_ceil(size);
    let uri = |page: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("pageSize", &size.to_string());
        query.append_pair("pageNumber", &page.to_string());
        if let Some(name) = &filters.name {
            query.append_pair("name", name);
        }
        format!("/api/v2/routing/queues?{}", query.finish())
    };
    Ok(Answer::json(&QueuePage {
        entities,
        page_size: size,
        page_number: number,
        total,
        page_count,
        first_uri: uri(1),
        last_uri: uri(page_count.max(1)),
        self_uri: uri(number),
        next_uri: (number < page_count).then(|| uri(number.saturating_add(1))),
        previous_uri: (number > 1).then(|| uri(number - 1)),
    }))
}

struct Filters {
    name: Option<String>,
    ids: Vec<String>,
    divisions: Vec<String>,
}

impl Filters {
    fn read(call: &Call<'_>) -> Self {
        let list = |name: &str| -> Vec<String> {
            let all = call.asked.query().unwrap_or_default();
            url::form_urlencoded::parse(all.as_bytes())
                .filter(|(key, _)| key == name)
                .flat_map(|(_, value)| value.split(',').map(str::to_lowercase).collect::<Vec<_>>())
                .collect()
        };
        Self {
            name: call.asked.parameter("name").filter(|name| !name.is_empty()),
            ids: list("id"),
            divisions: list("divisionId"),
        }
    }

    fn is_empty(&self) -> bool {
        self.name.is_none() && self.ids.is_empty() && self.divisions.is_empty()
    }

    fn fit(&self, queue: &Queue) -> bool {
        let among = |list: &[String], id: Uuid| {
            list.is_empty() || list.iter().any(|wanted| *wanted == id.to_string())
        };
        self.name.as_deref().is_none_or(|name| name_fits(name, &queue.name))
            && among(&self.ids, queue.id)
            && among(&self.divisions, queue.division.id)
    }
}

fn positive(call: &Call<'_>, name: &str, usual: usize) -> Result<usize, ApiError> {
    let Some(text) = call.asked.parameter(name) else { return Ok(usual) };
    let number = text.parse::<usize>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        ApiError::bad("invalid.value", format!("{name} must be a whole number above 0.")).at(name)
    })
}

pub(super) fn one(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    let queue = call.state.world.queue(id).ok_or_else(|| {
        let text = Refused::UnknownQueue.to_string();
        ApiError::new(StatusCode::NOT_FOUND, "not.found", text)
    })?;
    Ok(Answer::json(&QueueBody::new(queue)))
}

pub(super) fn contact_center(call: &mut Call<'_>) -> Answer {
    let strips = call.state.behaviour.remove_skills_from_blind_transfer;
    Answer::json(&json!({"removeSkillsFromBlindTransfer": strips}))
}
