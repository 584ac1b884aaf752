-- What administrators change while the server runs. Values are JSON; null means the default, and the
-- row then still says when that was decided.
create table app_settings (
    key text primary key,
    value text,
    updated_at integer not null,
    updated_by text
) strict;

insert into app_settings (key, updated_at)
values ('core.instance_name', cast(unixepoch('subsec') * 1000000 as integer));

-- Grows with every change, so that other servers on this database see that there was one.
insert into meta (key, value) values ('settings_version', '0');

-- Who did what; rows are only ever added, and the oldest go. The position is the order, so that the
-- newest are found without an index, which would cost every write.
create table activity_log (
    position integer primary key autoincrement,
    id text not null,
    action text not null,
    resource_type text,
    resource_id text,
    user_id text,
    metadata text not null,
    ip_address text,
    created_at integer not null
) strict;

-- A file is 'pending' until its bytes are in place and 'deleting' before they go, so that whatever
-- a crash leaves behind is found by its row.
create table files (
    key text primary key,
    owner_id text references users (id) on delete set null,
    filename text not null,
    content_type text not null,
    size integer not null,
    sha256 text not null,
    is_public integer not null,
    backend text not null check (backend in ('local', 'bucket')),
    state text not null check (state in ('pending', 'stored', 'deleting')),
    created_at integer not null,
    changed_at integer not null
) strict;

create index files_by_owner on files (owner_id, size);
create index files_by_creation on files (created_at, key);
create index files_unfinished on files (changed_at) where state <> 'stored';

-- Signs the addresses of files.
insert into meta (key, value) values ('files_secret', lower(hex(randomblob(32))));
