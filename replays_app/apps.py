from django.apps import AppConfig


class ReplaysConfig(AppConfig):
    name = "replays_app"
    verbose_name = "Replays"
