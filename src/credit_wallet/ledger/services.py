"""Addresses of services such as Slack, parsed by ``apprise`` for ``notices.targets``."""

from __future__ import annotations

from credit_wallet.errors import InvalidRequest


def count_receivers(url: str) -> int:
    """How many receivers the address of a service names; 0 when ``apprise`` does not know the service.

    Raises ``InvalidRequest`` when ``apprise`` is not installed.
    """
    try:
        from apprise import Apprise  # takes long to import, and few need it
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            "services such as Slack need the extra: install agent-credit-wallet[notify]", field="url"
        ) from error
    service = Apprise.instantiate(url, suppress_exceptions=True)
    return 0 if service is None else max(1, len(service))
