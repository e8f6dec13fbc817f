"""Sending notices: connections to receivers, queues, retries.

What a notice says and when it is due is decided in ``notices``.
"""
