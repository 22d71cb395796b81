"""The state of one partition, and what commands do to it: deterministic, without clock or chance.

Everything is in `data`, plain JSON types, so that it can be replicated and copied as it is. Keys
are Camunda's: the partition in the upper bits, a counter below. What another partition has to do is
put into `data["outbox"]`; the leader delivers it at least once and in order, the receiver drops
what it has seen. What the secondary storage has to know is put into `data["records"]`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

type Json = dict[str, Any]

PARTITION_BITS = 51
# A changed password counts for logins once it is exported.
EXPORT_MS = 1000
_TENANT = "<default>"


DEFAULT_ROLES = ("admin", "connectors", "readonly-admin", "rpa")
_BUILT_IN = {
    "role": DEFAULT_ROLES,
    "group": (),
    "tenant": (_TENANT,),
}
"""What Camunda creates itself (`IdentitySetupInitializer`)."""
_NO_ROLE = "Expected to update role with ID '{}', but a role with this ID does not exist."
_NO_GROUP = "Expected to update group with ID '{}', but a group with this ID does not exist."
_ABSENT = {
    "role": {"add": _NO_ROLE, "remove": _NO_ROLE},
    "group": {"add": _NO_GROUP, "remove": _NO_GROUP},
    "tenant": {
        "add": "Expected to add entity to tenant with ID '{}', but no tenant with this ID exists.",
        "remove": "Expected to remove entity from tenant '{}', but no tenant with this ID exists.",
    },
}
_MEMBER = {
    "role": "Expected to add entity with ID '{}' to role with ID '{}', but the entity is already "
    "assigned to this role.",
    "group": "Expected to add entity with ID '{}' to group with ID '{}', but the entity is already "
    "assigned to this group.",
    "tenant": "Expected to add user with ID '{}' to tenant with ID '{}', but the user is already "
    "assigned to the tenant.",
}
_NO_MEMBER = {
    "role": "Expected to remove entity with ID '{}' from role with ID '{}', but the entity is not "
    "assigned to this role.",
    "group": "Expected to remove entity with ID '{}' from group with ID '{}', but the entity is "
    "not assigned to this group.",
    "tenant": "Expected to remove user with ID '{}' from tenant with ID '{}', but the user is not "
    "assigned to this tenant.",
}
MEMBERSHIPS = ("roles", "groups", "tenants")


def memberships(user: Json, now: int) -> Json:
    """Give a user's own memberships by kind, as they are exported at a time (ms)."""
    if now < user.get("membershipsAt", 0):
        return dict(user["formerMemberships"])
    return {kind: list(user.get(kind, ())) for kind in MEMBERSHIPS}


class Rejected(Exception):
    """The command is rejected: Camunda's rejection type, and why."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def partition_of(key: int) -> int:
    """Give the partition that made a key."""
    return key >> PARTITION_BITS


def message_partition(correlation_key: str, partitions: int) -> int:
    """Give the partition of a correlation key (`SubscriptionUtil` of camunda/camunda)."""
    found = 0
    for byte in correlation_key.encode():
        found = (31 * found + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    signed = found - 2**32 if found >= 2**31 else found
    return abs(signed) % partitions + 1


def empty() -> Json:
    """Give the data of a partition in which nothing has happened."""
    return {
        "position": 0,
        "time": 0,
        "counter": 0,
        "exported": 0,
        "log": [],
        "logged": 0,
        "taken": 0,
        "segments": [],
        "checkpoint": 0,
        "processes": {},
        "instances": {},
        "results": {},
        "jobs": {},
        "ready": {},
        "active": {},
        "delayed": {},
        "subscriptions": {},
        "messages": {},
        "started": {},
        "incidents": {},
        "users": {},
        "outbox": {},
        "outboxCounter": 0,
        "seen": {},
        "records": [],
    }


def distribution(data: Json) -> list[Json]:
    """Give the commands that bring a partition's processes to another; repeating is harmless."""
    return [
        {"kind": "install", "process": process}
        for versions in data["processes"].values()
        for process in versions.values()
    ]


class Engine:
    """One partition's state; `apply` is the only thing that changes it."""

    def __init__(self, partition: int, data: Json | None = None) -> None:
        self.partition = partition
        self.data = empty() if data is None else data
        self._now = 0

    def apply(self, command: Json) -> Json:
        """Apply a command: `{"ok": …}`, or `{"error": {"code", "message"}}`.

        `command["kind"]` names it, `command["now"]` is the leader's time in ms, which counts unless
        it is before that of a record in the log.
        """
        data = self.data
        data["position"] += 1
        # In the order of the log, whatever was on its way for longer: times of records never fall.
        self._now = data["time"] = max(command["now"], data.get("time", 0))
        source = command.get("source")
        result: Json = {"ok": {}}
        if source is None or source[1] > data["seen"].get(str(source[0]), 0):
            if source is not None:
                data["seen"][str(source[0])] = source[1]
            try:
                result = {"ok": self._handler(command)(command) or {}}
            except Rejected as rejected:
                result = {"error": {"code": rejected.code, "message": rejected.message}}
        if not data["records"]:
            data["exported"] = data["position"]
        return result

    def answer(self, command: Json) -> Json | None:
        """Give the result of a command that would change nothing; None if it has to be applied.

        The leader answers by it what clients poll for, without an entry in the journal.
        """
        kind = command["kind"]
        if (
            kind in {"list_users", "get_user", "list_authorizations", "list_owners"}
            or (kind == "activate_jobs" and not self.has_jobs(command["type"]))
            or (kind == "take_result" and str(command["key"]) not in self.data["results"])
        ):
            # Not by `apply`, which would count: the replicas' states have to stay the same.
            try:
                return {"ok": self._handler(command)(command) or {}}
            except Rejected as rejected:
                return {"error": {"code": rejected.code, "message": rejected.message}}
        return None

    def has_jobs(self, kind: str) -> bool:
        """Whether a job of a type can be activated."""
        return bool(self.data["ready"].get(kind))

    def due(self, now: int) -> bool:
        """Whether something expires by now (ms): what `tick` then does."""
        data = self.data
        return (
            any(moment <= now for moment in data["active"].values())
            or any(moment <= now for moment in data["delayed"].values())
            or any(one["until"] <= now for held in data["messages"].values() for one in held)
            or any(one["until"] <= now for one in data["results"].values())
        )

    def _handler(self, command: Json) -> Callable[[Json], Json | None]:
        found: Callable[[Json], Json | None] | None = getattr(self, f"_do_{command['kind']}", None)
        if found is None:
            raise Rejected("INVALID_ARGUMENT", f"{command['kind']} is not a command")
        return found

    # Processes

    def _do_deploy(self, command: Json) -> Json:
        """Deploy parsed processes; partition 1 makes keys and versions for all partitions.

        Content that is already the latest version keeps its keys, as DeploymentTransformer does.
        """
        latest = [self._latest(given["id"]) for given in command["processes"]]
        same = [
            known is not None and known["digest"] == given["digest"]
            for known, given in zip(latest, command["processes"], strict=True)
        ]
        key = latest[0]["deployment"] if all(same) and latest[0] else self._key()
        deployed = []
        for known, unchanged, given in zip(latest, same, command["processes"], strict=True):
            if known and unchanged:
                deployed.append(_shown(known))
                continue
            version = known["version"] + 1 if known else 1
            process = {**given, "version": version, "key": self._key(), "deployment": key}
            self._do_install({"process": process})
            for partition in command["partitions"]:
                if partition != self.partition:
                    self._send(partition, {"kind": "install", "process": process})
            shown = _shown(process)
            exported = {"version": version, "processDefinitionKey": str(process["key"])}
            self._record("PROCESS", "CREATED", process["key"], shown | exported)
            deployed.append(shown)
        return {"key": key, "processes": deployed}

    def _do_install(self, command: Json) -> None:
        process = command["process"]
        versions = self.data["processes"].setdefault(process["id"], {})
        versions.setdefault(str(process["version"]), process)

    def _latest(self, process_id: str) -> Json | None:
        versions = self.data["processes"].get(process_id)
        found: Json | None = versions and versions[str(max(map(int, versions)))]
        return found

    def _find_process(self, command: Json) -> Json:
        """Find what to start, by key, or by id and version. Words: camunda/camunda,
        ProcessInstanceCreationCreateProcessor.
        """
        key, wanted, version = command.get("key"), command.get("id"), command.get("version") or -1
        if key is not None:
            found = [
                process
                for versions in self.data["processes"].values()
                for process in versions.values()
                if process["key"] == key
            ]
            process, what = (found[0] if found else None), f"key '{key}'"
        elif version < 1:
            process, what = self._latest(wanted or ""), f"process ID '{wanted}'"
        else:
            process = self.data["processes"].get(wanted, {}).get(str(version))
            what = f"process ID '{wanted}' and version '{version}'"
        if process is None:
            raise Rejected(
                "NOT_FOUND", f"Expected to find process definition with {what}, but none found"
            )
        return dict(process)

    # Instances

    def _do_create_instance(self, command: Json) -> Json:
        process = self._find_process(command)
        if process["startMessage"] is not None:
            raise Rejected(
                "INVALID_STATE",
                "Expected to create instance of process with none start event, but there is no "
                "such event",
            )
        return self._start(process, command)

    def _start(self, process: Json, command: Json) -> Json:
        key, variables = self._key(), command.get("variables") or {}
        instance = {
            "key": key,
            "process": process["id"],
            "version": process["version"],
            "definition": process["key"],
            "step": -1,
            "variables": {},
            "variableKeys": {},
            "startedAt": self._now,
            "element": 0,
            "incidents": 0,
        }
        for name in ("tags", "businessId", "awaitUntil", "startedBy"):
            if command.get(name):
                instance[name] = command[name]
        self.data["instances"][str(key)] = instance
        self._tell_instance(instance, "ACTIVE")
        self._merge(instance, variables)
        self._next(instance)
        return {
            "processDefinitionId": process["id"],
            "processDefinitionVersion": process["version"],
            "processDefinitionKey": process["key"],
            "processInstanceKey": key,
        }

    def _steps(self, instance: Json) -> list[Json]:
        versions = self.data["processes"][instance["process"]]
        steps: list[Json] = versions[str(instance["version"])]["steps"]
        return steps

    def _next(self, instance: Json) -> None:
        instance["step"] += 1
        steps = self._steps(instance)
        if instance["step"] >= len(steps):
            self._end(instance, "COMPLETED")
            return
        step = steps[instance["step"]]
        instance["element"] = self._key()
        if step["kind"] == "job":
            self._create_job(instance, step)
        else:
            self._wait(instance, step)

    def _wait(self, instance: Json, step: Json) -> None:
        value: Any = instance["variables"]
        for name in step["correlation"].split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, str | int) or isinstance(value, bool):
            self._raise_incident(
                instance,
                0,
                "EXTRACT_VALUE_ERROR",
                f"Failed to extract the correlation key for '{step['correlation']}': The value "
                "must be either a string or a number",
            )
            return
        slot = {"name": step["message"], "correlationKey": str(value)}
        instance["waits"] = slot
        subscription = {name: instance[name] for name in ("element", "process")}
        self._send(
            0, {"kind": "open_subscription", **slot, "instance": instance["key"], **subscription}
        )

    def _end(self, instance: Json, state: str) -> None:
        key = str(instance["key"])
        del self.data["instances"][key]
        self._tell_instance(instance, state)
        if "awaitUntil" in instance:
            self.data["results"][key] = {
                "until": instance["awaitUntil"],
                "state": state,
                "variables": instance["variables"],
            }
        if "startedBy" in instance:
            self._free_start(instance)

    def _do_take_result(self, command: Json) -> Json:
        """Give the end of an instance that was created with `awaitUntil` (ms), once."""
        key = str(command["key"])
        if key in self.data["instances"]:
            return {"state": "ACTIVE"}
        result: Json | None = self.data["results"].pop(key, None)
        if result is None:
            raise Rejected("NOT_FOUND", f"No result of process instance {key} is kept")
        return result

    def _do_cancel_instance(self, command: Json) -> None:
        instance = self.data["instances"].get(str(command["key"]))
        if instance is None:
            raise Rejected(
                "NOT_FOUND",
                f"Expected to cancel a process instance with key '{command['key']}', but no such "
                "process was found",
            )
        if "job" in instance:
            self._forget_job(self.data["jobs"][instance["job"]], "CANCELED")
        waits = instance.get("waits")
        if waits:
            closing = {"kind": "close_subscription", "element": instance["element"], **waits}
            self._send(0, closing)
        if instance["incidents"]:
            for key, incident in list(self.data["incidents"].items()):
                if incident["instance"] == instance["key"]:
                    self._resolve(key)
        self._end(instance, "CANCELED")

    # Jobs

    def _create_job(self, instance: Json, step: Json) -> None:
        key = self._key()
        job = {
            "key": key,
            "type": step["type"],
            "headers": step["headers"],
            "element": step["id"],
            "elementKey": instance["element"],
            "instance": instance["key"],
            "process": instance["process"],
            "version": instance["version"],
            "definition": instance["definition"],
            "retries": step["retries"],
            "worker": "",
            "tags": instance.get("tags", []),
            "businessId": instance.get("businessId"),
            "state": "ACTIVATABLE",
            "createdAt": self._now,
        }
        instance["job"] = str(key)
        self.data["jobs"][str(key)] = job
        self._make_ready(job)
        self._tell_job(job, "CREATED")

    def _make_ready(self, job: Json) -> None:
        job["state"] = "ACTIVATABLE"
        self.data["ready"].setdefault(job["type"], {})[str(job["key"])] = 1

    def _do_activate_jobs(self, command: Json) -> Json:
        """Activate up to `max` jobs of a type, the oldest first, for `timeout` ms."""
        ready = self.data["ready"].get(command["type"], {})
        wanted, found = command.get("fetch"), []
        for key in list(islice(ready, command["max"])):
            del ready[key]
            job = self.data["jobs"][key]
            job["worker"], job["state"] = command.get("worker", ""), "ACTIVATED"
            self.data["active"][key] = self._now + command["timeout"]
            variables = self.data["instances"][str(job["instance"])]["variables"]
            found.append(
                {
                    **job,
                    "deadline": self.data["active"][key],
                    "variables": {
                        name: value
                        for name, value in variables.items()
                        if not wanted or name in wanted
                    },
                }
            )
        return {"jobs": found}

    def _do_complete_job(self, command: Json) -> None:
        job = self._job(command, "complete", "ACTIVATABLE", "ACTIVATED")
        instance = self.data["instances"][str(job["instance"])]
        self._forget_job(job, "COMPLETED")
        self._merge(instance, command.get("variables"))
        self._next(instance)

    def _do_fail_job(self, command: Json) -> None:
        job = self._job(command, "fail", "ACTIVATABLE", "ACTIVATED")
        key = str(job["key"])
        self._put_aside(job, "FAILED")
        job["retries"], job["error"] = command["retries"], command.get("message")
        self._tell_job(job, "FAILED")
        instance = self.data["instances"][str(job["instance"])]
        self._merge(instance, command.get("variables"))
        if job["retries"] <= 0:
            text = command.get("message") or "No more retries left."
            self._raise_incident(instance, job["key"], "JOB_NO_RETRIES", text)
        elif command.get("backOff"):
            self.data["delayed"][key] = self._now + command["backOff"]
        else:
            self._make_ready(job)

    def _do_throw_error(self, command: Json) -> None:
        """Throw a BPMN error; nothing catches one in a linear process."""
        job = self._job(command, "throw an error for", "ACTIVATABLE", "ACTIVATED")
        self._put_aside(job, "ERROR_THROWN")
        job["error"], job["errorCode"] = command.get("message"), command.get("code")
        self._tell_job(job, "ERROR_THROWN")
        instance = self.data["instances"][str(job["instance"])]
        self._merge(instance, command.get("variables"))
        self._raise_incident(
            instance,
            job["key"],
            "UNHANDLED_ERROR_EVENT",
            f"Expected to throw an error event with the code '{command.get('code', '')}'"
            + (f" with message '{command['message']}'" if command.get("message") else "")
            + ", but it was not caught. No error events are available in the scope.",
        )

    def _do_update_job(self, command: Json) -> None:
        retries, timeout = command.get("retries"), command.get("timeout")
        job = self._job(command, "update retries for" if timeout is None else "update deadline for")
        if retries is not None and retries < 1:
            raise Rejected(
                "INVALID_ARGUMENT",
                f"Expected to update retries for job with key '{job['key']}' with a positive "
                f"amount of retries, but the amount given was '{retries}'",
            )
        if timeout is not None and str(job["key"]) not in self.data["active"]:
            raise Rejected(
                "INVALID_STATE",
                f"Expected to update the timeout of job with key '{job['key']}', but it is not "
                "active",
            )
        if retries is not None:
            job["retries"] = retries
            self._tell_job(job, "RETRIES_UPDATED")
        if timeout is not None:
            self.data["active"][str(job["key"])] = self._now + timeout

    def _job(self, command: Json, verb: str, *states: str) -> Json:
        """Find a job. Words: camunda/camunda, JobCommandPreconditionChecker."""
        job: Json | None = self.data["jobs"].get(str(command["key"]))
        if job is None:
            raise Rejected(
                "NOT_FOUND",
                f"Expected to {verb} job with key '{command['key']}', but no such job was found",
            )
        if states and job["state"] not in states:
            raise Rejected(
                "INVALID_STATE",
                f"Expected to {verb} job with key '{command['key']}', but it is in state "
                f"'{job['state']}'",
            )
        return job

    def _put_aside(self, job: Json, state: str) -> None:
        key, job["state"] = str(job["key"]), state
        for held in (self.data["active"], self.data["delayed"], self.data["ready"][job["type"]]):
            held.pop(key, None)

    def _forget_job(self, job: Json, state: str) -> None:
        self._put_aside(job, state)
        del self.data["jobs"][str(job["key"])]
        if not self.data["ready"][job["type"]]:
            # The queue is made anew by the next job; `_put_aside` finds one while a job lives.
            self.data["ready"][job["type"]] = {}
        self.data["instances"][str(job["instance"])].pop("job", None)
        self._tell_job(job, state)

    # Incidents

    def _raise_incident(self, instance: Json, job: int, kind: str, text: str) -> None:
        key = str(self._key())
        incident = {"instance": instance["key"], "job": job, "type": kind, "message": text}
        self.data["incidents"][key] = incident | {"at": self._now}
        instance["incidents"] += 1
        self._tell_incident(key, instance, "ACTIVE")
        self._tell_instance(instance, "ACTIVE")

    def _resolve(self, key: str) -> Json:
        incident: Json = self.data["incidents"][key]
        instance: Json = self.data["instances"][str(incident["instance"])]
        instance["incidents"] -= 1
        self._tell_incident(key, instance, "RESOLVED")
        del self.data["incidents"][key]
        return instance

    def _do_resolve_incident(self, command: Json) -> None:
        key = str(command["key"])
        incident = self.data["incidents"].get(key)
        if incident is None:
            raise Rejected(
                "NOT_FOUND",
                f"Expected to resolve incident with key '{key}', but no such incident was found",
            )
        job = self.data["jobs"].get(str(incident["job"]))
        if job is not None and job["retries"] <= 0:
            raise Rejected(
                "INVALID_STATE",
                f"Expected to resolve incident with key '{key}', but job with key '{job['key']}' "
                "has no retries left",
            )
        instance = self._resolve(key)
        self._tell_instance(instance, "ACTIVE")
        if job is not None:
            self._make_ready(job)
        else:
            self._wait(instance, self._steps(instance)[instance["step"]])

    # Messages

    def _do_publish_message(self, command: Json) -> Json:
        """Publish a message on the partition of its correlation key; it is kept for `ttl` ms.

        It reaches the oldest subscription of each process, and starts each process that begins with
        it; one process gets it once (docs: concepts, messages).
        """
        at = _slot(command)
        held = self.data["messages"].get(at, ())
        identity = command.get("messageId")
        if identity and any(one["id"] == identity for one in held):
            raise Rejected(
                "ALREADY_EXISTS",
                f"Expected to publish a new message with id '{identity}', but a message with that "
                "id was already published",
            )
        message: Json = {
            "key": self._key(),
            "id": identity,
            "variables": command.get("variables") or {},
            "until": self._now + (command.get("ttl") or 0),
            "to": [],
        }
        if command.get("ttl"):
            self.data["messages"].setdefault(at, []).append(message)
        shown = {name: command[name] for name in ("name", "correlationKey")}
        self._record("MESSAGE", "PUBLISHED", message["key"], shown)
        reached = self._correlate_waiting(at, message) + self._start_by(at, message)
        return {"messageKey": message["key"], "processInstanceKeys": reached}

    def _do_correlate_message(self, command: Json) -> Json:
        """Publish a message that is not kept. Raises Rejected when nothing waits for it."""
        at = _slot(command)
        if not self.data["subscriptions"].get(at) and not any(self._startable(at, [])):
            raise Rejected(
                "NOT_FOUND",
                f"Expected to find subscription for message with name '{command['name']}' and "
                f"correlation key '{command['correlationKey']}', but none was found.",
            )
        return self._do_publish_message({**command, "ttl": 0})

    def _correlate_waiting(self, at: str, message: Json) -> list[int]:
        waiting = self.data["subscriptions"].get(at, [])
        chosen: dict[str, Json] = {}
        for subscription in waiting:
            if subscription["process"] not in message["to"]:
                chosen.setdefault(subscription["process"], subscription)
        if chosen:
            left = [one for one in waiting if chosen.get(one["process"]) is not one]
            self._keep_subscriptions(at, left)
        for subscription in chosen.values():
            self._correlate(at, subscription, message)
        return [one["instance"] for one in chosen.values()]

    def _keep_subscriptions(self, at: str, left: list[Json]) -> None:
        if left:
            self.data["subscriptions"][at] = left
        else:
            self.data["subscriptions"].pop(at, None)

    def _correlate(self, at: str, subscription: Json, message: Json) -> None:
        message["to"].append(subscription["process"])
        command = {
            "kind": "correlate",
            "slot": at,
            "from": self.partition,
            "message": message["key"],
            "variables": message["variables"],
            **subscription,
        }
        self._send(partition_of(subscription["instance"]), command)

    def _startable(self, at: str, reached: list[str]) -> list[Json]:
        """Processes that a message starts: of one process and correlation key one at a time."""
        name, correlation_key = json.loads(at)
        found = []
        for process_id in self.data["processes"]:
            latest = self._latest(process_id)
            free = not correlation_key or f"{process_id}{at}" not in self.data["started"]
            if latest and latest["startMessage"] == name and free and process_id not in reached:
                found.append(latest)
        return found

    def _start_by(self, at: str, message: Json) -> list[int]:
        started = []
        for process in self._startable(at, message["to"]):
            message["to"].append(process["id"])
            if json.loads(at)[1]:
                self.data["started"][f"{process['id']}{at}"] = 1
            result = self._start(process, {"variables": message["variables"], "startedBy": at})
            started.append(result["processInstanceKey"])
        return started

    def _free_start(self, instance: Json) -> None:
        at = instance["startedBy"]
        self.data["started"].pop(f"{instance['process']}{at}", None)
        for message in self.data["messages"].get(at, ()):
            if message["until"] > self._now and self._start_by(at, message):
                return

    def _do_open_subscription(self, command: Json) -> None:
        at = _slot(command)
        subscription = {name: command[name] for name in ("instance", "element", "process")}
        for message in self.data["messages"].get(at, ()):
            if subscription["process"] not in message["to"] and message["until"] > self._now:
                self._correlate(at, subscription, message)
                return
        self.data["subscriptions"].setdefault(at, []).append(subscription)

    def _do_close_subscription(self, command: Json) -> None:
        at = _slot(command)
        held = self.data["subscriptions"].get(at, [])
        self._keep_subscriptions(at, [one for one in held if one["element"] != command["element"]])

    def _do_correlate(self, command: Json) -> None:
        instance = self.data["instances"].get(str(command["instance"]))
        if instance is None or instance["element"] != command["element"]:
            refusal = {name: command[name] for name in ("slot", "message", "process")}
            self._send(command["from"], {"kind": "refuse_correlation", **refusal})
            return
        instance.pop("waits", None)
        self._merge(instance, command["variables"])
        self._next(instance)

    def _do_refuse_correlation(self, command: Json) -> None:
        """Offer a message to others: the instance that it was meant for is gone."""
        for message in self.data["messages"].get(command["slot"], ()):
            if message["key"] == command["message"] and command["process"] in message["to"]:
                message["to"].remove(command["process"])
                self._correlate_waiting(command["slot"], message)

    # Time, exporting, users, and what was delivered

    def _do_tick(self, _: Json) -> None:
        data, now = self.data, self._now
        for held, state in ((data["active"], "TIMED_OUT"), (data["delayed"], "")):
            for key in [one for one, moment in held.items() if moment <= now]:
                del held[key]
                self._make_ready(data["jobs"][key])
                if state:
                    self._tell_job(data["jobs"][key], state)
        for at, messages in list(data["messages"].items()):
            data["messages"][at] = [one for one in messages if one["until"] > now]
            if not data["messages"][at]:
                del data["messages"][at]
        for key in [one for one, result in data["results"].items() if result["until"] <= now]:
            del data["results"][key]

    def _do_outbox_ack(self, command: Json) -> None:
        self.data["outbox"].pop(str(command["id"]), None)

    def _do_exported(self, command: Json) -> None:
        """Forget what the secondary storage has, or keep it (`keep`) for the next checkpoint."""
        data, position = self.data, command["position"]
        records, log = data["records"], data["log"]
        data["exported"] = max(data["exported"], position)
        done = next(
            (place for place, one in enumerate(records) if one["position"] > position), len(records)
        )
        if command.get("keep"):
            log += records[:done]
        elif done:
            data["logged"] = records[done - 1]["position"]
            data["taken"] += len(log)
            log.clear()
        del records[:done]

    def _do_segment(self, command: Json) -> None:
        """Leave the log's beginning, up to the `taken`-th record ever, to an object (`key`).

        `last` is the position of the last record in it.
        """
        if self._take(command["taken"]):
            self.data["segments"].append({"key": command["key"], "last": command["last"]})

    def _do_checkpoint(self, command: Json) -> None:
        """Confirm a checkpoint, which has these `segments` and the log up to the `taken`-th record.

        `logged` is the position of the last record in it.
        """
        data = self.data
        data["checkpoint"] = command["id"]
        data["logged"] = max(data["logged"], command["logged"])
        covered = set(command["segments"])
        data["segments"] = [one for one in data["segments"] if one["key"] not in covered]
        self._take(command["taken"])

    def _take(self, until: int) -> bool:
        count = int(until - self.data["taken"])
        if count > 0:
            del self.data["log"][:count]
            self.data["taken"] = until
        return count > 0

    def _do_put_user(self, command: Json) -> Json:
        user, users = command["user"], self.data["users"]
        known = users.get(user["username"])
        if command.get("new") and known is not None:
            raise Rejected(
                "ALREADY_EXISTS",
                f"Expected to create user with username '{user['username']}', but a user with this "
                "username already exists",
            )
        if known is None and not command.get("new"):
            raise _no_user("update", user["username"])
        kept = {**(known or {}), **user}
        if "password" in user and not command.get("initial"):
            # Logins are held to what is exported.
            kept["formerPassword"] = (known or {}).get("password")
            kept["exportedAt"] = self._now + EXPORT_MS
        users[user["username"]] = kept
        return dict(kept)

    def _do_put_entity(self, command: Json) -> Json:
        """Create a role, group or tenant (`Role-`, `Group-`, `TenantCreateProcessor`)."""
        kind, name = command["entity"], command["id"]
        known = self.data.setdefault(f"{kind}s", {})
        if name in known:
            raise Rejected(
                "ALREADY_EXISTS",
                f"Expected to create {kind} with ID '{name}', but a {kind} with this ID already "
                "exists",
            )
        known[name] = {"id": name, "name": command["name"], "description": command["description"]}
        return dict(known[name])

    def _do_add_member(self, command: Json) -> None:
        """`RoleAddEntityProcessor`, `GroupAddEntityProcessor`, `TenantAddEntityProcessor`."""
        username, kind, name = command["username"], command["entity"], command["id"]
        if not self._is_known(command):
            raise Rejected("NOT_FOUND", _ABSENT[kind]["add"].format(name))
        if "owner" in command:
            return self._let_own(command)
        user = self.data["users"].get(username)
        if user is None:
            raise _no_user("add", username)
        if name in user.get(f"{kind}s", []):
            raise Rejected("ALREADY_EXISTS", _MEMBER[kind].format(username, name))
        self._belong(user, self._now)
        user.setdefault(f"{kind}s", []).append(name)
        return None

    def _let_own(self, command: Json) -> None:
        """Add a member that is no user of this cluster: of an issuer's, a client, group or rule.

        Any name is accepted, as the issuer alone knows them; a rule has to be there.
        """
        name, kind, role = command["username"], command["owner"], command["id"]
        if kind == "MAPPING_RULE" and name not in self.data.get("rules", {}):
            raise Rejected(
                "NOT_FOUND",
                f"Expected to add an entity with ID '{name}' and type '{kind}' to role with ID "
                f"'{role}', but the entity doesn't exist.",
            )
        held = self.data.setdefault("owners", {}).setdefault(kind, {}).setdefault(name, [])
        if role not in held:
            held.append(role)
        elif not command.get("initial"):
            raise Rejected("ALREADY_EXISTS", _MEMBER["role"].format(name, role))

    def _do_put_rule(self, command: Json) -> None:
        """Create a mapping rule, or change the one of this id (`IdentitySetupInitializer`)."""
        rule = command["rule"]
        self.data.setdefault("rules", {})[rule["id"]] = rule

    def _do_list_owners(self, _: Json) -> Json:
        """Give roles by kind and name of owner, and all mapping rules."""
        return {
            "owners": self.data.get("owners", {}),
            "rules": list(self.data.get("rules", {}).values()),
        }

    def _do_remove_member(self, command: Json) -> None:
        """`RoleRemoveEntityProcessor`, `GroupRemoveEntityProcessor`, `TenantRemoveEntityProcessor`.

        What is no member is NOT_FOUND, as an absent role is.
        """
        username, kind, name = command["username"], command["entity"], command["id"]
        if not self._is_known(command):
            raise Rejected("NOT_FOUND", _ABSENT[kind]["remove"].format(name))
        if "owner" in command:
            held = self.data.get("owners", {}).get(command["owner"], {}).get(username, [])
            if name not in held:
                raise Rejected("NOT_FOUND", _NO_MEMBER[kind].format(username, name))
            held.remove(name)
            return
        user = self.data["users"].get(username, {})
        if name not in user.get(f"{kind}s", []):
            raise Rejected("NOT_FOUND", _NO_MEMBER[kind].format(username, name))
        self._belong(user, self._now)
        user[f"{kind}s"].remove(name)

    def _is_known(self, command: Json) -> bool:
        kind, name = command["entity"], command["id"]
        return name in _BUILT_IN[kind] or name in self.data.get(f"{kind}s", {})

    @staticmethod
    def _belong(user: Json, now: int) -> None:
        """Let the memberships until now be shown until a change of them is exported."""
        shown = memberships(user, now)
        user["formerMemberships"], user["membershipsAt"] = shown, now + EXPORT_MS

    def _do_create_authorization(self, command: Json) -> Json:
        """`AuthorizationCreateProcessor`; nothing here is decided by it."""
        key = self._key()
        one = {**command["authorization"], "authorizationKey": str(key)}
        self.data.setdefault("authorizations", {})[str(key)] = one
        return dict(one)

    def _do_delete_authorization(self, command: Json) -> None:
        key = str(command["key"])
        if self.data.get("authorizations", {}).pop(key, None) is None:
            raise Rejected(
                "NOT_FOUND",
                f"Expected to delete authorization with key {key}, but an authorization with this "
                "key does not exist",
            )

    def _do_list_authorizations(self, _: Json) -> Json:
        return {"authorizations": list(self.data.get("authorizations", {}).values())}

    def _do_delete_user(self, command: Json) -> None:
        if self.data["users"].pop(command["username"], None) is None:
            raise _no_user("delete", command["username"])

    def _do_get_user(self, command: Json) -> Json:
        if command["username"] not in self.data["users"]:
            raise _no_user("find", command["username"])
        return dict(self.data["users"][command["username"]])

    def _do_list_users(self, _: Json) -> Json:
        return {"users": list(self.data["users"].values())}

    # Inside

    def _key(self) -> int:
        self.data["counter"] += 1
        return (self.partition << PARTITION_BITS) + int(self.data["counter"])

    def _send(self, partition: int, command: Json) -> None:
        """Do a command here, or put it into the outbox; partition 0 is the correlation key's."""
        if partition == self.partition:
            self._handler(command)(command)
            return
        self.data["outboxCounter"] += 1
        number = str(self.data["outboxCounter"])
        self.data["outbox"][number] = {"partition": partition, "command": command}

    def _merge(self, instance: Json, variables: Json | None) -> None:
        for name, value in (variables or {}).items():
            instance["variables"][name] = value
            key = instance["variableKeys"].get(name)
            if key is None:
                key = instance["variableKeys"][name] = self._key()
            self._record(
                "VARIABLE",
                "UPDATED",
                key,
                {
                    "variableKey": str(key),
                    "name": name,
                    "value": json.dumps(value),
                    "processInstanceKey": str(instance["key"]),
                    "scopeKey": str(instance["key"]),
                },
            )

    def _record(self, kind: str, intent: str, key: int, value: Json) -> None:
        """Note something for the secondary storage; each record has a position of its own."""
        self.data["position"] += 1
        self.data["records"].append(
            {
                "position": self.data["position"],
                "type": kind,
                "intent": intent,
                "key": key,
                "timestamp": self._now,
                "value": value | {"tenantId": _TENANT},
            }
        )

    def _tell_instance(self, instance: Json, state: str) -> None:
        over = state != "ACTIVE"
        process = self.data["processes"][instance["process"]][str(instance["version"])]
        self._record(
            "PROCESS_INSTANCE",
            state,
            instance["key"],
            {
                "processInstanceKey": str(instance["key"]),
                **_definition(instance),
                "processDefinitionVersion": instance["version"],
                "processDefinitionName": process["name"],
                "processDefinitionVersionTag": process["versionTag"],
                "state": "TERMINATED" if state == "CANCELED" else state,
                "startDate": _date(instance["startedAt"]),
                "endDate": _date(self._now) if over else None,
                "hasIncident": instance["incidents"] > 0 and not over,
                "tags": instance.get("tags", []),
                "businessId": instance.get("businessId"),
            },
        )

    def _tell_job(self, job: Json, state: str) -> None:
        over = state in {"COMPLETED", "CANCELED"}
        self._record(
            "JOB",
            state,
            job["key"],
            {
                "jobKey": str(job["key"]),
                "type": job["type"],
                "state": state,
                "worker": job["worker"],
                "retries": job["retries"],
                "customHeaders": job["headers"],
                "elementId": job["element"],
                "elementInstanceKey": str(job["elementKey"]),
                "processInstanceKey": str(job["instance"]),
                **_definition(job),
                "businessId": job["businessId"],
                "errorMessage": job.get("error"),
                "errorCode": job.get("errorCode"),
                "hasFailedWithRetriesLeft": state == "FAILED" and job["retries"] > 0,
                "creationTime": _date(job["createdAt"]),
                "lastUpdateTime": _date(self._now),
                "endTime": _date(self._now) if over else None,
            },
        )

    def _tell_incident(self, key: str, instance: Json, state: str) -> None:
        incident = self.data["incidents"][key]
        self._record(
            "INCIDENT",
            state,
            int(key),
            {
                "incidentKey": key,
                "state": state,
                "errorType": incident["type"],
                "errorMessage": incident["message"],
                "jobKey": str(incident["job"]) if incident["job"] else None,
                "elementId": self._steps(instance)[instance["step"]]["id"],
                "elementInstanceKey": str(instance["element"]),
                "processInstanceKey": str(instance["key"]),
                **_definition(instance),
                "creationTime": _date(incident["at"]),
            },
        )


def _definition(holder: Json) -> Json:
    return {
        "processDefinitionId": holder["process"],
        "processDefinitionKey": str(holder["definition"]),
    }


def _shown(process: Json) -> Json:
    return {
        "processDefinitionId": process["id"],
        "processDefinitionVersion": process["version"],
        "processDefinitionKey": process["key"],
        "resourceName": process["resource"],
        "name": process["name"],
        "versionTag": process["versionTag"],
    }


def _date(moment: int) -> str:
    shown = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z")


def _no_user(verb: str, username: str) -> Rejected:
    return Rejected(
        "NOT_FOUND",
        f"Expected to {verb} user with username '{username}', but a user with this username does "
        "not exist",
    )


def _slot(command: Json) -> str:
    return json.dumps([command["name"], command["correlationKey"]])
