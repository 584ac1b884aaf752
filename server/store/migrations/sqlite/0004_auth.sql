create index users_by_creation on users (created_at, id);
create index users_admins on users (id) where is_admin = 1;

-- A token that was mailed and lets its user choose a new password, once; known by its SHA-256 only.
create table password_resets (
    hash blob primary key,
    user_id text not null references users (id) on delete cascade,
    created_at integer not null,
    expires_at integer not null
) strict, without rowid;

create index password_resets_by_user on password_resets (user_id);
create index password_resets_by_expiry on password_resets (expires_at);

-- Programs' tokens, known by their SHA-256 only. `scopes` is words with spaces between them.
create table application_tokens (
    id text primary key,
    hash blob not null unique,
    name text not null,
    description text,
    scopes text not null,
    is_active integer not null,
    created_by text references users (id) on delete set null,
    created_at integer not null,
    expires_at integer,
    last_used_at integer
) strict;

create index application_tokens_by_maker on application_tokens (created_by);
