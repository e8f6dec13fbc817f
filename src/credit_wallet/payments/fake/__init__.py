"""The parts of the fake of Stripe; ``credit_wallet.payments.fake_stripe`` puts them together.

localstripe, a fake of Stripe under the GPL that runs as a process of its own, keeps customers, payment methods,
PaymentIntents, SetupIntents, charges and refunds, and carries payments out. What it lacks is added here:

- ``api`` answers HTTP: ``routes`` says which call does what and ``calls`` what each may be given, with ``forms``,
  ``parameters``, ``lists``, ``idempotency``, ``ids`` and ``failures``;
- ``customers``, ``methods``, ``intents``, ``setups``, ``charges``, ``refunds``, ``disputes`` and ``sessions`` are the
  objects, one file each, on ``localstripe`` or of their own; ``paying`` moves the money, by ``cards`` or ``vouchers``;
- ``events`` records what happened and ``webhooks`` delivers it;
- ``pages`` is what a person sees;
- ``account`` holds all of it together, ``service`` runs it, and ``loop_thread`` lets other threads call it.
"""
