"""Django's view of the core."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    """Accounts, projects, quotas, events."""

    name = "haven_core"
    label = "core"

    def ready(self) -> None:
        from haven_core.checks import register_own_checks
        from haven_core.db.keys import make_constraints_immediate
        from haven_core.policies import immutability
        from haven_core.policies.writes import refuse_when_read_only, register_write_policy

        register_own_checks()
        register_write_policy(refuse_when_read_only)
        immutability.register()
        post_migrate.connect(make_constraints_immediate, sender=self, dispatch_uid="haven-immediate-keys")
