-- Ids are UUIDs as text, so that conditions, events and JSON speak of them alike.
-- Times are microseconds since 1970 in UTC.

create table meta (
    key text primary key,
    value text not null
) strict;

insert into meta (key, value) values ('instance_id', lower(hex(randomblob(16))));

create table users (
    id text primary key,
    email text not null unique,
    password_hash text not null,
    is_admin integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;

-- A token is known by its SHA-256 only. Tokens of one login share a family, so that a refresh token
-- that is used twice ends them all.
create table tokens (
    hash blob primary key,
    kind text not null check (kind in ('access', 'refresh')),
    family text not null,
    user_id text not null references users (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null,
    used_at integer
) strict, without rowid;

create index tokens_by_user on tokens (user_id);
create index tokens_by_family on tokens (family);
create index tokens_by_expiry on tokens (expires_at);

-- `version` grows with every change, so that a record that was checked against an older schema or
-- older rules isn't written.
create table collections (
    id text primary key,
    name text not null unique,
    label text not null,
    schema text not null,
    options text not null,
    version integer not null default 1,
    created_at integer not null,
    updated_at integer not null
) strict;

-- Record ids are version 7 and made by this server, so that their order is the order of creation.
create table records (
    id text primary key,
    collection_id text not null references collections (id),
    owner_id text references users (id) on delete set null,
    data text not null,
    version integer not null default 1,
    created_at integer not null,
    updated_at integer not null
) strict;

create index records_by_collection on records (collection_id, id);
create index records_by_owner on records (owner_id, collection_id, id) where owner_id is not null;

create table function_calls (
    id text primary key,
    function_name text not null,
    extension text not null,
    status text not null check (status in ('running', 'succeeded', 'failed')),
    trigger_type text not null check (trigger_type in ('manual', 'schedule')),
    trigger_id text,
    requested_by_user_id text,
    started_at integer not null,
    finished_at integer,
    duration_ms integer,
    error_message text,
    error_type text,
    created_at integer not null
) strict;

create index function_calls_by_name on function_calls (function_name, id);
create index function_calls_by_start on function_calls (started_at);
create index function_calls_running on function_calls (id) where status = 'running';

-- What happened, in the order of commits. `autoincrement` keeps a position from being used twice,
-- also after the last events were cleaned up.
create table events (
    position integer primary key autoincrement,
    event_id text not null,
    kind text not null,
    subject text not null,
    order_key text not null,
    payload text not null,
    occurred_at integer not null,
    origin text,
    depth integer not null,
    traceparent text not null
) strict;

create table subscriptions (
    extension text not null,
    handler text not null,
    cursor integer not null,
    created_at integer not null,
    primary key (extension, handler)
) strict;

create table parked_deliveries (
    extension text not null,
    handler text not null,
    position integer not null,
    order_key text not null,
    attempt integer not null,
    due_at integer not null,
    last_error text not null,
    primary key (extension, handler, position),
    foreign key (extension, handler) references subscriptions (extension, handler) on delete cascade
) strict;

create index parked_deliveries_by_position on parked_deliveries (position);

-- A dead letter outlives its subscription, and the clean-up keeps its event.
create table dead_letters (
    extension text not null,
    handler text not null,
    position integer not null,
    attempt integer not null,
    error text not null,
    buried_at integer not null,
    primary key (extension, handler, position)
) strict;

create index dead_letters_by_position on dead_letters (position);

create table extension_values (
    extension text not null,
    key text not null,
    value blob not null,
    updated_at integer not null,
    unique (extension, key)
) strict;
