"""Gunicorn's own lines look like all others; everything else is said where it is started."""

from flakestorm_web import env
from replays_app import logs

_env = env.read()
logconfig_dict = logs.config(_env.log_format, _env.log_level)
