"""``python -m fake_stripe``: the fake for programs in any language, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from fake_stripe.fake import FakeStripe
from fake_stripe.version import VERSION


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fake and print where it is."""
    given = _parser().parse_args(arguments)
    if bool(given.webhooks_to) != bool(given.secret):
        _parser().error("--webhooks-to and --secret go together")
    with FakeStripe(port=given.port) as fake:
        if given.webhooks_to:
            fake.send_webhooks_to(given.webhooks_to, *given.secret)
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fake_stripe", description="A fake of Stripe for payments in yen.")
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--port", type=int, default=12111, help="where to listen, on loopback; 0 picks a free port")
    parser.add_argument("--webhooks-to", metavar="URL", help="deliver all events to this URL")
    parser.add_argument("--secret", action="append", help="sign webhooks with this secret; twice to rotate")
    return parser


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
