-- Files whose bytes are in a bucket: which one, and under which id an upload goes on that the bucket
-- takes in parts.
alter table files add column bucket text;
alter table files add column upload_id text;
