// A `docker run` line as a definition.
import type { Json } from "./diff.ts";

/** What it comes to, and what of it has no counterpart. */
export interface Converted {
  app: Record<string, Json>;
  notes: string[];
}

/** Options without a value. */
const FLAGS = new Set(["-d", "--detach", "-i", "--interactive", "-t", "--tty", "--rm", "--init", "-P", "--publish-all", "--privileged", "--read-only", "--no-healthcheck", "-it", "-ti", "-dit", "-itd", "-dti", "-id", "-td", "-q", "--quiet"]);

/** Takes a line apart as a shell does. */
export function words(text: string): string[] {
  const found: string[] = [];
  const line = text.replace(/\\\r?\n/g, " ");
  const pattern = /(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)|([^\s"'\\]+))(?=(\s|$)?)/gs;
  let word = "";
  let open = false;
  for (const [, double, single, escaped, bare, end] of line.matchAll(pattern)) {
    word += double?.replace(/\\(.)/gs, "$1") ?? single ?? escaped ?? bare ?? "";
    open = end === undefined;
    if (!open) {
      found.push(word);
      word = "";
    }
  }
  if (open && word) found.push(word);
  return found;
}

/** Reads a line such as `docker run -p 8080:80 -e A=b nginx`. */
export function convert(text: string): Converted {
  const args = words(text.trim().replace(/^\$\s+/, ""));
  const notes: string[] = [];
  if (args[0] === "sudo") args.shift();
  const [program] = args.splice(0, 1);
  if (program !== "docker" && program !== "podman") throw new Error("It begins with “docker run”.");
  if (args[0] === "container") args.shift();
  if (args.shift() !== "run") throw new Error("Only “docker run” can be read.");

  const env: Record<string, Json> = {};
  const labels: Record<string, Json> = {};
  const mappings: Json[] = [];
  const volumes: Json[] = [];
  const parameters: Json[] = [];
  const docker: Record<string, Json> = { image: "" };
  const app: Record<string, Json> = { id: "", instances: 1, cpus: 0.1, mem: 128 };
  let network: Json = { mode: "container/bridge" };
  const pair = (given: string): [string, string] => {
    const at = given.indexOf("=");
    return at < 0 ? [given, ""] : [given.slice(0, at), given.slice(at + 1)];
  };

  while (args[0]?.startsWith("-")) {
    let name = args.shift() ?? "";
    if (name === "--") break;
    let value: string | undefined;
    const at = name.indexOf("=");
    if (name.startsWith("--") && at > 0) [name, value] = [name.slice(0, at), name.slice(at + 1)];
    else if (/^-[epvmuwhlc]./.test(name)) [name, value] = [name.slice(0, 2), name.slice(2)];
    if (!FLAGS.has(name) && value === undefined) value = args.shift();
    const given = value ?? "";
    switch (name) {
      case "--name":
        app.id = `/${given.toLowerCase().replace(/[^a-z0-9.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "")}`;
        break;
      case "-e": case "--env": {
        const [key, it] = pair(given);
        if (!given.includes("=")) notes.push(`${key} is taken from the shell there: give it a value here.`);
        env[key] = it;
        break;
      }
      case "-l": case "--label": labels[pair(given)[0]] = pair(given)[1]; break;
      case "-p": case "--publish": mappings.push(mapping(given, mappings.length, notes)); break;
      case "-v": case "--volume": {
        const [host = "", inside = "", mode = "rw"] = given.split(":");
        if (!inside) notes.push(`${given}: an anonymous volume is not kept; it is left out.`);
        else if (!host.startsWith("/")) notes.push(`${given}: a named volume is a persistent or an external volume here; it is left out.`);
        else volumes.push({ hostPath: host, containerPath: inside, mode: mode.includes("ro") ? "RO" : "RW" });
        break;
      }
      case "-m": case "--memory": app.mem = memory(given); break;
      case "--cpus": app.cpus = Number(given); break;
      case "-c": case "--cpu-shares": app.cpus = Math.round((Number(given) / 1024) * 1000) / 1000; break;
      case "-u": case "--user": app.user = given; break;
      case "-t": case "--tty": case "-it": case "-ti": app.tty = true; break;
      case "--privileged": docker.privileged = true; break;
      case "--pull": docker.forcePullImage = given === "always"; break;
      case "--stop-timeout": app.taskKillGracePeriodSeconds = Number(given); break;
      case "--net": case "--network":
        network = given === "host" ? { mode: "host" } : given === "bridge" ? { mode: "container/bridge" } : { mode: "container", name: given };
        break;
      case "-d": case "--detach": case "-i": case "--interactive": break;
      case "--rm": case "--restart":
        notes.push(`${name} is left out: what ends is replaced, and removed.`);
        break;
      default:
        if (FLAGS.has(name)) {
          notes.push(`${name} is left out.`);
        } else {
          parameters.push({ key: name.replace(/^-+/, ""), value: given });
          notes.push(`${name} becomes a parameter for Docker, which the node's operator must allow.`);
        }
    }
  }
  const image = args.shift();
  if (!image) throw new Error("The line names no image.");
  docker.image = image;
  if (parameters.length > 0) docker.parameters = parameters;
  if (app.id === "") app.id = `/${(image.split("/").at(-1) ?? "app").replace(/[:@].*$/, "").toLowerCase().replace(/[^a-z0-9.-]+/g, "-")}`;
  const onHost = (network as { mode: string }).mode === "host";
  if (onHost && mappings.length > 0) notes.push("On the host network ports are not mapped: -p is left out.");
  app.container = {
    type: "DOCKER",
    docker,
    ...(mappings.length > 0 && !onHost ? { portMappings: mappings } : {}),
    ...(volumes.length > 0 ? { volumes } : {}),
  };
  app.networks = [network];
  if (Object.keys(env).length > 0) app.env = env;
  if (Object.keys(labels).length > 0) app.labels = labels;
  if (args.length > 0) app.args = args;
  return { app, notes };
}

function mapping(given: string, n: number, notes: string[]): Json {
  const [ports = "", protocol = "tcp"] = given.split("/");
  const parts = ports.split(":");
  const inside = Number(parts.at(-1));
  const host = parts.length > 1 ? Number(parts.at(-2)) : 0;
  if (!Number.isInteger(inside)) throw new Error(`-p ${given}: ranges of ports are not read.`);
  if (host > 0) notes.push(`-p ${given}: any free host port is taken, so that several instances fit on a node; Consul says which.`);
  return { containerPort: inside, hostPort: 0, protocol, name: n === 0 ? "http" : `port-${inside}` };
}

function memory(given: string): number {
  const [, amount = "0", unit = "b"] = /^([\d.]+)\s*([bkmgBKMG]?)/.exec(given) ?? [];
  const bytes = Number(amount) * { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[unit.toLowerCase() || "b"]!;
  return Math.max(1, Math.ceil(bytes / 1024 ** 2));
}
