"""Differences of the emulator's API Gateway from AWS."""

from __future__ import annotations

import json
from typing import Any

from local.aws.emulator import apigateway_v1, app

_FORBIDDEN = 403


def install() -> None:
    """Replace the functions that the emulator looks up by name."""
    apigateway_v1.import_rest_api = _with_gateway_responses(apigateway_v1.import_rest_api)
    app.enforce_execute_api = _denied_by_the_gateway(app.enforce_execute_api)


def _with_gateway_responses(own: Any) -> Any:
    """The import of an OpenAPI document also takes its gateway responses.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-gateway-responses.html
    """

    def import_api(document: dict[str, Any], *rest: Any) -> str:
        api_id: str = own(document, *rest)
        responses = document.get("x-amazon-apigateway-gateway-responses") or {}
        for kind, response in responses.items():
            apigateway_v1.put_gateway_response(api_id, kind, response)
        return api_id

    return import_api


def _denied_by_the_gateway(own: Any) -> Any:
    """Callers that IAM does not allow to call a route get the API's own gateway response."""

    def enforce(  # noqa: PLR0917 - the emulator's own signature
        api_id: str,
        stage: str,
        method: str,
        path: str,
        headers: Any,
        query: Any,
        **named: Any,
    ) -> Any:
        denied = own(api_id, stage, method, path, headers, query, **named)
        stages = apigateway_v1.stages_for_api(api_id)
        if denied is None or denied[0] != _FORBIDDEN or stage not in stages:
            return denied
        try:
            told = json.loads(denied[2])
        except ValueError:
            return denied
        if told.get("__type") != "AccessDeniedException":
            return denied  # not known at all, which has its own gateway response already
        request = {
            "api_id": api_id,
            "stage_name": stage,
            "stage": stages[stage],
            "headers": headers,
            "query_params": query,
            "path_params": {},
            "resource_path": "",
            "request_id": denied[1].get("x-amzn-requestid", ""),
        }
        error = apigateway_v1.gw_error("ACCESS_DENIED", told["message"])
        with apigateway_v1.request_scope(*apigateway_v1.find_api_scope(api_id)):
            return apigateway_v1.gateway_error_response(error, request)

    return enforce
