// What changes now, and what came of what changed before.
import { active, deployments } from "../../api/store.ts";
import { cli } from "../../lib/cli.ts";
import { Card, Cli, Empty, Heading } from "../../parts/parts.tsx";
import { RESULTS } from "../../parts/steps.tsx";
import { parameter, setParameters } from "../../shell/router.ts";
import { DeploymentTable } from "./table.tsx";

/** More are shown when asked for. */
const SHOWN = 100;

export function DeploymentsPage() {
  const wanted = parameter("result");
  const text = parameter("app");
  const past = deployments.value.filter((it) => it.status !== "running");
  const shown = past.filter((it) => (!wanted || it.status === wanted) && (!text || it.changes.some((change) => change.app.includes(text))));
  const live = [...active.value.values()].filter((it) => !text || it.changes.some((change) => change.app.includes(text)));
  return (
    <>
      <Heading title="Deployments" aside={`${active.value.size} under way`} />
      <Card title="Under way">
        {live.length === 0 ? <Empty>Nothing changes now.</Empty> : <DeploymentTable of={live} />}
      </Card>
      <Card title="Before" aside={`${shown.length} of ${past.length} remembered`}
        actions={<>
          <label>App <input type="search" data-filter size={14} value={text} spellcheck={false} onInput={(event) => setParameters({ app: event.currentTarget.value })} /></label>
          <label>Result <select value={wanted} onChange={(event) => setParameters({ result: event.currentTarget.value })}>
            <option value="">any</option>
            {Object.entries(RESULTS).filter(([it]) => it !== "running").map(([it, { word }]) => <option key={it} value={it}>{word}</option>)}
          </select></label>
        </>}>
        {shown.length === 0 ? <Empty>{past.length === 0 ? "Nothing was changed yet." : "None passes this filter."}</Empty> : <DeploymentTable of={shown.slice(0, SHOWN)} />}
        {shown.length > SHOWN && <p class="muted">and {shown.length - SHOWN} older ones: filter by app to see them.</p>}
        <Cli line={cli.deployments()} />
      </Card>
    </>
  );
}
