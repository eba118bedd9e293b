// The deployments that changed an app.
import { deployments } from "../../api/store.ts";
import { cli } from "../../lib/cli.ts";
import { Card, Cli, Empty } from "../../parts/parts.tsx";
import { DeploymentTable } from "../deployments/table.tsx";
import type { Part } from "./app.tsx";

export function AppDeployments({ app }: Part) {
  const found = deployments.value.filter((it) => it.changes.some((change) => change.app === app.id));
  return (
    <Card title="Deployments" aside={`${found.length} remembered`}>
      {found.length === 0 ? <Empty>None is remembered.</Empty> : <DeploymentTable of={found} app={app.id} />}
      <Cli line={cli.deployments()} />
    </Card>
  );
}
