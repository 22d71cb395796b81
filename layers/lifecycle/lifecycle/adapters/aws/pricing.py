"""AWS's Price List API: what a cluster is made of, at today's on-demand prices.

The API is served in few regions and covers all; the answers are JSON texts. A usage type is the
same in every region but for a prefix (``EUC1-``), which us-east-1 partly lacks. Sources: the user
guide of AWS Billing ("Using the Price List Query API") and the usage types that bills show. A price
counts only where exactly one is found.
"""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.adapters.aws.session import client

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

logger = logging.getLogger(__name__)

_SECONDS: Final = 6.0
_MOST_PAGES: Final = 5
_HOME: Final = "us-east-1"
# What may stand before a usage type: Ireland's prefix, any other region's, a region's code (KMS).
_PREFIX: Final = re.compile(r"(EU|[A-Z]{2,3}[0-9]|[a-z]{2}(-[a-z]+)+-[0-9])-")


@dataclass(frozen=True, slots=True)
class _Question:
    """One price: in which services, by which attributes, under which usage type."""

    services: tuple[str, ...]
    usage: str
    attributes: Mapping[str, str] = field(default_factory=dict)


# Load balancers are listed under either service, depending on the region.
_BALANCERS: Final = ("AWSELB", "AmazonEC2")


def _questions(architecture: str, classes: Collection[str]) -> dict[tuple[str, str], _Question]:
    arm = "ARM-" if architecture == "ARM64" else ""
    fargate = ("AmazonECS",)
    questions = {
        ("fargateVcpuHour", architecture): _Question(fargate, f"Fargate-{arm}vCPU-Hours:perCPU"),
        ("fargateGbHour", architecture): _Question(fargate, f"Fargate-{arm}GB-Hours"),
        ("applicationLoadBalancerHour", ""): _Question(
            _BALANCERS, "LoadBalancerUsage", {"productFamily": "Load Balancer-Application"}
        ),
        ("networkLoadBalancerHour", ""): _Question(
            _BALANCERS, "LoadBalancerUsage", {"productFamily": "Load Balancer-Network"}
        ),
        ("publicAddressHour", ""): _Question(("AmazonVPC",), "PublicIPv4:InUseAddress"),
        ("keyMonth", ""): _Question(("awskms",), "KMS-Keys"),
        ("secretMonth", ""): _Question(("AWSSecretsManager",), "AWSSecretsManager-Secrets"),
        ("bucketWrite", ""): _Question(("AmazonS3",), "Requests-Tier1"),
    }
    for name in classes:
        questions["auroraInstanceHour", name] = _Question(
            ("AmazonRDS",),
            f"InstanceUsage:{name}",
            {"instanceType": name, "databaseEngine": "Aurora PostgreSQL"},
        )
    return questions


class PriceListApi:
    """The ``Prices`` port on AWS's Price List API."""

    def of(
        self, region: str, *, architecture: str, instance_classes: Collection[str]
    ) -> Mapping[str, Any]:
        """Query all prices in parallel; a query without an answer in time is omitted."""
        questions = _questions(architecture, instance_classes)
        found: dict[str, Any] = {}

        def query(question: _Question) -> Callable[[], str | None]:
            return lambda: _price(question, region)

        pool = ThreadPoolExecutor(max_workers=len(questions))
        answers = {key: pool.submit(query(question)) for key, question in questions.items()}
        done, _ = wait(answers.values(), timeout=_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        for (name, kind), answer in answers.items():
            price = answer.result() if answer in done else None
            if price is None:
                continue
            if kind:
                found.setdefault(name, {})[kind] = price
            else:
                found[name] = price
        return found


def _price(question: _Question, region: str) -> str | None:
    """The one price that the question has, or None: refused, unknown, or more than one."""
    prices: set[str] = set()
    try:
        for service in question.services:
            prices |= set(_listed(service, question, region))
            if prices:
                break
    except (BotoCoreError, ClientError, ValueError, AttributeError) as error:
        # Whatever stands in the way, a plan without today's prices is a plan all the same.
        logger.info("no price of %s: %s", question.usage, type(error).__name__)
        return None
    return prices.pop() if len(prices) == 1 else None


def _listed(service: str, question: _Question, region: str) -> list[str]:
    fields = {"regionCode": region, **question.attributes}
    pages = (
        client("pricing", region=_HOME, read_timeout=4, attempts=1)
        .get_paginator("get_products")
        .paginate(
            ServiceCode=service,
            Filters=[
                {"Type": "TERM_MATCH", "Field": name, "Value": value}
                for name, value in fields.items()
            ],
            PaginationConfig={"MaxItems": 100 * _MOST_PAGES, "PageSize": 100},
        )
    )
    return [
        price
        for page in pages
        for text in page["PriceList"]
        for price in read_prices(json.loads(text), question.usage)
    ]


def read_prices(product: Mapping[str, Any], usage: str) -> list[str]:
    """Return on-demand prices (USD per unit) of a product with that usage type, no free tier."""
    usage_type = str(product.get("product", {}).get("attributes", {}).get("usagetype", ""))
    if not usage_type.endswith(usage):
        return []
    prefix = usage_type.removesuffix(usage)
    if prefix and not _PREFIX.fullmatch(prefix):
        return []
    prices = []
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            if str(dimension.get("beginRange", "0")) not in {"0", ""}:
                continue  # what a large bill pays less for
            try:
                price = Decimal(str(dimension["pricePerUnit"]["USD"]))
            except (KeyError, InvalidOperation):
                continue
            if price > 0:
                prices.append(f"{price.normalize():f}")
    return prices
