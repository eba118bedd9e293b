// Pictures of the main pages, beside `make demo`: node tests/screenshots.mjs URL FOLDER [NAME...], as `waiting-dark`.
//
// Apps that wait, fail to start and end again are added for them, and removed afterwards. None of them leaves this
// machine: no message in a picture names a host of somebody else.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";

const [base = "http://127.0.0.1:8080", folder = "docs/images", ...only] = process.argv.slice(2);
process.env.EKIDEN_URL = base;
const { THEMES, api, eventually, launch, web } = await import("./browser.mjs");

const APPS = [
  web("/search/indexer", { instances: 2, cpus: 1, mem: 800_000 }),
  // Nothing listens there.
  web("/web/checkout", { instances: 2, cpus: 0.1, mem: 32, container: { type: "DOCKER", docker: { image: "localhost:1/checkout:7" } }, healthChecks: [] }),
  web("/web/legacy", { cpus: 0.1, mem: 32, args: ["--exit-after-ms", "900"], healthChecks: [] }),
];
const app = "/ui/app/demo/web";
/** Name, address, and words that are waited for. */
const PAGES = [
  ["apps", "/ui/apps", "Crash-looping", "Delayed"],
  ["app", app],
  ["failing", "/ui/app/web/checkout", "Delayed"],
  ["configuration", `${app}?tab=configuration`],
  ["versions", `${app}?tab=versions`],
  ["deployments", "/ui/deployments"],
  ["waiting", "/ui/waiting", "Crash-looping", "Delayed"],
  ["nodes", "/ui/nodes"],
  ["events", "/ui/events"],
  ["new", "/ui/new"],
];

mkdirSync(folder, { recursive: true });
assert.equal((await api("GET", "/v2/apps/demo/web")).status, 200, `/demo/web does not run at ${base}: make demo starts it`);
const browser = await launch();
let taken = 0;
try {
  for (const it of APPS) assert.equal((await api("PUT", `/v2/apps${it.id}?force=true`, it)).status, 201, `${it.id} is there already`);
  // Both have failed so often that their next launches are further away than a picture takes.
  const rest = () => eventually("those that fail rest", async () => {
    const { queue } = (await api("GET", "/v2/queue")).json;
    return ["/web/checkout", "/web/legacy"].every((id) => queue.some((it) => it.app.id === id && it.delay.timeLeftSeconds >= 5));
  });
  for (const theme of THEMES) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: theme, reducedMotion: "reduce" });
    for (const [name, path, ...words] of PAGES) {
      if (only.length > 0 && !only.includes(`${name}-${theme}`)) continue;
      if (words.length > 0) await rest();
      await page.goto(base + path);
      await page.getByRole("status").getByText("Live").waitFor();
      await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
      for (const word of words) await page.getByText(word).first().waitFor();
      await page.screenshot({ path: `${folder}/${name}-${theme}.png` });
      taken++;
    }
  }
} finally {
  for (const { id } of APPS) await api("DELETE", `/v2/apps${id}?force=true`);
  await browser.close();
}
console.log(`${taken} pictures are in ${folder}`);
process.exit();
