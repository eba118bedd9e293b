"""What the client that Marathon's users have does, against Ekiden: every call must do what it says.

usage: marathon_client.py URL IMAGE

Exits with a traceback at the first call that does not.
"""

import sys
import threading
import time

from marathon import MarathonClient, MarathonHttpError, NotFoundError
from marathon.models import MarathonApp, MarathonGroup, MarathonHealthCheck
from marathon.models.constraint import MarathonConstraint
from marathon.models.container import MarathonContainer, MarathonContainerPortMapping, MarathonDockerContainer

APP = "/client/web"


def eventually(what, look, limit=60):
    end = time.monotonic() + limit
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.05)


def main(url, image):
    client = MarathonClient(url, timeout=20)
    events = []
    threading.Thread(target=listen, args=(url, events), daemon=True).start()
    eventually("the stream of events is attached", lambda: "event_stream_attached" in types(events))

    assert b"pong" in client.ping(), client.ping()
    info = client.get_info()
    assert info.name == "marathon" and info.version.startswith("1."), info
    assert client.get_leader()["leader"] == info.leader, info.leader
    assert client.list_apps() == [] and client.list_deployments() == [] and client.list_queue() == []

    created = client.create_app(APP, app(image, instances=2))
    assert created.id == APP and created.instances == 2, created
    assert client.list_deployments()[0].affected_apps == [APP], client.list_deployments()
    settled(client, 2)
    reads(client)

    answer = client.scale_app(APP, instances=3)
    assert set(answer) == {"version", "deploymentId"}, answer
    settled(client, 3)
    client.scale_app(APP, delta=-1)
    before = settled(client, 2)

    client.update_app(APP, MarathonApp(env={"GREETING": "from python"}, labels={"team": "client"}))
    after = settled(client, 2)
    assert not before & after, "an update replaces all"
    updated = client.get_app(APP)
    assert updated.env == {"GREETING": "from python"} and updated.labels == {"team": "client"}, updated

    # Read, changed, and written as a whole: what most scripts do.
    updated.cpus = 0.2
    client.update_app(APP, updated, minimal=False)
    after = settled(client, 2)
    assert client.get_app(APP).cpus == 0.2

    client.restart_app(APP)
    restarted = settled(client, 2)
    assert not after & restarted, "a restart replaces all"

    versions = client.list_versions(APP)
    assert versions == sorted(versions, reverse=True) and len(versions) >= 6, versions
    oldest = client.get_version(APP, versions[-1])
    assert oldest.instances == 2 and not oldest.labels, oldest
    client.rollback_app(APP, versions[-1])
    rolled_back = settled(client, 2)
    assert client.get_app(APP).env == {"GREETING": "hello"}, client.get_app(APP).env

    several(client)
    groups(client, image)
    servers(client)
    kills(client, settled(client, 2))
    refusals(client, image)
    deployments(client, image)

    client.delete_app(APP, force=True)
    eventually("the app is gone", lambda: client.list_apps() == [] and client.list_deployments() == [])
    wanted = {
        "api_post_event", "status_update_event", "health_status_changed_event", "deployment_info",
        "deployment_success", "deployment_failed", "app_terminated_event",
    }
    eventually(f"events {wanted - types(events)}", lambda: wanted <= types(events), 10)
    failures = [it for it in events if isinstance(it, Exception)]
    assert not failures, failures
    print(f"{len(events)} events of {len(types(events))} types")


def app(image, **fields):
    docker = MarathonDockerContainer(image=image)
    ports = [MarathonContainerPortMapping(container_port=8080, host_port=0, name="http")]
    check = MarathonHealthCheck(
        protocol="HTTP", path="/health", port_index=0, grace_period_seconds=10, interval_seconds=1, timeout_seconds=2,
    )
    return MarathonApp(
        cpus=0.1, mem=32, env={"GREETING": "hello"}, health_checks=[check],
        container=MarathonContainer(type="DOCKER", docker=docker, port_mappings=ports),
        networks=[{"mode": "container/bridge"}], task_kill_grace_period_seconds=3, **fields,
    )


def settled(client, instances):
    """Waits until so many instances are healthy and nothing is under way; returns their ids."""

    def look():
        it = client.get_app(APP)
        is_settled = not it.deployments and len(it.tasks) == it.tasks_running == it.tasks_healthy == instances
        return is_settled and {task.id for task in it.tasks}

    return eventually(f"{instances} healthy instances", look)


def reads(client):
    apps = client.list_apps(embed_tasks=True, embed_counts=True, embed_deployments=True, embed_last_task_failure=True,
                            embed_task_stats=True)
    assert [it.id for it in apps] == [APP] and len(apps[0].tasks) == 2, apps
    assert client.list_apps(app_id="client")[0].id == APP and client.list_apps(app_id="other") == []
    assert client.list_apps(label="team") == []
    one = client.get_app(APP, embed_tasks=True, embed_counts=True, embed_deployments=True, embed_readiness=True)
    assert one.container.docker.image and one.health_checks[0].path == "/health", one
    assert one.health_checks[0].max_consecutive_failures == 3, one.health_checks
    tasks = client.list_tasks(APP)
    assert len(tasks) == 2 and len(client.list_tasks()) == 2, tasks
    for task in tasks:
        assert task.app_id == APP and task.host and len(task.ports) == 1 and task.started_at, task
        assert task.health_check_results[0].alive, task.health_check_results
    assert len(client.list_endpoints()) == 2, client.list_endpoints()


def several(client):
    before = settled(client, 2)
    one = client.get_app(APP)
    answer = client.update_apps([MarathonApp(id=APP, labels={"several": "yes"}, instances=one.instances)])
    assert "deploymentId" in answer, answer
    assert settled(client, 2) == before, "labels alone replace nothing"
    assert client.get_app(APP).labels == {"several": "yes"}


def groups(client, image):
    """Made, read, changed, scaled, made what it was, deleted."""
    def there(*apps):
        quiet = not client.list_deployments()
        return quiet and sorted(it.id for it in client.list_apps(app_id="/team")) == sorted(apps)

    def member(path, **fields):
        it = app(image, instances=1, **fields)
        it.id = path
        return it

    inner = MarathonGroup(id="/team/db", apps=[member("/team/db/one")])
    made = client.create_group(MarathonGroup(id="/team", apps=[member("/team/web", dependencies=["/team/db"])],
                                             groups=[inner]))
    assert set(made) == {"version", "deploymentId"}, made
    eventually("the group is there", lambda: there("/team/db/one", "/team/web"))
    group = client.get_group("/team")
    assert group.id == "/team" and [it.id for it in group.apps] == ["/team/web"], group
    assert [it.id for it in group.groups] == ["/team/db"] and group.groups[0].apps[0].cpus == 0.1, group.groups
    assert {it.id for it in client.list_groups()} == {"/client", "/team"}, client.list_groups()
    version = made["version"]
    client.update_group("/team", MarathonGroup(apps=[member("/team/other")]))
    eventually("what is not listed goes", lambda: there("/team/db/one", "/team/other"))
    client.scale_group("/team/db", 2)
    eventually("it is scaled", lambda: not client.list_deployments() and client.get_app("/team/db/one").instances == 2)
    client.rollback_group("/team", version)
    eventually("it is what it was", lambda: there("/team/db/one", "/team/web"))
    assert client.get_app("/team/db/one").instances == 1
    assert "deploymentId" in client.delete_group("/team")
    eventually("it is gone", lambda: there() and [it.id for it in client.list_groups()] == ["/client"])


def servers(client):
    metrics = client.get_metrics()
    assert metrics["gauges"] and metrics["counters"], metrics
    assert client.list_event_subscriptions() == []
    for call, status in [
        # Nowhere, unless the operator has named the place.
        (lambda: client.create_event_subscription("http://127.0.0.1:9/"), 403),
        # There is nobody to hand it to.
        (lambda: client.delete_leader(), 503),
    ]:
        try:
            call()
        except MarathonHttpError as error:
            assert error.status_code == status, error
        else:
            raise AssertionError(f"not refused with {status}")


def kills(client, tasks):
    one, other = sorted(tasks)
    killed = client.kill_task(APP, one)
    assert killed.id == one, killed
    eventually("another takes its place", lambda: one not in settled(client, 2))
    assert client.kill_given_tasks([other])
    eventually("another takes its place", lambda: other not in settled(client, 2))
    all_of_it = client.kill_tasks(APP)
    assert len(all_of_it) == 2, all_of_it
    gone = {it.id for it in all_of_it}
    eventually("others take their places", lambda: not gone & settled(client, 2))
    left = settled(client, 2)
    client.kill_task(APP, sorted(left)[0], scale=True)
    assert settled(client, 1) == {sorted(left)[1]}
    assert client.get_app(APP).instances == 1


def refusals(client, image):
    for call, status in [
        (lambda: client.get_app("/client/nowhere"), 404),
        (lambda: client.delete_deployment("none"), 404),
        (lambda: client.create_app(APP, app(image, instances=1)), 409),
        (lambda: client.create_app("/client/bad", app(image, instances=-1)), 422),
    ]:
        try:
            call()
        except NotFoundError:
            assert status == 404
        except MarathonHttpError as error:
            assert error.status_code == status and error.error_message, error
        else:
            raise AssertionError(f"not refused with {status}")


def deployments(client, image):
    """One that cannot end: it waits in the queue, says why, and is taken back."""
    constraint = MarathonConstraint("hostname", "LIKE", "no-such-node")
    client.create_app("/client/stuck", app(image, instances=1, constraints=[constraint]))
    item = eventually("the queue has it", lambda: client.list_queue())[0]
    assert item.app.id == "/client/stuck" and item.count == 1 and item.delay.overdue, item
    client.reset_delay("/client/stuck")
    (deployment,) = client.list_deployments()
    assert deployment.current_actions and deployment.total_steps >= 1, deployment
    assert "deploymentId" in client.delete_deployment(deployment.id)
    eventually("it is taken back", lambda: [it.id for it in client.list_apps()] == [APP])
    eventually("nothing is under way", lambda: client.list_deployments() == [])


def listen(url, events):
    try:
        for event in MarathonClient(url).event_stream():
            events.append(event)
    except Exception as error:  # The main thread looks.
        events.append(error)


def types(events):
    return {it.event_type for it in events if not isinstance(it, Exception)}


if __name__ == "__main__":
    main(*sys.argv[1:])
