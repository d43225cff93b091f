"""Credentials that are told by their own form, from what their issuers publish.

Counts have no upper end where the alphabet ends the token anyway: RE2 writes them out.
"""

from __future__ import annotations

# With words in a row, which are no keys, when there is no digit: sk-learn-contrib-packages.
LIKE_WORDS = (
    r"\bsk-(?:ant-|proj-|or-|svcacct-|admin)?[A-Za-z0-9_\-]{20,}",
    r"\bsecret_[A-Za-z0-9]{40,}",
    # As new issuers make them: acme_live_…
    r"\b[a-z]{2,12}[_\-](?:sk|pat|pk|key|secret|token|live|test|prod|api)[_\-][A-Za-z0-9]{20,}\b",
)
# Of an issuer that is not known here: a word, and a long mix of digits and both cases.
LIKE_TOKENS = (r"\b[A-Za-z]{2,10}[_\-][A-Za-z0-9]{36,}\b",)
SECRET_SHAPES = (
    # Model providers
    r"\blsv2_(?:pt|sk)_[A-Za-z0-9_]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bsk_[a-f0-9]{40,}",
    r"\bpcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{40,}",
    r"\bsb_(?:secret|publishable)_[A-Za-z0-9_\-]{20,}",
    r"\bAIza[A-Za-z0-9_\-]{35}",
    r"\b(?:gsk|xai|pplx|r8|nvapi|tvly|fw)[_\-][A-Za-z0-9_\-]{20,}",
    # Code hosts, registries
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bgl(?:pat|rt|dt|cbt|ptt|ft|soat)-[A-Za-z0-9_\-]{20,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-AgE[A-Za-z0-9_\-]{50,}",
    r"\bdckr_pat_[A-Za-z0-9_\-]{20,}",
    r"\brubygems_[a-f0-9]{48}",
    r"\bAT(?:ATT|CTT)3[A-Za-z0-9_\-=]{40,}",
    r"\bATBB[A-Za-z0-9]{28,}",
    r"\boy2[a-z0-9]{43}\b",
    r"\b(?:CCIPAT|bkua|sgp|nfp|pnu|rdme)_[A-Za-z0-9_]{30,}",
    # Clouds
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"(?i)(?:aws.{0,20}secret.{0,20}|secret[_ ]?access[_ ]?key.{0,6})[:= \"']+"
    r"([A-Za-z0-9/+]{40})\b",
    r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9+/=]{50,}",
    r"\bGOCSPX-[A-Za-z0-9_\-]{20,}",
    r"\b1//0[A-Za-z0-9_\-]{40,}",
    r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,}",
    r"\b[A-Za-z0-9]{24}\.atlasv1\.[A-Za-z0-9_\-]{60,}",
    r"\brnd_[A-Za-z0-9]{28,}",
    r"\bya29\.[A-Za-z0-9_\-]{20,}",
    r"AccountKey=([A-Za-z0-9+/]{40,}={0,2})",
    r"\bdo[por]_v1_[a-f0-9]{64}",
    r"\bhv[sbr]\.[A-Za-z0-9_\-]{20,}",
    r"\bdapi[a-f0-9]{32}(?:-\d)?\b",
    r"\bpscale_(?:tkn|oauth|pw)_[A-Za-z0-9_=.\-]{30,}",
    r"\b(?:sbp|fo1|fm[12][ar]?)_[A-Za-z0-9_+/\-]{40,}",
    r"\bLTAI[A-Za-z0-9]{20}\b",
    r"\bAKCp[A-Za-z0-9]{60,}\b",
    r"\bdt0c01\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}",
    r"\bpul-[a-f0-9]{40}\b",
    r"\btskey-[a-z]{2,8}-[A-Za-z0-9]{6,30}-[A-Za-z0-9]{16,}",
    r"\b[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.\-]{31,34}",
    r"[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=([A-Za-z0-9%+/=]{20,})",
    # Payments, messages, mail
    r"\b(?:pi|seti|src|cs)_[A-Za-z0-9_]{14,80}_secret_[A-Za-z0-9]{20,}",
    r"\bEAAA[A-Za-z0-9_\-]{56,}",
    r"\bre_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}",
    r"\b[a-f0-9]{32}-us\d{1,2}\b",
    r"\b[MNO][A-Za-z0-9_\-]{22,27}\.[A-Za-z0-9_\-]{5,7}\.[A-Za-z0-9_\-]{27,}",
    r"https://[a-z0-9.\-]{0,60}webhook\.office\.com/[A-Za-z0-9@/\-]{40,}",
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"\bwhsec_[A-Za-z0-9+/=]{20,}",
    r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{10,}",
    r"\bsq0(?:atp|csp)-[A-Za-z0-9_\-]{22,}",
    r"\baccess-(?:sandbox|development|production)-[a-f0-9\-]{36}",
    r"\bEAA[A-Z][A-Za-z0-9]{80,}",
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
    r"https://discord(?:app)?\.com/api/webhooks/\d+/[A-Za-z0-9_\-]{40,}",
    r"\bSG\.[A-Za-z0-9_\-]{16,32}\.[A-Za-z0-9_\-]{16,}",
    r"\b(?:AC|SK)[a-f0-9]{32}\b",
    r"\bkey-[a-f0-9]{32}\b",
    r"\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    r"(?:\b|bot)(\d{8,10}:AA[A-Za-z0-9_\-]{32,36})\b",
    # Issues, documents, metrics
    r"\blin_(?:api|oauth)_[A-Za-z0-9]{32,}",
    r"\bntn_[A-Za-z0-9]{40,}",
    r"\bfigd_[A-Za-z0-9_\-]{36,}",
    r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    r"\bCFPAT-[A-Za-z0-9_\-]{40,}",
    r"\bsl\.(?:u\.)?[A-Za-z0-9_\-]{100,}",
    r"\bph[cxs]_[A-Za-z0-9]{40,}",
    r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    r"\bgl(?:sa|c)_[A-Za-z0-9_=]{32,}",
    r"\bNR(?:AK|AL|II|JS)-[A-Za-z0-9]{19,40}",
    r"\bsntry[su]_[A-Za-z0-9_=+/]{40,}",
    r"\bdp\.(?:pt|st|ct)\.[A-Za-z0-9._\-]{40,}",
    r"\bops_eyJ[A-Za-z0-9+/=]{100,}",
    r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    r"\bfsk_[a-f0-9]{8}_[A-Za-z0-9_\-]{20,}",
    r"\bHRKU-[A-Za-z0-9\-]{30,}",
    r"\bsdk-[a-f0-9]{8}-(?:[a-f0-9]{4}-){3}[a-f0-9]{12}",
    r"\bGR1348941[A-Za-z0-9_\-]{20,}",
    r"\bSSWS ([A-Za-z0-9_\-]{20,})",
    r"\b[sp]k\.eyJ[A-Za-z0-9_\-]{20,}\.[A-Za-z0-9_\-]{16,}",
    # Anybody's
    r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]{8,}){4}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"[A-Za-z0-9+/=\s\\:,.\-]{20,}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
    # Cut off before its end
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----\s*((?:[A-Za-z0-9+/=]{16,}\s*)+)",
    r"Private-Lines: \d+\s+((?:[A-Za-z0-9+/=]{16,}\s*)+)",
    r"\b5[HJK][1-9A-HJ-NP-Za-km-z]{49}\b",
    r"\b[xyz]prv[A-Za-z0-9]{90,}",
    r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:jwt|token|apikey|key)[ ]+"
    r"([A-Za-z0-9._~+/\-]{16,}=*)",
    r"(?i)\bbearer[ ]+([A-Za-z0-9._~+/\-]{16,}=*)",
    r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?basic[ ]+([A-Za-z0-9+/]{8,}={0,2})",
    r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/:@\"'<>]{0,}:([^\s/@\"'<>]{3,})@",
    r"AGE-SECRET-KEY-1[A-Z0-9]{58}",
)
