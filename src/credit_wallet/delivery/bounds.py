"""How much is sent at a time; each bound is of one process."""

from __future__ import annotations

ATTEMPTS_AT_ONCE = 4
"""At one target."""

WEBHOOKS_AT_ONCE = 384
"""Targets that are sent to at a time …"""

FAILED_WEBHOOKS_AT_ONCE = 96
"""… and those that failed last time."""

MAILS_AT_ONCE = 8
MESSAGES_AT_ONCE = 16
"""To services such as Slack. Each of these has a thread."""

MAX_CONNECTIONS = ATTEMPTS_AT_ONCE * (WEBHOOKS_AT_ONCE + FAILED_WEBHOOKS_AT_ONCE)
