"""A cluster that works, is backed up, works on and is restored."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.ledger import Claims, pages, search
from tests.support.site import Site
from tests.support.traffic import JOB_TYPE, MESSAGE, PROCESS_ID, Client

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 600
_HOUR_MS = 3_600_000


class Returns(Site):
    """A cluster that works, is backed up, works on and is restored."""

    def works(self, directory: Path, least: int) -> set[Any]:
        """Let clients work; gives what was acknowledged and is exported: value and what of it."""
        with self.traffic(directory) as client:
            assert eventually(lambda: client.acknowledged() >= least, 60)
        done = {one for one in Claims.read(client.log).acknowledged if one[0] != "publish"}
        assert eventually(lambda: done <= set(self.found()), 60)
        return done

    def found(self) -> Any:
        """What a search finds in the secondary storage."""
        return search(self.address, *self.user, PROCESS_ID)

    def publish(self, key: str) -> bool:
        """Publish a message that waits for a process instance; gives whether it is a new one."""
        message = {"name": MESSAGE, "correlationKey": key, "messageId": key}
        status, answer = self._worker().ask(
            "messages/publication", {**message, "timeToLive": _HOUR_MS}
        )
        assert status in {200, 409}, answer
        return status == 200

    def met(self, key: str) -> bool:
        """Start an instance that waits for the message with this key; gives whether it ends."""
        client = self._worker()
        status, answer = client.ask(
            "process-instances",
            {"processDefinitionId": PROCESS_ID, "businessId": key, "variables": {"key": key}},
        )
        assert status == 200, answer
        mine = {"processInstanceKey": answer["processInstanceKey"]}
        wanted = {"type": JOB_TYPE, "worker": "meets", "timeout": 1000, "maxJobsToActivate": 1000}

        def completed() -> bool:
            _, found = client.ask("jobs/activation", {**wanted, "requestTimeout": -1})
            for job in found.get("jobs", []):
                if job["processInstanceKey"] == mine["processInstanceKey"]:
                    return client.ask(f"jobs/{job['jobKey']}/completion", {})[0] == 204
            return False

        def ended() -> bool:
            wanted = {**mine, "state": "COMPLETED"}
            return any(pages(self.address, *self.user, "process-instances", wanted))

        assert eventually(completed, 60)
        return eventually(ended, 30)

    def _worker(self) -> Client:
        return Client([self.address], 0, *self.user)

    def done(self, machine: str, **given: Any) -> dict[str, Any]:
        """Run a machine to its end, again while a function of the one before may still act."""
        request, last = {"clusterName": self.cluster, **given}, dict[str, Any]()

        def over() -> bool:
            last.update(self.ended(self.start(request, machine), PATIENCE))
            return last.get("error") != "ClusterBusy"

        assert eventually(over, FREE_AGAIN)
        assert last["status"] == "SUCCEEDED", last.get("cause", last)
        return dict(json.loads(last["output"]))

    def now(self) -> str:
        """This moment, as a request names it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        time.sleep(2)  # Moments of backups are apart from it.
        return now

    def databases(self) -> dict[str, dict[str, Any]]:
        """Aurora clusters of this cluster by their ids, former ones and copies too."""
        found = self.client("rds").describe_db_clusters()["DBClusters"]
        tag = {"Key": "camunda:cluster", "Value": self.cluster}
        return {one["DBClusterIdentifier"]: one for one in found if tag in one["TagList"]}

    def follow(self, request: dict[str, Any]) -> str:
        """Start a restore and give its execution once it has changed the stack."""
        generation = self.outputs(self.stack)["DataGeneration"]
        execution = self.start({"clusterName": self.cluster, **request}, "restore")
        assert eventually(
            lambda: self.outputs(self.stack)["DataGeneration"] != generation, PATIENCE
        )
        return execution

    def refused(self, **given: Any) -> dict[str, Any]:
        """Request a restore that has to be refused; gives the error with its words."""
        request = {"clusterName": self.cluster, "confirm": self.cluster, **given}
        found = self.ended(self.start(request, "restore"), PATIENCE)
        assert found["status"] == "FAILED", found
        return {"error": found["error"], **json.loads(found["cause"])}

    def restore(self, **given: Any) -> dict[str, Any]:
        """Restore; it has to succeed."""
        self.done("restore", confirm=self.cluster, **given)
        return dict(self.outputs(self.stack))

    def versions(self) -> set[tuple[str, str]]:
        """Each version of each object of the bucket with backups, as Camunda has them.

        The local brokers write their log and the times between two backups beside these, always.
        """
        bucket = self.outputs(self.stack)["BackupBucketName"]
        pages = self.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
        return {
            (one["Key"], one["VersionId"])
            for page in pages
            for kind in ("Versions", "DeleteMarkers")
            for one in page.get(kind, [])
            if not one["Key"].startswith(("segments/", "markers/"))
        }
