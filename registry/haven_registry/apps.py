"""Django's view of the registry."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RegistryConfig(AppConfig):
    """Repositories, manifests, blobs, tags, uploads."""

    name = "haven_registry"
    label = "registry"

    def ready(self) -> None:
        from haven_core.db.keys import make_constraints_immediate
        from haven_core.health import register_check
        from haven_core.projects.contents import register_end_unseen, register_repository_counts, register_totals
        from haven_registry.search import count_by_visibility, stored_bytes
        from haven_registry.selectors import count_repositories
        from haven_registry.services.repositories import end_unseen

        post_migrate.connect(make_constraints_immediate, sender=self, dispatch_uid="haven-immediate-keys")
        register_repository_counts(count_repositories)
        register_end_unseen(end_unseen)
        register_totals(count_by_visibility, stored_bytes)
        register_check("registry", _check_storage)


def _check_storage() -> None:
    from haven_registry.store import driver  # opens the storage; not at start

    driver().check()
