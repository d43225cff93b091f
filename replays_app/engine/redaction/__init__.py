"""Personal data and secrets out of recordings, before they are stored: found by recognisers, by the
names of fields, by patterns and paths of a project, and replaced by stable pseudonyms."""

from replays_app.engine.redaction.recognisers import RECOGNISERS, Recogniser
from replays_app.engine.redaction.redactor import Redactor
from replays_app.engine.redaction.rules import BadRules, Pattern, Rules

__all__ = ["RECOGNISERS", "BadRules", "Pattern", "Recogniser", "Redactor", "Rules"]
