-- Drops what 307 added: the log of acts is gone. Export it first.

DROP TABLE am_credit_act;
