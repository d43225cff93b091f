"""Lets 0002 be taken back where recordings were erased: their bodies are null, which 0001 does not
know. The way back writes an empty body, which is no session; the way forth makes it a tombstone."""

from django.db import migrations
from django.utils import timezone


def empty_bodies(apps, schema_editor):
    revisions = apps.get_model("replays_app", "SessionRevision").objects
    revisions.using(schema_editor.connection.alias).filter(body__isnull=True).update(body={})


def tombstones(apps, schema_editor):
    revisions = apps.get_model("replays_app", "SessionRevision").objects
    revisions.using(schema_editor.connection.alias).filter(body={}).update(
        body=None,
        erased_at=timezone.now(),
        erased_why="erased before the database went back to an older version and forth again",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("replays_app", "0007_erasure"),
    ]

    operations = [
        migrations.RunPython(tombstones, empty_bodies),
    ]
