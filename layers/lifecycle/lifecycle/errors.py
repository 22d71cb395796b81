"""Errors that state machines and callers catch by class name. A class name is API.

Each message says what is true; ``next_step`` says what the operator can do.
"""

from __future__ import annotations


class LifecycleError(Exception):
    """Base of every error that this project raises on purpose."""

    default_next_step = "See the runbook: docs/runbook.md."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        self.message = message
        self.next_step = next_step or self.default_next_step
        super().__init__(f"{message} Next: {self.next_step}")


class InvalidRequest(LifecycleError):
    """The input cannot be accepted; nothing was changed."""

    default_next_step = "Correct the fields named and start again; nothing was changed."

    def __init__(
        self,
        message: str,
        *,
        problems: tuple[dict[str, str], ...] = (),
        next_step: str | None = None,
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.problems = problems


class ClusterBusy(LifecycleError):
    """Another operation holds the cluster."""

    default_next_step = "Wait until that operation ends, then start again."

    def __init__(
        self,
        message: str,
        *,
        operation_id: str = "",
        next_step: str | None = None,
        seconds: int = 0,
    ) -> None:
        """``seconds``: after how many the cluster is free for certain; 0 where nobody knows."""
        super().__init__(message, next_step=next_step)
        self.operation_id = operation_id
        self.seconds = seconds


class OperationEnded(LifecycleError):
    """The execution of the operation that a function works for was stopped or timed out."""

    default_next_step = "Nothing, if it was meant to end; else start the same operation again."


class LockLost(LifecycleError):
    """The cluster's lock went to another operation while this one ran."""

    default_next_step = "Look at the operation named, then start this one again."


class ClusterFrozen(LifecycleError):
    """The cluster's stack carries the tag that forbids changes."""

    default_next_step = "Nothing was changed. Ask who set the tag; remove it, then start again."


class StackNotUsable(LifecycleError):
    """The stack is in a state that needs a person's decision."""


class ChangeSetRefused(LifecycleError):
    """CloudFormation, or this product's rules, refused the change set; nothing was executed."""


class CreationIncomplete(LifecycleError):
    """A stack's creation stopped half-way and CloudFormation cannot continue it."""

    default_next_step = (
        "No broker ever ran in it. Tear the cluster down, then provision it anew; what holds data "
        "is kept by the teardown."
    )


class PlanNotFound(LifecycleError):
    """The change set is not a plan of this cluster, or no longer exists."""

    default_next_step = "Nothing was changed. Make a new plan and apply the change set it names."


class PlanStale(LifecycleError):
    """The plan is over a day old, or something it rests on is different now."""

    default_next_step = "Nothing was changed. Make a new plan, review it and apply that one."


class SecondApproverRequired(LifecycleError):
    """Who made a plan may not be the one who applies it."""

    default_next_step = "Nothing was changed. Let a second person apply the plan."


class PreflightFailed(LifecycleError):
    """Checks before any change found what would make it fail; nothing was changed."""

    default_next_step = "Nothing was changed. Remove each cause named, then start again."


class StackFailed(LifecycleError):
    """A resource of the stack could not be created or updated."""


class TasksStillRunning(LifecycleError):
    """Tasks still run, or targets are still registered, long after the counts went to zero."""


class NamespaceNotEmpty(LifecycleError):
    """Cloud Map still has instances in a namespace of the stack long after the services went."""


class StackNotDeleted(LifecycleError):
    """CloudFormation refused to delete the stack, or could not delete all of it."""


class DatabaseNotReady(LifecycleError):
    """The database is starting or not reachable yet; trying again is right."""


class DatabaseUnreachable(LifecycleError):
    """No connection to the database within the time allowed."""


class DatabaseAuthenticationFailed(LifecycleError):
    """The database refused the admin's password, or a role that may not log in."""


class IamLoginRefused(DatabaseAuthenticationFailed):
    """The database refused a token: what was granted reaches it minutes later, or never will."""


class MissingRdsIam(LifecycleError):
    """The server has no ``rds_iam`` role: IAM authentication is not enabled on it."""


class DatabaseTlsFailed(LifecycleError):
    """The server's certificate could not be verified; no password was sent."""


class DatabaseConcurrentModification(DatabaseNotReady):
    """Somebody else changed the same roles or grants; ours was rolled back, look again."""


class SecretUnreadable(LifecycleError):
    """A secret in Secrets Manager cannot be read or does not hold what it should."""


class DatabaseRefused(LifecycleError):
    """The database refused a statement for a reason that repeating will not change."""


class ManagementUnavailable(LifecycleError):
    """No broker answered the management API."""

    default_next_step = (
        "Check that broker tasks run, and that their security group admits the functions' group on "
        "the management port."
    )


class ManagementRefused(LifecycleError):
    """The management API gave a definite refusal (HTTP 4xx)."""

    default_next_step = "Nothing was changed. Correct the request by what Camunda says."


class CredentialsRefused(ManagementRefused):
    """Camunda does not take the name and password that it was asked with (HTTP 401 or 403)."""

    default_next_step = (
        "Put the present name and password of an administrator into the secret that is named; "
        "nothing was changed."
    )


class ChangeInProgress(LifecycleError):
    """Camunda refuses a change because another one is under way (HTTP 409)."""

    default_next_step = "Nothing was changed. Wait until that change has ended; never cancel it."


class ManagementOutcomeUnknown(LifecycleError):
    """A write got no definite answer; what happened must be read, never assumed."""

    default_next_step = "Read the cluster configuration to see whether the change was accepted."


class InvalidResponse(LifecycleError):
    """An answer is not of the shape that Camunda documents; nothing was concluded from it."""

    default_next_step = "Check that the address is a Camunda broker of a supported version."


class EndpointUnreachable(LifecycleError):
    """A name does not resolve, or no connection or answer came within the time allowed."""

    default_next_step = "Check name, security groups and whether the load balancer has targets."


class HostUnresolved(EndpointUnreachable):
    """A name does not resolve: no DNS record, or none that the VPC sees."""

    default_next_step = "Create the DNS record, or wait until resolvers have it."


class CertificateRefused(LifecycleError):
    """The server's certificate could not be verified; nothing was sent."""

    default_next_step = "Install a certificate for this name that the caller's trust store knows."


class CertificateAuthorityUnknown(CertificateRefused):
    """The server's certificate is of an authority that the function does not know."""

    default_next_step = "Verify it from a client that trusts the authority."


class CredentialsWithheld(LifecycleError):
    """Credentials were not sent: without TLS they stay inside the VPC."""

    default_next_step = "Give the load balancer a certificate, or verify from inside the VPC."


class StartFailed(LifecycleError):
    """A service could not be started; the message carries the reason that ECS gives."""


class RollingUpdateFailed(LifecycleError):
    """Brokers could not be moved to another revision of their task definition."""

    default_next_step = (
        "Correct what the tasks' reasons name, or apply the former values, and start provisioning "
        "again: a new deployment begins, and no broker is replaced before the cluster is whole."
    )


class RestartRefused(LifecycleError):
    """A precondition of a restart is not met; nothing was changed."""

    default_next_step = (
        "Remove what is named, then start the same request again. A broker that is sick itself can "
        "be restarted alone: name it as broker."
    )


class RestartFailed(LifecycleError):
    """What was restarted did not come back as it was."""

    default_next_step = (
        "Look at what is named, at the newest task and its log group. Once the cause is removed, "
        "ECS goes on by itself; start the restart again to have it verified."
    )


class NoticeUnreadable(LifecycleError):
    """A notice of AWS Health about tasks that Fargate retires has another shape than documented."""

    default_next_step = (
        "Look at the AWS Health Dashboard for the services and the date, and start the restart "
        "machine for them before it."
    )


class VerificationFailed(LifecycleError):
    """The cluster runs but a check of it failed."""


class ServiceDraining(LifecycleError):
    """ECS still removes an earlier service of that name; it can be created again in a while."""


class ServiceMissing(LifecycleError):
    """An ECS service that the stack's outputs name does not exist."""


class ProbeFailed(LifecycleError):
    """The function inside the VPC could not answer at all."""

    default_next_step = "Look at the probe function's log group; check its subnets and egress."


class ProbeAsleep(LifecycleError):
    """The function inside the VPC was idle for weeks, and Lambda connects it again: a minute."""

    default_next_step = "Ask again in a minute or two: Lambda is connecting the function again."


class ScalingRefused(LifecycleError):
    """A precondition of scaling is not met; the cluster was not changed."""

    default_next_step = "Do what stands after each arrow, then start the same request again."


class TasksNotPlaced(LifecycleError):
    """The tasks of new brokers could not be placed or started; Camunda was not asked to change."""


class ChangeStuck(LifecycleError):
    """Camunda's cluster change makes no progress; it was left in place."""


class ChangeNotCompleted(LifecycleError):
    """Camunda's cluster change failed, was cancelled, or was replaced by another one."""


class StabilizationTimeout(LifecycleError):
    """The brokers are configured as requested, but tasks or partitions did not come to rest."""


class AwsUnavailable(LifecycleError):
    """AWS throttled, failed or could not be reached; trying again is right."""

    default_next_step = "Start the same operation again; it continues from what exists."


class AwsRefused(LifecycleError):
    """AWS refused a call for a reason that repeating will not change."""

    default_next_step = "Correct what AWS names (often a permission), then start again."


class ClusterNotFound(LifecycleError):
    """There is no cluster of that name under this control plane."""

    default_next_step = "List the clusters (GET /clusters) and check the name."


class OperationNotFound(LifecycleError):
    """No operation has that id, or it ended more than 90 days ago."""

    default_next_step = "List the cluster's operations (GET /operations?cluster=…)."


class IdempotencyKeyReused(LifecycleError):
    """The key already stands for a different request; nothing was changed."""

    default_next_step = "Send a new Idempotency-Key for a new request."


class MachineNotDeployed(LifecycleError):
    """The state machine that would do this does not exist in this control plane."""

    default_next_step = "Nothing was changed. Deploy a version of the control stack that has it."


class StartOutcomeUnknown(LifecycleError):
    """Starting an execution got no definite answer; it may run or not."""

    default_next_step = (
        "Send the same request with the same Idempotency-Key again: it never starts twice."
    )

    def __init__(
        self, message: str, *, operation_id: str = "", next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.operation_id = operation_id


class RequestTooLarge(LifecycleError):
    """The body of a request is larger than any request needs."""

    default_next_step = "Nothing was changed. Send only the documented fields."


class HealthUnavailable(LifecycleError):
    """There is no verdict on a cluster: no check was made, or the last one could not end."""
