"""Credentials that are told by their own form, from what their issuers publish."""

from __future__ import annotations

SECRET_SHAPES = (
    # Model providers
    r"\bsk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_\-]{20,200}",
    r"\blsv2_(?:pt|sk)_[A-Za-z0-9_]{20,100}",
    r"\bhf_[A-Za-z0-9]{30,60}",
    r"\bAIza[A-Za-z0-9_\-]{35}",
    r"\b(?:gsk|xai|pplx|r8|nvapi|tvly)[_\-][A-Za-z0-9_\-]{20,120}",
    # Code hosts, registries
    r"\bgh[pousr]_[A-Za-z0-9]{36,255}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,255}",
    r"\bgl(?:pat|rt|dt|cbt|ptt|ft|soat)-[A-Za-z0-9_\-]{20,64}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-AgE[A-Za-z0-9_\-]{50,500}",
    r"\bdckr_pat_[A-Za-z0-9_\-]{20,60}",
    # Clouds
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"(?i)(?:aws.{0,20}secret.{0,20}|secret[_ ]?access[_ ]?key.{0,6})[:= \"']+"
    r"([A-Za-z0-9/+]{40})\b",
    r"\bya29\.[A-Za-z0-9_\-]{20,300}",
    r"AccountKey=([A-Za-z0-9+/]{40,100}={0,2})",
    r"\bdo[por]_v1_[a-f0-9]{64}",
    r"[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=([A-Za-z0-9%+/=]{20,512})",
    # Payments, messages, mail
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,200}",
    r"\bwhsec_[A-Za-z0-9+/=]{20,100}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,250}",
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}",
    r"https://discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_\-]{40,100}",
    r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,64}",
    r"\b(?:AC|SK)[a-f0-9]{32}\b",
    r"\bkey-[a-f0-9]{32}\b",
    r"\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    r"\b\d{8,10}:AA[A-Za-z0-9_\-]{32,36}\b",
    r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    r"\bfsk_[a-f0-9]{8}_[A-Za-z0-9_\-]{20,60}",
    # Anybody's
    r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"[A-Za-z0-9+/=\s\\:,.\-]{20,}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
    r"(?i)\bbearer[ ]+([A-Za-z0-9._~+/\-]{16,}=*)",
    r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?basic[ ]+([A-Za-z0-9+/]{8,500}={0,2})",
    r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{3,200})@",
    r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
)
