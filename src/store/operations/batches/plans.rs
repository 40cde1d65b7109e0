//! The lists of dry runs.

use super::super::{
    super::{
        encoding::{decode, encode, micros},
        fault::{DbError, Unreadable},
        session::{DbSession, Param},
    },
    DbOperation,
};
use crate::{batch::Plan, metrics::StoreOperation, transfer::ids::PlanId};

/// Expired plans that go when a new one comes: more than come, so that they do not pile up.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// A plan that expired so long ago is expired for every replica, even if their clocks differ.
/// Microseconds.
const MARGIN: i64 = 60_000_000;

/// Keeps a plan.
pub(in crate::store) struct KeepPlan {
    id: PlanId,
    created_at: i64,
    expires_at: i64,
    data: String,
}

impl KeepPlan {
    /// Fails when the plan cannot be put into words.
    pub(in crate::store) fn new(plan: &Plan) -> Result<Self, Unreadable> {
        let (created_at, expires_at) = (micros(plan.created_at), micros(plan.expires_at));
        Ok(Self { id: plan.id, created_at, expires_at, data: encode(plan)? })
    }
}

impl DbOperation for KeepPlan {
    const NAME: StoreOperation = StoreOperation::PlanKeep;

    type Output = ();

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        let forget = "DELETE FROM batch_plans WHERE id IN (SELECT id FROM batch_plans \
                      WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        let long_ago = self.created_at.saturating_sub(MARGIN);
        let values = [Param::Number(long_ago), Param::Number(FORGOTTEN_AT_ONCE)];
        session.execute(forget, &values).await?;
        let keep = "INSERT INTO batch_plans (id, expires_at, data) VALUES ($1, $2, $3) \
                    ON CONFLICT (id) DO NOTHING";
        let values =
            [Param::Id(self.id.uuid()), Param::Number(self.expires_at), Param::Text(&self.data)];
        session.execute(keep, &values).await?;
        Ok(())
    }
}

/// A plan, expired or not.
pub(in crate::store) struct GetPlan(pub(in crate::store) PlanId);

impl DbOperation for GetPlan {
    const NAME: StoreOperation = StoreOperation::PlanGet;

    type Output = Option<Plan>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Option<Plan>, DbError> {
        let text = "SELECT data FROM batch_plans WHERE id = $1";
        session.row(text, &[Param::Id(self.0.uuid())], |row| Ok(decode(row.text(0)?)?)).await
    }
}
