import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { barriers, Bench, browser, eventually, hide, makeKey, openPage, picture } from "./support.js";

after(() => browser.close());

const button = (page, name) => page.getByRole("button", { name });
const see = (page, text) => page.getByText(text).first().waitFor();
const boardRow = (page, name) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });

/** Opens all that is folded; runs in the page. */
const unfold = (within = "body") => document.querySelectorAll(`${within} details`).forEach((fold) => { fold.open = true; });

/** Presses Tab until the focus is on something with that name. */
async function tabTo(page, name) {
  const focused = () => page.evaluate(() => {
    const { activeElement: at } = document;
    return (at.labels?.[0]?.innerText ?? at.innerText ?? "").replace(/\s+/g, " ").trim();
  });
  const passed = [];
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    passed.push(await focused());
    if (name.test(passed.at(-1))) return;
  }
  assert.fail(`no ${name} among ${passed.join(" | ")}`);
}

/** The heading that has the focus. */
const heading = (page, text) => eventually(`the focus on ${text}`, () => page.evaluate(
  (words) => /^H[23]$/.test(document.activeElement.tagName) && document.activeElement.innerText.includes(words), text));

describe("an outage", () => {
  let bench;
  before(async () => { bench = await Bench.start(); });
  after(() => bench.close());

  test("is handled from the board to undo by mouse", async () => {
    await bench.waiting("Sales", 30);
    const page = await openPage(`${bench.at}/ops`);
    await boardRow(page, "Sales").getByText("30", { exact: true }).waitFor();
    await picture(page, "board");

    await boardRow(page, "Sales").getByRole("button", { name: "Drain" }).click();
    await page.getByLabel("To queue").fill("Retention");
    await button(page, "Preview").click();
    await see(page, "Move 30 calls from Sales to Retention?");
    await button(page, "Move 30 calls").click();
    await see(page, "completed");
    assert.equal(await bench.waitingIn("Sales"), 0);
    assert.equal(await bench.waitingIn("Retention"), 30);

    await button(page, "Undo…").click();
    await button(page, "Put back 30 calls").click();
    await page.getByRole("heading", { name: /^Undo/ }).waitFor();
    await see(page, "completed");
    assert.equal(await bench.waitingIn("Sales"), 30);
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("is handled from the board to undo by keyboard only", async () => {
    await bench.queue("Billing Night");
    await bench.waiting("Billing Night", 12);
    const page = await openPage(`${bench.at}/ops`);
    await boardRow(page, "Billing Night").waitFor();
    await tabTo(page, /^Search$/);
    await page.keyboard.type("night");
    await tabTo(page, /^Drain Billing Night$/);
    await page.keyboard.press("Enter");
    await eventually("the focus in the form", () => page.evaluate(() => document.activeElement.id === "to"));
    await page.keyboard.type("Retention");
    await page.keyboard.press("Enter");
    await heading(page, "Move 12 calls from Billing Night to Retention?");
    await tabTo(page, /^Move 12 calls$/);
    await page.keyboard.press("Enter");
    await heading(page, "Drain Billing Night → Retention");
    await see(page, "completed");
    assert.equal(await bench.waitingIn("Billing Night"), 0);

    await tabTo(page, /^Undo…$/);
    await page.keyboard.press("Enter");
    await heading(page, "Put 12 calls back?");
    await tabTo(page, /^Put back 12 calls$/);
    await page.keyboard.press("Enter");
    await heading(page, "Undo");
    await see(page, "completed");
    assert.equal(await bench.waitingIn("Billing Night"), 12);
    await page.context().close();
  });

  test("leaves a story of each call, and one call can be put back alone", async () => {
    await bench.queue("Story");
    const [call] = await bench.waiting("Story", 1);
    await bench.ask("POST", "/transfers", { conversationId: call, queueName: "Retention", reference: "CASE-1" });

    const page = await openPage(`${bench.at}/ops#history`);
    await page.getByLabel("Conversation or reference").fill("CASE-1");
    await button(page, "Search").click();
    await page.getByRole("row").filter({ hasText: "CASE-1" }).getByRole("link").click();
    await see(page, "asked to move the call to");
    await button(page, "Undo…").click();
    await page.getByText("Put the call back to Story?").waitFor();
    assert.deepEqual(await barriers(page), []);
    await button(page, "Put back 1 call").click();
    await page.getByRole("heading", { name: "Transfer to Story" }).waitFor();
    await see(page, "to undo");
    assert.equal(await bench.waitingIn("Story"), 1);
    await page.context().close();
  });

  test("is met by a standing drain, which can be stopped", async () => {
    await bench.queue("Flooded");
    const page = await openPage(`${bench.at}/ops#drain`);
    await page.getByLabel("From queue").fill("Flooded");
    await page.getByLabel("To queue").fill("After Hours");
    await page.getByText("More choices").click();
    await page.getByLabel("Calls that arrive later").selectOption("move too, for 1 h");
    await button(page, "Preview").click();
    await see(page, "0 agents are on queue");
    await button(page, /^Move 0 calls now, others until/).click();
    await see(page, "running");
    await bench.waiting("Flooded", 3);
    await eventually("calls that arrive move too", async () => await bench.waitingIn("Flooded") === 0);
    await page.getByRole("link", { name: "Drain", exact: true }).click();
    await page.getByRole("table", { name: "Standing drains" }).getByRole("button", { name: "Stop Drain Flooded" }).click();
    await page.getByRole("table", { name: "Standing drains" }).waitFor({ state: "detached" });
    await page.getByRole("row").filter({ hasText: "Flooded" }).getByText("cancelled").waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("shows the refusal in the server's own words, and the action as a command", async () => {
    const page = await openPage(`${bench.at}/ops#drain`);
    await page.getByLabel("From queue").fill("Sales");
    await page.getByLabel("To queue").fill("Sal");
    await page.getByText("As a command").click();
    await see(page, "curl -X POST");
    await button(page, "Preview").click();
    const box = page.getByRole("alert");
    const refused = await fetch(`${bench.at}/batches`, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ fromQueueName: "Sales", toQueueName: "Sal", dryRun: true }),
    }).then((answer) => answer.json());
    for (const words of [refused.title, refused.detail, refused.hint]) await box.getByText(words).waitFor();
    await page.context().close();
  });
});

describe("a service that asks for keys", () => {
  let bench;
  let narrow;
  before(async () => {
    bench = await Bench.start();
    narrow = await makeKey(bench.home, "night-shift", ["transfers:read", "queues:read"], ["Support *"]);
    await bench.down();
    Object.assign(bench.settings, { AUTH_MODE: "required", AUTH_API_KEYS_FILE: narrow.path });
    await bench.up();
  });
  after(() => bench.close());

  test("says that a key is wrong, and forgets the right one with the tab", async () => {
    const page = await openPage(`${bench.at}/ops`);
    await page.getByLabel("Key", { exact: true }).fill("gxt_wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("The credentials are not valid.").waitFor();
    await page.getByLabel("Key", { exact: true }).fill(narrow.key);
    await page.keyboard.press("Enter");
    await see(page, "night-shift");
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
    assert.ok(!kept.includes(narrow.key), kept);
    await page.reload();
    await page.getByRole("alert").getByText("This request needs credentials").waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("shows a narrowed caller its queues, and what it may not do as not permitted", async () => {
    const page = await openPage(`${bench.at}/ops`);
    await page.getByLabel("Key", { exact: true }).fill(narrow.key);
    await page.keyboard.press("Enter");
    await boardRow(page, "Support Tier 1").waitFor();
    assert.equal(await boardRow(page, "Sales").count(), 0);
    await see(page, "only queues Support *");
    await see(page, "drain, stop, undo: not permitted");
    assert.ok(await button(page, "Drain Support Tier 1").isDisabled());
    await page.getByRole("link", { name: /Drain/ }).click();
    await see(page, "Not permitted: your key lacks batches:write.");
    assert.ok(await button(page, "Preview").isDisabled());
    await page.context().close();
  });
});

describe("a service in trouble", () => {
  let bench;
  before(async () => { bench = await Bench.start({ GENESYS_REQUESTS_PER_MINUTE: "60" }); });
  after(() => bench.close());

  test("says so on the page that stays open, and what was pressed meanwhile happens once", async () => {
    const [call] = await bench.waiting("Sales", 1);
    const made = await bench.ask("POST", "/transfers", { conversationId: call, queueName: "Retention" });
    const page = await openPage(`${bench.at}/ops#transfer/${made.id}`);
    await button(page, "Undo…").click();
    await bench.down();
    await see(page, "No connection since");
    await button(page, "Put back 1 call").click();
    await see(page, "is sent again with the same key");
    await bench.world("DELETE", "/sandbox/ledger");
    await bench.up();
    await page.getByRole("heading", { name: "Transfer to Sales" }).waitFor();
    await see(page, "Ready");
    assert.equal((await bench.requests("&commands=true")).length, 1);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("tells when Genesys' limit is used up, and stops when told to", async () => {
    await bench.queue("Long");
    await bench.waiting("Long", 100);
    const page = await openPage(`${bench.at}/ops#drain`);
    await page.getByLabel("From queue").fill("Long");
    await page.getByLabel("To queue").fill("Retention");
    await button(page, "Preview").click();
    await button(page, "Move 100 calls").click();
    await see(page, "Waiting for Genesys' request limit until");
    await picture(page, "drain");
    await button(page, "Stop").click();
    await see(page, "cancelled");
    const left = await bench.waitingIn("Long");
    assert.ok(left > 0 && left < 100, `${left} are left`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  test("lets a person settle what it cannot find out", async () => {
    await bench.down();
    Object.assign(bench.settings, { GENESYS_REQUESTS_PER_MINUTE: "100000", SERVER_DEADLINE: "5s" });
    await bench.up();
    const [call] = await bench.waiting("Sales", 1);
    const path = `/api/v2/conversations/${call}`;
    await bench.world("POST", "/sandbox/faults", { path: "*/replace/queue", fault: { kind: "drop", when: "after" } });
    await bench.world("POST", "/sandbox/faults", { path, skip: 1, times: "forever", fault: { kind: "status", status: 500 } });
    await bench.ask("POST", "/transfers", { conversationId: call, queueName: "Retention" }).catch(() => {});
    const page = await openPage(`${bench.at}/ops`);
    await page.getByRole("link", { name: /Needs a person 1/ }).click();
    await page.getByLabel("It moved").waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.getByLabel("It moved").check();
    await page.getByLabel("Reason").fill("seen in Genesys");
    await button(page, "Settle").click();
    await see(page, "No transfer is unknown.");
    const { items: kept } = await bench.ask("GET", `/transfers?conversationId=${call}`);
    assert.ok(["accepted", "confirmed"].includes(kept[0].status), kept[0].status);
    await bench.world("DELETE", "/sandbox/faults");
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
});

describe("a large organisation", () => {
  let bench;
  before(async () => {
    bench = await Bench.start();
    await bench.world("POST", "/sandbox/queues", { count: 1000, prefix: "Team" });
    await bench.ask("POST", "/queues/refresh");
    await bench.waiting("Support Tier 1", 25);
  });
  after(() => bench.close());

  test("has a thousand queues on the board, found by name, without a jump of the layout", async (t) => {
    const page = await openPage("about:blank");
    await page.addInitScript(() => {
      globalThis.shift = 0;
      const rows = new MutationObserver(() => {
        if (document.querySelector("#board tbody tr")) {
          rows.disconnect();
          requestAnimationFrame(() => { globalThis.drawn = Math.round(performance.now()); });
        }
      });
      rows.observe(document, { childList: true, subtree: true });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shift += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(`${bench.at}/ops`);
    await page.getByText("in 1,00").waitFor();
    t.diagnostic(`the board was drawn ${await page.evaluate(() => globalThis.drawn)} ms after the page was asked for`);
    await button(page, "Show all 1,00").click();
    await eventually("all rows", async () => await page.getByRole("row").count() > 1000);
    const draw = await page.evaluate(() => new Promise((done) => {
      const start = performance.now();
      document.querySelector("input[type=search]").dispatchEvent(new Event("input"));
      requestAnimationFrame(() => requestAnimationFrame(() => done(Math.round(performance.now() - start))));
    }));
    t.diagnostic(`a thousand rows are drawn again in ${draw} ms`);
    await page.getByLabel("Search").fill("support tier");
    await eventually("two rows", async () => await page.getByRole("row").count() === 3);
    await page.getByLabel("Search").fill("");
    const shift = await page.evaluate(() => globalThis.shift);
    assert.ok(shift < 0.1, `the layout moved by ${shift}`);
    await page.context().close();
  });

  test("is asked nothing while no page is looked at, or while the board is paused", async () => {
    const page = await openPage(`${bench.at}/ops`);
    const board = async () => (await bench.requests("&path=observations")).length;
    await see(page, /^numbers \d/);
    const seenInAWhile = async () => {
      // What was on its way comes to its end first.
      let before = -1;
      await eventually("no more requests", async () => {
        const now = (await bench.requests()).length;
        await new Promise((done) => { setTimeout(done, 1500); });
        return now === before || ((before = now), false);
      });
      await bench.world("DELETE", "/sandbox/ledger");
      await new Promise((done) => { setTimeout(done, 6000); });
      return (await bench.requests()).map(({ method, path }) => `${method} ${path}`);
    };
    await hide(page, true);
    assert.deepEqual(await seenInAWhile(), []);
    await hide(page, false);
    await eventually("the board is refreshed", board);
    await button(page, "Pause").click();
    assert.deepEqual(await seenInAWhile(), []);
    await button(page, "Go on").click();
    await eventually("the board is refreshed", board);
    await page.context().close();
  });

  test("finds no barrier on its pages, wide or narrow, light or dark", async () => {
    for (const [colorScheme, width] of [["light", 1280], ["dark", 360]]) {
      const page = await openPage(`${bench.at}/ops`, { colorScheme, viewport: { width, height: 740 } });
      for (const view of ["queues", "drain", "history", "person"]) {
        await page.goto(`${bench.at}/ops#${view}`);
        await page.getByText("Ready").first().waitFor();
        // A hundred rows that are alike take axe a while.
        if (view === "queues") await page.getByLabel("Search").fill("support");
        await page.evaluate(unfold);
        assert.deepEqual(await barriers(page), [], `${view} ${colorScheme} ${width}`);
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(beyond <= 0, `${view} is ${beyond} px too wide at ${width}`);
      }
      assert.deepEqual(page.complaints, []);
      await page.context().close();
      const docs = await openPage(`${bench.at}/docs#createBatch`, { colorScheme, viewport: { width, height: 740 } });
      await docs.getByRole("form", { name: "Try POST /batches" }).waitFor();
      await docs.evaluate(unfold, "#createBatch");
      assert.deepEqual(await barriers(docs), [], `docs ${colorScheme} ${width}`);
      assert.deepEqual(docs.complaints, []);
      await docs.context().close();
    }
  });

  test("keeps the open operation of /docs in the address, and its samples scroll by keyboard", async () => {
    const page = await openPage(`${bench.at}/docs`);
    await page.locator("#createTransfer > summary").click();
    await page.getByRole("form", { name: "Try POST /transfers" }).waitFor();
    assert.ok(page.url().endsWith("#createTransfer"), page.url());
    await page.reload();
    await page.getByRole("form", { name: "Try POST /transfers" }).getByRole("button", { name: "Send" }).click();
    await page.getByRole("group", { name: "Body of the answer" }).focus();
    await page.context().close();
  });

  test("loads the page from one host, in 60 KB", async () => {
    const page = await openPage("about:blank");
    const loaded = [];
    page.on("request", (request) => loaded.push(new URL(request.url())));
    await page.goto(`${bench.at}/ops`);
    await boardRow(page, "Support Tier 1").waitFor();
    const files = loaded.filter(({ pathname }) => pathname.startsWith("/ops"));
    const sizes = await Promise.all(files.map(async (url) => (await (await fetch(url)).arrayBuffer()).byteLength));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(files.length > 8 && bytes <= 60_000, `${bytes} bytes in ${files.length} files`);
    assert.deepEqual(new Set(loaded.map(({ host }) => host)), new Set([new URL(bench.at).host]));
    await page.context().close();
  });
});
