-- Keys by which clients repeat a request without repeating what it did. `answer` is what the request
-- was answered with; for a call of a function the call itself says it.
create table idempotency_keys (
    owner text not null,
    key text not null,
    fingerprint blob not null,
    answer text,
    call_id text,
    size integer not null,
    created_at integer not null,
    expires_at integer not null,
    primary key (owner, key)
) strict, without rowid;

create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
