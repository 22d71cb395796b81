"""The emulator's Lambda, executed by our pool instead of its own workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.aws.emulator import lambda_svc
from local.aws.lambda_pool import (
    WORKER_LIFETIME_SECONDS,
    Function,
    LambdaPool,
    PoolExhaustedError,
)
from local.aws.sessions import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

SUPPORTED_RUNTIME = "python3.13"
SESSION_SECONDS = WORKER_LIFETIME_SECONDS + 15 * 60


def install(pool: LambdaPool) -> None:
    """Send every invocation of a function to `pool`."""

    def execute(record: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = record.get("config") or record
        if config.get("Runtime") != SUPPORTED_RUNTIME:
            return _refused(
                "InvalidRuntimeException",
                f"{config['FunctionName']}: this machine runs {SUPPORTED_RUNTIME},"
                f" not {config.get('Runtime')}",
            )
        try:
            result = pool.invoke(_function(record, config), event, request_id)
        except PoolExhaustedError as error:
            throttled: dict[str, Any] = lambda_svc.throttle_response(
                reason_code="ConcurrentInvocationLimitExceeded", msg=f"Rate Exceeded: {error}"
            )
            return throttled
        answer = {"body": result.body, "log": result.log}
        return answer | {"error": True} if result.error else answer

    lambda_svc.execute_function_warm = execute


def role_credentials(function: Function) -> Mapping[str, str]:
    """Open a session of the function's own role, whose policies the emulator enforces.

    Raises PermissionError if the role does not trust Lambda: AWS refuses such a function.
    """
    return open_session(function.role, "lambda.amazonaws.com", function.name, SESSION_SECONDS)


def _function(record: dict[str, Any], config: dict[str, Any]) -> Function:
    layers = [lambda_svc.resolve_layer_zip(layer) for layer in config.get("Layers", [])]
    vpc = config.get("VpcConfig") or {}
    name = config["FunctionName"]
    logging = config.get("LoggingConfig") or {}
    return Function(
        name=name,
        arn=config["FunctionArn"],
        version=config.get("Version", "$LATEST"),
        handler=config["Handler"],
        role=config["Role"],
        timeout=float(config.get("Timeout", 3)),
        memory=int(config.get("MemorySize", 128)),
        environment=(config.get("Environment") or {}).get("Variables") or {},
        in_vpc=bool(vpc.get("SubnetIds")),
        code=record["code_zip"],
        layers=[layer for layer in layers if layer],
        log_group=logging.get("LogGroup") or f"/aws/lambda/{name}",
        revision=config["RevisionId"],
    )


def _refused(error_type: str, message: str) -> dict[str, Any]:
    return {"body": {"errorType": error_type, "errorMessage": message}, "error": True, "log": ""}
