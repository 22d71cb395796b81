"""One request is one operation: whatever fails, dies or happens at the same time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lifecycle.errors import AwsRefused, ClusterBusy, LifecycleError, StartOutcomeUnknown
from lifecycle.operation.idempotency import (
    canonical,
    digest,
    is_key,
    operation_id,
    split_operation_id,
)
from lifecycle.operation.model import LOCK_SECONDS, Operation

from tests.support.api import ARNS, ApiWorld, returned

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


def shuffled(value: Any) -> Any:
    """The same JSON in another spelling: keys in reverse, whole numbers as floats."""
    match value:
        case bool():
            return value
        case int():
            return float(value)
        case dict():
            return {key: shuffled(item) for key, item in reversed(value.items())}
        case list():
            return [shuffled(item) for item in value]
        case _:
            return value


@given(JSON)
def test_spelling_does_not_count(value: Any) -> None:
    text = canonical(value)
    assert canonical(shuffled(value)) == text
    assert canonical(json.loads(text)) == text
    assert canonical(json.loads(json.dumps(value, indent=3))) == text


@given(JSON, JSON)
def test_what_differs_has_another_hash(one: Any, other: Any) -> None:
    same = digest(canonical(one)) == digest(canonical(other))
    assert same == (canonical(one) == canonical(other))
    if isinstance(one, bool) != isinstance(other, bool):
        assert not same


@given(
    cluster=st.from_regex(r"[a-z][a-z0-9-]{1,18}", fullmatch=True),
    verb=st.sampled_from(
        [
            "provision",
            "scale",
            "restart",
            "rotate",
            "manage",
            "backup",
            "restore",
            "plan",
            "teardown",
        ]
    ),
    key=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
)
def test_an_id_tells_its_parts_and_fits_step_functions(cluster: str, verb: str, key: str) -> None:
    name = operation_id(cluster, verb, key)
    assert split_operation_id(name) == (cluster, verb, key)
    # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    assert len(name) <= 80


@given(st.text(max_size=60))
def test_no_key_breaks_the_form_of_an_id(text: str) -> None:
    if is_key(text):
        assert "." not in text
        assert text.isascii()


class Killed(BaseException):
    """The function's process is gone: nothing after this line runs."""


class Interrupt:
    """Does something at the n-th call that a request makes to the outside."""

    def __init__(self, at: int, before: bool, act: Callable[[], None]) -> None:
        self.left, self.before, self.act = at, before, act

    def __call__(self, fake: Any) -> Any:
        interrupt = self

        class Tapped:
            def __getattr__(self, name: str) -> Any:
                own = getattr(fake, name)

                def call(*args: Any, **named: Any) -> Any:
                    interrupt.left -= 1
                    mine = interrupt.left == 0
                    if mine and interrupt.before:
                        interrupt.act()
                    result = own(*args, **named)
                    if mine and not interrupt.before:
                        interrupt.act()
                    return result

                return call

        return Tapped()


CLUSTERS: Final = st.sampled_from(["one", "two"])
KEYS: Final = st.sampled_from(["k1", "k2"])
BODIES: Final = st.sampled_from([{"parameters": {"Brokers": 5}}, {"parameters": {}}])
POINTS: Final = st.tuples(st.integers(1, 7), st.booleans())


class Requests(RuleBasedStateMachine):
    """Requests, machines, failures and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.api = ApiWorld()
        self.api.world.executions.others_run = False
        self.begun: set[str] = set()
        # Whether a request died or stayed without an answer; its lock may outlive it by 15 minutes.
        self.harmed = False
        self.accepted: dict[str, str] = {}

    # --- what happens ---------------------------------------------------------------------------

    @rule(cluster=CLUSTERS, key=KEYS, body=BODIES)
    def ask(self, cluster: str, key: str, body: Any) -> None:
        answer = self.api.ask("PUT", "/clusters/{name}", body, key=key, name=cluster)
        name = operation_id(cluster, "provision", key)
        text = canonical({"clusterName": cluster, **body})
        known = self.accepted.get(name)
        if known is not None and known != text:
            assert answer.status == 422, "an accepted key stands for its first request for ever"
        elif known is not None:
            assert answer.status == 202, "the same request is always answered the same way"
        if answer.status == 202:
            assert answer.document["operationId"] == name
            self.accepted[name] = text
        else:
            assert answer.document["nextStep"]

    @rule(
        cluster=CLUSTERS,
        key=KEYS,
        body=BODIES,
        error=st.sampled_from([AwsRefused, StartOutcomeUnknown]),
        lost_answer=st.booleans(),
    )
    def ask_while_starting_fails(
        self, cluster: str, key: str, body: Any, error: type[LifecycleError], lost_answer: bool
    ) -> None:
        executions = self.api.world.executions
        executions.failing = error("injected")
        self.harmed |= error is StartOutcomeUnknown
        executions.lost_answer = lost_answer and error is StartOutcomeUnknown
        self.ask(cluster, key, body)
        executions.failing, executions.lost_answer = None, False

    @rule(cluster=CLUSTERS, key=KEYS, body=BODIES, point=POINTS)
    def ask_and_die(self, cluster: str, key: str, body: Any, point: tuple[int, bool]) -> None:
        def die() -> None:
            self.harmed = True
            raise Killed

        self._interrupted(point, die, cluster, key, body)

    @rule(
        cluster=CLUSTERS,
        key=KEYS,
        body=BODIES,
        point=POINTS,
        other=st.tuples(KEYS, BODIES),
        ends=st.booleans(),
    )
    def ask_twice_at_once(
        self,
        *,
        cluster: str,
        key: str,
        body: Any,
        point: tuple[int, bool],
        other: tuple[str, Any],
        ends: bool,
    ) -> None:
        def another() -> None:
            self.api.between = lambda fake: fake
            self.ask(cluster, *other)
            if ends:
                self.machines_work()
                self.all_end()

        self._interrupted(point, another, cluster, key, body)

    def _interrupted(
        self, point: tuple[int, bool], act: Callable[[], None], cluster: str, key: str, body: Any
    ) -> None:
        self.api.between = Interrupt(*point, act)
        try:
            answer = self.api.ask("PUT", "/clusters/{name}", body, key=key, name=cluster)
        except Killed:
            pass
        else:
            name = operation_id(cluster, "provision", key)
            text = canonical({"clusterName": cluster, **body})
            if answer.status == 202:
                assert self.accepted.setdefault(name, text) == text
        finally:
            self.api.between = lambda fake: fake
        for arn, execution in self.api.world.executions.executions.items():
            self.accepted.setdefault(arn.rpartition(":")[2], execution.input)

    @rule()
    def machines_work(self) -> None:
        """Every execution's first state: take the cluster or be refused."""
        for arn in self._running() - self.begun:
            name = arn.rpartition(":")[2]
            cluster = name.partition(".")[0]
            try:
                self.api.world.journal.begin(
                    Operation(
                        name,
                        arn,
                        cluster,
                        "provision",
                        "2026-01-01T00:00:00Z",
                        f"control-{cluster}",
                    )
                )
                self.begun.add(arn)
            except ClusterBusy:
                self.api.world.executions.finish(arn, "FAILED", error="ClusterBusy")

    @precondition(lambda self: self.begun)
    @rule(status=st.sampled_from(["SUCCEEDED", "FAILED", "ABORTED"]))
    def all_end(self, status: str = "SUCCEEDED") -> None:
        for arn in self._running() & self.begun:
            name = arn.rpartition(":")[2]
            told = {"output": json.dumps(returned(name))} if status == "SUCCEEDED" else {}
            self.api.world.executions.finish(arn, status, **told)
            cluster = name.partition(".")[0]
            self.api.world.table.release(f"control-{cluster}", arn)

    @rule()
    def time_passes(self) -> None:
        self.api.world.clock.pass_seconds(LOCK_SECONDS + 1)

    # --- what is always true --------------------------------------------------------------------

    @invariant()
    def one_operation_works_on_a_cluster(self) -> None:
        for cluster in ("one", "two"):
            working = [
                arn for arn in self._running() & self.begun if f":{cluster}.provision." in arn
            ]
            assert len(working) <= 1

    @invariant()
    def executions_have_the_input_that_was_accepted(self) -> None:
        for arn, execution in self.api.world.executions.executions.items():
            name = arn.rpartition(":")[2]
            assert self.accepted.setdefault(name, execution.input) == execution.input

    @invariant()
    def no_cluster_is_held_for_nobody(self) -> None:
        if not self.harmed:
            running = self._running()
            held = {lock.owner for lock in self.api.world.table.locks.values()}
            assert held <= running

    def teardown(self) -> None:
        """Never a dead end: once all is over, the next request is accepted."""
        self.machines_work()
        self.all_end()
        self.time_passes()
        for cluster in ("one", "two"):
            answer = self.api.ask(
                "PUT", "/clusters/{name}", {"parameters": {}}, key="last", name=cluster
            )
            assert answer.status == 202

    def _running(self) -> set[str]:
        found = self.api.world.executions.executions
        return {arn for arn, execution in found.items() if execution.is_running}


def test_one_request_is_one_operation_whatever_happens() -> None:
    run_state_machine_as_test(Requests)


BODY: Final[Any] = {"parameters": {}}
OTHER: Final[Any] = {"parameters": {"Brokers": 5}}
EVERY_POINT: Final = [(at, before) for at in range(1, 8) for before in (True, False)]


def judge(requests: Requests) -> None:
    requests.one_operation_works_on_a_cluster()
    requests.executions_have_the_input_that_was_accepted()
    requests.no_cluster_is_held_for_nobody()
    for name, text in requests.accepted.items():
        cluster, _, key = name.split(".")
        body = {field: value for field, value in json.loads(text).items() if field != "clusterName"}
        requests.ask(cluster, key, body)
    requests.teardown()


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("other", [("k1", BODY), ("k1", OTHER), ("k2", BODY)])
@pytest.mark.parametrize("point", EVERY_POINT)
def test_two_requests_may_meet_at_any_point(
    point: tuple[int, bool], other: tuple[str, Any], ends: bool
) -> None:
    requests = Requests()
    requests.ask_twice_at_once(
        cluster="one", key="k1", body=BODY, point=point, other=other, ends=ends
    )
    judge(requests)


@pytest.mark.parametrize("error", [AwsRefused, StartOutcomeUnknown, None])
@pytest.mark.parametrize("point", EVERY_POINT)
def test_a_request_may_meet_a_faster_one_and_then_fail(
    point: tuple[int, bool], error: type[LifecycleError] | None
) -> None:
    """A faster request with the same key starts it; ours then gets an error for an answer."""
    requests = Requests()
    executions = requests.api.world.executions

    def faster() -> None:
        requests.api.between = lambda fake: fake
        requests.ask("one", "k1", BODY)
        executions.failing = error("injected") if error else None

    requests._interrupted(point, faster, "one", "k1", BODY)
    running = [one for one in executions.executions.values() if one.is_running]
    held = [lock.owner for lock in requests.api.world.table.locks.values()]
    assert [one.arn for one in running] == held, "the lock of what runs is never taken from it"
    found = [one.arn.split(":")[-2:] for one in running]
    assert all(
        requests.api.world.table.find(name, machine.rpartition("-")[2]) for machine, name in found
    )


@pytest.mark.parametrize("dies", EVERY_POINT)
@pytest.mark.parametrize("point", EVERY_POINT)
def test_a_different_request_with_the_key_may_die_meanwhile(
    point: tuple[int, bool], dies: tuple[int, bool]
) -> None:
    requests = Requests()

    def dying() -> None:
        requests.api.between = lambda fake: fake
        requests.ask_and_die("one", "k1", OTHER, dies)

    requests._interrupted(point, dying, "one", "k1", BODY)
    judge(requests)


@pytest.mark.parametrize("point", EVERY_POINT)
def test_somebody_in_the_console_may_take_the_name_at_any_point(point: tuple[int, bool]) -> None:
    requests = Requests()
    executions = requests.api.world.executions

    def console() -> None:
        executions.start(ARNS.machine("provision"), "one.provision.k1", '{"clusterName":"one"}')

    requests.api.between = Interrupt(*point, console)
    answer = requests.api.ask("PUT", "/clusters/{name}", BODY, key="k1", name="one")
    (execution,) = executions.executions.values()
    ours = execution.input == canonical({"clusterName": "one", **BODY})
    assert answer.status == (202 if ours else 422)


@pytest.mark.parametrize("point", EVERY_POINT)
def test_a_request_may_die_at_any_point_and_come_again(point: tuple[int, bool]) -> None:
    requests = Requests()
    requests.ask_and_die("one", "k1", BODY, point)
    answer = requests.api.ask("PUT", "/clusters/{name}", BODY, key="k1", name="one")
    assert answer.status == 202
    assert len(requests.api.world.executions.executions) == 1
    judge(requests)


@pytest.mark.parametrize(
    "text", ["demo.scale", "Demo.scale.k", "demo.scale.k.k", "demo.scale.", ""]
)
def test_what_is_no_id_has_no_parts(text: str) -> None:
    assert split_operation_id(text) is None
