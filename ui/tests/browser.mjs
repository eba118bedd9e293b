// What the browser's tests share: a Chromium that asks nobody but the server under test, and pages that are watched.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { pass } from "./pass.mjs";

/** Where the server under test is. */
export const BASE = process.env.EKIDEN_URL ?? "http://127.0.0.1:8080";
/** Nothing that is waited for takes longer on a slow machine, milliseconds. */
export const PATIENCE = 90_000;
export const THEMES = ["light", "dark"];

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Where Chromium is. */
function program() {
  const dirs = (process.env.PATH ?? "").split(":");
  const found = ["chromium", "chromium-browser", "google-chrome"].flatMap((name) => dirs.map((dir) => `${dir}/${name}`));
  return found.find((it) => existsSync(it));
}

/** A browser, in a network of its own that leads to the server under test and nowhere else. */
export async function launch() {
  const { hostname, port } = new URL(BASE);
  const dir = mkdtempSync(join(tmpdir(), "ekiden-browser-"));
  const socket = join(dir, "server");
  const way = createServer((from) => pass(from, connect(Number(port), hostname)));
  await new Promise((done) => way.listen(socket, done));
  const env = { ...process.env, CHROMIUM: program(), NODE: process.execPath, PORT: port, SOCKET: socket };
  const browser = await chromium.launch({ executablePath: new URL("apart", import.meta.url).pathname, args: FLAGS, env });
  browser.on("disconnected", () => {
    way.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return browser;
}

/** What pages did that they must not; empty at the end. */
export const wrongs = [];
/** What the pages ask for while the server is away on purpose is refused, and said to be. */
export const tolerated = { away: false };

/** A window of its own, whose pages are watched. */
export async function open(browser, { theme = "light", width = 1280, height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce" });
  context.setDefaultTimeout(PATIENCE);
  context.on("request", (it) => {
    if (!it.url().startsWith(BASE)) wrongs.push(`asks ${it.url()}`);
  });
  context.on("weberror", (it) => wrongs.push(`threw ${it.error().stack ?? it.error()}`));
  context.on("console", (it) => {
    // The browser itself tells of answers from 400 on; those are asked for.
    const told = /^Failed to load resource: the server responded with a status of 4/.test(it.text());
    if (it.type() === "error" && !told && !(tolerated.away && /^Failed to load resource/.test(it.text()))) wrongs.push(`said ${it.text()}`);
  });
  return context;
}

/** Asks the API. */
export async function api(method, path, body) {
  const response = await fetch(`${BASE}${path}`, {
    method,
    headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, json: text ? JSON.parse(text) : undefined };
}

/** Waits until `look` gives something. */
export async function eventually(what, look) {
  const end = Date.now() + PATIENCE;
  let last;
  for (;;) {
    try {
      last = await look();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    assert.ok(Date.now() < end, `${what}: not after ${PATIENCE / 1000} s; last seen: ${last}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

// Who started this kills and starts the server when it is asked to, and says when that is done.
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the server ended or started. */
export async function server(what) {
  process.stdout.write(`!${what}\n`);
  const { value } = await lines.next();
  assert.equal(value, "done", `the server could not be told to ${what}`);
}

/** A small app of the demo's image. */
export const web = (id, fields = {}) => ({
  id,
  instances: 1,
  cpus: 0.01,
  mem: 16,
  container: { type: "DOCKER", docker: { image: "ekiden-demo:1" }, portMappings: [{ containerPort: 8080, hostPort: 0, name: "http" }] },
  networks: [{ mode: "container/bridge" }],
  healthChecks: [{ protocol: "HTTP", path: "/health", portIndex: 0, delaySeconds: 0, gracePeriodSeconds: 5, intervalSeconds: 1, timeoutSeconds: 1, maxConsecutiveFailures: 2 }],
  taskKillGracePeriodSeconds: 1,
  ...fields,
});
