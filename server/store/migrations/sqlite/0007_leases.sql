-- Which node delivers to a subscription, until when, and a number that grows with every change of
-- hands: what is written with an older one is ignored. A file has one server, which always holds all.
alter table subscriptions add column node text;
alter table subscriptions add column fence integer not null default 0;
alter table subscriptions add column held_until integer not null default 0;
