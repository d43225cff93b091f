"""A small agent of plain Python functions to try replays on: `flakestorm replay run`.

Its tools would send mail and take money; in a replay they are answered from the recording, and
never run. Its language model is scripted. Python's standard library only.
"""

from __future__ import annotations

import asyncio
import re


class PaymentFailed(Exception):
    pass


async def find_order(order_id: str) -> dict[str, object]:
    raise SystemExit("this would ask the shop's database")


async def refund(order_id: str, amount: float) -> str:
    raise SystemExit("this would pay real money back")


def send_mail(to: str, subject: str) -> str:
    raise SystemExit("this would send a real mail")


async def answer(input: str, context: list[dict[str, str]] | None = None) -> str:
    found = re.search(r"[A-Z]-\d+", input)
    if found is None:
        return "Which order is it?"
    order = await asyncio.wait_for(find_order(found[0]), timeout=10)
    try:
        receipt = await asyncio.wait_for(refund(found[0], amount=order["total"]), timeout=10)
    except (asyncio.TimeoutError, PaymentFailed) as error:  # noqa: UP041 - other before 3.11
        reason = "took too long" if isinstance(error, asyncio.TimeoutError) else str(error)
        return f"Order {found[0]} could not be refunded now ({reason}); a person will look at it."
    send_mail(order["customer"], subject=f"Refund of {found[0]}")
    return f"Order {found[0]} was refunded: {receipt}."
