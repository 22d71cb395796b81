"""Create a process instance on each partition and search for it, a look at a time.

What is known goes from look to look, so that each is short and a repeated one is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import CredentialsRefused, LifecycleError
from lifecycle.services.brokers import active_partitions
from lifecycle.verification.process_instances import (
    VERIFICATION,
    Instances,
    Probed,
    partition_of,
    read_instances,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.camunda.credentials import Login
    from lifecycle.camunda.ports import ManagementApi
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Logins
    from lifecycle.verification.ports import Processes

# Seconds in which a look begins another call, of the 50 that the probe has: one takes 13 at most.
LOOK_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class InstanceProber:
    """The use case with what it needs from outside; ``monotonic`` gives seconds.

    ``variables`` gives those of an instance by the number of the attempt that makes it.
    """

    management: Callable[[str], ManagementApi]
    processes: Callable[[str], Processes]
    logins: Logins
    monotonic: Callable[[], float]
    process: Probed = VERIFICATION
    variables: Callable[[int], Mapping[str, object]] = field(default=lambda _: {})

    def query(self, cluster: ClusterOutputs, *, known: Mapping[str, Any]) -> dict[str, Any]:
        """Deploy the process, create missing instances and search those not yet found, once.

        ``known`` is what the previous call returned, empty at first. Returns what
        ``read_instances`` reads; a failure is part of it, never an exception.
        """
        give_up = self.monotonic() + LOOK_SECONDS
        before = _afresh(read_instances(known))
        try:
            login = self.logins.of(cluster).login()
            ready = self._deploy(before, cluster, login)
        except LifecycleError as error:
            return replace(before, problem=self._words(error, cluster)).as_state()
        made = self._create(ready, cluster, login, give_up)
        return self._search(made, cluster, login).as_state()

    def _deploy(self, seen: Instances, cluster: ClusterOutputs, login: Login) -> Instances:
        name = cluster.discovery_name
        if not seen.wanted:
            active = active_partitions(self.management(name).configuration())
            seen = replace(seen, wanted=max(active, cluster.partitions))
        if not seen.deployed:
            self.processes(name).deploy(self.process.resource, self.process.content, login)
        return replace(seen, deployed=True)

    def _create(
        self,
        seen: Instances,
        cluster: ClusterOutputs,
        login: Login,
        give_up: float,
    ) -> Instances:
        """Create until each partition made one, the time is over or something goes wrong.

        What goes wrong may pass, so that the next look goes on: a partition gets the process a
        moment after the deployment was answered, a leader changes, requests are rejected.
        """
        if not seen.may_create:
            return seen
        api = self.processes(cluster.discovery_name)
        while seen.may_create and not seen.problem and self.monotonic() < give_up:
            seen = replace(seen, attempts=seen.attempts + 1)
            try:
                key = api.create_instance(
                    self.process.process_id, login, self.variables(seen.attempts)
                )
            except LifecycleError as error:
                seen = replace(seen, problem=self._words(error, cluster))
            else:
                # The first one stays: it has had the most time to be exported.
                seen = replace(seen, made={partition_of(key): key, **seen.made})
        return seen

    def _search(self, seen: Instances, cluster: ClusterOutputs, login: Login) -> Instances:
        wanted = {seen.made[partition]: partition for partition in seen.unfound}
        if not wanted:
            return seen
        api = self.processes(cluster.discovery_name)
        try:
            keys = api.found_instances(wanted.keys(), login)
        except LifecycleError as error:
            return replace(seen, problem=seen.problem or self._words(error, cluster))
        return replace(seen, found=seen.found | {wanted[key] for key in keys})

    def _words(self, error: LifecycleError, cluster: ClusterOutputs) -> str:
        words = error.message.rstrip(".")
        if isinstance(error, CredentialsRefused):
            return f"{words}; Camunda rejects {self.logins.of(cluster).named}"
        return words


def _afresh(seen: Instances) -> Instances:
    """Forget what went wrong before, unless it kept the last attempt from a partition."""
    return seen if seen.unmade and not seen.may_create else replace(seen, problem="")
