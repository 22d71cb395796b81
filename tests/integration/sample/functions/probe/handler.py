"""Answers what it is asked about its own surroundings."""

import json
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path

import boto3
from shared import COLOUR


class ProbeRefusedError(Exception):
    """An error with a name of its own."""


def handle(event, context):
    print(f"asked for {event}")  # noqa: T201
    return {name: ACTIONS[name](argument, context) for name, argument in event.items()}


def clean(event, _context):
    boto3.client("dynamodb").put_item(
        TableName=os.environ["TABLE"],
        Item={
            "pk": {"S": event["detail"]["executionArn"]},
            "status": {"S": event["detail"]["status"]},
        },
    )


def _raise(message, _context):
    raise ProbeRefusedError(message)


def _importable(name, _context):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _call(request, _context):
    service, operation, arguments = request
    if service == "dynamodb":
        arguments = {"TableName": os.environ["TABLE"], **arguments}
    try:
        getattr(boto3.client(service), operation)(**arguments)
    except boto3.client(service).exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"


def _fetch(url, _context):
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.read().decode()
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def _resolve(name, _context):
    try:
        return sorted({entry[4][0] for entry in socket.getaddrinfo(name, 9600)})
    except socket.gaierror:
        return None


ACTIONS = {
    "environment": lambda _, context: dict(os.environ),
    "colour": lambda _, context: COLOUR,
    "context": lambda _, context: {
        "arn": context.invoked_function_arn,
        "left": context.get_remaining_time_in_millis(),
    },
    "path": lambda _, context: sys.path,
    "read": lambda variable, context: Path(os.environ[variable]).read_text().strip(),
    "identity": lambda _, context: boto3.client("sts").get_caller_identity()["Arn"],
    "pid": lambda _, context: os.getpid(),
    "sleep": lambda seconds, context: time.sleep(seconds),
    "exit": lambda code, context: os._exit(code),
    "raise": _raise,
    "importable": _importable,
    "call": _call,
    "fetch": _fetch,
    "resolve": _resolve,
    "json": lambda value, context: json.loads(value),
    "wait": lambda value, context: value,
}
