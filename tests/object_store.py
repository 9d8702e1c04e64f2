"""An S3 server on this machine, with one bucket: what workers without a common disk share."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import requests
from upath import UPath

from local.salesforce_emulator.testing import free_ports

BUCKET, KEY, SECRET, REGION = "opt-out-sync", "staging-key", "staging-secret", "us-east-1"
PATIENCE = 120.0


@dataclass(frozen=True)
class ObjectStore:
    """One bucket; `client` asks it without the program's help."""

    endpoint: str

    @property
    def client(self) -> Any:
        return botocore.session.get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )

    @property
    def airflow_connection(self) -> str:
        extra = {"endpoint_url": self.endpoint, "region_name": REGION}
        connection = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
        return json.dumps(connection)

    def path(self, prefix: str) -> UPath:
        return UPath(f"s3://{BUCKET}/{prefix}", key=KEY, secret=SECRET, endpoint_url=self.endpoint)

    def keys(self, prefix: str = "") -> list[str]:
        reply = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in reply.get("Contents", [])]

    def uploads(self) -> list[str]:
        """Objects that somebody has begun to upload in parts, and not ended."""
        reply = self.client.list_multipart_uploads(Bucket=BUCKET)
        return [each["Key"] for each in reply.get("Uploads", [])]

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.endpoint}/moto-api/data.json", timeout=10).ok
        except requests.ConnectionError:
            return False


@contextmanager
def running_object_store(home: Path) -> Iterator[ObjectStore]:
    (port,) = free_ports(1)
    store = ObjectStore(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (home / "object-store.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + PATIENCE
            while not store.is_up():
                assert server.poll() is None, (home / "object-store.log").read_text()[-4000:]
                assert time.monotonic() < deadline, "the object store did not start"
                time.sleep(0.1)
            store.client.create_bucket(Bucket=BUCKET)
            yield store
        finally:
            server.kill()
            server.wait()
