// What each action is on the command line: docs/cli.md.

/** Quoted where a shell would take it apart. */
export const word = (it: string): string => (/^[\w@%+=:,./-]+$/.test(it) ? it : `'${it.replaceAll("'", `'\\''`)}'`);

const line = (...parts: (string | false)[]): string => `ekiden ${parts.filter(Boolean).join(" ")}`;
const forced = (force: boolean): string | false => force && "--force";

export const cli = {
  apps: () => line("app list"),
  app: (id: string) => line("app show", word(id)),
  create: () => line("app add app.json --wait"),
  edit: (id: string, force = false) => line("app update", word(id), "--file app.json", forced(force)),
  scale: (id: string, n: number | string, force = false) => line("app scale", word(id), `${n}`, forced(force)),
  stop: (id: string, force = false) => line("app stop", word(id), forced(force)),
  start: (id: string, n: number, force = false) => line("app start", word(id), `${n}`, forced(force)),
  restart: (id: string, force = false) => line("app restart", word(id), forced(force)),
  rollback: (id: string, to: string, force = false) => line("app rollback", word(id), "--to", word(to), forced(force)),
  remove: (id: string) => line("app remove", word(id)),
  kill: (tasks: string[], scale: boolean, force = false) => line("task kill", ...tasks.map(word), scale && "--scale", forced(force)),
  tasks: (id: string) => line("task list", word(id)),
  versions: (id: string) => line("app versions", word(id)),
  deployments: () => line("deployment list --all"),
  deployment: (id: string) => line("deployment show", id),
  undo: (id: string) => line("deployment rollback", id),
  abandon: (id: string) => line("deployment stop", id),
  queue: (id?: string) => line("queue", id !== undefined && word(id)),
  reset: (id: string) => line("delay reset", word(id)),
  nodes: () => line("node list"),
  orphans: () => line("orphan list"),
  removeOrphan: (id: string) => line("orphan remove", id),
  logs: (id: string, asked: Record<string, string> = {}) =>
    line("logs", word(id), "-f", ...["grep", "stream", "instance", "since"].map((it) => it in asked && `--${it} ${word(asked[it]!)}`), "invert" in asked && "--invert"),
  events: (type?: string) => line("events -f", type !== undefined && `--type ${word(type)}`),
  version: () => line("version"),
};
