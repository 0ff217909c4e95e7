"""The Django application."""

from importlib import import_module

from django.apps import AppConfig


class WorkbenchConfig(AppConfig):
    """Cases, decisions, accounts and the audit trail."""

    name = "fraud.workbench"
    label = "workbench"
    verbose_name = "稽核工作台"
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Load every module that has tables."""
        super().import_models()
        import_module("fraud.workbench.desk")
        import_module("fraud.workbench.books")
        import_module("fraud.workbench.learnt")

    def ready(self) -> None:
        """Load the guard: it notes when a session starts."""
        import_module("fraud.workbench.guard")
