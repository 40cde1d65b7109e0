//! The lists of dry runs.

use super::super::{
    super::{
        encoding::{Unreadable, decode, encode, micros},
        session::{Fields, Session, Value},
    },
    Fault, Operation, sql,
};
use crate::{batch::Plan, metrics::StoreOperation, transfer::ids::PlanId};

/// Expired plans that go when a new one comes: more than come, so that they do not pile up.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// A plan that expired so long ago is of no use to anybody, whatever the clocks of replicas say.
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

impl Operation for KeepPlan {
    const NAME: StoreOperation = StoreOperation::PlanKeep;

    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let forget = "DELETE FROM batch_plans WHERE id IN (SELECT id FROM batch_plans \
                      WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        let long_ago = self.created_at.saturating_sub(MARGIN);
        let values = [Value::Number(long_ago), Value::Number(FORGOTTEN_AT_ONCE)];
        session.execute(sql(forget), &values).await?;
        let keep = "INSERT INTO batch_plans (id, expires_at, data) VALUES ($1, $2, $3) \
                    ON CONFLICT (id) DO NOTHING";
        let values =
            [Value::Id(self.id.uuid()), Value::Number(self.expires_at), Value::Text(&self.data)];
        session.execute(sql(keep), &values).await?;
        Ok(())
    }
}

/// A plan, expired or not.
pub(in crate::store) struct GetPlan(pub(in crate::store) PlanId);

impl Operation for GetPlan {
    const NAME: StoreOperation = StoreOperation::PlanGet;

    type Output = Option<Plan>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Option<Plan>, Fault> {
        let text = "SELECT data FROM batch_plans WHERE id = $1";
        let rows = session.rows(sql(text), &[Value::Id(self.0.uuid())]).await?;
        rows.first().map(|row| Ok(decode(&row.text(0)?)?)).transpose()
    }
}
