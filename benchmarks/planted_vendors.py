"""Secrets of many issuers and as people leave them around, made up: a corpus that was written to
attack the recognisers, after they were. Put together from parts, so that no scanner takes this file
for a leak."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from benchmarks.planting import UPPER, Planted, draws, said, some_of


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def clouds(chance: random.Random) -> Iterator[Planted]:
    some, _, hexes = draws(chance)

    jwt = f"{_part({'alg': 'RS256'})}.{_part({'sub': '9', 'n': some(9)})}.{some(86, '_-')}"
    jwe = ".".join(
        (_part({"alg": "RSA-OAEP", "enc": "A256GCM"}), some(60), some(16), some(40), some(22))
    )
    yield from said(
        "secret",
        [
            (jwt, "curl -H 'Authorization: JWT {}' https://x.example"),
            (jwt[:-4] + "Q7zz", "https://app.example/cb#id_token={}&state=1"),
            (jwe, "encrypted token {}"),
            (
                "AKIA" + some_of(chance, UPPER + "234567", 16),
                {"profile": {"aws_access_key_id": "{}"}},
            ),
            (some(40, "/+"), "[default]\naws_secret_access_key={}\nregion=eu-west-1"),
            (some(40, "/+"), "AWS_SECRET_ACCESS_KEY: {}"),
            (some(40, "/+"), {"SecretAccessKey": "{}", "Expiration": "2026-01-01T00:00:00Z"}),
            ("IQoJb3JpZ2luX2Vj" + some(300, "/+"), {"SessionToken": "{}"}),
            ("IQoJb3JpZ2luX2Vj" + some(300, "/+"), "AWS_SESSION_TOKEN={}"),
            (
                "ASIA" + some_of(chance, UPPER + "234567", 16),
                "SigV4 Credential={}/20260101/eu-west-1/s3/aws4_request",
            ),
            (hexes(64), "Signature={}, AWS4-HMAC-SHA256"),
            ("AIza" + some(35, "-_"), {"firebaseConfig": {"apiKey": "{}"}}),
            ("GOCSPX-" + some(28, "-_"), "google client {}"),
            ("1//0" + some(60, "-_"), "oauth refresh {} revoked"),
            ("ya29." + some(150, "-_"), {"creds": ["{}"]}),
            (
                some(86, "/+") + "==",
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=core.windows.net",
            ),
            (
                some(43, "/+") + "=",
                "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={}",
            ),
            (some(43, "/+") + "=", "HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey={}"),
            (some(3, "")[:3] + "8Q~" + some(34, "-_~"), "azure app secret {} expired"),
            (some(52).lower(), "azure devops pat={}"),
            (
                "sv=2024-01-01&sig=" + quote(some(43, "/+") + "=", safe=""),
                "https://a.blob.core.windows.net/c/f?{}",
            ),
            ("sk-or-v1-" + hexes(64), "openrouter {}"),
            ("sk-svcacct-" + some(80, "-_"), "key {} is over quota"),
            (
                "sk-lf-"
                + hexes(8)
                + "-"
                + hexes(4)
                + "-4"
                + hexes(3)
                + "-a"
                + hexes(3)
                + "-"
                + hexes(12),
                "langfuse secret {}",
            ),
            ("sk_" + hexes(48), "elevenlabs xi-api-key: {}"),
        ],
    )


def services(chance: random.Random) -> Iterator[Planted]:
    some, digits, hexes = draws(chance)

    yield from said(
        "secret",
        [
            ("gsk_" + some(52), "groq: {}"),
            ("xai-" + some(80), "grok {}"),
            ("r8_" + some(37), "replicate {}"),
            ("pplx-" + some(48), "perplexity {}"),
            ("nvapi-" + some(64, "-_"), "nim {}"),
            ("co-" + some(40), {"COHERE_API_KEY": "{}"}),
            (some(32), {"MISTRAL_API_KEY": "{}"}),
            ("lsv2_sk_" + hexes(32) + "_" + hexes(10), "trace {}"),
            ("ghs_" + some(36), "git clone https://x-access-token:{}@github.com/a/b"),
            ("gho_" + some(36), {"oauth": {"t": "{}"}}),
            ("glptt-" + hexes(40), "pipeline trigger {}"),
            ("ATBB" + some(32), "bitbucket app password {}"),
            ("ATCTT3xFfGN0" + some(170, "-_="), "atlassian {}"),
            ("xoxe.xoxp-1-" + some(140, "-"), "slack rotated {}"),
            ("xapp-1-A0" + digits(8) + "-" + digits(13) + "-" + hexes(64), "app level {}"),
            ("https://discord.com/api/webhooks/" + digits(18) + "/" + some(68, "-_"), "post to {}"),
            (
                "https://outlook.webhook.office.com/webhookb2/"
                + hexes(8)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(12)
                + "@"
                + hexes(8)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(12)
                + "/IncomingWebhook/"
                + hexes(32)
                + "/"
                + hexes(8),
                "teams {}",
            ),
            ("MT" + some(22) + "." + some(6) + "." + some(38, "-_"), "discord bot token {}"),
            ("AC" + hexes(32), "twilio account {}"),
            (hexes(32), {"twilio_auth_token": "{}"}),
            ("SG." + some(22, "-_") + "." + some(43, "-_"), {"smtp": {"pass": "{}"}}),
            (hexes(32) + "-us21", "mailchimp {}"),
            ("re_" + some(8) + "_" + some(24), "resend {}"),
            ("sk_live_" + some(99), "stripe {} live"),
            ("rk_test_" + some(24), {"k": "{}"}),
            ("whsec_" + some(32), {"endpoint": {"sig": "{}"}}),
            ("pi_" + some(24) + "_secret_" + some(25), "client confirm {}"),
            ("EAAC" + some(180), "facebook graph {}"),
            ("sq0atp-" + some(22, "-_"), "square {}"),
            ("EAAA" + some(60, "-_"), "square {}"),
            ("A21AA" + some(90, "-_"), {"access_token": "{}", "app_id": "APP"}),
            (
                "access-production-"
                + hexes(8)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(4)
                + "-"
                + hexes(12),
                "plaid {}",
            ),
            ("shpss_" + hexes(32), "shopify {}"),
            ("pscale_tkn_" + some(43, "-_"), "planetscale {}"),
            ("dop_v1_" + hexes(64), "do {}"),
            ("fo1_" + some(43, "-_"), "fly {}"),
            ("rnd_" + some(28), "render {}"),
            ("hvs." + some(95, "-_"), "VAULT_TOKEN={}"),
            ("dapi" + hexes(32) + "-3", "dbx {}"),
            (some(24) + ".atlasv1." + some(65, "-_"), "terraform cloud {}"),
            ("glsa_" + some(32) + "_" + hexes(8), "grafana {}"),
            ("glc_" + _b64('{"o":"1","n":"x","k":"' + some(40) + '"}'), "grafana cloud {}"),
            (hexes(32), {"DD_API_KEY": "{}"}),
            (hexes(40), "DD-APPLICATION-KEY: {}"),
            ("NRAK-" + some_of(chance, UPPER + "234567", 27), "newrelic {}"),
            (hexes(32), "https://{}@o1.ingest.sentry.io/55"),
            ("sntryu_" + hexes(64), "sentry {}"),
            ("phc_" + some(43), "posthog {}"),
            ("phx_" + some(43), "posthog {}"),
            ("secret_" + some(43), "notion {}"),
            ("ntn_" + digits(11) + some(35), {"n": "{}"}),
            ("figd_" + some(40, "-_"), "figma {}"),
            ("pat" + some(14) + "." + hexes(64), "airtable {}"),
            ("lin_oauth_" + hexes(64), "linear {}"),
            ("xkeysib-" + hexes(64) + "-" + some(16), "brevo {}"),
            ("npm_" + some(36), {"npmrc": "//registry.npmjs.org/:_authToken={}"}),
            ("pypi-AgEIcHlwaS5vcmcC" + some(160, "-_"), "TWINE_PASSWORD={}"),
            ("dckr_pat_" + some(27, "-_"), "docker login -u a -p {}"),
            (_b64("me:" + some(20)), '{"auths":{"ghcr.io":{"auth":"{}"}}}'),
            ("oy2" + some(43).lower(), "nuget push -ApiKey {}"),
            ("CFPAT-" + some(43, "-_"), "contentful {}"),
            ("sl." + some(130, "-_"), "dropbox {}"),
            (hexes(36) + "." + "x", "vercel token: {}"),
            (some(40, "-_"), "CLOUDFLARE_API_TOKEN={}"),
            (some(37), {"X-Auth-Key": "{}", "X-Auth-Email": "z"}),
            ("tvly-dev-" + some(32), "tavily {}"),
            ("fc-" + hexes(32), {"FIRECRAWL_API_KEY": "{}"}),
            ("pcsk_" + some(6) + "_" + some(60), "pinecone {}"),
            (
                "eyJ" + some(20) + ".eyJ" + some(80) + "." + some(43, "-_"),
                {"supabase": {"anon": "{}"}},
            ),
            ("sbp_" + hexes(40), "supabase {}"),
            ("sb_secret_" + some(31, "-_"), "supabase {}"),
        ],
    )
