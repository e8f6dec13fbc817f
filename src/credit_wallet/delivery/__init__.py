"""Delivers notices: connections to receivers, queues, retries.

What a notice says, who gets it and when is decided in ``notices``.
"""
