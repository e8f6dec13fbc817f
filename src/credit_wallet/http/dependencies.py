"""What the application hands to its routes."""

from __future__ import annotations

from litestar.di import NamedDependency

from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.replies import Payments
from credit_wallet.wire.auth import Caller

GivenCaller = NamedDependency[Caller]
GivenWallets = NamedDependency[CreditWallet]
GivenMetrics = NamedDependency[Metrics]
GivenPayments = NamedDependency[Payments | None]
GivenSettings = NamedDependency[ServiceSettings]
GivenRequestId = NamedDependency[str | None]
"""The id that the caller gave its request; None when the service had to make one."""
