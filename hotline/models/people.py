"""Who works at the desk."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from kb.models import Department


class User(AbstractUser):
    """A person at the desk. Roles are groups: agent, reviewer, knowledge_administrator."""

    agent_number = models.CharField("坐席号", max_length=20, blank=True)
    department = models.ForeignKey(Department, models.SET_NULL, null=True, blank=True, verbose_name="部门")

    class Meta(AbstractUser.Meta):
        verbose_name = verbose_name_plural = "用户"

    def __str__(self) -> str:
        return f"坐席 {self.agent_number}" if self.agent_number else self.get_full_name() or self.username
