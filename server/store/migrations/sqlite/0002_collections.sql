-- A collection that is being deleted has its name here and another one for as long as its records go.
alter table collections add column deleted_name text;
