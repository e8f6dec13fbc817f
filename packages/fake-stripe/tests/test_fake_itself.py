"""Starting and ending it, several at a time, and from many threads."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil  # type: ignore[import-untyped]
import stripe
from merchant import SECRET, Receiver, client_of, pays, refusal

from fake_stripe import FakeStripe


def test_the_fake_ends_with_its_process() -> None:
    program = (
        "from fake_stripe import FakeStripe\n"
        "import psutil, time\n"
        "fake = FakeStripe()\n"
        "print(*(child.pid for child in psutil.Process().children()), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(children) == 1
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (1, [])


def test_two_fakes_know_nothing_of_each_other(fake: FakeStripe, client: stripe.StripeClient) -> None:
    with FakeStripe() as other:
        assert other.url != fake.url
        paid = pays(client)
        missing = refusal(lambda: client_of(other.url).v1.payment_intents.retrieve(paid.id), 404)
        assert missing["code"] == "resource_missing"
        assert other.payment_intents() == []


def test_it_may_be_called_from_many_threads(fake: FakeStripe, customer: str) -> None:
    def pay_and_refund(number: int) -> int:
        paid = pays(client_of(fake.url), 1000 + number, customer=customer)
        fake.refund(paid.id, number + 1)
        return fake.payment_intent(paid.id).refunded

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(pay_and_refund, range(16))) == list(range(1, 17))


def test_it_runs_from_the_command_line_until_it_is_interrupted() -> None:
    with Receiver() as receiver:
        options = ["--port", "0", "--webhooks-to", receiver.url, "--secret", SECRET]
        command = [sys.executable, "-m", "fake_stripe", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            paid = pays(client_of(url))
            assert (paid.status, paid.livemode) == ("succeeded", False)
            receiver.wait_for("payment_intent.succeeded")
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
    assert receiver.refused == []


def test_webhooks_from_the_command_line_need_a_secret() -> None:
    command = [sys.executable, "-m", "fake_stripe", "--webhooks-to", "http://127.0.0.1:9/"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "--webhooks-to and --secret go together" in finished.stderr
