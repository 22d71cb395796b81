"""Errors that state machines and callers catch by class name, and their form outside of a function.

A class name is API. Each message describes the cause; ``next_step`` is what the operator can do.
``Failure`` is the only place that writes and reads their form in Lambda's error document, in an
execution's cause and in a report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_FIELD: Final = 4000


class LifecycleError(Exception):
    """Base of every error that this project raises on purpose."""

    default_next_step = "See the runbook: docs/runbook.md."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        self.message = message
        self.next_step = next_step or self.default_next_step
        super().__init__(f"{message} Next: {self.next_step}")


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed, as operators read it: in an execution's cause, a report and the API.

    ``name`` is the error's class name or AWS's; ``next_step`` and ``current_state`` are empty where
    unknown.
    """

    name: str
    cause: str
    next_step: str = ""
    current_state: str = ""

    @classmethod
    def of(cls, error: LifecycleError) -> Self:
        """Return the failure that an error of this package describes."""
        return cls(type(error).__name__, error.message, error.next_step)

    @classmethod
    def caught(cls, error: Mapping[str, Any]) -> Self:
        """Return the failure in a state's ``$states.errorOutput``: ``Error`` and ``Cause``."""
        return cls.read(str(error.get("Error") or "UnknownError"), str(error.get("Cause") or ""))

    @classmethod
    def read(cls, name: str, cause: str) -> Self:
        """Return the failure in what Step Functions holds as an error's name and cause.

        The cause is the JSON of ``to_cause``, Lambda's error document (with that JSON as its
        message, or with another text if the function did not raise one of these errors), or any
        other text, which then is the cause as it is.

        Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html,
        https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
        """
        found = _object(cause)
        if "errorMessage" in found:
            name = str(found.get("errorType") or name)
            cause = str(found["errorMessage"] or "")
            found = _object(cause)
        if not found.keys() & {"cause", "nextStep", "currentState"}:
            return cls(name, cause)
        return cls(
            name,
            str(found.get("cause") or ""),
            str(found.get("nextStep") or ""),
            str(found.get("currentState") or ""),
        )

    def document(self) -> dict[str, str]:
        """Return ``cause``, ``nextStep`` and ``currentState``, without those that are empty."""
        fields = {
            "cause": self.cause,
            "nextStep": self.next_step,
            "currentState": self.current_state,
        }
        return {key: _cut(value) for key, value in fields.items() if value or key == "cause"}

    def to_cause(self) -> str:
        """Return the document as JSON: an execution's cause, and the message of a raised error.

        Each field is cut after 4,000 characters, with an ellipsis: Step Functions allows 32,768 in
        all, https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
        """
        return json.dumps(self.document(), ensure_ascii=False)

    def __str__(self) -> str:
        parts = (
            f"{self.name}: {self.cause}".rstrip(": "),
            f"Next: {self.next_step}" if self.next_step else "",
            f"Current state: {self.current_state}" if self.current_state else "",
        )
        return " ".join(part for part in parts if part)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_FIELD else f"{text[: _LONGEST_FIELD - 1]}…"


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class InvalidRequest(LifecycleError):
    """The input cannot be accepted; nothing was changed."""

    default_next_step = "Nothing was changed. Correct the fields listed, then start again."

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

    default_next_step = "Wait until that operation has ended, then start again."

    def __init__(
        self,
        message: str,
        *,
        operation_id: str = "",
        next_step: str | None = None,
        seconds: int = 0,
    ) -> None:
        """``seconds`` until the lock is certainly released; 0 where unknown."""
        super().__init__(message, next_step=next_step)
        self.operation_id = operation_id
        self.seconds = seconds


class OperationEnded(LifecycleError):
    """The execution of the operation that a function works for was stopped or timed out."""

    default_next_step = (
        "None, if it was stopped on purpose; otherwise start the same operation again."
    )


class LockLost(LifecycleError):
    """Another operation took over the cluster's lock while this one ran."""

    default_next_step = "Check the operation named, then start this one again."


class ClusterFrozen(LifecycleError):
    """A freeze in the table, or the tag on the cluster's stack, forbids changes."""

    default_next_step = "Once the reason no longer applies, lift the freeze, then start again."


class StackNotUsable(LifecycleError):
    """The stack is in a state that needs a manual decision."""


class ChangeSetRefused(LifecycleError):
    """CloudFormation or this product's rules rejected the change set; nothing was executed."""


class CreationIncomplete(LifecycleError):
    """The creation of a stack stopped early and CloudFormation cannot continue it."""

    default_next_step = (
        "No broker ever ran in it. Tear the cluster down, then provision it again; the teardown "
        "retains stateful resources."
    )


class PlanNotFound(LifecycleError):
    """The change set is not a plan of this cluster, or no longer exists."""

    default_next_step = "Nothing was changed. Create a new plan and apply its change set."


class ReportNotFound(LifecycleError):
    """There is no report of an operation: it runs, reports elsewhere, or the report is gone."""

    default_next_step = "Read the operation: GET /operations/{id} shows its status and its error."


class ClusterChanged(LifecycleError):
    """A cluster is not any more as the caller of a request has read it; nothing was changed."""

    default_next_step = (
        "Nothing was changed. Read the cluster again (GET /clusters/{name}), and send the request "
        "with its new ETag if it is still what is wanted."
    )


class PlanNotFinished(LifecycleError):
    """A plan is still being made, or its operation ended without one."""

    default_next_step = "Read the operation: GET /operations/{id} shows its status and its error."


class PlanStale(LifecycleError):
    """The plan is over a day old, or something it depends on has changed."""

    default_next_step = "Create a new plan, review it and apply it."


class SecondApproverRequired(LifecycleError):
    """The principal that planned a change may not apply it, or one of the two is unknown."""

    default_next_step = "Nothing was changed. Have a second person apply the plan."


class PreflightFailed(LifecycleError):
    """Preflight checks found causes that would make the change fail; nothing was changed."""

    default_next_step = "Nothing was changed. Fix each cause listed, then start again."


class StackFailed(LifecycleError):
    """A resource of the stack could not be created or updated."""


class TasksStillRunning(LifecycleError):
    """Tasks still run or targets are still registered long after the counts were set to zero."""


class NamespaceNotEmpty(LifecycleError):
    """A Cloud Map namespace still has instances long after the services were deleted."""


class StackNotDeleted(LifecycleError):
    """CloudFormation rejected the deletion of the stack or completed only part of it."""


class DatabaseNotReady(LifecycleError):
    """The database is starting or not reachable yet; retry."""


class DatabaseUnreachable(LifecycleError):
    """No connection to the database within the time allowed."""


class DatabaseAuthenticationFailed(LifecycleError):
    """The database rejected the admin's password, or the role may not log in."""


class IamLoginRefused(DatabaseAuthenticationFailed):
    """The database rejected a token: the grant is not effective yet, or is missing."""


class MissingRdsIam(LifecycleError):
    """The server has no ``rds_iam`` role: IAM authentication is not enabled on it."""


class DatabaseTlsFailed(LifecycleError):
    """The server's certificate could not be verified; no password was sent."""


class DatabaseConcurrentModification(DatabaseNotReady):
    """Another session changed the same roles or grants; ours was rolled back, retry."""


class SecretUnreadable(LifecycleError):
    """A secret in Secrets Manager cannot be read or has unexpected content."""


class SecretRefused(LifecycleError):
    """A secret is not the cluster's, by its tags, and was not read."""

    default_next_step = (
        "Name a secret of this cluster, or let its owner tag it with the command in the cause; "
        "then start the same operation again."
    )


class DatabaseRefused(LifecycleError):
    """The database rejected a statement; a retry will not help."""


class ManagementUnavailable(LifecycleError):
    """No broker answered the management API."""

    default_next_step = (
        "Check that broker tasks run and that their security group allows the functions' group on "
        "the management port."
    )


class ManagementRefused(LifecycleError):
    """The management API rejected the request (HTTP 4xx), or does not support it (HTTP 501)."""

    default_next_step = "Fix the request as described in Camunda's error message."


class CredentialsRefused(ManagementRefused):
    """Camunda rejects the user name and password (HTTP 401 or 403)."""

    default_next_step = (
        "Put the current name and password of an administrator into the secret named."
    )


class IdentityProviderUnreachable(LifecycleError):
    """The identity provider's document, keys or token endpoint gave no usable answer."""

    default_next_step = (
        "Check that the VPC has a way to the provider on port 443 (NAT gateway or endpoint), that "
        "a public authority issued its certificate, and the URLs OidcIssuer and OidcTokenUrl."
    )


class TokenRefused(LifecycleError):
    """The token endpoint rejects the client (RFC 6749, section 5.2)."""

    default_next_step = (
        "Compare client id, scope and audience with the client's registration at the identity "
        "provider, and put its present secret into the secret of OidcHealthSecretArn."
    )


class UserPoolUnusable(LifecycleError):
    """A client of the user pool that the cluster's stack made is missing or has no secret."""

    default_next_step = (
        "Find out who changed the clients of the pool (CloudTrail, DeleteUserPoolClient), and "
        "restore the stack's client as the runbook shows; then start the same input again."
    )


class ChangeInProgress(LifecycleError):
    """Camunda rejects a change because another one is in progress (HTTP 409)."""

    default_next_step = "Wait until that change has ended; never cancel it."


class ManagementOutcomeUnknown(LifecycleError):
    """A write got no definite response; read the outcome, never assume it."""

    default_next_step = "Read the cluster configuration to see whether the change was accepted."


class InvalidResponse(LifecycleError):
    """A response does not have the shape that Camunda documents; it was ignored."""

    default_next_step = "Check that the address is a Camunda broker of a supported version."


class EndpointUnreachable(LifecycleError):
    """A name does not resolve, or the connection or the response timed out."""

    default_next_step = (
        "Check the name, the security groups and whether the load balancer has targets."
    )


class HostUnresolved(EndpointUnreachable):
    """A name does not resolve: there is no DNS record, or none visible in the VPC."""

    default_next_step = "Create the DNS record, or wait until it has propagated."


class CertificateRefused(LifecycleError):
    """The server's certificate could not be verified; nothing was sent."""

    default_next_step = "Install a certificate for this name that the caller's trust store accepts."


class CertificateAuthorityUnknown(CertificateRefused):
    """The server's certificate was issued by an authority that the function does not trust."""

    default_next_step = "Verify it from a client that trusts the authority."


class CredentialsWithheld(LifecycleError):
    """Credentials were not sent: without TLS they must stay inside the VPC."""

    default_next_step = "Add a certificate to the load balancer, or verify from inside the VPC."


class StartFailed(LifecycleError):
    """A service could not be started; the message contains ECS's reason."""


class RollingUpdateFailed(LifecycleError):
    """Brokers could not be updated to another revision of their task definition."""

    default_next_step = (
        "Fix the cause in the tasks' stop reasons or restore the previous values, then start "
        "provisioning again. It starts a new deployment and replaces no broker before the cluster "
        "is healthy."
    )


class RestartRefused(LifecycleError):
    """A precondition of a restart is not met; nothing was changed."""

    default_next_step = (
        "Fix the cause listed, then start the same request again. An unhealthy broker can be "
        "restarted alone: name it as broker."
    )


class RestartFailed(LifecycleError):
    """The restarted tasks did not return to the state before the restart."""

    default_next_step = (
        "Check what is listed, the newest task and its log group. Once the cause is fixed, ECS "
        "continues automatically; start the restart again to verify it."
    )


class RotationRefused(LifecycleError):
    """A precondition of rotating a secret is not met; that secret was not changed."""

    default_next_step = (
        "Put the user's real password into the secret (AWSCURRENT), then start the same request "
        "again."
    )


class RotationFailed(LifecycleError):
    """A new password was not accepted, or another client changed the secret meanwhile.

    The secret has both values: the one in use is AWSCURRENT, the new one AWSPENDING.
    """

    default_next_step = (
        "Fix the cause listed, then start the same request again: it continues with the value "
        "that is AWSPENDING and makes no other."
    )


class FormerPasswordAccepted(LifecycleError):
    """The new password is in use, but the former one is still accepted: not rotated yet."""

    default_next_step = (
        "Treat the former password as valid. Check what is listed, then start the same request "
        "again: it makes no new value, and ends when the former one is refused."
    )


class ManageRefused(LifecycleError):
    """A way in must not be opened, or is open without an end; nothing was changed."""

    default_next_step = (
        "Use what docs/manage.md lists for such a cluster, or change what is named, then start the "
        "same request again."
    )


class ManagementNotServed(LifecycleError):
    """No broker answered behind the opened management port; it was closed again."""

    default_next_step = (
        "Check the health of the cluster and of the management target group, then start the same "
        "request again."
    )


class RestoreRefused(LifecycleError):
    """What was requested cannot be restored; nothing was changed."""

    default_next_step = (
        "Nothing was changed. Request another moment or backup: GET /clusters/{name}/backups lists "
        "what can be restored, and GET /kept/{name} of a cluster that was torn down."
    )


class RestoreFailed(LifecycleError):
    """A restore was begun and did not end; the message lists what exists."""

    default_next_step = (
        "Fix the cause listed, then start the same request again: it continues from what exists. "
        "The former database and the former data of the brokers are kept."
    )


class FormerDataRefused(LifecycleError):
    """What restores have replaced must not be deleted now; nothing was changed."""

    default_next_step = (
        "Nothing was changed. Fix the cause listed, then start the same request again: a dry run "
        "lists what it would delete."
    )


class FormerDataNotDeleted(LifecycleError):
    """The deletion of what restores have replaced was begun and did not end."""

    default_next_step = (
        "Check the databases listed in RDS, then start the same request again: it continues with "
        "what is still there."
    )


class RestoreUnfinished(LifecycleError):
    """A restore did not end: brokers do not start on its data, and what it replaced is kept."""

    default_next_step = (
        "Start the same restore again: it continues from what exists. The operations of the "
        "cluster list its request."
    )


class RehearsalRefused(LifecycleError):
    """A cluster cannot be restored into a trial now; nothing was started."""

    default_next_step = "Nothing was started. Change what is named, then start the same request."


class RehearsalFailed(LifecycleError):
    """A rehearsal showed that a backup does not come back, or could not show that it does."""

    default_next_step = (
        "Read what failed in the report. Until a rehearsal succeeds, do not rely on the backups. "
        "Start the same request again once the cause is fixed: it takes a new backup."
    )


class BackupRefused(LifecycleError):
    """A precondition of a backup is not met; nothing was changed."""

    default_next_step = (
        "Fix the cause listed, then start the same request again. A change that only needs a "
        "backup before it goes on without one with acceptNoBackup true."
    )


class BackupFailed(LifecycleError):
    """A backup was begun and is not complete; the message lists what exists."""

    default_next_step = (
        "Check the logs of the brokers that lead the partitions listed, then start the same "
        "request again: it takes a new backup. What exists is listed by GET "
        "/clusters/{name}/backups."
    )


class BackupOutdated(LifecycleError):
    """An operation goes on long after it had its backup, and would begin to move brokers."""

    default_next_step = (
        "Start the same request again: it continues from what exists, with a backup of then. This "
        "operation cannot go on."
    )


class NoticeUnreadable(LifecycleError):
    """An AWS Health notice about Fargate task retirement has an undocumented shape."""

    default_next_step = (
        "Look up the services and the date in the AWS Health Dashboard, and start the restart "
        "machine for them before that date."
    )


class VerificationFailed(LifecycleError):
    """The cluster runs, but a check of it failed."""

    default_next_step = (
        "Fix the cause and start the same operation again; it resumes where it stopped."
    )


class ServiceDraining(LifecycleError):
    """ECS is still removing an earlier service of that name; retry later."""


class ServiceMissing(LifecycleError):
    """An ECS service that the stack's outputs name does not exist."""


class ProbeFailed(LifecycleError):
    """The function inside the VPC did not return a result."""

    default_next_step = "Check the probe function's log group, its subnets and its egress."


class ProbeAsleep(LifecycleError):
    """The function inside the VPC was idle for weeks; Lambda reconnects it within a minute."""

    default_next_step = "Retry in a minute or two: Lambda is reconnecting the function to the VPC."


class ScalingRefused(LifecycleError):
    """A precondition of scaling is not met; the cluster was not changed."""

    default_next_step = 'Apply the remedy after each "→", then start the same request again.'


class TasksNotPlaced(LifecycleError):
    """Tasks for the new brokers failed to start; no cluster change was submitted to Camunda."""


class ChangeStuck(LifecycleError):
    """Camunda's cluster change makes no progress; it was left pending."""


class ChangeNotCompleted(LifecycleError):
    """Camunda's cluster change failed, was cancelled or was replaced by another one."""


class StabilizationTimeout(LifecycleError):
    """The brokers are configured as requested, but tasks or partitions did not stabilise."""


class BackupsNotCopied(LifecycleError):
    """The backups of a cluster could not be copied for another one; the source was only read."""

    default_next_step = (
        "Check both buckets in the message, then start the same request again; a copy that was "
        "begun goes on."
    )


class AwsUnavailable(LifecycleError):
    """AWS throttled the call, failed or could not be reached; retry."""

    default_next_step = "Start the same operation again; it resumes where it stopped."


class AwsRefused(LifecycleError):
    """AWS rejected a call; a retry will not help."""

    default_next_step = (
        "Fix the cause in AWS's error message (often a permission), then start again."
    )


class ClusterNotFound(LifecycleError):
    """This control plane has no cluster of that name."""

    default_next_step = "List the clusters (GET /clusters) and check the name."


class OperationNotFound(LifecycleError):
    """No operation has that id, or it ended more than 90 days ago."""

    default_next_step = "List the cluster's operations (GET /operations?cluster=…)."


class OperationNotCancellable(LifecycleError):
    """An operation has begun to change its cluster, has ended, or it is not known; it goes on."""

    default_next_step = "Nothing was stopped. Follow the operation (GET /operations/{id})."


class OperationNotResumable(LifecycleError):
    """An operation that ended cannot go on from where it stopped; nothing was started."""

    default_next_step = (
        "Nothing was started. Send the same request with a new Idempotency-Key: it reads the "
        "present state and continues from there."
    )


class IdempotencyKeyReused(LifecycleError):
    """The key was already used for a different request; nothing was changed."""

    default_next_step = "Send a new Idempotency-Key for a new request."


class MachineNotDeployed(LifecycleError):
    """This control plane does not have the state machine for this operation."""

    default_next_step = (
        "Nothing was changed. Deploy a version of the control stack that includes it."
    )


class StartOutcomeUnknown(LifecycleError):
    """The start of an execution got no definite response; it may be running or not."""

    default_next_step = (
        "Send the same request with the same Idempotency-Key again: it never starts twice."
    )

    def __init__(
        self, message: str, *, operation_id: str = "", next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.operation_id = operation_id


class UnsupportedMediaType(LifecycleError):
    """The body of an API request is declared as something else than JSON."""

    default_next_step = (
        "Nothing was changed. Send JSON in UTF-8 with the header Content-Type: application/json."
    )


class NotAcceptable(LifecycleError):
    """None of the media types that a request accepts is one in which the answer exists."""

    default_next_step = "Send another Accept header, or none for JSON."


class RequestTooLarge(LifecycleError):
    """The body of a request is larger than any request needs."""

    default_next_step = "Nothing was changed. Send only the documented fields."


class HealthCheckBusy(LifecycleError):
    """As many health checks of callers run as may run at once."""

    default_next_step = "Request the last check (without fresh=true), or repeat the request later."


class HealthUnavailable(LifecycleError):
    """No health result: no check has run yet, or the last check did not complete."""


class ChatRefused(LifecycleError):
    """The webhook of the chat cannot be used: its URL is not allowed, or the chat rejects posts."""

    default_next_step = (
        "Put the URL of a webhook of Slack or Teams into the secret ChatWebhookSecretArn, alone."
    )


class ChatUnavailable(LifecycleError):
    """The chat did not take a message; Lambda retries it twice."""

    default_next_step = (
        "Check the channel and its webhook. With NotificationEmail, mail has the message."
    )
