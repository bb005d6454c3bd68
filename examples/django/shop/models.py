"""The shop's own table."""

from django.db import models


class Order(models.Model):
    """A translation that a user ordered; a title is unique per user."""

    user = models.CharField(max_length=128)
    title = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "title"], name="one_title_per_user")]
