import time

import pytest

from replays_app.engine.formats.config import ToolRule
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.gateway.args import call_args
from replays_app.engine.gateway.rules import (
    UrlPattern,
    canonical_path,
    split_authority,
    target_of,
    tool_patterns,
    url_patterns,
)


def target(url, method="GET"):
    scheme, _, rest = url.partition("://")
    authority, slash, origin = rest.partition("/")
    return target_of(method, scheme, authority, slash + origin)


def names(pattern, url, method="GET"):
    """What the pattern names in the URL; None: it does not match."""
    fit = UrlPattern.parse(pattern).match(target(url, method))
    return None if fit is None else fit.names


MATCHES = [
    # method
    ("GET https://api.test/x", "https://api.test/x", {}),
    ("get https://api.test/x", "https://api.test/x", {}),
    ("* https://api.test/x", "https://api.test/x", {}),
    ("POST https://api.test/x", "https://api.test/x", None),
    # scheme
    ("http://api.test/x", "https://api.test/x", None),
    ("api.test/x", "https://api.test/x", {}),
    ("api.test/x", "http://api.test/x", {}),
    ("*://api.test/x", "http://api.test/x", {}),
    # host
    ("https://API.Test/x", "https://api.test/x", {}),
    ("https://api.test/x", "https://API.TEST./x", {}),
    ("https://bücher.test/x", "https://xn--bcher-kva.test/x", {}),
    ("https://*.test/x", "https://api.test/x", {}),
    ("https://*.test/x", "https://a.b.test/x", None),
    ("https://*.test/x", "https://test/x", None),
    ("https://api-*.test/x", "https://api-eu.test/x", {}),
    ("https://*-*.test/x", "https://api-eu.test/x", {}),
    ("https://*/x", "https://a.b.c/x", {}),
    ("https://api.test", "https://api.test.evil.test/x", None),
    ("http://tool_server/x", "http://tool_server/x", {}),
    ("http://[::1]/x", "http://[::1]/x", {}),
    # port
    ("https://api.test:443/x", "https://api.test/x", {}),
    ("https://api.test/x", "https://api.test:443/x", {}),
    ("http://api.test/x", "http://api.test:8080/x", None),
    ("http://api.test:8080/x", "http://api.test:8080/x", {}),
    ("http://api.test:*/x", "http://api.test:8080/x", {}),
    ("http://[::1]:8080/x", "http://[::1]:8080/x", {}),
    # path
    ("https://api.test", "https://api.test/any/path?q=1", {}),
    ("https://api.test/", "https://api.test/", {}),
    ("https://api.test/", "https://api.test", {}),
    ("https://api.test/", "https://api.test/x", None),
    ("https://api.test/v1/*", "https://api.test/v1/a/b", {}),
    ("https://api.test/v1/*", "https://api.test/v1", None),
    ("https://api.test/v1*", "https://api.test/v1", {}),
    ("https://api.test/*/x/*", "https://api.test/a/b/x/c", {}),
    ("https://api.test/orders/{id}", "https://api.test/orders/7", {"id": "7"}),
    ("https://api.test/orders/{id}", "https://api.test/orders/7/lines", None),
    ("https://api.test/orders/{id}", "https://api.test/orders/", None),
    ("https://api.test/{a}/{b}.json", "https://api.test/x/y.z.json", {"a": "x", "b": "y.z"}),
    ("https://api.test/{a}-{b}", "https://api.test/1-2", {"a": "1", "b": "2"}),
    ("https://api.test/*/{id}", "https://api.test/a/b/7", {"id": "7"}),
    ("https://api.test/a.c", "https://api.test/abc", None),
    # spelling
    ("https://api.test/orders/{id}", "https://api.test/orders/a%2Fb", {"id": "a/b"}),
    ("https://api.test/orders/{id}", "https://api.test/orders/%C3%A9", {"id": "é"}),
    ("https://api.test/a b/{id}", "https://api.test/a%20b/%41", None),  # a pattern has no spaces
    ("https://api.test/a%20b/{id}", "https://api.test/a%20b/%41", {"id": "A"}),
    ("https://api.test/é", "https://api.test/%c3%a9", {}),
    ("https://api.test/%7Euser", "https://api.test/~user", {}),
    ("https://api.test/v1/*", "https://api.test/v1/../admin", None),
    ("https://api.test/v1/*", "https://api.test/v1/%2e%2e/admin", None),
    ("https://api.test/admin", "https://api.test/v1/../admin", {}),
    # query
    ("https://api.test/x?action=find", "https://api.test/x?action=find&q=1", {}),
    ("https://api.test/x?action=find", "https://api.test/x?action=drop", None),
    ("https://api.test/x?action=find", "https://api.test/x", None),
    ("https://api.test/x?q={query}", "https://api.test/x?q=a%20b/c", {"query": "a b/c"}),
    ("https://api.test/x?q=*", "https://api.test/x?q=", {}),
    ("https://api.test?a=2", "https://api.test/x?a=1&a=2", {}),
]


@pytest.mark.parametrize(("pattern", "url", "expected"), MATCHES)
def test_a_pattern_matches_what_it_says(pattern, url, expected):
    if " b/" in pattern:
        with pytest.raises(ValueError, match="is no URL pattern"):
            UrlPattern.parse(pattern)
    else:
        assert names(pattern, url) == expected


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "is no URL pattern"),
        ("https://user@api.test/", "without user name"),
        ("https://api.test/#top", "or fragment"),
        ("ftp://api.test/", "only http and https"),
        ("https://{host}/x", r"a host takes \*"),
        ("https://api.test/{id}/{id}", "names an argument twice"),
        ("https://api.test/{id}?q={id}", "names an argument twice"),
    ],
)
def test_a_bad_pattern_says_what_would_do(pattern, says):
    with pytest.raises(ValueError, match=says):
        UrlPattern.parse(pattern)


def test_all_bad_patterns_are_named_with_their_fields():
    tools = {"a": ToolRule(match_url=("ok.test", "ftp://x")), "b": ToolRule(match_url=("",))}
    with pytest.raises(FormatError) as error:
        tool_patterns(tools)
    assert [p.field for p in error.value.problems] == [
        "agent.tools.a.match_url[1]",
        "agent.tools.b.match_url[0]",
    ]
    with pytest.raises(FormatError, match=r"agent\.passthrough\[0\]"):
        url_patterns(["ftp://x"], "agent.passthrough")


def test_tool_patterns_keep_the_written_order():
    tools = {"special": ToolRule(match_url=("x.test/a",)), "rest": ToolRule(match_url=("x.test",))}
    assert [t.tool for t in tool_patterns(tools)] == ["special", "rest"]


@pytest.mark.parametrize(
    ("pattern", "host", "port", "expected"),
    [
        ("https://api.test/x", "api.test", 443, True),
        ("https://api.test/x", "api.test", 80, False),
        ("http://api.test/x", "api.test", 80, True),
        ("api.test", "api.test", 443, True),
        ("api.test", "api.test", 8443, False),
        ("api.test:*", "api.test", 8443, True),
        ("https://*.test", "api.test", 443, True),
        ("https://other.test", "api.test", 443, False),
    ],
)
def test_a_pattern_names_the_host_of_a_connect(pattern, host, port, expected):
    assert UrlPattern.parse(pattern).names_host(host, port) is expected


@pytest.mark.parametrize(
    "pattern", ["https://t.test/" + "*a" * 25, "https://t.test/" + "{%s}a" * 9 % (*"bcdefghij",)]
)
def test_no_pattern_takes_long_to_fail(pattern):
    url = "https://t.test/" + "a" * 8000 + "!"
    started = time.process_time()
    assert names(pattern, url) is None
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a//b/", "/a//b/"),
        ("/a/./b/..", "/a/"),
        ("/../../a", "/a"),
        ("/%41%2f%7e", "/A%2F~"),
        ("/é", "/%C3%A9"),
        ("/%ff", "/%FF"),
        ("/a.b/.c/..d", "/a.b/.c/..d"),
    ],
)
def test_equal_paths_have_one_spelling(path, canonical):
    assert canonical_path(path) == canonical


@pytest.mark.parametrize("authority", ["", "a b/c", "x:99999", "x:port", "[::1"])
def test_an_authority_that_is_none_is_an_error(authority):
    with pytest.raises(ValueError, match=r".+"):
        split_authority(authority, 80)


FORM = "application/x-www-form-urlencoded"
DEEP = "[" * 101 + "]" * 101
WIDE = "[" + ", ".join(["[]"] * 200) + "]"
MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="q"\r\n\r\n5\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--B--\r\n'
)


@pytest.mark.parametrize(
    ("given", "args", "textual"),
    [
        (({}, [], b"", ""), {}, set()),
        (({"id": "7"}, [("q", "x")], b"", ""), {"id": "7", "q": "x"}, {"id", "q"}),
        (
            ({}, [("a", "1"), ("a", "2"), ("a", "3"), ("b", "")], b"", ""),
            {"a": ["1", "2", "3"], "b": ""},
            {"a", "b"},
        ),
        (({"id": "7"}, [], b'{"id": 8}', "application/json"), {"id": 8}, set()),
        (({}, [("q", "x")], b'{"n": "5"}', ""), {"q": "x", "n": "5"}, {"q"}),
        (({}, [], b"[1, 2]", "application/json"), {"body": [1, 2]}, set()),
        (({}, [], b'{"a": 1', "application/json"), {"body": '{"a": 1'}, set()),
        (({}, [], b"[" * 100_000, "application/json"), {"body": "[" * 100_000}, set()),
        (({}, [], b'{"a": NaN}', "application/json"), {"body": '{"a": NaN}'}, set()),
        (({}, [], DEEP.encode(), "application/json"), {"body": DEEP}, set()),
        (({}, [], f'{{"a": {WIDE}}}'.encode(), ""), {"a": [[]] * 200}, set()),
        (({}, [], b"hello", "text/plain"), {"body": "hello"}, set()),
        (({}, [], b"a=1&b=x+y&b=z", FORM), {"a": "1", "b": ["x y", "z"]}, {"a", "b"}),
        (
            ({}, [], MULTIPART, "multipart/form-data; boundary=B"),
            {"q": "5", "f": "hello"},
            {"q", "f"},
        ),
        (({}, [], b"junk", "multipart/form-data"), {"body": "junk"}, {"body"}),
    ],
)
def test_arguments_are_path_names_then_query_then_body(given, args, textual):
    assert call_args(*given) == (args, frozenset(textual))


def test_what_a_rule_accounts_for_is_no_argument_twice():
    fit = UrlPattern.parse("https://api.test/x?action=find&q={query}&page=*").match(
        target("https://api.test/x?action=find&q=a&page=2&more=1")
    )
    assert fit.names == {"query": "a"}
    assert fit.query == (("page", "2"), ("more", "1"))
