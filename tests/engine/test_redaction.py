"""What is found, what is not, and what stands in its place."""

from __future__ import annotations

import ast
import ipaddress
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.redaction import CORPORA, false_finds, false_lookalikes, measure
from replays_app.engine.redaction import RECOGNISERS, BadRules, Pattern, Redactor, Rules
from replays_app.engine.redaction.checksums import digits, iban, luhn

KEY = b"k" * 32


def redactor(rules: Rules | None = None, key: bytes = KEY) -> Redactor:
    return Redactor(rules or Rules(), key)


def kinds(text: str) -> list[str]:
    found = redactor()
    found.text(text)
    return sorted(found.counts.elements())


FOUND = {
    "email": [
        "ada@example.com",
        "Ada%40example.com",
        "<j.o'b+x@mail.example.co.uk>",
        "zoë@bücher.de",
    ],
    "phone": [
        "+49 30 901820",
        "(212) 555-0143",
        "+1-202-555-0147",
        "0171 1234 5678",
        "tel 0171/1234567",
    ],
    "card": ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "account": ["account number 12345678", "0x52908400098527886E0F7030069857D2E4169EE7"],
    "national id": ["078-05-1120", "111.444.777-35", "12345678Z", "passport no. C01X00T47"],
    "network address": ["81.2.69.142:443", "2001:4860:4860::8888", "00:1A:2B:3C:4D:5E"],
    "date of birth": ["born on 12 March 1984", "DOB: 1984-03-12"],
    "postal address": ["221B Baker Street", "Hauptstraße 12", "10 rue de Rivoli"],
    "name": ["My name is Ada Lovelace", "Dear Dr. Lovelace,", '"first_name": "Ada"'],
    "secret": [
        "password=hunter22",
        "my password is hunter22",
        "postgres://app:hunter22@db/x",
        "Authorization: Bearer abcdefghijklmnopqrst1",
        "sk-ant-api03-abcdefghijklmnopqrstuvwx",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAabcdefgh\n-----END RSA PRIVATE KEY-----",
        "token: 8f14e45fceea167a5a36",
    ],
}
STAYS = [
    "Dear customer, dear Team,",
    "order 01a20529-fb5f-73fc-85f0-a63da4d366d1 of 2026-11-20T20:00:00+00:00",
    "20261122T212929349313Z01a2052a-0405-724d-850f-1f98115a678e",
    "10.0.3.7:443, 127.0.0.1, 192.168.1.9, ::1, fe80::1",
    "Chrome/120.0.6099.109, v1.2.3.4, 12:30:45",
    "1234567890123456 is no card, 4111 1111 1111 1112 neither",
    "DE00 3704 0044 0532 0130 00",
    "000-12-3456, 900-12-3456",
    "token: max_tokens, token limit: 4096, tokens=512",
    "password: ${DB_PASSWORD}, password: required, secret: <hidden>",
    "ACME Corp's Q3 revenue was $4.2 million, up 12% from 3,750,000 in 2025",
    "npm install react@18.2.0, git@github.com:org/repo.git, @decorator",
    "SKU 0012-3456, INV-2026-001234, 8am to 5pm",
    "https://user@host.example/path, git@code.example:a/b.git",
    "8.8.8.0/24, version 8.8.8.8, rev: 81.2.69.142",
    "sha512-K7Qm3vX9bT2nL5wR8yP1cF4hJ6sD0gA2zE5uW8iO1kM4",
    "a pass is a pass, pass: true, password - required, the pass is open",
    "Call the search tool, then call get_weather(city='Paris')",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
]


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in FOUND.items() for t in texts])
def test_it_is_found_alone_and_inside_json_and_is_not_found_again(kind, text):
    assert set(kinds(text)) == {kind}
    for whole in (f"so: {text}", json.dumps({"note": text}), repr([text])):
        once = redactor().text(whole)
        assert once != whole
        again = redactor()
        assert (again.text(once), again.counts.total()) == (once, 0)


@pytest.mark.parametrize("text", STAYS)
def test_it_stays(text):
    assert redactor().text(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("contact=ada@example.com&x=1", "contact={}&x=1"),
        ("{'owner': 'ada@example.com'}", "{'owner': '{}'}"),
        ("?q=%22ada%40example.com", "?q=%22{}"),
        ('{"said": "mail\\nada@example.com"}', '{"said": "mail\\n{}"}'),
        ('{"x": "{\\"said\\": \\"\\\\nada@example.com\\"}"}',
         '{"x": "{\\"said\\": \\"\\\\n{}\\"}"}'),
        ("Paid to AT61 1904 3002 3457 3201 long ago", "Paid to XX{} long ago"),
        ("Card 4111 1111 1111 1111 04/29", "Card 9999{} 04/29"),
        ("http://81.2.69.142/admin", "http://24{}/admin"),
        ("tel:\\t+49 30 901820 now", "tel:\\t+999{} now"),
        ("my.name@example.com.", "{}."),
    ],
)  # fmt: skip
def test_only_the_value_goes_and_what_stands_around_it_stays(text, left):
    before, after = left.split("{}")
    out = redactor().text(text)
    assert out.startswith(before)
    assert out.endswith(after)
    assert out != text


@pytest.mark.parametrize(
    "value",
    [
        {"phone_number": 4155550199},
        {"ssn": 613204871, "x": [1]},
        {"user": {"FirstName": "Zoë", "note": 'a\n"b"'}},
        {"card": {"cvv": "917", "pan": 4111111111111111}},
        {"STRIPE_SECRET": "a7QS3uBZcJxVrKSFi6WF"},
        {"patient_name": "Zoë O'Brien"},
    ],
)
def test_fields_are_found_in_texts_that_hold_json_and_it_stays_json(value):
    plain = redactor()
    wanted = plain.json(value)
    assert plain.counts
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert json.loads(redactor().text(text)) == wanted
        nested = json.dumps({"body": text})
        assert json.loads(json.loads(redactor().text(nested))["body"]) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "téléphone 91 123 45 67",
        "дата рождения: 12.05.1981",
        "contraseña: hunter2008",
        "Regards,\nSven Olsson",
        'the key is {"client_secret": "hunter2051"}',
    ],
)
def test_what_json_escapes_is_found_however_often_it_was_quoted(text):
    for _ in range(5):
        text = json.dumps({"body": text})
        assert redactor().text(text) != text
        assert isinstance(json.loads(redactor().text(text)), dict)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"name": "Ada Lovelace", "email": "x"}, "name"),
        ({"first": "Ada", "last": "Lovelace"}, "name"),
        ({"note": '{"customer": {"name": "Ada Lovelace"}}'}, "name"),
        ({"note": "{'customer': {'name': 'Ada Lovelace'}}"}, "name"),
        ({"body": "<customer><ssn type='us'>613204871</ssn></customer>"}, "national id"),
        ({"body": "ssn=613204871&plan=2"}, "national id"),
    ],
)
def test_what_stands_beside_a_value_says_what_it_is(value, kind):
    found = redactor()
    assert "Lovelace" not in json.dumps(found.json(value))
    assert kind in found.counts


@pytest.mark.parametrize(
    "value",
    [
        {"users": [{"name": "svc-deploy"}], "user": {"name": "admin"}},
        {"version": "3.8.97.2", "driver_version": "2.16.84.2"},
        {"name": "Market Data", "kind": "tool"},
        {"first": 1, "last": 20},
    ],
)
def test_accounts_of_programs_versions_and_places_in_a_list_stay(value):
    assert redactor().json(value) == value


def test_fields_are_found_in_a_python_repr():
    value = {"patient_name": "Wilhelmina Krause", "ward": 4, "pin": "8842"}
    out = ast.literal_eval(redactor().text(repr(value)))
    assert out == redactor().json(value)


def test_every_recogniser_has_its_table():
    assert set(FOUND) == {r.name for r in RECOGNISERS}


@pytest.mark.parametrize(
    "text",
    [
        "my pass is hunter3001",
        "user=bob pass=hunter3006",
        "Password is: hunter3010",
        "password - hunter3011",
        '<add key="Password" value="hunter3009"/>',
        "typeform tfp" + "_k3W9fVJsSheACjTJWYyL4ZkQTrXM4MFwg7drHilZO0fq",
        "sdk-3d18fa71-8491-45bc-a093-0ae7dafbcd62",
        "https://weather.example/x?appid=1b2b3be6c60ca0d367e8a299310cdfb7",
    ],
)
def test_a_secret_is_found_by_what_people_and_programs_write_around_it(text):
    assert kinds(text) == ["secret"]


@pytest.mark.parametrize("name", sorted(FOUND))
def test_a_recogniser_that_is_off_finds_nothing(name):
    off = redactor(Rules(off=frozenset({name})))
    for text in FOUND[name]:
        off.text(text)
    assert name not in off.counts


@pytest.mark.parametrize("name", CORPORA)
def test_the_planted_corpora_are_found_in_every_field(name):
    rows = CORPORA[name]()
    result = measure(rows)
    assert len(rows) == len({row.value for row in rows}) >= 200
    for field, row in result["by_field"].items():
        assert row["found"] / row["planted"] >= 0.95, field
    for kind, planted in result["planted"].items():
        assert result["found"][kind] / planted >= 0.9, kind


def test_real_traces_and_lookalikes_stay():
    values, false, _ = false_finds()
    assert values > 10_000
    assert false / values < 0.02
    total, wrong = false_lookalikes()
    assert total > 100
    assert wrong == []


# --- Pseudonyms ----------------------------------------------------------------------------------


def test_the_same_value_has_the_same_pseudonym_however_it_is_written():
    texts = ("Ada@Example.com", "ada@example.com", "ada%40example.com")
    assert len({redactor().text(t) for t in texts}) == 1
    assert len({redactor().text(t) for t in ("4111111111111111", "4111 1111 1111 1111")}) == 1
    name, other = {"full_name": "Zoë Ørsted"}, redactor()
    assert json.loads(redactor().text(json.dumps(name))) == other.json(name)
    assert redactor().text("ada@example.com") != redactor().text("bob@example.com")


def test_another_key_gives_another_pseudonym():
    assert redactor().text("ada@example.com") != redactor(key=b"x" * 32).text("ada@example.com")


def test_pseudonyms_are_valid_where_programs_look():
    assert redactor().text("ada@example.com").endswith("@redacted.invalid")
    card = redactor().text("4111 1111 1111 1111")
    assert (len(card), luhn(card)) == (16, True)
    account = redactor().text("DE89 3704 0044 0532 0130 00")
    assert (account[:2], iban(account)) == ("XX", True)
    assert digits(redactor().text("+49 30 901820")).startswith("999")
    assert ipaddress.IPv4Address(redactor().text("81.2.69.142")).is_reserved
    assert ipaddress.IPv6Address(redactor().text("2001:4860:4860::8888")).is_private
    assert len(redactor().text("00:1A:2B:3C:4D:5E")) == 17


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_redacted_once(text):
    once = redactor().text(text)
    again = redactor()
    assert again.text(once) == once
    assert not again.counts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_any_value_keeps_its_shape(value):
    assert json.dumps(redactor().json(value)) is not None


def test_what_is_nested_deeper_than_formats_allow_goes_as_a_whole():
    value = "ada@example.com"
    for _ in range(300):
        value = [value]
    assert "ada" not in json.dumps(redactor().json(value))


@pytest.mark.parametrize(
    "text",
    ["a@" * 50_000, "a." * 50_000 + "@", "+1 " * 50_000, "0 " * 100_000, ":" * 100_000,
     '"password":"' * 20_000, "'name': '" * 20_000, "\\\\" * 50_000 + "n",
     "password=" * 20_000, "eyJ" * 40_000, "A " * 60_000, "-----BEGIN PRIVATE KEY-----" * 4_000],
)  # fmt: skip
def test_hostile_texts_cost_no_more_than_long_ones(text):
    """No timed test: what is quadratic here takes minutes, and the suite's own limit ends it."""
    began = time.process_time()
    redactor().text(text)
    assert time.process_time() - began < 60


# --- Fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"first_name": "Ada"}, "name"),
        ({"billingContactName": "Ada"}, "name"),
        ({"home_phone_2": "555-0142"}, "phone"),
        ({"AWS_SECRET_ACCESS_KEY": "abcd1234"}, "secret"),
        ({"street": "Am Markt 3"}, "postal address"),
        ({"customer": {"name": "Ada"}}, "name"),
        ({"phoneNumber": 301234567}, "phone"),
        ({"Authorization": "x1"* 4}, "secret"),
        ({"password": "abc123"}, "secret"),
        ({"date-of-birth": "1984-03-12"}, "date of birth"),
        ({"cardNumber": 4111111111111111}, "card"),
        ({"ssn": "123456789"}, "national id"),
        ({"shipping_address": "somewhere 1"}, "postal address"),
    ],
)  # fmt: skip
def test_the_name_of_a_field_says_what_its_value_is(value, kind):
    found = redactor()
    out = found.json(value)
    assert out != value
    assert list(found.counts) == [kind]
    again = redactor()
    assert (again.json(out), dict(again.counts)) == (out, {})


@pytest.mark.parametrize(
    "value",
    [{"name": "get_weather"}, {"tool": {"name": "search"}}, {"token": "max"}, {"mobile": True},
     {"next_page_token": "CAUQAAxyz123456789"}, {"pin": "map"}, {"address": "0x7f:80"},
     {"session_id": "01a20529-fb5f-73fc-85f0-a63da4d366d1"}, {"password": None}, {"id": 7}],
)  # fmt: skip
def test_a_field_that_may_mean_something_else_stays(value):
    assert redactor().json(value) == value


def test_a_name_that_a_field_gives_is_found_in_every_text_of_the_recording():
    body = {"id": "s", "input": "Where is Ada Lovelace's order?", "contract": "c"}
    call = {"tool": "crm", "response": {"customer": {"full_name": "Ada Lovelace"}}}
    out = redactor().session(body | {"tool_responses": [call], "recorded_output": "Ada Lovelace!"})
    assert "Ada" not in json.dumps(out)
    pseudonym = out["tool_responses"][0]["response"]["customer"]["full_name"]
    assert out["recorded_output"] == f"{pseudonym}!"


def test_identifiers_of_machines_are_kept_where_they_are_named():
    value = {"trace_id": "4111111111111111", "text": "4111111111111111"}
    out = redactor().json(value, keep_keys={"trace_id"})
    assert out["trace_id"] == "4111111111111111"
    assert out["text"] != "4111111111111111"


def test_the_formats_own_words_stay_and_everything_said_goes():
    secret = "ada@example.com"
    body = {
        "id": secret,
        "name": secret,
        "input": secret,
        "contract": secret,
        "source": secret,
        "context": [{"role": "user", "content": secret}],
        "recorded_output": secret,
        "expected_failure": secret,
        "tool_responses": [
            {"tool": secret, "args": {secret: secret}, "response": [secret], "error": secret,
             "headers": {"x": secret}, "seen": secret, "id": secret}
        ],
        "model_responses": [
            {"text": secret, "error": secret, "model": secret,
             "tool_calls": [{"tool": secret, "args": {secret: [secret]}, "id": secret}]}
        ],
        "replay": {"tools": {secret: {"stub": secret, "stubs": [{"response": secret}]}}},
    }  # fmt: skip
    out = redactor().session(body)
    kept = (out["contract"], out["source"], out["tool_responses"][0]["tool"])
    assert kept == (secret, secret, secret)
    assert out["tool_responses"][0]["id"] == secret
    (said,) = out["model_responses"]
    (call,) = said["tool_calls"]
    assert (said["model"], call["tool"], call["id"]) == (secret, secret, secret)
    assert json.dumps(out).count(secret) == 8  # those, and the tool's name under replay


# --- Rules ---------------------------------------------------------------------------------------


def test_a_pattern_of_a_project_comes_first_and_its_group_is_the_value():
    rules = Rules(patterns=(Pattern("order id", r"order (ORD-\d+)"),))
    found = redactor(rules)
    out = found.text("order ORD-4711 of ada@example.com")
    assert out.startswith("order REDACTED_ORDER_ID_")
    assert dict(found.counts) == {"order id": 1, "email": 1}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("tool_responses[*].response.customer.note", 5),
        ("tool_responses[0].response.customer.note", 6),
        ("tool_responses[*].args.*", 6),
        ("context[*].content", 6),
        ("input", 6),
        ("model_responses[*].text", 6),
        ("model_responses[*].tool_calls[*].args.x", 6),
        ("tool_responses[*].response.nowhere", 7),
    ],
)
def test_a_path_names_fields_that_are_always_replaced(path, left):
    note = "nothing special"
    calls = [
        {"tool": "a", "args": {"x": note}, "response": {"customer": {"note": note}}},
        {"tool": "b", "response": json.dumps({"customer": {"note": note}})},
    ]
    said = {"text": note, "tool_calls": [{"tool": "a", "args": {"x": note}}]}
    body = {"input": note, "context": [{"role": "user", "content": note}], "tool_responses": calls}
    body["model_responses"] = [said]
    out = json.dumps(redactor(Rules(paths=(path,))).session(body))
    assert out.count(note) == left


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ({"off": ["emails"]}, "off", "is no recogniser"),
        ({"paths": ["model_responses[*].model"]}, "paths", "which part of an answer"),
        ({"patterns": [{"name": "x", "pattern": "("}]}, "patterns", "cannot be read"),
        ({"patterns": [{"name": "x", "pattern": "(?=a)"}]}, "patterns", "cannot be read"),
        ({"patterns": [{"name": "x", "pattern": "a*"}]}, "patterns", "matches an empty text"),
        ({"patterns": [{"name": "x", "pattern": ""}]}, "patterns", "has 0 characters"),
        ({"patterns": [{"name": "X!", "pattern": "a"}]}, "patterns", "is no name"),
        ({"patterns": [{"name": "email", "pattern": "a"}]}, "patterns", "or is taken"),
        ({"patterns": [{"name": "x", "pattern": "a"}] * 2}, "patterns", "or is taken"),
        ({"paths": ["contract"]}, "paths", "is no path"),
        ({"paths": ["input..x"]}, "paths", "is no path"),
        ({"paths": ["tool_responses["]}, "paths", "is no path"),
        ({"paths": ["tool_responses[*]"]}, "paths", "which part of a call"),
        ({"paths": ["tool_responses[*].status"]}, "paths", "which part of a call"),
        ({"paths": ["tool_responses[*].*"]}, "paths", "which part of a call"),
        ({"paths": ["input"] * 51}, "paths", "limit 50"),
        ({"off": "email"}, "off", "no lists"),
    ],
)
def test_rules_that_cannot_work_say_which_and_why(value, field, said):
    with pytest.raises(BadRules, match=said) as refused:
        Rules.from_value(value)
    assert refused.value.field == field


def test_rules_read_back_as_they_were_written():
    rules = Rules(frozenset({"email"}), (Pattern("x", "a+"),), ("input",))
    assert Rules.from_value(rules.to_value()) == rules
    assert Rules.from_value({}) == Rules()
