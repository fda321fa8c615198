"""A job on the running stack: asked for through the gateway, done by the worker, seen from outside."""

import time

from tests.support.stack import HavenServer


def test_garbage_collection_on_request(haven: HavenServer) -> None:
    body = {"schedule": {"type": "Manual"}, "parameters": {"dry_run": True, "workers": 1}}
    started = haven.api("POST", "/system/gc/schedule", json=body)
    assert started.status_code == 201, started.text
    path = started.headers["Location"].removeprefix("/api/v2.0")
    began = time.monotonic()
    while (run := haven.api("GET", path).json())["job_status"] in ("Pending", "Running"):
        assert time.monotonic() - began < 20, run
        time.sleep(0.1)
    assert run["job_status"] == "Success"
    assert "[INFO]: done" in haven.api("GET", f"{path}/log").text
    [pool] = haven.api("GET", "/jobservice/pools").json()
    assert pool["concurrency"] == 3
    queues = {queue["job_type"]: queue["count"] for queue in haven.api("GET", "/jobservice/queues").json()}
    assert queues["GARBAGE_COLLECTION"] == 0
