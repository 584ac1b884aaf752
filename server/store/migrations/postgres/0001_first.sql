-- Ids are UUIDs as text, so that conditions, events and JSON speak of them alike.
-- Times are microseconds since 1970 in UTC. Texts that are ordered or looked up have the collation
-- "C", whatever the database's is, so that both databases order them alike.

create table meta (
    key text collate "C" primary key,
    value text not null
);

insert into meta (key, value)
values ('instance_id', replace(gen_random_uuid()::text, '-', ''));

create table users (
    id text collate "C" primary key,
    email text collate "C" not null unique,
    password_hash text not null,
    is_admin bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);

-- A token is known by its SHA-256 only. Tokens of one login share a family, so that a refresh token
-- that is used twice ends them all.
create table tokens (
    hash bytea primary key,
    kind text not null check (kind in ('access', 'refresh')),
    family text collate "C" not null,
    user_id text collate "C" not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint
);

create index tokens_by_user on tokens (user_id);
create index tokens_by_family on tokens (family);
create index tokens_by_expiry on tokens (expires_at);

-- `version` grows with every change, so that a record that was checked against an older schema or
-- older rules isn't written.
create table collections (
    id text collate "C" primary key,
    name text collate "C" not null unique,
    label text not null,
    schema text not null,
    options text not null,
    version bigint not null default 1,
    created_at bigint not null,
    updated_at bigint not null
);

-- Record ids are version 7 and made by the servers, so that their order is the order of creation.
create table records (
    id text collate "C" primary key,
    collection_id text collate "C" not null references collections (id),
    owner_id text collate "C" references users (id) on delete set null,
    data jsonb not null,
    version bigint not null default 1,
    created_at bigint not null,
    updated_at bigint not null
);

create index records_by_collection on records (collection_id, id);
create index records_by_owner on records (owner_id, collection_id, id) where owner_id is not null;

create table function_calls (
    id text collate "C" primary key,
    function_name text collate "C" not null,
    extension text collate "C" not null,
    status text not null check (status in ('running', 'succeeded', 'failed')),
    trigger_type text not null check (trigger_type in ('manual', 'schedule')),
    trigger_id text,
    requested_by_user_id text,
    started_at bigint not null,
    finished_at bigint,
    duration_ms bigint,
    error_message text,
    error_type text,
    created_at bigint not null
);

create index function_calls_by_name on function_calls (function_name, id);
create index function_calls_by_start on function_calls (started_at);
create index function_calls_running on function_calls (id) where status = 'running';

-- The position of the last event. Whoever appends moves it first and so holds its row's lock until
-- the commit: positions become visible in the order of commits, without gaps, on any number of
-- nodes.
create table event_head (
    only_row bigint primary key check (only_row = 1),
    position bigint not null
) with (fillfactor = 10);

insert into event_head (only_row, position) values (1, 0);

-- What happened, in the order of commits.
create table events (
    position bigint primary key,
    event_id text collate "C" not null,
    kind text not null,
    subject text not null,
    order_key text not null,
    payload text not null,
    occurred_at bigint not null,
    origin text,
    depth bigint not null,
    traceparent text not null
);

create table subscriptions (
    extension text collate "C" not null,
    handler text collate "C" not null,
    cursor bigint not null,
    created_at bigint not null,
    primary key (extension, handler)
);

create table parked_deliveries (
    extension text collate "C" not null,
    handler text collate "C" not null,
    position bigint not null,
    order_key text not null,
    attempt bigint not null,
    due_at bigint not null,
    last_error text not null,
    primary key (extension, handler, position),
    foreign key (extension, handler) references subscriptions (extension, handler) on delete cascade
);

create index parked_deliveries_by_position on parked_deliveries (position);

-- A dead letter outlives its subscription, and the clean-up keeps its event.
create table dead_letters (
    extension text collate "C" not null,
    handler text collate "C" not null,
    position bigint not null,
    attempt bigint not null,
    error text not null,
    buried_at bigint not null,
    primary key (extension, handler, position)
);

create index dead_letters_by_position on dead_letters (position);

create table extension_values (
    extension text collate "C" not null,
    key text collate "C" not null,
    value bytea not null,
    updated_at bigint not null,
    unique (extension, key)
);
