"""Signatures of the Standard Webhooks scheme."""

from __future__ import annotations

import base64

import pytest

from replays_app.services import signatures
from replays_app.services.signatures import Unsigned, new_secret, sign, verify

NOW = 1_614_265_330
# Made by the scheme's reference implementation (standardwebhooks 1.1.0).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def check(**other):
    given = {
        "secret": SECRET,
        "webhook_id": ID,
        "timestamp": str(NOW),
        "signature": SIGNATURE,
        "body": BODY,
        "now": NOW,
    }
    given |= other
    verify(given.pop("secret"), **given)


def test_the_reference_implementations_signature_is_ours_and_is_accepted():
    assert sign(SECRET, ID, NOW, BODY) == SIGNATURE
    check()


@pytest.mark.parametrize(
    "signature",
    [
        f"v1,AAAA {SIGNATURE}",
        f"{SIGNATURE} v1a,AAAA",
        f"v2,{SIGNATURE[3:]} {SIGNATURE}",
        f"  {SIGNATURE}",
    ],
)
def test_one_fitting_signature_among_several_is_enough(signature):
    check(signature=signature)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"signature": ""}, "missing_header"),
        ({"webhook_id": ""}, "missing_header"),
        ({"timestamp": ""}, "missing_header"),
        ({"signature": SIGNATURE[3:]}, "bad_signature"),
        ({"signature": "v2," + SIGNATURE[3:]}, "bad_signature"),
        ({"signature": "v1,"}, "bad_signature"),
        ({"signature": "v1,é\udc80"}, "bad_signature"),
        ({"signature": "v1,!!!"}, "bad_signature"),
        ({"signature": ",".join(["v1"] * 50)}, "bad_signature"),
        ({"signature": "v1,x " * 10 + SIGNATURE}, "bad_signature"),
        ({"signature": SIGNATURE.replace("g0", "g1")}, "bad_signature"),
        ({"body": BODY + b" "}, "bad_signature"),
        ({"webhook_id": ID + "x"}, "bad_signature"),
        ({"timestamp": str(NOW + 1)}, "bad_signature"),
        ({"secret": new_secret()}, "bad_signature"),
        ({"timestamp": "-1"}, "bad_timestamp"),
        ({"timestamp": "1e9"}, "bad_timestamp"),
        ({"timestamp": "1614265330.5"}, "bad_timestamp"),
        ({"timestamp": "９" * 9}, "bad_timestamp"),
        ({"timestamp": "9" * 400}, "bad_timestamp"),
        ({"webhook_id": "x" * 201}, "bad_id"),
        ({"webhook_id": "é"}, "bad_id"),
        ({"webhook_id": "a\nb"}, "bad_id"),
        ({"now": NOW + 301}, "timestamp_out_of_range"),
        ({"now": NOW - 301}, "timestamp_out_of_range"),
    ],
)
def test_anything_else_is_refused_by_name(other, code):
    with pytest.raises(Unsigned) as refused:
        check(**other)
    assert refused.value.code == code
    assert refused.value.remedy


@pytest.mark.parametrize("now", [NOW + 300, NOW - 300])
def test_five_minutes_to_both_sides_are_tolerated(now):
    check(now=now)


def test_a_clock_is_told_by_how_much_it_is_off_but_only_to_who_has_the_secret():
    with pytest.raises(Unsigned, match="is 3,600 s old, limit 300 s"):
        check(now=NOW + 3600)
    with pytest.raises(Unsigned, match="is 400 s in the future"):
        check(now=NOW - 400)
    with pytest.raises(Unsigned, match="No signature fits"):
        check(now=NOW + 3600, body=b"{}")


def test_a_new_secret_has_256_random_bits():
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(base64.b64decode(first.removeprefix(signatures.MARK))) == 32
