"""The hotline desk application."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class HotlineConfig(AppConfig):
    name = "hotline"
    verbose_name = "热线坐席"

    def ready(self) -> None:
        from hotline import checks  # noqa: F401  registers the start-up checks
        from hotline.index_gate import check_index
        from hotline.roles import ensure_roles
        from kb.index_gate import register_gate

        register_gate(check_index)
        # Permissions are made after each application's migrations; the last one's turn finds them all.
        post_migrate.connect(ensure_roles, sender=self)
