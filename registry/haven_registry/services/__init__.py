"""All writes of the registry. LOCK ORDER of every write transaction, top to bottom; several rows of one level in the
order in brackets:

    project (one)                   SHARE, only to create a repository: not in a deleted project
    repository (id)                 KEY SHARE, first of all shared rows: refuses a deleted one, keeps purge away; UPDATE
                                    to delete one
    blob (digest)                   INSERT … DO NOTHING
    upload (one)                    NO KEY UPDATE, by its compare-and-set
    blob that is there already      UPDATE, to repair it
    project_blob (blob_id)          INSERT … DO NOTHING, then KEY SHARE on those that were there
    repository_blob (project_blob)  upsert / KEY SHARE (manifest PUT) / NO KEY UPDATE (delete)
    manifest (id; new ones: height, digest)   SHARE to name one, NO KEY UPDATE to trash or revive one; then INSERT,
                                    and SHARE or NO KEY UPDATE on one that it found there
    tag (name)                      upsert / UPDATE
    artifact_detail, artifact_label (manifest)    INSERT … DO NOTHING
    tag_history, pull_daily (its unique key), outbox_event    INSERT / upsert
    project_quota (one)             conditional UPDATE, the last statement before COMMIT

Two kinds of locks. That a row *exists* is guarded by KEY SHARE, which foreign keys take too, against garbage
collection's UPDATE. That a manifest is *live* is guarded by SHARE against NO KEY UPDATE. Locks are never
strengthened: who needs more rolls back and starts over (ConcurrentChange), as does whoever loses a race to an INSERT
of the same key.

Garbage collection takes its rows FOR UPDATE SKIP LOCKED and so waits for nothing but project_quota, whose holder is
already committing. No storage call happens inside a write transaction.
"""
