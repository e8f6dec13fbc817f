"""The parameters of each call; what Stripe knows beyond these is refused, so that nobody relies on it here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from fake_stripe.failures import invalid
from fake_stripe.parameters import (
    ListParameters,
    Metadata,
    Nested,
    Parameters,
    check_amount,
    check_currency,
    check_descriptor,
    check_metadata,
    check_url,
    matches,
    too_little,
)

Json = dict[str, Any]
MethodType = Literal["card", "konbini", "customer_balance"]
Usage = Literal["on_session", "off_session"]


class Address(Nested):
    city: str | None = None
    country: str | None = None
    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    state: str | None = None


class BillingDetails(Nested):
    address: Address | None = None
    email: str | None = None
    name: str | None = None
    phone: str | None = None


class EventList(ListParameters):
    type: str | None = None
    types: list[str] | None = None
    delivery_success: bool | None = None

    def includes(self, event_type: str) -> bool:
        """Whether events of a type are wanted; ``charge.*`` matches every type that starts with ``charge.``."""
        wanted = [self.type] if self.type is not None else self.types
        return wanted is None or any(matches(pattern, event_type) for pattern in wanted)


class InvoiceSettings(Nested):
    default_payment_method: str | None = None


class CustomerUpdate(Parameters):
    address: Address | Literal[""] | None = None
    description: str | None = None
    email: str | None = None
    invoice_settings: InvoiceSettings | None = None
    metadata: Metadata | None = None
    name: str | None = None
    phone: str | None = None
    preferred_locales: list[str] | None = None

    def __post_init__(self) -> None:
        check_metadata(self.metadata)


class CustomerCreate(CustomerUpdate):
    payment_method: str | None = None


class CustomerList(ListParameters):
    email: str | None = None


class CardNumber(Nested):
    number: str
    exp_month: int
    exp_year: int
    cvc: str | None = None


class MethodData(Nested):
    type: MethodType
    allow_redisplay: Literal["always", "limited", "unspecified"] = "unspecified"
    billing_details: BillingDetails | None = None
    card: CardNumber | None = None
    customer_balance: Json | None = None
    konbini: Json | None = None
    metadata: Metadata | None = None

    def __post_init__(self) -> None:
        if self.type == "card" and self.card is None:
            raise invalid("Missing required param: card.", "card", "parameter_missing")
        if self.type == "konbini" and (self.billing_details is None or not self.billing_details.email):
            param = "billing_details[email]"
            raise invalid(f"Missing required param: {param}.", param, "parameter_missing")


class MethodCreate(Parameters):
    type: MethodType
    allow_redisplay: Literal["always", "limited", "unspecified"] = "unspecified"
    billing_details: BillingDetails | None = None
    card: CardNumber | None = None
    customer_balance: Json | None = None
    konbini: Json | None = None
    metadata: Metadata | None = None

    def data(self) -> MethodData:
        """The same, as the parameter ``payment_method_data`` of other calls."""
        given = {name: getattr(self, name) for name in MethodData.__struct_fields__}
        return MethodData(**given)


class MethodUpdate(Parameters):
    billing_details: BillingDetails | None = None
    metadata: Metadata | None = None


class MethodAttach(Parameters):
    customer: str


class MethodList(ListParameters):
    customer: str | None = None
    type: MethodType | None = None


class KonbiniOptions(Nested, omit_defaults=True):
    confirmation_number: str | None = None
    expires_after_days: Annotated[int, Meta(ge=0, le=60)] | None = None
    expires_at: int | None = None
    product_description: str | None = None


class BankTransfer(Nested, omit_defaults=True):
    type: Literal["jp_bank_transfer"]


class BankTransferOptions(Nested, omit_defaults=True):
    bank_transfer: BankTransfer | None = None
    funding_type: Literal["bank_transfer"] | None = None


class CardOptions(Nested, omit_defaults=True):
    request_three_d_secure: Literal["automatic", "any", "challenge"] | None = None
    setup_future_usage: Usage | Literal[""] | None = None


class MethodOptions(Nested, omit_defaults=True):
    card: CardOptions | None = None
    customer_balance: BankTransferOptions | None = None
    konbini: KonbiniOptions | None = None


class AutomaticMethods(Nested):
    enabled: bool
    allow_redirects: Literal["always", "never"] = "always"

    def __post_init__(self) -> None:
        if not self.enabled:
            message = "This fake knows automatic_payment_methods only when they are enabled; leave them out."
            raise invalid(message, "automatic_payment_methods[enabled]")


class Confirmation(Parameters):
    """What confirming knows, and creating with ``confirm``."""

    error_on_requires_action: bool = False
    mandate_data: Json | None = None
    off_session: Literal["true", "false", "one_off", "recurring"] = "false"
    payment_method: str | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    receipt_email: str | None = None
    return_url: str | None = None
    setup_future_usage: Usage | Literal[""] | None = None
    use_stripe_sdk: bool = False

    def __post_init__(self) -> None:
        check_url("return_url", self.return_url)

    @property
    def customer_is_away(self) -> bool:
        """Whether nobody is there to authenticate."""
        return self.off_session != "false"


class IntentCreate(Confirmation, kw_only=True):
    amount: int
    currency: str
    allowed_payment_method_types: list[MethodType] | None = None
    automatic_payment_methods: AutomaticMethods | None = None
    capture_method: Literal["automatic", "automatic_async"] = "automatic_async"
    confirm: bool = False
    confirmation_method: Literal["automatic"] = "automatic"
    customer: str | None = None
    description: str | None = None
    excluded_payment_method_types: list[str] | None = None
    metadata: Metadata | None = None
    payment_method_types: list[MethodType] | None = None
    statement_descriptor_suffix: str | None = None

    def __post_init__(self) -> None:
        Confirmation.__post_init__(self)
        check_amount(self.amount)
        check_currency(self.currency)
        check_metadata(self.metadata)
        check_descriptor(self.statement_descriptor_suffix)
        _check_choice_of_methods(self)
        if not self.confirm:
            _refuse_without_confirm(self)


class IntentUpdate(Parameters):
    amount: int | None = None
    currency: str | None = None
    customer: str | None = None
    description: str | None = None
    metadata: Metadata | None = None
    payment_method: str | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    receipt_email: str | None = None
    setup_future_usage: Usage | Literal[""] | None = None
    statement_descriptor_suffix: str | None = None

    def __post_init__(self) -> None:
        if self.amount is not None:
            check_amount(self.amount)
        if self.currency is not None:
            check_currency(self.currency)
        check_metadata(self.metadata)
        check_descriptor(self.statement_descriptor_suffix)


class IntentCancel(Parameters):
    cancellation_reason: Literal["duplicate", "fraudulent", "requested_by_customer", "abandoned"] | None = None


class IntentList(ListParameters):
    customer: str | None = None


class SetupConfirmation(Parameters):
    payment_method: str | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: MethodOptions | None = None
    mandate_data: Json | None = None
    return_url: str | None = None
    use_stripe_sdk: bool = False

    def __post_init__(self) -> None:
        check_url("return_url", self.return_url)


class SetupCreate(SetupConfirmation):
    allowed_payment_method_types: list[MethodType] | None = None
    automatic_payment_methods: AutomaticMethods | None = None
    confirm: bool = False
    customer: str | None = None
    description: str | None = None
    metadata: Metadata | None = None
    payment_method_types: list[MethodType] | None = None
    usage: Usage = "off_session"

    def __post_init__(self) -> None:
        SetupConfirmation.__post_init__(self)
        check_metadata(self.metadata)


class SetupCancel(Parameters):
    cancellation_reason: Literal["duplicate", "requested_by_customer", "abandoned"] | None = None


class SetupList(ListParameters):
    customer: str | None = None
    payment_method: str | None = None


class ChargeList(ListParameters):
    customer: str | None = None
    payment_intent: str | None = None


class RefundCreate(Parameters):
    amount: int | None = None
    charge: str | None = None
    currency: str | None = None
    instructions_email: str | None = None
    metadata: Metadata | None = None
    payment_intent: str | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None

    def __post_init__(self) -> None:
        check_metadata(self.metadata)
        if (self.charge is None) == (self.payment_intent is None):
            raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
        if self.amount is not None and self.amount < 1:
            raise too_little("amount")


class RefundList(ListParameters):
    charge: str | None = None
    payment_intent: str | None = None


class DisputeList(ListParameters):
    charge: str | None = None
    payment_intent: str | None = None


def _check_choice_of_methods(given: IntentCreate) -> None:
    choices = ("allowed_payment_method_types", "payment_method_types", "automatic_payment_methods")
    made = [name for name in choices if getattr(given, name) is not None]
    if len(made) > 1:
        raise invalid(f"You may only specify one of these parameters: {', '.join(made)}.", made[1])


def _refuse_without_confirm(given: IntentCreate) -> None:
    for name in ("error_on_requires_action", "off_session", "return_url", "mandate_data"):
        if getattr(given, name) not in (None, False, "false"):
            raise invalid(f"The parameter {name} can only be used with confirm=true.", name)
