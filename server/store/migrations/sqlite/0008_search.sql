-- The words of records in collections with fields that can be searched, as terms of letters and digits
-- with spaces between them. The number is what the index knows a record by.
create table record_texts (
    number integer primary key autoincrement,
    record_id text not null unique references records (id) on delete cascade,
    terms text not null
) strict;

-- Terms are made for it, so that it only has to split them at the spaces.
create virtual table record_search using fts5 (
    terms, content = 'record_texts', content_rowid = 'number', detail = none, columnsize = 0,
    tokenize = 'ascii'
);

create trigger record_texts_inserted after insert on record_texts begin
    insert into record_search (rowid, terms) values (new.number, new.terms);
end;

create trigger record_texts_deleted after delete on record_texts begin
    insert into record_search (record_search, rowid, terms)
    values ('delete', old.number, old.terms);
end;

create trigger record_texts_updated after update on record_texts begin
    insert into record_search (record_search, rowid, terms)
    values ('delete', old.number, old.terms);
    insert into record_search (rowid, terms) values (new.number, new.terms);
end;
