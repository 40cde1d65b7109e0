// A service beside a sandbox that outlives it, and a browser that looks at it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const installed = createRequire(join(process.env.MODULES, "package.json"));
const { chromium } = installed("playwright-core");
const axe = installed("axe-core").source;
const here = fileURLToPath(new URL(".", import.meta.url));
const PROGRAM = join(here, "../../target/debug/genesys-transfer");

/** Only a test that fails waits so long. */
export const PATIENCE = Number(process.env.PATIENCE ?? 60_000);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** Looks until `found` gives something. */
export async function eventually(what, found) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await new Promise((done) => { setTimeout(done, 100); })) {
    const result = await found().catch(() => null);
    if (result) return result;
  }
  throw new Error(`never: ${what}`);
}

async function json(method, url, body) {
  const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const children = new Set();
process.on("exit", () => { for (const child of children) child.kill("SIGKILL"); });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

function run(settings, ...args) {
  const env = { PATH: process.env.PATH, ...settings };
  const child = spawn(PROGRAM, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  child.on("exit", () => children.delete(child));
  child.said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { child.said += data; });
  return child;
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** A sandbox and a service. */
export class Bench {
  static async start(settings = {}, sandboxSettings = {}) {
    const bench = new Bench();
    bench.home = await mkdtemp(join(tmpdir(), "ops-"));
    const ports = [await freePort(), await freePort()];
    bench.at = `http://127.0.0.1:${ports[0]}`;
    bench.sandboxAt = `http://127.0.0.1:${ports[1]}`;
    bench.settings = {
      SERVER_BIND: `127.0.0.1:${ports[0]}`, GENESYS_API_URL: bench.sandboxAt, GENESYS_LOGIN_URL: bench.sandboxAt,
      STORE_URL: `sqlite://${bench.home}/transfers.db`, GENESYS_REQUESTS_PER_MINUTE: "100000", ...settings,
    };
    bench.sandbox = run({ SANDBOX_BIND: `127.0.0.1:${ports[1]}`, SANDBOX_EFFECT_DELAY: "0s" }, "sandbox");
    await eventually("a sandbox", () => bench.world("GET", "/sandbox/settings"));
    await bench.world("PATCH", "/sandbox/settings", { requestsPerMinute: 1_000_000, ...sandboxSettings });
    await bench.up();
    return bench;
  }

  /** Starts the service. */
  async up() {
    this.service = run(this.settings);
    await eventually(`a service: ${this.service.said}`, () => json("GET", `${this.at}/health/ready`));
  }

  /** Stops the service; the sandbox goes on. */
  down() {
    return end(this.service);
  }

  async close() {
    await end(this.service);
    await end(this.sandbox);
    await rm(this.home, { recursive: true });
  }

  /** Asks the sandbox. */
  world(method, path, body) {
    return json(method, this.sandboxAt + path, body);
  }

  /** Asks the service. */
  ask(method, path, body) {
    return json(method, this.at + path, body);
  }

  /** Lets calls wait in a queue; their ids. */
  async waiting(queueName, count) {
    const made = await this.world("POST", "/sandbox/conversations", { shape: "waiting", queueName, count, sinceSeconds: 300 });
    return made.ids ?? [made.id];
  }

  /** Makes a queue. */
  async queue(name) {
    await this.world("POST", "/sandbox/queues", { name });
    await this.ask("POST", "/queues/refresh");
  }

  /** How many calls wait in a queue. */
  async waitingIn(name) {
    const { items } = await this.world("GET", `/sandbox/queues?name=${encodeURIComponent(name)}`);
    return items.find((queue) => queue.name === name).waiting.voice ?? 0;
  }

  /** Requests that Genesys saw since the ledger was emptied. */
  async requests(query = "") {
    return (await this.world("GET", `/sandbox/ledger/requests?limit=10000${query}`)).items;
  }
}

/** A key's hash and the key, as `keygen` makes them. */
export async function makeKey(home, caller, permissions, queues) {
  const child = run({}, "keygen", caller);
  await once(child, "close");
  const key = child.said.match(/gxt_[\w-]+/)[0];
  let text = child.said.slice(child.said.indexOf("[["));
  text = text.replace(/^permissions = .*$/m, `permissions = ${JSON.stringify(permissions)}`);
  if (queues) text = text.replace(/^#? ?queues = .*$/m, `queues = ${JSON.stringify(queues)}`);
  const path = join(home, "keys.toml");
  await writeFile(path, text);
  return { key, path };
}

/** The browser; everything but this machine is out of its reach. */
export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, chromiumSandbox: false,
  args: ["--disable-gpu", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});

/** A page; `complaints` gets violations of the policy and faults of the scripts. */
export async function openPage(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.complaints = [];
  page.on("console", (message) => {
    // A service that is away or refuses is part of some tests.
    if (message.type() === "error" && !/Failed to load resource|net::ERR/.test(message.text())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.goto(url);
  return page;
}

/** What axe finds that is serious. */
export async function barriers(page) {
  // Playwright's evaluation is not bound by the page's policy.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).slice(0, 5).join("; ")}`);
}

/** The page as it is when its tab is not looked at. */
export const hide = (page, isHidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}, isHidden);

/** Keeps a picture for the README, when they are made anew. */
export async function picture(page, name) {
  if (!process.env.PICTURES) return;
  await page.screenshot({ path: join(here, "pictures", `${name}.png`) });
}
