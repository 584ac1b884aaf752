-- Which node delivers to a subscription, until when (by the database's clock), and a number that grows
-- with every change of hands: what is written with an older one is ignored.
alter table subscriptions add column node text;
alter table subscriptions add column fence bigint not null default 0;
alter table subscriptions add column held_until bigint not null default 0;
