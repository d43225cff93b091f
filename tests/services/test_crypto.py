from __future__ import annotations

import pytest

from replays_app.services.crypto import decrypt, encrypt
from replays_app.services.errors import Refused

OTHER = "another-key-of-the-installation-" + "1" * 20


def test_what_was_encrypted_is_read_again_and_never_stands_there_in_clear():
    stored = encrypt("sk-live-Grüße")
    assert "sk-live" not in stored
    assert decrypt(stored) == "sk-live-Grüße"


def test_the_same_value_is_stored_differently_each_time():
    assert encrypt("x") != encrypt("x")


def test_another_key_is_a_clear_error(settings):
    stored = encrypt("x")
    settings.SECRET_KEY = OTHER
    with pytest.raises(Refused, match="FLAKESTORM_SECRET_KEY"):
        decrypt(stored)


def test_a_key_that_was_replaced_still_reads_what_it_wrote(settings):
    stored = encrypt("x")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OTHER, [settings.SECRET_KEY]
    assert decrypt(stored) == "x"


def test_a_damaged_value_is_a_clear_error():
    with pytest.raises(Refused):
        decrypt("gAAAAABnothing")
