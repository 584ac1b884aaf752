-- The words of records in collections with fields that can be searched, as terms of letters and digits
-- with spaces between them.
create table record_texts (
    number bigint generated always as identity primary key,
    record_id text collate "C" not null unique references records (id) on delete cascade,
    terms text collate "C" not null
);

create index record_texts_by_terms on record_texts
    using gin (array_to_tsvector(string_to_array(terms, ' ')));
