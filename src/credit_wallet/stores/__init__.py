"""Stores: where a batch of commands becomes one durable transaction. All SQL is here."""
