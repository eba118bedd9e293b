// A new app: by a form, as JSON (of Marathon too), or of a `docker run` line.
import { useState } from "preact/hooks";
import { ApiError, ask } from "../../api/client.ts";
import { touch } from "../../api/store.ts";
import type { AppInfo, ErrorDetail } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { convert } from "../../lib/docker.ts";
import { Editor, parse, print } from "../../parts/editor.tsx";
import { Failure, done } from "../../parts/actions.tsx";
import { Card, Cli, Dialog, Heading } from "../../parts/parts.tsx";
import { appHref, go } from "../../shell/router.ts";

/** What a form begins with: small, and found by others. */
const BLANK = {
  id: "/",
  instances: 1,
  cpus: 0.1,
  mem: 128,
  container: { type: "DOCKER", docker: { image: "" }, portMappings: [{ containerPort: 8080, hostPort: 0, protocol: "tcp", name: "http" }] },
  networks: [{ mode: "container/bridge" }],
};

export function CreatePage() {
  const [text, setText] = useState(print(BLANK));
  const [notes, setNotes] = useState<string[]>([]);
  const [strict, setStrict] = useState(true);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [isPasting, setPasting] = useState(false);
  const id = parse(text)?.id;
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(undefined);
    try {
      const made = await ask<AppInfo>("POST", `/v2/apps?strict=${strict}`, text);
      touch(made.id);
      done(`Create ${made.id}`, made.deployments[0]?.id);
      go(appHref(made.id));
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    }
    setBusy(false);
  };
  const errors: ErrorDetail[] = error?.details ?? [];
  return (
    <>
      <Heading title="New app">
        <button type="button" onClick={() => setPasting(true)}>Paste JSON or docker run…</button>
      </Heading>
      <form onSubmit={(event) => void create(event)} noValidate class="col">
        <Card title="Definition">
          {notes.length > 0 && <div class="notice warn"><ul class="plain">{notes.map((it) => <li key={it}>{it}</li>)}</ul></div>}
          <Editor text={text} onText={(it) => (setText(it), setError(undefined))} errors={errors} isNew key={isPasting ? "pasting" : "editing"} />
          {error && <Failure error={error} />}
          <p><label><input type="checkbox" checked={strict} onChange={(event) => setStrict(event.currentTarget.checked)} /> Refuse fields that have no effect: one of them may be mistyped</label></p>
          <div class="row buttons">
            <button type="submit" class="primary" disabled={busy || parse(text) === undefined}>{busy ? "Creating…" : `Create${typeof id === "string" && id.length > 1 ? ` ${id}` : ""}`}</button>
          </div>
          <Cli line={cli.create()} />
        </Card>
      </form>
      {isPasting && <Paste onClose={() => setPasting(false)} onApp={(it, told) => (setText(it), setNotes(told), setError(undefined), setPasting(false))} />}
    </>
  );
}

/** Reads what was copied elsewhere. */
function Paste({ onClose, onApp }: { onClose: () => void; onApp: (text: string, notes: string[]) => void }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState("");
  const take = (event: Event): void => {
    event.preventDefault();
    try {
      if (/^\s*[[{]/.test(text)) {
        const given = parse(text);
        // Where it is not JSON the editor says where.
        const app = given && typeof given.app === "object" && given.app !== null ? given.app : given;
        onApp(app ? print(app) : text, []);
      } else {
        const { app, notes } = convert(text);
        onApp(print(app), notes);
      }
    } catch (error) {
      setWrong((error as Error).message);
    }
  };
  return (
    <Dialog title="Paste JSON or docker run" onClose={onClose} wide>
      <form onSubmit={take}>
        <label class="field-label" for="pasted"><span>An app's JSON, of Marathon or of <code>ekiden app show -o json</code>, or a line such as <code class="nowrap">docker run -p 80:8080 web:1</code></span></label>
        <textarea id="pasted" class="prose" rows={8} autofocus spellcheck={false} value={text} aria-invalid={wrong !== ""} onInput={(event) => setText(event.currentTarget.value)} />
        {wrong && <p class="wrong" role="alert">{wrong}</p>}
        <div class="row buttons">
          <button type="submit" class="primary" disabled={text.trim() === ""}>Read it</button>
          <button type="button" onClick={onClose}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}
