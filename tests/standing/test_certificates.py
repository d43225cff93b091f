"""A standing gateway answers for hosts over HTTPS without loading what signs their certificates."""

import asyncio
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.engine.gateway.certificates import Uncertified
from replays_app.standing.signing import SignedApart
from tests.fakes.gateways import make_agent, make_session
from tests.standing.place import Place

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("standing")]

AGENT = make_agent(
    gateway_url="http://127.0.0.1:1",
    endpoint="http://127.0.0.1:1/",
    tools={"market": {"match_url": ["https://*.tools.example/*"]}},
)


@pytest.fixture
def own(tmp_path_factory):
    """A place of the test's own, with an authority that may be taken away."""
    made = Place(tmp_path_factory.mktemp("own"))
    yield made
    made.close()


def ask(place, gateway, name="market"):
    answer = gateway.through(f"https://{name}.tools.example/", verify=str(place.ca))
    return answer.status_code, answer.text


def session(count):
    return make_session(*({"tool": "market", "response": str(n)} for n in range(count)))


def test_many_first_calls_are_all_answered(place):
    gateway = place.gateway()

    def work():
        with ThreadPoolExecutor(20) as pool:
            return [*pool.map(lambda n: ask(place, gateway, f"m{n % 4}"), range(20))]

    attempt = place.attempt(AGENT, session(20), work)
    assert {status for status, _ in attempt.said} == {200}
    assert sorted(int(text) for _, text in attempt.said) == [*range(20)]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process has loaded")
def test_what_signs_is_never_loaded(place):
    gateway = place.gateway()
    assert place.attempt(AGENT, session(1), lambda: ask(place, gateway)).said == (200, "0")
    loaded = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "_ssl" in loaded
    assert "cryptography" not in loaded


def test_a_host_without_a_certificate_is_refused_and_reported(own):
    gateway = own.gateway()
    (own.ca.parent / "ca-key.pem").unlink()

    def work():
        with pytest.raises(OSError, match="502"):
            ask(own, gateway)

    attempt = own.attempt(AGENT, session(1), work)
    assert attempt.hows == ["miss"]
    assert attempt.calls[0].detail.startswith(
        "the gateway has no certificate for market.tools.example:443: "
    )
    assert "ca-key.pem is missing; put both files back" in attempt.calls[0].detail
    assert len(attempt.report.unused) == 1
    assert "Traceback" not in gateway.log()


# The signing alone


@pytest.fixture
def folder(tmp_path):
    CertificateAuthority({}, kept=tmp_path / "ca").close()
    return tmp_path / "ca"


@pytest.mark.parametrize("host", ["market.tools.example", "127.0.0.1", "::1"])
def test_what_is_signed_apart_is_trusted_with_the_authority(folder, host):
    context = asyncio.run(SignedApart(folder).context(host))
    served, client = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    ours = context.wrap_bio(client[1], served[1], server_side=True)
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    theirs = trust.wrap_bio(client[0], client[1], server_hostname=host)
    for _ in range(3):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                client[0].write(served[1].read())
    assert theirs.getpeercert()["subjectAltName"]


def test_those_who_wait_together_take_one(folder, monkeypatch):
    signed = []
    real = SignedApart._sign

    def sign(self, host):
        signed.append(host)
        return real(self, host)

    monkeypatch.setattr(SignedApart, "_sign", sign)

    async def main():
        apart = SignedApart(folder)
        return await asyncio.gather(*(apart.context(f"h{n % 2}.example") for n in range(10)))

    assert len(set(asyncio.run(main()))) == 2
    assert sorted(signed) == ["h0.example", "h1.example"]


def test_a_signer_that_hangs_is_ended(folder, monkeypatch):
    monkeypatch.setattr("replays_app.standing.signing._LONGEST_S", 0.0)
    with pytest.raises(Uncertified, match="took longer"):
        asyncio.run(SignedApart(folder).context("a.example"))


@pytest.mark.parametrize("host", ["bücher.example", "a\0b"])
def test_a_name_that_no_certificate_can_have_says_so(folder, host):
    with pytest.raises(Uncertified):
        asyncio.run(SignedApart(folder).context(host))
