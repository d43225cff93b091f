"""CI's door: webhooks, deliveries, batches."""

from django.urls import URLPattern, URLResolver, path

from replays_app.api import addresses, webhook
from replays_app.views import batches, bulk, hooks

project: list[URLPattern] = [
    path("batches/", batches.batch_list, name="batches"),
    path("batches/<int:pk>/", batches.batch_page, name="batch"),
    path("batches/<int:pk>/junit.xml", batches.junit, name="batch-junit"),
    path("batches/<int:pk>/result.json", batches.as_json, name="batch-json"),
    path("batches/<int:pk>/stop/", batches.stop, name="batch-stop"),
    path("batches/<int:pk>/again/", batches.again, name="batch-again"),
    path("incidents/bulk/", bulk.bulk, name="incidents-bulk"),
    path("incidents/replay/", bulk.replay, name="incidents-replay"),
    path("settings/hooks/", hooks.hooks_page, name="hooks"),
    path("settings/hooks/new/", hooks.create_hook, name="hook-new"),
    path("settings/hooks/<int:pk>/", hooks.hook_page, name="hook"),
    path("settings/hooks/<int:pk>/rotate/", hooks.rotate, name="hook-rotate"),
    path("settings/hooks/<int:pk>/switch/", hooks.switch, name="hook-switch"),
    path("settings/hooks/<int:pk>/deliveries/<int:number>/", hooks.delivery_page, name="delivery"),
]
site: list[URLPattern | URLResolver] = [
    path("hooks/ci/<uuid:public_id>", webhook.ci, name="hook-ci"),
    path("api/v1/", addresses.URLS),
]
