// What the pages decide by themselves, as tables. Node alone runs it: the sources are put together first.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "vite";

const out = mkdtempSync(join(tmpdir(), "ekiden-ui-"));
after(() => rmSync(out, { recursive: true }));
const entry = new URL("units.entry.ts", import.meta.url).pathname;
await build({ configFile: false, logLevel: "error", ssr: { noExternal: true }, build: { ssr: entry, outDir: out, rollupOptions: { output: { entryFileNames: "units.mjs" } } } });
const it = await import(pathToFileURL(join(out, "units.mjs")).href);

const app = (fields = {}) => ({ id: "/a", instances: 2, tasksStaged: 0, tasksRunning: 2, tasksHealthy: 0, tasksUnhealthy: 0, deployments: [], labels: {}, ...fields });
const waits = (fields = {}) => ({ count: 1, delay: { timeLeftSeconds: 0, overdue: true }, since: "2026-11-28T00:00:00Z", processedOffersSummary: { processedOffersCount: 3, unusedOffersCount: 3, rejectSummaryLastOffers: [{ reason: "InsufficientMemory", declined: 2, processed: 3 }, { reason: "UnfulfilledConstraint", declined: 1, processed: 3 }] }, ...fields });
const delayed = waits({ delay: { timeLeftSeconds: 8, overdue: false } });
const failed = (message) => ({ lastTaskFailure: { message } });
const checks = { healthChecks: [{}] };

test("instances of one deployment are told apart by their short names", () => {
  const three = [0, 1, 2].map((n) => it.short(`shop_web.11cf932e-3248-8000-8000-0000a000000${n}`));
  assert.deepEqual(three, ["…a0000000", "…a0000001", "…a0000002"]);
});

test("what the server says of an app does not name it again on its own page", () => {
  assert.equal(it.sentence("/a: no node takes one: vm: is full", "/a"), "No node takes one: vm: is full.");
  assert.equal(it.sentence("/a/b: 1 to launch", "/a"), "/a/b: 1 to launch.");
});

test("a status is the first that holds", () => {
  for (const [given, queue, isStranded, expected] of [
    [app(), undefined, false, "Running"],
    [app({ tasksRunning: 1 }), undefined, false, "Degraded 1/2"],
    [app({ ...checks, tasksHealthy: 1, tasksUnhealthy: 1 }), undefined, false, "Degraded 1/2"],
    [app({ ...checks, tasksHealthy: 2 }), undefined, false, "Running"],
    [app({ instances: 0, tasksRunning: 0 }), undefined, false, "Suspended"],
    [app({ deployments: [{ id: "d" }] }), undefined, false, "Deploying 2/2"],
    [app({ deployments: [{ id: "d" }] }), waits(), false, "Waiting memory"],
    [app(), waits({ processedOffersSummary: { processedOffersCount: 3, unusedOffersCount: 1 } }), false, "Running"],
    [app(failed("cannot pull image a:1: no such host")), delayed, false, "Delayed"],
    [app(failed("exited with code 137 (SIGKILL)")), delayed, false, "Crash-looping"],
    [app(failed("killed by the kernel: the container took more memory than its limit")), delayed, false, "Crash-looping"],
    [app(failed("Task was killed since health check failed. Reason: 500")), delayed, false, "Crash-looping"],
    [app(failed("exited with code 1")), delayed, true, "Lost node"],
  ]) {
    const { word, why } = it.status(given, queue, isStranded);
    assert.equal(`${word} ${why}`.trim(), expected);
  }
});

test("a filter's words of one kind are alternatives, its kinds are conditions", () => {
  const one = app({ id: "/pay/api", labels: { team: "pay" }, container: { docker: { image: "registry/api:1" } } });
  for (const [filter, expected] of [
    ["", true], ["pay", true], ["api pay", true], ["api web", false], ["status:run", true], ["status:waiting", false],
    ["status:waiting status:running", true], ["label:team", true], ["label:team=pay", true], ["label:team=x", false],
    ["image:api:1", true], ["image:web", false], ["group:/pay", true], ["group:/pa", false], ["status:running label:team=x", false],
  ]) assert.equal(it.passes(one, "Running", filter), expected, filter);
  assert.equal(it.toggleStatus("a", "Running"), "a status:running");
  assert.equal(it.toggleStatus("status:running a", "Running"), "a");
});

test("definitions differ field by field", () => {
  const before = { id: "/a", version: "1", env: { A: "1", B: "2" }, ports: [{ port: 1 }], args: ["a"], tasksRunning: 1 };
  const after = { id: "/a", env: { A: "1", B: "3", C: "4" }, ports: [{ port: 2 }, { port: 3 }], args: ["b"] };
  const found = it.differences(it.definition(before), it.definition(after)).map((d) => `${d.path} ${JSON.stringify(d.before)} ${JSON.stringify(d.after)}`);
  assert.deepEqual(found, ['env.B "2" "3"', 'env.C undefined "4"', "ports[0].port 1 2", 'ports[1] undefined {"port":3}', 'args ["a"] ["b"]']);
  assert.deepEqual(it.differences(it.definition(before), it.definition({ ...before, version: "2" })), []);
});

test("a text that is not JSON says where and why", () => {
  for (const [text, at, why] of [
    ["", 0, /a value is expected, but the text ends/], ['{"a":1,}', 7, /another field/], ['{"a" 1}', 5, /a colon/], ["[1 2]", 3, /a comma or \]/],
    ['{"a":1}x', 7, /nothing more/], ['{"a":1,"a":2}', 7, /twice/], ['{"a": tru}', 6, /a value/], ["{a:1}", 1, /in quotes/],
  ]) {
    const found = it.read(text);
    assert.equal(found.ok, false, text);
    assert.equal(found.at, at, text);
    assert.match(found.why, why);
  }
});

test("a path of the API leads to its place in the text", () => {
  const text = '{\n  "id": "/a",\n  "container": { "portMappings": [{ "hostPort": -1 }] }\n}';
  const { places, value } = it.read(text);
  assert.deepEqual(value, JSON.parse(text));
  const at = (path) => text.slice(...it.place(places, path));
  assert.equal(at("/container/portMappings(0)/hostPort"), "-1");
  assert.equal(at("/container/portMappings(0)/none"), '{ "hostPort": -1 }');
  assert.equal(at("/none"), text);
  assert.deepEqual(it.position(text, text.indexOf("-1")), { line: 3, column: 49 });
});

test("docker run becomes a definition, and says what does not", () => {
  const line = `docker run -d --name Web_1 -p 80:8080 -p 9090 -e A=b -e "B=c d" -v /data:/data:ro -m 512m --cpus=0.5 --restart always --cap-add NET_ADMIN \\\n  registry.example/web:1.2 serve --port 8080`;
  const { app: found, notes } = it.convert(line);
  assert.deepEqual(found, {
    id: "/web-1", instances: 1, cpus: 0.5, mem: 512,
    container: {
      type: "DOCKER",
      docker: { image: "registry.example/web:1.2", parameters: [{ key: "cap-add", value: "NET_ADMIN" }] },
      portMappings: [{ containerPort: 8080, hostPort: 0, protocol: "tcp", name: "http" }, { containerPort: 9090, hostPort: 0, protocol: "tcp", name: "port-9090" }],
      volumes: [{ hostPath: "/data", containerPath: "/data", mode: "RO" }],
    },
    networks: [{ mode: "container/bridge" }],
    env: { A: "b", B: "c d" },
    args: ["serve", "--port", "8080"],
  });
  assert.equal(notes.length, 3);
  assert.equal(it.convert("docker run --network host nginx").app.id, "/nginx");
  assert.deepEqual(it.convert("sudo docker run --net=host nginx").app.networks, [{ mode: "host" }]);
  for (const bad of ["ls", "docker ps", "docker run", "docker run -d"]) assert.throws(() => it.convert(bad), Error, bad);
});

test("events come whole, however the stream is cut", () => {
  const text = ": hello\r\n\r\nevent: a\r\nid: 1-0-0\r\ndata: {\"x\":1}\r\n\r\n\r\nevent: b\r\ndata: 1\r\ndata: 2\r\n\r\n";
  for (const size of [1, 2, 3, 7, 1000]) {
    const parser = new it.Parser();
    const told = [];
    for (let at = 0; at < text.length; at += size) told.push(...parser.take(text.slice(at, at + size)));
    assert.deepEqual(told, [{ id: "1-0-0", name: "a", data: '{"x":1}' }, { id: "", name: "b", data: "1\n2" }], `${size}`);
  }
});

test("services are named as agents name them", () => {
  const names = (fields) => it.services(app({ id: "/pay/api", ...fields })).map((s) => s.name);
  assert.deepEqual(names({}), ["api-pay"]);
  const container = { portMappings: [{ containerPort: 1, name: "http" }, { containerPort: 2, name: "admin" }, { containerPort: 3 }, { containerPort: 4, labels: { consul: "Metrics" } }] };
  assert.deepEqual(names({ container }), ["api-pay", "api-pay-admin", "metrics"]);
  assert.deepEqual(names({ labels: { consul: "false" } }), []);
  assert.deepEqual(names({ labels: { consul: "Pay API" } }), ["pay-api"]);
  assert.deepEqual(names({ env: { CONSUL_SERVICE_NAME: "x" } }), ["x"]);
});

test("spans and words of a shell", () => {
  for (const [ms, text] of [[0, "0 s"], [89_000, "89 s"], [90_000, "1 min"], [3_600_000 * 3 + 720_000, "3 h 12 min"], [86_400_000 * 2 + 14_400_000, "2 d 4 h"]]) assert.equal(it.span(ms), text);
  assert.equal(it.cli.scale("/a", 3), "ekiden app scale /a 3");
  assert.equal(it.cli.rollback("/a", "2026-11-28T06:05:34.156Z", true), "ekiden app rollback /a --to 2026-11-28T06:05:34.156Z --force");
  assert.equal(it.word("it's"), `'it'\\''s'`);
});

test("lines are shown without what moves a terminal, and with what was looked for", () => {
  assert.equal(it.plain("\u001b[31mred\u001b[0m \u001b]0;title\u0007plain\ttab\u0008"), "red plain\ttab");
  assert.match(it.plain("x".repeat(5000)), /^x{4000} … 1000 more characters$/);
  const parts = (text, search) => it.marked(text, search).map((part) => (part.isFound ? `[${part.text}]` : part.text)).join("");
  assert.equal(parts("an error, another error", /error/g), "an [error], another [error]");
  assert.equal(parts("nothing", /error/g), "nothing");
  assert.equal(parts("", /error/g), "");
  assert.equal(parts("a", /x*/g), "a", "what is found nowhere in particular is no reason to stop");
});
