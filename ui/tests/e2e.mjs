// The web UI as its users meet it: Chromium, a real server, real containers.
//
// `tests/tests/e2e/ui.rs` starts it beside a server of its own, with EKIDEN_URL. It prints a line for each promise.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { print } from "../scripts/types.mjs";
import { BASE, PATIENCE, THEMES, api, eventually, launch, open, server, tolerated, web, wrongs } from "./browser.mjs";

const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
/** What axe looks at. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const only = process.argv[2];
const browser = await launch();
let failed = 0;

/** Keeps a promise, and says that it did. */
async function promise(name, keep) {
  if (only && !name.includes(only)) return;
  const began = Date.now();
  wrongs.length = 0;
  try {
    await keep();
    assert.deepEqual(wrongs, []);
    console.log(`ok ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack ?? error}\n${wrongs.join("\n")}`);
    for (const [n, page] of browser.contexts().flatMap((it) => it.pages()).entries()) {
      if (process.env.EKIDEN_UI_SHOTS) await page.screenshot({ path: `${process.env.EKIDEN_UI_SHOTS}/failed-${n}.png` }).catch(() => {});
      console.log(await page.locator("body").innerText().catch(() => "")); 
    }
  }
  for (const context of browser.contexts()) await context.close();
}

const lead = (page, text) => page.locator(".lead", { hasText: text }).waitFor();
const status = (page, word) => page.locator(".head-row .chip", { hasText: word }).waitFor();
const deed = (page, text) => page.locator(".deed", { hasText: text }).waitFor();

await promise("the types are those of the server", async () => {
  const document = (await api("GET", "/v3/openapi.json")).json;
  const committed = readFileSync(new URL("../src/api/types.ts", import.meta.url), "utf8");
  assert.ok(print(document) === committed, "npm --prefix ui run types -- http://127.0.0.1:8080 writes them anew");
});

await promise("a service is created, scaled, edited, broken, understood, rolled back and deleted", async () => {
  const page = await (await open(browser)).newPage();
  await page.goto(BASE);
  await page.getByRole("link", { name: /New app|Create the first one/ }).first().click();
  await page.getByLabel("Id", { exact: true }).fill("/mouse/web");
  await page.getByLabel("Image", { exact: true }).fill("ekiden-demo:1");
  await page.getByLabel("CPUs").fill("0.01");
  await page.getByLabel("Memory, MiB").fill("16");
  await page.getByLabel("Environment").fill("GREETING=hello");
  await page.getByLabel("Health check").selectOption("HTTP");
  await page.getByLabel("Path of the check").fill("/health");
  await page.getByRole("button", { name: "Create /mouse/web" }).click();
  await status(page, "Running");
  await lead(page, "1 of 1 instance healthy.");
  await deed(page, "Create /mouse/web: succeeded");

  await page.getByRole("button", { name: "Scale" }).click();
  await page.locator("dialog").getByLabel("Instances").fill("3");
  await page.getByText("ekiden app scale /mouse/web 3").waitFor();
  await page.locator("dialog").getByRole("button", { name: "Scale" }).click();
  await lead(page, "3 of 3 instances healthy.");

  await page.getByRole("link", { name: "Configuration" }).click();
  const text = page.getByRole("textbox", { name: "Definition" });
  const given = await text.inputValue();
  await text.fill(given.replace('"cpus": 0.01', '"cpus": -1'));
  await page.getByRole("button", { name: "Review 1 change" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  const line = given.slice(0, given.indexOf('"cpus"')).split("\n").length;
  await page.getByRole("button", { name: `Line ${line}, column` }).waitFor();
  assert.equal((await api("GET", "/v2/apps/mouse/web")).json.app.cpus, 0.01, "bad input changes nothing");
  // The form has the message beside the field.
  await page.getByRole("button", { name: "Form", exact: true }).click();
  assert.equal(await page.getByLabel("CPUs").getAttribute("aria-invalid"), "true");
  await page.getByLabel("CPUs").fill("0.01");
  await page.getByLabel("Environment").fill("GREETING=hello\nCOLOUR=blue");
  await page.getByRole("button", { name: "Review 1 change" }).click();
  await page.locator(".review .diff", { hasText: "env.COLOUR" }).waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await deed(page, "Change /mouse/web: succeeded");
  assert.equal((await api("GET", "/v2/apps/mouse/web")).json.app.env.COLOUR, "blue");

  // What the form does not know stays as it was.
  const kept = (await api("GET", "/v2/apps/mouse/web")).json.app;
  assert.equal(kept.healthChecks[0].path, "/health");

  await page.getByLabel("Image", { exact: true }).fill("ekiden-demo:none-such");
  await page.getByRole("button", { name: "Review 1 change" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: "Overview" }).click();
  await status(page, "Delayed");
  await lead(page, /cannot pull image ekiden-demo:none-such/);
  await lead(page, "3 instances of the version before still serve.");
  await page.getByRole("heading", { name: "Last failure" }).waitFor();
  await page.getByRole("heading", { name: "Why it waits" }).waitFor();

  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("button", { name: /^Roll back to/ }).first().click();
  await page.locator("dialog .diff", { hasText: "container.docker.image" }).waitFor();
  await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
  const taken = page.locator("dialog").getByRole("button", { name: "Take over and roll back" });
  await Promise.race([taken.waitFor(), page.locator("dialog").waitFor({ state: "detached" })]);
  if (await taken.isVisible()) await taken.click();
  await status(page, "Running");
  await lead(page, "3 of 3 instances healthy.");

  await page.getByRole("button", { name: "Delete" }).click();
  await page.locator("dialog").getByText("3 instances are ended:").waitFor();
  assert.ok(await page.locator("dialog").getByRole("button", { name: "Delete" }).isDisabled(), "its name is typed first");
  await page.locator("dialog").getByLabel("To go on, type").fill("/mouse/web");
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await deed(page, "Delete /mouse/web: succeeded");
  await eventually("it is gone", async () => (await api("GET", "/v2/apps/mouse/web")).status === 404);
  await page.locator("tbody").getByRole("link", { name: "web" }).waitFor({ state: "detached" });
});

await promise("the same is done with the keyboard alone", async () => {
  const page = await (await open(browser)).newPage();
  await page.goto(BASE);
  const keys = page.keyboard;
  /** Goes on with Tab until the focus is where it should be. */
  const tabTo = async (locator) => {
    const wanted = await locator.first().elementHandle();
    for (let n = 0; n < 150; n++) {
      if (await wanted.evaluate((it) => it === document.activeElement)) return;
      await keys.press("Tab");
    }
    assert.fail(`Tab does not lead to ${locator}`);
  };
  const palette = async (text) => {
    await keys.press("Control+k");
    await page.getByRole("combobox", { name: /Name of a page/ }).waitFor();
    await keys.type(text);
    await page.getByRole("option", { name: new RegExp(text.replaceAll("/", "\\/"), "i") }).first().waitFor();
    await keys.press("Enter");
  };
  await page.getByRole("heading", { name: "Apps", exact: true }).waitFor();
  await keys.press("c");
  await page.getByRole("heading", { name: "New app" }).waitFor();
  await tabTo(page.getByRole("button", { name: /Paste/ }));
  await keys.press("Enter");
  await page.locator("dialog textarea").waitFor();
  await keys.type("docker run --name keys -m 16m --cpus 0.01 -p 80:8080 ekiden-demo:1");
  await tabTo(page.getByRole("button", { name: "Read it" }));
  await keys.press("Enter");
  await tabTo(page.getByRole("button", { name: "Create /keys" }));
  await keys.press("Enter");
  await status(page, "Running");

  await palette("Scale /keys");
  await page.locator("dialog").getByLabel("Instances").waitFor();
  await keys.press("Control+a");
  await keys.type("2");
  await keys.press("Enter");
  await lead(page, "2 of 2 instances running.");

  await tabTo(page.getByRole("link", { name: "Configuration" }));
  await keys.press("Enter");
  const text = page.getByRole("textbox", { name: "Definition" });
  await tabTo(text);
  await keys.press("Control+a");
  await keys.insertText(JSON.stringify({ ...web("/keys", { instances: 2, healthChecks: undefined }), container: { type: "DOCKER", docker: { image: "ekiden-demo:none-such" } } }));
  await tabTo(page.getByRole("button", { name: /^Review/ }));
  await keys.press("Enter");
  await tabTo(page.getByRole("button", { name: "Save" }));
  await keys.press("Enter");
  await status(page, "Delayed");
  await lead(page, /cannot pull image/);

  await tabTo(page.getByRole("link", { name: "Versions" }));
  await keys.press("Enter");
  await tabTo(page.getByRole("button", { name: /^Roll back to/ }).first());
  await keys.press("Enter");
  await page.locator("dialog .diff").waitFor();
  await tabTo(page.locator("dialog").getByRole("button", { name: "Roll back" }));
  await keys.press("Enter");
  const taken = page.locator("dialog").getByRole("button", { name: "Take over and roll back" });
  await Promise.race([taken.waitFor(), page.locator("dialog").waitFor({ state: "detached" })]);
  if (await taken.isVisible()) {
    await tabTo(taken);
    await keys.press("Enter");
  }
  await lead(page, "2 of 2 instances running.");

  await palette("Delete /keys");
  await page.locator("dialog").getByLabel("To go on, type").waitFor();
  await keys.type("/keys");
  await keys.press("Enter");
  await eventually("it is gone", async () => (await api("GET", "/v2/apps/keys")).status === 404);
  // The page hears of it later than we do, and leads to the list then.
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.getByRole("heading", { name: "Apps", level: 1, exact: true }).waitFor();
  await keys.press("g");
  await keys.press("n");
  await page.getByRole("heading", { name: "Nodes" }).waitFor();
  await keys.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await keys.press("Escape");
  await page.getByRole("heading", { name: "Keys" }).waitFor({ state: "detached" });
});

await promise("axe finds nothing on any page, in both themes, wide and narrow", async () => {
  await api("POST", "/v2/apps", web("/seen/web", { instances: 2, labels: { team: "seen" } }));
  await api("POST", "/v2/apps", web("/seen/large", { mem: 100_000_000, healthChecks: [] }));
  await api("POST", "/v2/apps", web("/seen/missing", { container: { type: "DOCKER", docker: { image: "ekiden-demo:none-such" } }, healthChecks: [] }));
  await api("POST", "/v2/apps", web("/seen/crash", { args: ["--exit-after-ms", "1"], healthChecks: [] }));
  await eventually("it runs", async () => (await api("GET", "/v2/apps/seen/web")).json.app.tasksHealthy === 2);
  await eventually("it fails", async () => (await api("GET", "/v2/apps/seen/missing")).json.app.lastTaskFailure);
  const deployment = (await api("GET", "/v3/deployments")).json.deployments.at(-1).id;
  const node = (await api("GET", "/v3/nodes")).json.nodes[0].name;
  const click = (name) => async (page) => page.getByRole("button", { name, exact: true }).first().click();
  const pages = [
    ["/", "Apps"], ["/ui/apps?view=flat&filter=status:waiting", "Apps"], ["/ui/apps?filter=none-such", "Apps"], ["/ui/new", "New app"],
    ["/ui/new", "New app", click("JSON")], ["/ui/new", "New app", click("Paste JSON or docker run…")],
    ["/ui/app/seen/web", "web"], ["/ui/app/seen/large", "large"], ["/ui/app/seen/missing", "missing"], ["/ui/app/seen/crash", "crash"], ["/ui/app/none", "/none"],
    ["/ui/app/seen/web?tab=instances", "web"], ["/ui/app/seen/web?tab=logs", "web"], ["/ui/app/seen/web?tab=logs&grep=GET", "web"], ["/ui/app/seen/web?tab=deployments", "web"], ["/ui/app/seen/web?tab=configuration", "web"],
    ["/ui/app/seen/web?tab=configuration", "web", click("Form")], ["/ui/app/seen/web?tab=versions", "web"],
    ["/ui/app/seen/web", "web", click("Delete")], ["/ui/app/seen/web", "web", click("Scale")],
    ["/ui/deployments", "Deployments"], [`/ui/deployment/${deployment}`, /Deployment of/], ["/ui/waiting", "Waiting"],
    ["/ui/nodes", "Nodes"], ["/ui/nodes?view=table", "Nodes"], [`/ui/node/${node}`, node], ["/ui/events", "Events"], ["/ui/about", "About"],
    ["/ui/none", "There is no such page"], ["/ui/apps", "Apps", async (page) => page.keyboard.press("Control+k")],
  ];
  const found = [];
  const page = await (await open(browser)).newPage();
  await page.goto(BASE);
  await page.evaluate(AXE);
  // As by a link: nothing is loaded anew.
  const follow = (path) => page.evaluate((to) => (history.pushState(null, "", to), dispatchEvent(new PopStateEvent("popstate"))), path);
  for (const [path, heading, prepare] of pages) {
    await follow(path);
    await page.getByRole("heading", { name: heading, level: 1, exact: true }).waitFor();
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
    await prepare?.(page);
    for (const width of [1280, 320]) {
      await page.setViewportSize({ width, height: 900 });
      for (const colorScheme of THEMES) {
        await page.emulateMedia({ colorScheme });
        const where = `${path} ${colorScheme} ${width}${prepare ? " (opened)" : ""}`;
        const { violations } = await page.evaluate((tags) => globalThis.axe.run({ runOnly: tags, resultTypes: ["violations"] }), TAGS);
        for (const it of violations) found.push(`${where}: ${it.id}: ${it.nodes.map((one) => `${one.target.join(" ")} ${one.html.slice(0, 120)}`).slice(0, 3).join(" | ")}`);
      }
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) found.push(`${path} ${width}: is ${over} px wider than the window`);
    }
    if (prepare) await page.keyboard.press("Escape");
  }
  assert.deepEqual([...new Set(found)], []);
  // Where there is no room for all links, the one to where the reader is can be seen.
  for (const path of ["/ui/about", "/ui/app/seen/web?tab=versions"]) {
    await follow(path);
    await page.getByRole("heading", { name: path.includes("about") ? "About" : "web", level: 1, exact: true }).waitFor();
    await eventually(`${path} shows where it is`, () => page.evaluate(() => [...document.querySelectorAll("[aria-current=page]")].every((it) => {
      const { left, right } = it.getBoundingClientRect();
      // Places in a row have fractions of a pixel, how far it is scrolled has not.
      return left >= -1 && right <= innerWidth + 1;
    })));
  }
  await follow("/ui/waiting");
  for (const [id, word] of [["/seen/large", "Waiting: memory"], ["/seen/missing", "Delayed"], ["/seen/crash", "Crash-looping"]]) {
    await page.getByRole("region", { name: id }).getByText(word, { exact: true }).waitFor();
  }
  console.log(`axe: ${pages.length} pages, ${THEMES.length} themes, 2 widths`);
});

await promise("lines are read as they are written, searched, held and downloaded; two clicks lead to those of a crash", async () => {
  await api("POST", "/v2/apps", web("/lines/web", { instances: 2 }));
  await eventually("it runs", async () => (await api("GET", "/v2/apps/lines/web")).json.app.tasksHealthy === 2);
  const { tasks } = (await api("GET", "/v2/apps/lines/web/tasks")).json;
  const write = (word, at = 0) => fetch(`http://${tasks[at].host}:${tasks[at].ports[0]}/${word}`);
  for (let n = 0; n < 4; n++) {
    await write(`hello-${n}`, n % 2);
    // The engine says when a line was written: when it has read it.
    await eventually("the line is there", async () => (await (await fetch(`${BASE}/v3/logs?app=/lines/web&grep=hello-${n}`)).text()) !== "");
  }
  const page = await (await open(browser)).newPage();
  await page.goto(`${BASE}/ui/app/lines/web`);
  await page.getByRole("link", { name: "Logs" }).click();
  const log = page.getByRole("log");
  const said = (word) => log.locator(".said", { hasText: word });
  for (let n = 0; n < 4; n++) await said(`GET /hello-${n} `).waitFor();
  const order = (await log.locator(".said", { hasText: "hello-" }).allInnerTexts()).map((it) => /hello-\d/.exec(it)[0]);
  assert.deepEqual(order, ["hello-0", "hello-1", "hello-2", "hello-3"], "of both instances, in the order of time");
  await write("live-0");
  await said("live-0").waitFor();
  await page.getByLabel("Find").fill("hello-[12]");
  await said("hello-0").waitFor({ state: "detached" });
  await said("hello-2").waitFor();
  assert.deepEqual(await log.locator("mark").allInnerTexts(), ["hello-1", "hello-2"]);
  await page.getByText("ekiden logs /lines/web -f --grep 'hello-[12]'").waitFor();
  // What is looked for is in the address: a link shows the same.
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.getByRole("log").locator("mark", { hasText: "hello-1" }).waitFor();
  await other.close();
  await page.getByRole("button", { name: "Follow" }).click();
  await write("hello-1");
  await page.getByText("1 lines since it was held.").waitFor();
  assert.equal(await said("hello-1").count(), 1);
  await page.getByRole("button", { name: "Follow" }).click();
  await eventually("what was held is shown", async () => (await said("hello-1").count()) === 2);
  const file = await page.getByRole("link", { name: "Download", exact: true }).getAttribute("href");
  const text = await (await fetch(`${BASE}${file}`)).text();
  assert.match(text, /^GET \/hello-1 .*\nGET \/hello-2 .*\nGET \/hello-1 .*\n$/);
  await page.getByLabel("Find").fill("(");
  await page.getByRole("alert").getByText("grep").waitFor();

  await api("POST", "/v2/apps", web("/lines/crash", { args: ["--exit-after-ms", "200"], healthChecks: [] }));
  await eventually("it fails", async () => (await api("GET", "/v2/apps/lines/crash")).json.app.lastTaskFailure);
  await page.goto(`${BASE}/ui/apps?view=flat`);
  await page.getByRole("link", { name: "crash" }).filter({ visible: true }).last().click();
  await page.getByRole("group", { name: "Its last lines" }).getByText("exiting after").first().waitFor();
  await page.getByRole("link", { name: "What it wrote" }).click();
  await said("exiting after").first().waitFor();
  await api("DELETE", "/v2/groups/lines?force=true");
});

await promise("a killed container shows at once, and twelve tabs are live on one stream", async () => {
  await api("POST", "/v2/apps", web("/tabs/web"));
  const context = await open(browser);
  const streams = new Set();
  context.on("request", (it) => it.url().includes("/v2/events") && streams.add(it));
  for (const end of ["requestfinished", "requestfailed"]) context.on(end, (it) => streams.delete(it));
  const pages = [];
  for (let n = 0; n < 12; n++) {
    const page = await context.newPage();
    pages.push(page);
    await page.goto(`${BASE}/ui/app/tabs/web`);
    await page.getByRole("status").getByText("Live").waitFor();
  }
  assert.equal(streams.size, 1, "one stream for all tabs");
  for (const page of pages) await lead(page, "1 of 1 instance healthy.");
  await api("PUT", "/v2/apps/tabs/web", { instances: 2 });
  for (const page of pages) await lead(page, "2 of 2 instances healthy.");
  // The tab that reads goes; another one goes on.
  await pages.shift().close();
  await eventually("another tab reads", () => streams.size === 1);
  await api("PUT", "/v2/apps/tabs/web", { instances: 1 });
  for (const page of pages) await lead(page, "1 of 1 instance healthy.");
  await api("DELETE", "/v2/apps/tabs/web");
  for (const page of pages) await page.getByText("There is no app /tabs/web.").waitFor();
});

await promise("tabs agree also where the browser has no locks", async () => {
  const context = await open(browser);
  await context.addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  const streams = new Set();
  context.on("request", (it) => it.url().includes("/v2/events") && streams.add(it));
  for (const end of ["requestfinished", "requestfailed"]) context.on(end, (it) => streams.delete(it));
  const pages = [await context.newPage(), await context.newPage(), await context.newPage()];
  for (const page of pages) {
    await page.goto(`${BASE}/ui/about`);
    await page.getByRole("status").getByText("Live").waitFor();
  }
  assert.equal(streams.size, 1);
  await pages[0].close();
  await eventually("another tab reads", () => streams.size === 1);
});

await promise("of a thousand apps only the one that changed is read and drawn anew", async () => {
  const many = Array.from({ length: 1000 }, (_, n) => ({ ...web(`/many/g${n % 20}/a${n}`), instances: 0 }));
  const put = await api("PUT", "/v2/apps?force=true", many);
  assert.equal(put.status, 200, JSON.stringify(put.json));
  await eventually("they are accepted", async () => (await api("GET", "/v2/deployments")).json.every((it) => !it.affectedApps.some((app) => app.startsWith("/many/"))));
  const page = await (await open(browser)).newPage();
  await page.goto(`${BASE}/ui/apps?view=flat&filter=group:/many`);
  await page.locator(".head-row .muted", { hasText: /^1000\b/ }).waitFor();
  await page.getByRole("status").getByText("Live").waitFor();
  await page.getByRole("row", { name: /\/many\/g0\/a0 / }).waitFor();
  const asked = [];
  page.on("request", (it) => asked.push(`${it.method()} ${new URL(it.url()).pathname}`));
  await page.evaluate(() => {
    globalThis.drawn = new Set();
    new MutationObserver((changes) => {
      for (const it of changes) {
        const row = (it.target instanceof Element ? it.target : it.target.parentElement)?.closest("tbody tr");
        // The age of each row goes on by itself.
        if (row && !(it.target.parentElement ?? it.target).closest("td:last-child")) globalThis.drawn.add(row.querySelector("th")?.textContent);
      }
    }).observe(document.querySelector("tbody"), { subtree: true, childList: true, characterData: true, attributes: true });
    globalThis.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((it) => (globalThis.longest = Math.max(globalThis.longest, it.duration)))).observe({ type: "longtask" });
  });
  await api("PUT", "/v2/apps/many/g0/a0", { instances: 1 });
  await page.getByRole("row", { name: /\/many\/g0\/a0 .*Running/ }).waitFor();
  assert.deepEqual(await page.evaluate(() => [...globalThis.drawn]), ["/many/g0/a0"]);
  assert.ok(!asked.includes("GET /v2/apps"), `the list is not read again: ${asked.join(", ")}`);
  console.log(`ui: longest task while one of 1000 apps changed: ${await page.evaluate(() => Math.round(globalThis.longest))} ms (0: none over 50 ms)`);
  // All are there for who scrolls, and few are drawn for who does not.
  assert.ok((await page.locator("tbody tr").count()) < 300);
  await page.getByRole("searchbox", { name: "Filter" }).fill("a999");
  await page.getByRole("link", { name: "/many/g19/a999" }).waitFor();
  await page.getByRole("searchbox", { name: "Filter" }).fill("many");
  for (let n = 0; n < 20 && !(await page.getByRole("link", { name: "/many/g9/a989" }).isVisible()); n++) await page.mouse.wheel(0, 20_000);
  await page.getByRole("link", { name: "/many/g9/a989" }).waitFor();
  assert.equal((await api("DELETE", "/v2/groups/many?force=true")).status, 200);
});

await promise("a server that is away is said to be, with the age of what is shown, and heals", async () => {
  await api("POST", "/v2/apps", web("/away/web"));
  const context = await open(browser);
  const page = await context.newPage();
  await page.goto(`${BASE}/ui/app/away/web`);
  await lead(page, "1 of 1 instance healthy.");
  const list = await context.newPage();
  await list.goto(`${BASE}/ui/apps`);
  await list.getByRole("link", { name: "web" }).first().waitFor();
  tolerated.away = true;
  await server("kill");
  for (const it of [page, list]) {
    await it.getByRole("alert").getByText(/The server has not answered since .* What you see is \d+ s old\./).waitFor();
    await it.getByRole("status").getByText("Reconnecting").waitFor();
  }
  await lead(page, "1 of 1 instance healthy.");
  await server("start");
  for (const it of [page, list]) {
    await it.getByRole("status").getByText("Live").waitFor();
    await it.getByRole("alert").waitFor({ state: "detached" });
  }
  tolerated.away = false;
  await api("PUT", "/v2/apps/away/web", { instances: 2 });
  await lead(page, "2 of 2 instances healthy.");
});

await browser.close();
console.log(failed === 0 ? "all promises are kept" : `${failed} promises are broken; each thing that is waited for may take ${PATIENCE / 1000} s`);
process.exit(failed === 0 ? 0 : 1);
