"""The line of threads that one was forked from: where its journal looks for answers that it does not have itself."""

NO_HORIZON = (1 << 63) - 1
"""Nothing is hidden."""

# The thread and those it was forked from, each with the horizon behind which nothing of it is seen. Once there is a
# horizon, what is above is seen as it was when it was forked: up to the last step that both threads have.
LINE = f"""
WITH RECURSIVE line (thread_id, generation, horizon) AS (
    SELECT ?, 0, {NO_HORIZON}
    UNION
    SELECT parent, generation + 1, CASE
        WHEN line.horizon = {NO_HORIZON} THEN coalesce(threads.horizon, {NO_HORIZON})
        ELSE min(line.horizon, coalesce((
            SELECT max(own.settled) FROM steps AS own JOIN steps AS shared
            ON shared.thread_id = threads.parent AND shared.checkpoint_id = own.checkpoint_id
            WHERE own.thread_id = threads.thread_id
        ), line.horizon)) END
    FROM threads JOIN line USING (thread_id) WHERE parent IS NOT NULL
)
"""
