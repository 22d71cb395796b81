"""Resolves the project's CloudFormation templates on paper, as CloudFormation would.

A reference to a resource becomes a readable marker: ``ref(X)`` or ``att(X.Y)``. Only what the
templates use is known; anything else fails, so that a test never passes on something unresolved.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STACKS = ROOT / "stacks"
REGION = "eu-central-1"
ACCOUNT = "123456789012"
STACK_ID = (
    f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{{}}/0f3a1b2c-1111-4222-8333-444455556666"
)
_NOTHING = object()
_MARKER = re.compile(r"(?:ref|att)\(([A-Za-z0-9]+)")

EXPORTS = {
    "control-VpcId": "vpc-1",
    "control-VpcCidr": "10.190.0.0/16",
    "control-PrivateSubnetIds": "subnet-private-1,subnet-private-2,subnet-private-3",
    "control-PublicSubnetIds": "subnet-public-1,subnet-public-2,subnet-public-3",
    "control-FunctionSecurityGroupId": "sg-functions",
    "control-CheckHealthArn": (
        f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:control-check_health"
    ),
    "control-HealthScheduleRoleArn": f"arn:aws:iam::{ACCOUNT}:role/camunda/health-schedule",
    "control-HealthDeadLettersArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:health",
    "control-TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
    "control-TopicKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/topic",
    "control-BoundaryArn": f"arn:aws:iam::{ACCOUNT}:policy/camunda/boundary",
}
MACHINE = {
    "ControlStack": "control",
    "ClusterName": "demo",
    "DatabaseCaCertificate": "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n",
}


@dataclass(frozen=True)
class Resolved:
    """A template with parameter values put in: what CloudFormation would make."""

    resources: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Any]
    parameters: Mapping[str, str]

    def properties(self, logical_id: str) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.resources[logical_id].get("Properties", {})
        return properties

    def of_type(self, *types: str) -> dict[str, Mapping[str, Any]]:
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] in types
        }

    def waits_for(self, logical_id: str) -> set[str]:
        """Everything that exists before this resource is made, near or far."""
        found: set[str] = set()
        open_ends = [logical_id]
        while open_ends:
            for name in self._names(self.resources[open_ends.pop()]) - found:
                found.add(name)
                open_ends.append(name)
        return found

    def _names(self, resource: Mapping[str, Any]) -> set[str]:
        named = resource.get("DependsOn", [])
        names = {named} if isinstance(named, str) else set(named)
        for text in strings(resource):
            names |= set(_MARKER.findall(text))
        return names & set(self.resources)


@dataclass
class _Resolver:
    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    stack_name: str
    conditions: dict[str, bool] = field(default_factory=dict)

    def condition(self, name: str) -> bool:
        if name not in self.conditions:
            self.conditions[name] = self.test(self.template["Conditions"][name])
        return self.conditions[name]

    def test(self, expression: Any) -> bool:
        ((function, arguments),) = expression.items()
        match function:
            case "Fn::Equals":
                left, right = (str(self.value(argument)) for argument in arguments)
                return left == right
            case "Fn::Not":
                return not self.test(arguments[0])
            case "Fn::And":
                return all(self.test(argument) for argument in arguments)
            case "Fn::Or":
                return any(self.test(argument) for argument in arguments)
            case "Fn::Contains":
                return str(self.value(arguments[1])) in arguments[0]
            case "Condition":
                return self.condition(arguments)
        raise NotImplementedError(function)

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            items = [self.value(item) for item in node]
            return [item for item in items if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, arguments),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self.function(function, arguments)
        pairs = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in pairs.items() if item is not _NOTHING}

    def function(self, function: str, arguments: Any) -> Any:
        match function:
            case "Ref":
                return self.named(arguments)
            case "Fn::GetAtt":
                resource, attribute = arguments
                return self.attribute(resource, attribute)
            case "Fn::If":
                name, then, otherwise = arguments
                return self.value(then if self.condition(name) else otherwise)
            case "Fn::Sub":
                return self.substitute(arguments)
            case "Fn::Join":
                separator, items = arguments
                return separator.join(str(item) for item in self.value(items))
            case "Fn::Split":
                separator, text = arguments
                return self.value(text).split(separator)
            case "Fn::Select":
                index, items = arguments
                return self.value(items)[int(index)]
            case "Fn::FindInMap":
                name, *keys = (str(self.value(argument)) for argument in arguments)
                return functools.reduce(
                    lambda at, key: at[key], keys, self.template["Mappings"][name]
                )
            case "Fn::ImportValue":
                return EXPORTS[self.value(arguments)]
            case "Fn::GetAZs":
                return [f"{REGION}{letter}" for letter in "abc"]
            case "Fn::Cidr":
                block, count, bits = (self.value(argument) for argument in arguments)
                subnets = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
                return [str(next(subnets)) for _ in range(int(count))]
        raise NotImplementedError(function)

    def named(self, name: str) -> Any:
        pseudo = {
            "AWS::NoValue": _NOTHING,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack_name,
            "AWS::StackId": STACK_ID.format(self.stack_name),
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        self.must_exist(name)
        return f"ref({name})"

    def attribute(self, resource: str, attribute: str) -> str:
        self.must_exist(resource)
        return f"att({resource}.{attribute})"

    def must_exist(self, name: str) -> None:
        made = self.template["Resources"]
        # SAM makes a role of a function.
        function = made.get(name.removesuffix("Role"), {})
        if name not in made and function.get("Type") == "AWS::Serverless::Function":
            return
        condition = made[name].get("Condition")
        assert condition is None or self.condition(condition), f"{name} does not exist here"

    def substitute(self, arguments: Any) -> str:
        text, local = (arguments, {}) if isinstance(arguments, str) else arguments
        values = {key: self.value(item) for key, item in local.items()}

        def replacement(found: re.Match[str]) -> str:
            name = found.group(1)
            if name in values:
                return str(values[name])
            if "." in name:
                return self.attribute(*name.split(".", 1))
            return str(self.named(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", replacement, text)


@functools.cache
def template(name: str) -> dict[str, Any]:
    """Read ``stacks/<name>.yaml``, once for all tests."""
    return load_template(STACKS / f"{name}.yaml")


def _resolver(name: str, given: Mapping[str, str]) -> _Resolver:
    read = template(name)
    unknown = set(given) - set(read["Parameters"])
    assert not unknown, f"no such parameters: {unknown}"
    values = {
        key: str(declared["Default"])
        for key, declared in read["Parameters"].items()
        if "Default" in declared
    }
    machine = {key: value for key, value in MACHINE.items() if key in read["Parameters"]}
    return _Resolver(read, values | machine | dict(given), "control-demo")


def resolve(name: str, **given: str) -> Resolved:
    """Put parameters into ``stacks/<name>.yaml``; the others keep their defaults."""
    resolver = _resolver(name, given)
    resources = {}
    for logical_id, resource in resolver.template["Resources"].items():
        if "Condition" in resource and not resolver.condition(resource["Condition"]):
            continue
        resources[logical_id] = resolver.value(
            {key: item for key, item in resource.items() if key != "Condition"}
        )
    outputs = {
        key: resolver.value(output["Value"])
        for key, output in resolver.template["Outputs"].items()
        if "Condition" not in output or resolver.condition(output["Condition"])
    }
    return Resolved(resources, outputs, resolver.parameters)


def broken_rules(name: str, **given: str) -> list[str]:
    """Give the descriptions of the template's assertions that these parameters break."""
    resolver = _resolver(name, given)
    return [
        assertion["AssertDescription"]
        for rule in resolver.template["Rules"].values()
        if resolver.test(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.test(assertion["Assert"])
    ]


def strings(node: Any) -> Iterator[str]:
    """Give every string in a resolved structure, keys left out."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for item in node.values():
            yield from strings(item)
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
