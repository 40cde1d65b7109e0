// What a program does with the types that openapi-typescript makes from the description: it moves a
// call, drains a queue by a plan, and reads a problem. Arguments: the service, a call that exists.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Batch = components["schemas"]["Batch"];

const PATIENCE = 180_000; // milliseconds; only a service that fails takes so long

function must(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

const [service = "", call = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: service });

async function move(): Promise<void> {
  const { data, error } = await client.POST("/transfers", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { conversationId: call, queueName: "Support Tier 2", priority: 10 },
  });
  must(data !== undefined, error);
  must(data.status === "accepted" || data.status === "confirmed", data);
  const found = await client.GET("/transfers/{id}", { params: { path: { id: data.id } } });
  must(found.data?.conversationId === call, found.error);
}

async function drain(): Promise<void> {
  const order = { fromQueueName: "Support Tier 1", toQueueName: "Support Tier 2", limit: 3, dryRun: true };
  const { data: plan, error } = await client.POST("/batches", { body: order });
  must(plan !== undefined && "planId" in plan, error);
  must(plan.items.length === 3, plan);
  const begun = await client.POST("/batches", { body: { planId: plan.planId } });
  must(begun.data !== undefined && "counts" in begun.data, begun.error);
  let batch: Batch = begun.data;
  const deadline = Date.now() + PATIENCE;
  while (batch.status === "running" && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const seen = await client.GET("/batches/{id}", { params: { path: { id: batch.id } } });
    must(seen.data !== undefined, seen.error);
    batch = seen.data as Batch;
  }
  must(batch.status === "completed" && batch.counts.accepted + batch.counts.confirmed === 3, batch);
}

async function readAProblem(): Promise<void> {
  const body = { conversationId: call, queueName: "Suport Tier 2" };
  const { data, error, response } = await client.POST("/transfers", { body });
  must(error !== undefined, data);
  must(response.status === 422 && error.code === "queue_not_found" && !error.retryable, error);
  must(error.hint.includes("Support Tier 2"), error);
}

await move();
await drain();
await readAProblem();
