"""The parameters of the calls about Checkout Sessions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from fake_stripe.calls import MethodOptions, MethodType, Usage
from fake_stripe.failures import invalid
from fake_stripe.parameters import (
    MAX_YEN,
    MIN_YEN,
    ListParameters,
    Metadata,
    Nested,
    Parameters,
    check_currency,
    check_descriptor,
    check_metadata,
    check_url,
    too_little,
)


class Product(Nested):
    name: str
    description: str | None = None
    images: list[str] | None = None
    metadata: Metadata | None = None


class Price(Nested):
    currency: str
    product_data: Product
    unit_amount: int

    def __post_init__(self) -> None:
        check_currency(self.currency)
        if self.unit_amount < 0:
            raise too_little("line_items[price_data][unit_amount]", 0)


class LineItem(Nested):
    price_data: Price
    quantity: Annotated[int, Meta(ge=1)] = 1


class SessionIntent(Nested):
    description: str | None = None
    metadata: Metadata | None = None
    receipt_email: str | None = None
    setup_future_usage: Usage | None = None
    statement_descriptor_suffix: str | None = None


class AdaptivePricing(Nested):
    enabled: bool | None = None

    def __post_init__(self) -> None:
        if self.enabled:
            raise invalid("This fake shows yen only.", "adaptive_pricing[enabled]")


class SessionCreate(Parameters):
    line_items: list[LineItem]
    mode: Literal["payment"]
    success_url: str
    adaptive_pricing: AdaptivePricing | None = None
    allowed_payment_method_types: list[MethodType] | None = None
    cancel_url: str | None = None
    client_reference_id: Annotated[str, Meta(max_length=200)] | None = None
    customer: str | None = None
    customer_creation: Literal["always", "if_required"] = "if_required"
    customer_email: str | None = None
    excluded_payment_method_types: list[str] | None = None
    expires_at: int | None = None
    locale: str | None = None
    metadata: Metadata | None = None
    payment_intent_data: SessionIntent | None = None
    payment_method_options: MethodOptions | None = None
    payment_method_types: list[MethodType] | None = None
    submit_type: Literal["auto", "pay"] | None = None
    ui_mode: Literal["hosted_page", "hosted"] = "hosted_page"

    def __post_init__(self) -> None:
        check_url("success_url", self.success_url)
        check_url("cancel_url", self.cancel_url)
        check_metadata(self.metadata)
        if self.payment_intent_data is not None:
            check_metadata(self.payment_intent_data.metadata)
            check_descriptor(self.payment_intent_data.statement_descriptor_suffix)
        if self.customer is not None and self.customer_email is not None:
            raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer_email")
        if not MIN_YEN <= self.total() <= MAX_YEN:
            code = "amount_too_small" if self.total() < MIN_YEN else "amount_too_large"
            limit = f"at least ¥{MIN_YEN}" if self.total() < MIN_YEN else f"no more than ¥{MAX_YEN:,}"
            raise invalid(f"The Checkout Session's total amount due must add up to {limit} jpy", code=code)

    def total(self) -> int:
        """What all items cost together, in yen."""
        return sum(item.price_data.unit_amount * item.quantity for item in self.line_items)


class SessionList(ListParameters):
    customer: str | None = None
    payment_intent: str | None = None
    status: Literal["open", "complete", "expired"] | None = None
