"""Everything that runs by itself: one model for executions, tasks, progress, logs and schedules.

The database is the truth. A task is claimed with a lease and a fencing token, kept by heartbeats, and taken away from a
worker that stopped sending them. Celery only wakes a worker up; its messages may be lost or doubled.

    kinds.register_kind(Kind("GARBAGE_COLLECTION", run_gc))       at app ready, by the room that owns the work
    services.start_execution("GARBAGE_COLLECTION", {...}, started_by="admin")
    def run_gc(run: Run) -> Mapping | None: ...                   calls run.check() between its short steps
"""
