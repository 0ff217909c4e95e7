"""The Django application."""

from django.apps import AppConfig


class WorkbenchConfig(AppConfig):
    """Cases, decisions, accounts and the audit trail."""

    name = "fraud.workbench"
    label = "workbench"
    verbose_name = "稽核工作台"
    default_auto_field = "django.db.models.BigAutoField"
