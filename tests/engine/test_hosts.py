"""Which hosts an agent of a project may be at."""

from __future__ import annotations

import pytest

from replays_app.engine.hosts import AllowedHosts, HostRefused

ALLOWED = AllowedHosts.parse(
    [
        *("agents.example.com", "*.allowed.example", "internal", "ports.example:8443"),
        *("10.0.0.5", "127.0.0.1:9000", "[fd00::5]", "[::1]:9000", "xn--bcher-kva.example"),
    ]
)

FINE = [
    "http://agents.example.com",
    "https://agents.example.com/invoke?a=b#c",
    "http://agents.example.com:8080/",
    "HTTP://AGENTS.example.COM/",
    "http://agents.example.com./",
    "http://a.allowed.example/",
    "http://a.b.allowed.example/",
    "http://internal/",
    "https://ports.example:8443/",
    "http://10.0.0.5/",
    "http://10.0.0.5:1234/",
    "http://127.0.0.1:9000/",
    "http://[fd00::5]/",
    "http://[FD00:0::0005]:80/",
    "http://[::1]:9000/",
    "http://xn--bcher-kva.example/",
    "http://agents.example.com/${TOKEN}/{port}",
]

NEVER = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254:80/",
    "http://169.254.169.254./",
    "http://169.254.170.2/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://0251.0376.0251.0376/",
    "http://025177524776/",
    "http://169.16689662/",
    "http://169.254.43518/",
    "http://0.0.0.0/",
    "http://0/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://255.255.255.255/",
    "http://224.0.0.1/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://[::]/",
    "http://[ff02::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/",
    "http://[::ffff:0:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:a9fe:a9fe::1]/",
    "http://[2001:0:4136:e378:8000:63bf:5601:5601]/",
    "http://[fd00::5efe:169.254.169.254]/",
    "http://[fd00::200:5efe:169.254.169.254]/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.google.internal./",
    "http://metadata/",
    "http://instance-data/",
]

REFUSED = [
    ("http://elsewhere.example/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://example.com/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://allowed.example/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://notallowed.example/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://agents.example.com.evil.example/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://xagents.example.com/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://localhost/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://127.0.0.1/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://127.0.0.2:9000/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://10.0.0.50/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://[::1]/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://[::ffff:10.0.0.5]/", "FLAKESTORM_AGENT_HOSTS"),
    ("http://ports.example/", "port 80"),
    ("https://ports.example/", "port 443"),
    ("http://2130706433:9000/", "another spelling of 127.0.0.1"),
    ("http://0x7f.1:9000/", "another spelling of 127.0.0.1"),
    ("http://0177.0.0.1:9000/", "another spelling of 127.0.0.1"),
    ("http://127.1:9000/", "another spelling of 127.0.0.1"),
    ("http://167772165/", "another spelling of 10.0.0.5"),
    ("http://10.0.0.5.6/", "is no address"),
    ("http://1e3.0x/", "is no address"),
    ("http://[fe80::1%25eth0]/", "no readable host"),
    ("http://[::1/", "cannot be read"),
    ("http://[::1]evil/", "no readable host"),
    ("http://user@agents.example.com/", "user name or password"),
    ("http://agents.example.com@evil.example/", "user name or password"),
    ("http://agents.example.com:80@evil.example/", "user name or password"),
    ("http://agents.example.com\\@evil.example/", "a blank, a control"),
    ("http://evil.example\\.allowed.example/", "a blank, a control"),
    ("http://agents.example.com\t.evil.example/", "a blank, a control"),
    ("http://agents.example.com\n/", "a blank, a control"),
    (" http://agents.example.com/", "a blank, a control"),
    ("http://agents.example.com%2eevil.example/", "is no host name"),
    ("http://evil.example%23.allowed.example/", "is no host name"),
    ("http://${HOST}.allowed.example/", "is no host name"),
    ("http://*.allowed.example/", "is no host name"),
    ("http://-a.allowed.example/", "is no host name"),
    ("http://a..allowed.example/", "is no host name"),
    ("http://" + "a." * 130 + "allowed.example/", "is no host name"),
    ("http://agents。example.com/", "outside ASCII"),
    ("http://１６９.254.169.254/", "outside ASCII"),
    ("http://bücher.example/", "outside ASCII"),
    ("http://agents.example.com:0/", "port is 0"),
    ("http://agents.example.com:65536/", "port is 65536"),
    ("http://agents.example.com:99999999/", "no readable host"),
    ("http://agents.example.com:80:80/", "no readable host"),
    ("http://agents.example.com:/", "no readable host"),
    ("http:///invoke", "no readable host"),
    ("http:agents.example.com", "no readable host"),
    ("//agents.example.com/", "scheme is missing"),
    ("agents.example.com", "scheme is missing"),
    ("", "scheme is missing"),
    ("ftp://agents.example.com/", "scheme is ftp"),
    ("file:///etc/passwd", "scheme is file"),
    ("gopher://agents.example.com/", "scheme is gopher"),
    ("javascript:alert(1)", "scheme is javascript"),
]


@pytest.mark.parametrize("url", FINE)
def test_what_the_operator_listed_is_allowed(url):
    ALLOWED.check(url)


@pytest.mark.parametrize("url", NEVER)
def test_a_metadata_or_link_local_address_is_never_allowed(url):
    with pytest.raises(HostRefused, match="never connected to"):
        ALLOWED.check(url)


@pytest.mark.parametrize(("url", "words"), REFUSED)
def test_anything_else_is_refused_with_the_reason(url, words):
    with pytest.raises(HostRefused, match=words):
        ALLOWED.check(url)


def test_an_empty_list_allows_nothing():
    with pytest.raises(HostRefused, match="allowed: none"):
        AllowedHosts().check("http://agents.example.com/")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("169.254.169.254", "never connected to"),
        ("*.metadata.google.internal:80:1", "no host or host:port"),
        ("metadata.google.internal", "never connected to"),
        ("[fe80::1]", "never connected to"),
        ("::1", "no host or host:port"),
        ("http://a.example", "no host or host:port"),
        ("*", "is no host name"),
        ("a.*.example", "is no host name"),
        ("*.10.0.0.5", "stands for the first part of a name"),
        ("a.example:0", "no port between 1 and 65535"),
        ("0x7f.1", "another spelling of 127.0.0.1"),
    ],
)
def test_a_listed_host_that_cannot_be_meant_is_named(word, words):
    with pytest.raises(ValueError, match=words):
        AllowedHosts.parse(["agents.example.com", word])


@pytest.mark.parametrize("address", ["169.254.1.1", "fe80::1%eth0", "::ffff:169.254.169.254"])
def test_a_resolved_address_is_looked_at_too(address):
    with pytest.raises(HostRefused, match=r"agents.example.com was resolved, and .* never"):
        ALLOWED.check_address(address, "agents.example.com")


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "::1", "93.184.216.34"])
def test_a_listed_name_may_lead_to_a_private_address(address):
    ALLOWED.check_address(address, "agents.example.com")
