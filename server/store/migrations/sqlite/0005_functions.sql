-- Which version of the extension ran, on which node, and whether somebody waits for the result.
alter table function_calls add column version text not null default '';
alter table function_calls add column node text not null default '';
alter table function_calls add column is_async integer not null default 0;
alter table function_calls add column cancel_requested_at integer;

create index function_calls_by_trigger on function_calls (trigger_id, id)
    where trigger_id is not null;

-- Results of asynchronous calls, kept for a while.
create table call_results (
    call_id text primary key,
    output text not null,
    size integer not null,
    expires_at integer not null
) strict;

create index call_results_by_expiry on call_results (expires_at);

-- Servers on this database, and when each was last seen alive. A home has one server at a time.
create table nodes (
    id text primary key,
    home text not null,
    seen_at integer not null
) strict;

-- `revision` grows with every change of the definition, so that nobody ticks by an older one.
-- Intervals are counted from `anchor_at`.
create table schedules (
    id text primary key,
    name text not null,
    function_name text not null,
    timing text not null,
    input text not null,
    missed text not null,
    overlap text not null,
    timeout_ms integer,
    jitter_ms integer not null,
    is_active integer not null,
    extension text,
    created_by_user_id text,
    anchor_at integer not null,
    last_run_at integer,
    next_run_at integer,
    revision integer not null default 1,
    created_at integer not null,
    updated_at integer not null
) strict;

create index schedules_by_next_run on schedules (next_run_at) where next_run_at is not null;
create index schedules_by_extension on schedules (extension) where extension is not null;

-- One row for each tick that was taken: whoever inserts it has the tick.
create table schedule_runs (
    schedule_id text not null,
    tick_at integer not null,
    state text not null check (state in ('queued', 'started', 'skipped')),
    reason text,
    is_manual integer not null,
    call_id text not null,
    start_at integer not null,
    created_at integer not null,
    primary key (schedule_id, tick_at)
) strict, without rowid;

create index schedule_runs_queued on schedule_runs (start_at) where state = 'queued';
create index schedule_runs_by_creation on schedule_runs (created_at);
