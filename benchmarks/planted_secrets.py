"""Secrets, made up: put together from parts, so that no scanner takes this file for a leak."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator
from typing import Any

from benchmarks.planting import HEX, UPPER, WORD, Planted, draws, said, some_of, token


def issued(chance: random.Random) -> Iterator[Planted]:
    """Tokens that carry their issuer's mark."""
    some, digits, hexes = draws(chance)

    yield from said(
        "secret",
        [
            ("sk-" + some(48), "Incorrect API key provided: {}."),
            ("sk-" + "proj-" + some(90, "_-"), {"config": {"llm": "{}"}}),
            ("sk-" + "ant-api03-" + some(93, "_-"), "export ANTHROPIC={}"),
            ("AI" + "za" + some(35, "_-"), "https://maps.example/js?k={}&v=3"),
            ("lsv2" + "_pt_" + hexes(32) + "_" + hexes(10), "tracing with {}"),
            ("hf" + "_" + some(34), "Invalid user token {}"),
            ("gsk" + "_" + some(52), "groq {}"),
            ("ghp" + "_" + some(36), "remote: https://x:{}@github.example/a.git"),
            ("github" + "_pat_" + some(22) + "_" + some(59), "git {}"),
            ("glpat" + "-" + some(20, "_"), {"env": ["CI={}"]}),
            ("npm" + "_" + some(36), "//registry.example/:_authToken={}"),
            ("pypi-" + "AgEIcHlwaS5vcmc" + some(150, "_-"), "twine upload with {}"),
            ("AK" + "IA" + some_of(chance, UPPER + "234567", 16), "aws: {} is not authorised"),
            (some(40, "/+"), "aws_secret_access_key = {}"),
            ("xox" + f"b-{digits(12)}-{digits(12)}-" + some(24), "slack said {} is revoked"),
            (
                f"T{some_of(chance, UPPER, 8)}/B{some_of(chance, UPPER, 8)}/" + some(24),
                "https://hooks." + "slack.com/services/{}",
            ),
            ("sk" + "_live_" + some(24), "Stripe: {}"),
            ("rk" + "_live_" + some(24), {"stripe": "{}"}),
            ("wh" + "sec_" + some(32), "endpoint secret {} did not match"),
            ("SG." + some(22, "_-") + "." + some(43, "_-"), "mailer {}"),
            ("SK" + hexes(32), "twilio {}"),
            ("key-" + hexes(32), "mailgun {}"),
            (digits(10) + ":AA" + some(33, "_-"), "https://api.telegram.example/bot{}/getMe"),
            ("dapi" + hexes(32), "databricks {}"),
            ("dop" + "_v1_" + hexes(64), "doctl {}"),
            ("shp" + "at_" + hexes(32), "shopify {}"),
            ("hv" + "s." + some(90, "_-"), "vault {}"),
            ("lin" + "_api_" + some(40), "linear {}"),
            ("ntn" + "_" + some(46), "notion {}"),
            ("ATATT" + "3xFfGF0" + some(180, "_-="), "jira {}"),
            ("glsa" + "_" + some(32) + "_" + hexes(8), "grafana {}"),
            ("NRAK" + "-" + some_of(chance, UPPER + string.digits, 27), "newrelic {}"),
            ("figd" + "_" + some(40, "_-"), "figma {}"),
            ("sntrys" + "_" + some(100, "_="), "sentry {}"),
            ("PMAK" + "-" + hexes(24) + "-" + hexes(34), "postman {}"),
            ("ya29" + "." + some(120, "_-"), "google said {} has expired"),
        ],
    )


def credentials(chance: random.Random) -> Iterator[Planted]:
    """Told by what stands around them."""

    def some(length: int, more: str = "") -> str:
        return token(chance, length, more)

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    jwt = f"{part({'alg': 'HS256'})}.{part({'sub': '77', 'n': some(8)})}.{some(43, '_-')}"
    pem = "\n".join(some_of(chance, WORD + "+/", 64) for _ in range(4))
    basic = base64.b64encode(f"ops:{some(14)}".encode()).decode()
    yield from said(
        "secret",
        [
            ("hunter2!sunny", {"username": "olga", "password": "{}"}),
            ("Tr0ub4dor&3", "I logged in with password: {}"),
            ("correct-horse-9", "DB_PASSWORD={}\nDB_HOST=db"),
            ("S3cr3t%20Pass", "postgres://app:{}@db.internal:5432/prod"),
            ("r3d1sPwd", "redis://:{}@cache:6379/0"),
            ("myM0ng0", "mongodb+srv://root:{}@cluster0.example.net/?retryWrites=true"),
            ("Pa55-w0rd", "Server=tcp:sql;Database=x;User Id=sa;Password={};"),
            (some(40), {"api_key": "{}"}),
            (some(32), "https://api.example/v1/report?api_key={}&format=csv"),
            (some(24), "GET /files/8?token={} HTTP/1.1"),
            (some(36), "Authorization: Bearer {}"),
            (basic, "Authorization: Basic {}"),
            (basic[:-2] + "Zz", {"headers": {"Authorization": "Basic {}"}}),
            (jwt, {"jwt": "{}"}),
            (jwt[:-6] + "q8Z2xw", "id token {} has expired"),
            (f"sid={some(26)}; theme=dark", {"Cookie": "{}"}),
            (f"sessionid={some(32)}", "Set-Cookie: {}; Path=/; HttpOnly"),
            (some(30), {"X-Api-Key": "{}"}),
            (some(22), 'curl -H "x-api-key: {}" https://api.example'),
            (
                pem,
                "-----BEGIN RSA PRIVATE " + "KEY-----\n{}\n-----END RSA PRIVATE " + "KEY-----",
            ),
            (
                pem[::-1].replace("\n", "\\n"),
                '{"type": "service_account", "private_key": "-----BEGIN PRIVATE '
                'KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n"}',
            ),
            (some(86, "/+") + "==", "AccountName=logs;AccountKey={};EndpointSuffix=core.example"),
            (some(43), {"clientSecret": "{}"}),
            (some(20), "client_id=web&client_secret={}&grant_type=x"),
            ("8842", {"pin": "{}"}),
            ("917", {"card": {"exp": "04/29", "cvv": "{}"}}),
            ("open sesame 77", {"passphrase": "{}"}),
            (some(64), {"refresh_token": "{}"}),
            (some(28), "{'access_token': '{}', 'expires_in': 3600}"),
            (
                f"{some_of(chance, HEX, 8)}-{some_of(chance, HEX, 4)}-4{some_of(chance, HEX, 3)}-"
                f"a{some_of(chance, HEX, 3)}-{some_of(chance, HEX, 12)}",
                {"client_secret": "{}"},
            ),
            ("kd8#Lm2!", "The temporary password is {} until Friday"),
            (some(30), {"env": {"STRIPE_SECRET": "{}", "REGION": "eu"}}),
            ("n0t-s0-secret", "mysql -u root -p{} prod"),
        ],
    )
