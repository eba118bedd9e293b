// How an app shall be: changed as a form or as JSON, seen as a difference, then saved.
import { useState } from "preact/hooks";
import { ApiError, appPath, ask } from "../../api/client.ts";
import { touch } from "../../api/store.ts";
import type { AppSingle, DeploymentResult } from "../../api/types.ts";
import { cli } from "../../lib/cli.ts";
import { definition, differences, type Json } from "../../lib/diff.ts";
import { Editor, parse, print } from "../../parts/editor.tsx";
import { Failure, done } from "../../parts/actions.tsx";
import { Card, Cli, Differences } from "../../parts/parts.tsx";
import type { Part } from "./app.tsx";

export function Configuration({ app }: Part) {
  const [base, setBase] = useState(app);
  const [text, setText] = useState(print(definition(app)));
  const [strict, setStrict] = useState(true);
  const [isReviewing, setReviewing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const wanted = parse(text);
  const changes = wanted ? differences(definition(base) as Json, wanted as Json) : [];
  const theirs = app.version === base.version ? [] : differences(definition(base) as Json, definition(app) as Json);
  const held = (error?.deployments.length ?? 0) > 0;

  const edit = (next: string): void => {
    setText(next);
    setError(undefined);
    setReviewing(false);
  };
  const load = (): void => {
    setBase(app);
    edit(print(definition(app)));
  };
  /** Others' changes under one's own: what both touched stays as it is here. */
  const merge = (): void => {
    const mine = new Set(changes.map((it) => it.path));
    const next = structuredClone(wanted ?? {}) as Record<string, Json>;
    for (const it of theirs) if (!mine.has(it.path)) assignAt(next, it.path, it.after);
    setBase(app);
    edit(print(next));
  };
  const save = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      const now = await ask<AppSingle>("GET", appPath(app.id));
      touch(app.id);
      if (now.app.version !== base.version) {
        setReviewing(false);
      } else {
        const query = `partialUpdate=false&strict=${strict}&force=${held}`;
        const result = await ask<DeploymentResult>("PUT", `${appPath(app.id)}?${query}`, text);
        done(`Change ${app.id}`, result.deploymentId);
        const saved = await ask<AppSingle>("GET", appPath(app.id));
        touch(app.id);
        setBase(saved.app);
        setText(print(definition(saved.app)));
        setReviewing(false);
      }
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
      if (caught.details.length > 0) setReviewing(false);
    }
    setBusy(false);
  };
  const isScaling = changes.length > 0 && changes.every((it) => it.path === "instances");

  return (
    <div class="col">
      {theirs.length > 0 && (
        <Card title="It was changed meanwhile" tone="held">
          <p>Somebody saved another version while this was open:</p>
          <Differences of={theirs} />
          <div class="row buttons">
            <button type="button" class="primary" onClick={merge} disabled={!wanted}>Put my changes on theirs</button>
            <button type="button" onClick={load}>Begin anew with theirs</button>
          </div>
        </Card>
      )}
      <Card title="Configuration">
        <Editor text={text} onText={edit} errors={error?.details ?? []} isNew={false} />
        {error && <Failure error={error} />}
        {isReviewing && wanted && (
          <div role="region" aria-label="What will change" class="review">
            <h3>What will change</h3>
            <Differences of={changes} />
            <p class="muted">
              {changes.length === 0 ? "It is as it was."
              : isScaling ? "Instances are started or ended; those that stay are left alone."
              : `What runs follows step by step: at least ${Math.ceil(app.instances * app.upgradeStrategy.minimumHealthCapacity)} of ${app.instances} stay healthy meanwhile.`}
            </p>
          </div>
        )}
        <p><label><input type="checkbox" checked={strict} onChange={(event) => setStrict(event.currentTarget.checked)} /> Refuse fields that have no effect: one of them may be mistyped</label></p>
        <div class="row buttons">
          {isReviewing && changes.length > 0
            ? <button type="button" class="primary" disabled={busy || theirs.length > 0} onClick={() => void save()}>{busy ? "Saving…" : held ? "Take over and save" : "Save"}</button>
            : <button type="button" class="primary" disabled={!wanted || changes.length === 0 || theirs.length > 0} onClick={() => setReviewing(true)}>Review {changes.length > 0 ? (changes.length === 1 ? "1 change" : `${changes.length} changes`) : "changes"}</button>}
          <button type="button" disabled={changes.length === 0} onClick={load}>Undo all</button>
        </div>
        <Cli line={cli.edit(app.id, held)} />
      </Card>
    </div>
  );
}

function assignAt(to: Record<string, Json>, path: string, value: Json | undefined): void {
  const parts = path.split(/[.[\]]+/).filter(Boolean);
  const last = parts.pop();
  let at = to as Record<string, Json>;
  for (const part of parts) {
    if (typeof at[part] !== "object" || at[part] === null) at[part] = {};
    at = at[part] as Record<string, Json>;
  }
  if (last === undefined) return;
  if (value === undefined) delete at[last];
  else at[last] = value;
}
