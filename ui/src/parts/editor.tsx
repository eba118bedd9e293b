// A definition as a form or as JSON: one text is the truth, the form changes fields of it and keeps all others.
import { useId, useRef, useState } from "preact/hooks";
import type { ErrorDetail } from "../api/types.ts";
import type { Json } from "../lib/diff.ts";
import { place, position, read } from "../lib/json.ts";

type Fields = Record<string, Json>;

export const print = (it: unknown): string => JSON.stringify(it, null, 2);

/** A text's definition, if it is one. */
export function parse(text: string): Fields | undefined {
  const found = read(text);
  return found.ok && typeof found.value === "object" && found.value !== null && !Array.isArray(found.value) ? (found.value as Fields) : undefined;
}

interface Given {
  text: string;
  onText: (text: string) => void;
  /** What the server said is wrong. */
  errors: ErrorDetail[];
  isNew: boolean;
}

export function Editor({ text, onText, errors, isNew }: Given) {
  const [isForm, setForm] = useState(isNew);
  const fields = parse(text);
  return (
    <div class="col">
      <div class="row">
        <span class="seg" role="group" aria-label="How the definition is written">
          <button type="button" aria-pressed={isForm} onClick={() => setForm(true)}>Form</button>
          <button type="button" aria-pressed={!isForm} onClick={() => setForm(false)}>JSON</button>
        </span>
        <span class="muted">{isForm ? "The common fields; JSON has them all." : "Marathon's format, every field."}</span>
      </div>
      {isForm && fields ? <Form fields={fields} onFields={(it) => onText(print(it))} errors={errors} isNew={isNew} />
      : <Text text={text} onText={onText} errors={errors} />}
    </div>
  );
}

function Text({ text, onText, errors }: Omit<Given, "isNew">) {
  const area = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const found = read(text);
  const show = (from: number, to: number): void => {
    const it = area.current;
    if (!it) return;
    it.focus();
    it.setSelectionRange(from, to);
    // To its line: browsers scroll to what is selected only where it was typed.
    const lines = text.slice(0, from).split("\n").length;
    it.scrollTop = Math.max(0, (lines - 4) * (it.scrollHeight / text.split("\n").length));
  };
  const wrong = !found.ok
    ? [{ path: "", why: found.why, range: [found.at, found.at + 1] as [number, number] }]
    : errors.map((it) => ({ path: it.path, why: it.errors.join("; "), range: place(found.places, it.path) }));
  return (
    <div>
      <label class="field-label" for={id}>Definition</label>
      <textarea
        id={id} ref={area} class="tall" spellcheck={false} autocomplete="off" autocapitalize="off" value={text}
        aria-invalid={wrong.length > 0} aria-describedby={`${id}-wrong`} onInput={(event) => onText(event.currentTarget.value)}
      />
      <ul class="plain" id={`${id}-wrong`} aria-live="polite">
        {wrong.map((it) => {
          const { line, column } = position(text, it.range[0]);
          return (
            <li key={it.path + it.why} class="wrong">
              <button type="button" class="small" onClick={() => show(...it.range)}>Line {line}, column {column}</button>{" "}
              {it.path && <code>{it.path}</code>} {it.why}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

const object = (it: Json | undefined): Fields => (typeof it === "object" && it !== null && !Array.isArray(it) ? it : {});
const list = (it: Json | undefined): Json[] => (Array.isArray(it) ? it : []);
const shown = (it: Json | undefined): string => (it === undefined || it === null ? "" : String(it));

/** Only the given fields change; what becomes empty goes. */
function assign(to: Fields, changes: Record<string, Json | undefined>): Fields {
  const next = { ...to };
  for (const [name, it] of Object.entries(changes)) {
    if (it === undefined) delete next[name];
    else next[name] = it;
  }
  return next;
}

function Form({ fields, onFields, errors, isNew }: { fields: Fields; onFields: (it: Fields) => void; errors: ErrorDetail[]; isNew: boolean }) {
  const container = object(fields.container);
  const docker = object(container.docker);
  const network = object(list(fields.networks)[0]);
  const ports = list(container.portMappings).map(object);
  const check = object(list(fields.healthChecks)[0]);
  const isHost = network.mode === "host" || (!isNew && network.mode === undefined);
  const set = (changes: Record<string, Json | undefined>): void => onFields(assign(fields, changes));
  const setContainer = (changes: Record<string, Json | undefined>): void => set({ container: assign({ type: "DOCKER", ...container }, changes) });
  const setCheck = (changes: Record<string, Json | undefined>): void => {
    const [, ...others] = list(fields.healthChecks);
    set({ healthChecks: [assign(check, changes), ...others] });
  };
  const number = (text: string): Json | undefined => (text === "" ? undefined : Number.isNaN(Number(text)) ? text : Number(text));

  // A message stands beside the field that it is about; the others stand below.
  const told = new Set<ErrorDetail>();
  const wrong = (...paths: string[]): string => {
    const found = errors.filter((it) => paths.some((path) => it.path === path || it.path.startsWith(`${path}/`) || it.path.startsWith(`${path}(`)));
    for (const it of found) told.add(it);
    return found.flatMap((it) => it.errors).join("; ");
  };

  const body = (
    <>
      <Field label="Id" hint={isNew ? "A path, such as /pay/api." : "It cannot change."} wrong={wrong("/id")}>
        {(props) => <input {...props} value={shown(fields.id)} readOnly={!isNew} spellcheck={false} onInput={(event) => set({ id: event.currentTarget.value })} />}
      </Field>
      <Field label="Image" hint="Such as registry.example/pay-api:1.2." wrong={wrong("/container/docker", "/container/type")}>
        {(props) => <input {...props} value={shown(docker.image)} spellcheck={false} onInput={(event) => setContainer({ docker: assign(docker, { image: event.currentTarget.value }) })} />}
      </Field>
      <Field label="Command" hint="For /bin/sh -c; empty: the image's own." wrong={wrong("/cmd", "/args")}>
        {(props) => <input {...props} value={shown(fields.cmd)} spellcheck={false} onInput={(event) => set({ cmd: event.currentTarget.value || undefined })} />}
      </Field>
      <Field label="Instances" wrong={wrong("/instances")}>
        {(props) => <input {...props} inputMode="numeric" value={shown(fields.instances)} onInput={(event) => set({ instances: number(event.currentTarget.value) })} />}
      </Field>
      <Field label="CPUs" hint="Cores that are kept for each instance." wrong={wrong("/cpus")}>
        {(props) => <input {...props} inputMode="decimal" value={shown(fields.cpus)} onInput={(event) => set({ cpus: number(event.currentTarget.value) })} />}
      </Field>
      <Field label="Memory, MiB" hint="More than this ends an instance." wrong={wrong("/mem")}>
        {(props) => <input {...props} inputMode="decimal" value={shown(fields.mem)} onInput={(event) => set({ mem: number(event.currentTarget.value) })} />}
      </Field>
      <Field label="Network" wrong={wrong("/networks")}>
        {(props) => (
          <select {...props} value={isHost ? "host" : shown(network.mode) || "container/bridge"} onChange={(event) => {
            const mode = event.currentTarget.value;
            onFields(assign(fields, {
              networks: [{ mode }],
              container: mode === "host" ? assign(container, { portMappings: undefined }) : container,
              portDefinitions: undefined,
            }));
          }}>
            <option value="container/bridge">Bridge: a port of the node for each</option>
            <option value="host">The node's own network</option>
            {network.mode === "container" && <option value="container">{`Docker's network ${shown(network.name)}`}</option>}
          </select>
        )}
      </Field>
      {!isHost && (
        <Field label="Ports of the container" hint="Each with a name, if you like: 8080 http, 9090 admin" wrong={wrong("/container/portMappings")}>
          {(props) => (
            <Typed {...props} value={ports.map((it) => [it.containerPort, it.name].filter(Boolean).join(" ")).join(", ")} onValue={(text) => {
              const next = text.split(",").map((it) => it.trim()).filter(Boolean).map((it, n) => {
                const [port = "", name] = it.split(/\s+/);
                const before = ports.find((old) => String(old.containerPort) === port) ?? (ports.length === text.split(",").length ? ports[n] : undefined);
                return assign({ hostPort: 0, protocol: "tcp", ...before }, { containerPort: number(port) ?? 0, name: name || undefined });
              });
              setContainer({ portMappings: next.length > 0 ? next : undefined });
            }} />
          )}
        </Field>
      )}
      <Field label="Environment" whole hint="A line for each: NAME=value" wrong={wrong("/env")}>
        {(props) => <Lines {...props} of={object(fields.env)} onLines={(env) => set({ env })} />}
      </Field>
      <Field label="Labels" whole hint="A line for each: team=pay" wrong={wrong("/labels")}>
        {(props) => <Lines {...props} of={object(fields.labels)} onLines={(labels) => set({ labels })} />}
      </Field>
      <Field label="Health check" hint="How each instance is asked whether it serves." wrong={wrong("/healthChecks")}>
        {(props) => (
          <select {...props} value={shown(check.protocol).replace("MESOS_", "")} onChange={(event) => {
            const protocol = event.currentTarget.value;
            const [, ...others] = list(fields.healthChecks);
            if (!protocol) return set({ healthChecks: others.length > 0 ? others : undefined });
            const { command: _, path: path0, ...rest } = check;
            const path: Fields = protocol.startsWith("HTTP") ? { path: path0 ?? "/" } : {};
            return set({ healthChecks: [{ portIndex: 0, gracePeriodSeconds: 30, intervalSeconds: 5, timeoutSeconds: 5, maxConsecutiveFailures: 3, ...rest, protocol, ...path }, ...others] });
          }}>
            <option value="">None: it counts as soon as it runs</option>
            <option value="HTTP">HTTP</option>
            <option value="HTTPS">HTTPS</option>
            <option value="TCP">TCP</option>
            {check.protocol === "COMMAND" && <option value="COMMAND">A command (see JSON)</option>}
          </select>
        )}
      </Field>
      {shown(check.protocol).includes("HTTP") && (
        <Field label="Path of the check">
          {(props) => <input {...props} value={shown(check.path)} spellcheck={false} onInput={(event) => setCheck({ path: event.currentTarget.value })} />}
        </Field>
      )}
    </>
  );
  const others = (): ErrorDetail[] => errors.filter((it) => !told.has(it));
  return (
    <div class="form">
      {body}
      <Others of={others} />
    </div>
  );
}

/** What is wrong beside the fields of the form; it is known once they are drawn. */
const Others = ({ of }: { of: () => ErrorDetail[] }) =>
  of().length === 0 ? null : (
    <ul class="plain whole" role="alert">
      {of().map((it) => <li key={it.path} class="wrong"><code>{it.path}</code> {it.errors.join("; ")}</li>)}
    </ul>
  );

interface FieldProps {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string;
}

function Field({ label, hint, wrong = "", whole, children }: {
  label: string; hint?: string; wrong?: string; whole?: boolean; children: (props: FieldProps) => preact.JSX.Element;
}) {
  const id = useId();
  return (
    <div class={`field-label ${whole ? "whole" : ""}`}>
      <label for={id}>{label}</label>
      {children({ id, "aria-invalid": wrong !== "", "aria-describedby": `${id}-hint` })}
      <span id={`${id}-hint`}>
        {wrong ? <span class="wrong">{wrong}</span> : hint && <span class="hint">{hint}</span>}
      </span>
    </div>
  );
}

/** A field whose text is taken apart only when it is left: half a word is none. */
function Typed({ value, onValue, ...props }: FieldProps & { value: string; onValue: (text: string) => void }) {
  const [typed, setTyped] = useState<string>();
  return (
    <input {...props} value={typed ?? value} spellcheck={false} onInput={(event) => (setTyped(event.currentTarget.value), onValue(event.currentTarget.value))} onBlur={() => setTyped(undefined)} />
  );
}

/** Names and values, a line for each. */
function Lines({ of, onLines, ...props }: FieldProps & { of: Fields; onLines: (it: Fields | undefined) => void }) {
  const [typed, setTyped] = useState<string>();
  const text = Object.entries(of).map(([name, it]) => `${name}=${shown(it)}`).join("\n");
  const take = (given: string): void => {
    setTyped(given);
    const pairs = given.split("\n").filter((it) => it.trim()).map((it): [string, string] => {
      const at = it.indexOf("=");
      return at < 0 ? [it.trim(), ""] : [it.slice(0, at).trim(), it.slice(at + 1)];
    });
    onLines(pairs.length > 0 ? Object.fromEntries(pairs) : undefined);
  };
  return <textarea {...props} class="prose" rows={3} spellcheck={false} value={typed ?? text} onInput={(event) => take(event.currentTarget.value)} onBlur={() => setTyped(undefined)} />;
}
