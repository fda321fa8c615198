"""gc, purge, jobservice, schedule. No broker: a job waits until somebody asks the database for it."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone

from haven_core.jobs.leases import claim
from haven_core.jobs.models import Task, Worker
from haven_core.jobs.runner import run_task
from tests.contract.world import World, example

_PURGE = {"audit_retention_hour": 24, "include_event_types": "create_artifact"}


def _body(word: str, parameters: dict[str, Any] | None = None, cron: str = "") -> dict[str, Any]:
    return {"schedule": {"type": word, "cron": cron}, "parameters": parameters or {}}


def _gc(world: World) -> str:
    return world.create("createGCSchedule", _body("Manual"))


def _purge(world: World) -> str:
    return world.create("createPurgeSchedule", _body("Manual", _PURGE))


def _finish() -> None:
    run_task(Task.objects.get().id, "haven@one", has_keeper=False)


@example("createGCSchedule")
def create_gc_schedule(world: World) -> HttpResponse:
    return world.call("createGCSchedule", _body("Daily"), user="root")


@example("updateGCSchedule")
def update_gc_schedule(world: World) -> HttpResponse:
    return world.call("updateGCSchedule", _body("Custom", cron="0 0 3 * * *"), user="root")


@example("getGCSchedule")
def gc_schedule(world: World) -> HttpResponse:
    world.create("createGCSchedule", _body("Weekly"))
    return world.call("getGCSchedule", user="root")


@example("getGCHistory")
def gc_history(world: World) -> HttpResponse:
    _gc(world)
    return world.call("getGCHistory", user="root")


@example("getGC")
def one_gc(world: World) -> HttpResponse:
    return world.call("getGC", gc_id=_gc(world), user="root")


@example("stopGC")
def stop_gc(world: World) -> HttpResponse:
    return world.call("stopGC", gc_id=_gc(world), user="root")


@example("createPurgeSchedule")
def create_purge_schedule(world: World) -> HttpResponse:
    return world.call("createPurgeSchedule", _body("Hourly", _PURGE), user="root")


@example("updatePurgeSchedule")
def update_purge_schedule(world: World) -> HttpResponse:
    return world.call("updatePurgeSchedule", _body("Daily", _PURGE), user="root")


@example("getPurgeSchedule")
def purge_schedule(world: World) -> HttpResponse:
    world.create("createPurgeSchedule", _body("Daily", _PURGE))
    return world.call("getPurgeSchedule", user="root")


@example("getPurgeHistory")
def purge_history(world: World) -> HttpResponse:
    _purge(world)
    _finish()
    return world.call("getPurgeHistory", user="root")


@example("getPurgeJob")
def one_purge(world: World) -> HttpResponse:
    return world.call("getPurgeJob", purge_id=_purge(world), user="root")


@example("stopPurge")
def stop_purge(world: World) -> HttpResponse:
    return world.call("stopPurge", purge_id=_purge(world), user="root")


@example("getWorkerPools")
def pools(world: World) -> HttpResponse:
    _worker()
    return world.call("getWorkerPools", user="root")


@example("getWorkers")
def workers(world: World) -> HttpResponse:
    _worker()
    _gc(world)
    claim(Task.objects.get().id, "haven@one")
    return world.call("getWorkers", pool_id="all", user="root")


@example("stopRunningJob")
def stop_job(world: World) -> HttpResponse:
    _gc(world)
    return world.call("stopRunningJob", job_id=Task.objects.get().id, user="root")


@example("listJobQueues")
def queues(world: World) -> HttpResponse:
    return world.call("listJobQueues", user="root")


@example("actionPendingJobs")
def pause_queue(world: World) -> HttpResponse:
    return world.call("actionPendingJobs", {"action": "pause"}, job_type="GARBAGE_COLLECTION", user="root")


@example("listSchedules")
def schedules(world: World) -> HttpResponse:
    world.create("createGCSchedule", _body("Daily"))
    return world.call("listSchedules", user="root")


@example("getSchedulePaused")
def paused(world: World) -> HttpResponse:
    return world.call("getSchedulePaused", job_type="all", user="owner")


def _worker() -> None:
    now = timezone.now()
    Worker.objects.create(name="haven@one", host="one", pid=7, concurrency=2, started_at=now, heartbeat_at=now)


@example("getGCLog")
def getgclog(world: World) -> HttpResponse:
    execution_id = _gc(world)
    _finish()
    return world.call("getGCLog", gc_id=execution_id, user="root")


@example("getPurgeJobLog")
def getpurgejoblog(world: World) -> HttpResponse:
    execution_id = _purge(world)
    _finish()
    return world.call("getPurgeJobLog", purge_id=execution_id, user="root")


@example("actionGetJobLog")
def job_log(world: World) -> HttpResponse:
    _purge(world)
    _finish()
    return world.call("actionGetJobLog", job_id=Task.objects.get().id, user="root")
