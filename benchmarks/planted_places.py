"""Passwords, codes and keys as people and programs leave them around, made up."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Iterator

from benchmarks.planting import UPPER, Planted, draws, said, some_of


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def places(chance: random.Random) -> Iterator[Planted]:
    some, _, hexes = draws(chance)

    pem = [
        "\n".join(some_of(chance, string.ascii_letters + "+/", 64) for _ in range(5)) for _ in "123"
    ]
    yield from said(
        "secret",
        [
            ("hf_" + some(34), {"HUGGINGFACEHUB": "{}"}),
            ("PMAK-" + hexes(24) + "-" + hexes(34), "pm {}"),
            ("tskey-auth-" + some(12) + "-" + some(32), "ts {}"),
            ("AGE-SECRET-KEY-1" + some_of(chance, UPPER + "234567", 58), "age {}"),
            (
                pem[0],
                "-----BEGIN OPENSSH PRIVATE "
                + "KEY-----\n{}\n-----END OPENSSH PRIVATE "
                + "KEY-----\n",
            ),
            (pem[1], "-----BEGIN EC PRIVATE " + "KEY-----\n{}\n-----END EC PRIVATE " + "KEY-----"),
            (pem[2], "-----BEGIN PRIVATE " + "KEY-----\n{}\n(cut)"),
            (
                some(60, "/+"),
                "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\n{}\nPrivate-MAC: x",
            ),
            ("Zx9!pLq", "postgresql+psycopg2://svc:{}@10.0.0.4/prod"),
            ("Gh7kkLmn", "amqps://user:{}@rabbit:5671/vh"),
            ("pass123word", "jdbc:postgresql://db:5432/x?user=svc&password={}"),
            ("Qw3rty!9", "jdbc:oracle:thin:scott/{}@//db:1521/XE"),
            ("S0meSecr3t", "Data Source=db;Initial Catalog=x;User ID=sa;Pwd={};Encrypt=yes"),
            ("m0ngoPw99", "mongodb://admin:{}@a:27017,b:27017/?replicaSet=r"),
            ("ftpP4ss", "ftp://bob:{}@files.example/in"),
            ("Sn0wfl4ke", "snowflake://bob:{}@acct/db?warehouse=w"),
            ("sm1p-Pass!", "smtp://apikey:{}@smtp.example:587"),
            ("bas1cPw77", "https://bob:{}@intranet.example/x"),
            (_b64("bob:Pa55w0rd!x"), "Authorization: Basic {}"),
            (_b64("alice:wonderl4nd9"), {"headers": {"authorization": "Basic {}"}}),
            (_b64("eve:Secr3tPass!!"), "Proxy-Authorization: Basic {}"),
            (_b64("carl:Secr3tPass!!"), 'curl --header "authorization: basic {}"'),
            ("hunter2000", "curl -u bob:{} https://x.example/api"),
            ("hunter2001", "mysql --password={} -h db"),
            ("hunter2002", "sshpass -p '{}' ssh host"),
            ("hunter2003", "PGPASSWORD={} psql"),
            ("hunter2004", "redis-cli -a {} ping"),
            ("hunter2005", "my password is {}, please help"),
            ("hunter2006", "mot de passe : {}"),
            ("hunter2007", "Passwort: {}"),
            ("hunter2008", "contraseña: {}"),
            ("hunter2009", "senha: {}"),
            ("hunter2010", "пароль: {}"),
            ("hunter2011", "密码: {}"),
            ("hunter2012", {"userPassword": "{}"}),
            ("hunter2013", {"db": {"pass": "{}"}}),
            ("hunter2014", "<password>{}</password>"),
            ("hunter2015", "pw: {}"),
            ("hunter2016", "--api-key {} --verbose"),
            ("hunter2017xyz", "X-API-Key: {}"),
            ("482913", "Your verification code is {}"),
            ("482914", "Your one-time code: {}"),
            ("482915", "OTP {} expires in 5 minutes"),
            ("482916", "2FA code 482916".replace("482916", "{}")),
            ("4829", "PIN: {}"),
            ("931", "CVV {}"),
            ("932", {"cvc2": "{}"}),
            ("JBSWY3DPEHPK3PXP", "otpauth://totp/x?secret={}&issuer=y"),
            ("sess" + some(40), {"cookies": {"sessionid": "{}"}}),
            (some(32), "Cookie: PHPSESSID={}; lang=en"),
            (hexes(32).upper(), "JSESSIONID={}"),
            (some(30, "-_"), {"csrfToken": "{}"}),
            (some(48), {"bearer": "{}"}),
            (some(40), "https://api.example/v1?access_token={}&x=1"),
            (some(30), "https://api.example/v1?apikey={}"),
            (some(30), "https://api.example/v1?key={}&cx=1"),
            (
                "abandon ability able about above absent absorb "
                "abstract absurd abuse access accident",
                "seed phrase: {}",
            ),
            ("5" + "J3mBbAH58CpQ3Y5RNJpUKPE62SQ5tfcvU2JpbnkeyhfsYB1Jcn", "bitcoin wif {}"),
            (hexes(64), {"private_key": "0x{}"}),
            ("xprv9s21ZrQH143K" + some(95), "hd wallet {}"),
            ("hunter2050", {"body": json.dumps({"inner": json.dumps({"password": "{}"})})}),
            (
                "hunter2051",
                {
                    "body": json.dumps(
                        {"inner": json.dumps({"deep": json.dumps({"client_secret": "{}"})})}
                    )
                },
            ),
            ("hunter2052", repr({"cfg": repr({"api_key": "{}"})})),
            ("hunter2053", "password%3Dhunter2053".replace("hunter2053", "{}")),
            ("hunter2054", '{\\"password\\": \\"{}\\"}'),
            ("hunter2055", "password:\n  {}\n"),
            ("hunter2056", "--password {}"),
        ],
    )
